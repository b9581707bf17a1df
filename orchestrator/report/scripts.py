"""A plan as a shell script of plain aws, openssl and age commands: to read, or to run by hand where mrk may not run.

It keeps the rules of mrk (script.sh, script_steps.py): it refuses a key that is not as it was planned, puts new
material into the store before KMS sees it, looks at every Region right before the rotation, and sends that once.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import count

from orchestrator.model import (
    Action,
    ImportMaterial,
    ImportType,
    KeepProbe,
    MaterialId,
    NoteSwitch,
    Region,
    ReplicateKey,
    RotateOnDemand,
    View,
    short,
)
from orchestrator.perform import PROBE_CONTEXT
from orchestrator.plan import Plan
from orchestrator.progress import Report
from orchestrator.report.expected import strange
from orchestrator.report.script_steps import BY_HAND, Means, Shelf, comment, plain, steps_of

__all__ = ["Means", "Shelf", "script"]

Planned = tuple[Report, Plan | None]
_CONTEXT = ",".join(f"{name}={value}" for name, value in PROBE_CONTEXT.items())


def script(plans: Sequence[Planned], means: Means) -> str:
    """Write the plans of several keys as one script; it tells of each key, also where nothing is to be done."""
    head = files("orchestrator.report").joinpath("script.sh").read_text(encoding="utf-8")
    numbers = count(1)
    bodies = [line for report, plan in plans for line in (*_body(report, plan, means, numbers), "")]
    return "\n".join([head, *_settings(plans, means), "", *bodies, 'exit "$left"', ""])


def _settings(plans: Sequence[Planned], means: Means) -> Iterator[str]:
    """Write what holds for all keys."""
    if means.role_arn:
        yield comment(f"mrk assumes the role {means.role_arn}: run this with credentials of that role")
    if means.profile:
        yield f"export AWS_PROFILE={shlex.quote(means.profile)}"
    digest = "sha1" if means.algorithm.endswith("SHA_1") else "sha256"
    identity = means.shelf.identity if means.shelf else None
    yield f"WRAPPING={shlex.quote(means.algorithm)} DIGEST={digest} CONTEXT={shlex.quote(_CONTEXT)}"
    yield f"IDENTITY={shlex.quote(str(identity.absolute()) if identity else '')}"
    yield "endpoint() {  # Region"
    yield "  case $1 in"
    regions = {region for report, plan in plans for region in _regions(report, plan)}
    yield from (f"    {shlex.quote(one)}) say {shlex.quote(means.endpoint(one))} ;;" for one in sorted(regions))
    yield "  esac"
    yield "}"


def _regions(report: Report, plan: Plan | None) -> set[Region]:
    view = report.view
    if plan is None or view is None or strange(view):
        return set()
    return {*view.regions, *(step.action.region for step in plan.steps if isinstance(step.action, ReplicateKey))}


def _body(report: Report, plan: Plan | None, means: Means, numbers: Iterator[int]) -> Iterator[str]:
    plan = _without_notes(plan) if plan else None
    name, view, steps = report.job.name, report.view, plan.steps if plan else ()
    yield comment(f"{'-' * 30} {name}")
    refused = _refusal(report, view, [step.action for step in steps], means) if view else ""
    if refused:
        yield _undone(4, f"{name}: {refused}", f"mrk run {shlex.quote(name)}")
        return
    if plan and view and steps:
        yield from steps_of(report, view, plan, means, numbers)
    stopped = plan.end.blocks if plan else report.blocks
    yield from (_undone(4 if one.person else 3, f"{name}: {one.message}", one.way_out) for one in stopped)
    if not stopped and not steps:
        yield comment(f"nothing to do: {report.message}" if plan is None else "nothing to do")


def _without_notes(plan: Plan) -> Plan:
    """Leave out what mrk notes in its store of what others did: it can wait for the next run."""
    return replace(plan, steps=tuple(step for step in plan.steps if not isinstance(step.action, NoteSwitch)))


def _undone(code: int, message: str, hint: str) -> str:
    return f"undone {code} {shlex.quote(plain(message))} {shlex.quote(plain(hint))}"


def _refusal(report: Report, view: View, actions: Sequence[Action], means: Means) -> str:
    """Say why a script must not do what mrk would: it would break a rule, or lose something."""
    if actions and (odd := strange(view)):
        return f"KMS told {odd!r}, which is no id of key material and no Region"
    if any(not isinstance(action, BY_HAND) for action in actions):
        return "mrk does this in its store, and no script can"
    if any(isinstance(action, ImportMaterial) for action in actions) and means.shelf is None:
        return "a script reads the entries of stores file: only"
    if any(_new(action) for action in actions) and _given_up(report, view):
        return "an attempt of this rotation was given up: mrk waits until no rotation of it can be under way"
    lost = _probe_lost(actions)
    return f"only mrk keeps the proof of {short(lost)}, and only before a rotation (proof: full)" if lost else ""


def _new(action: Action) -> bool:
    return isinstance(action, ImportMaterial) and action.import_type is ImportType.NEW


def _given_up(report: Report, view: View) -> bool:
    """Whether a further attempt has to wait, and to look several times, before anything new is imported (P6, P8)."""
    store, goal = view.store, report.run.goal if report.run else None
    if store is None or goal is None:
        return True
    discarded = any(one.discarded_at for one in store.entries if one.name.replaces == goal.replaces)
    return discarded or store.withdrawn_at is not None or bool(store.withdrawn_problem)


def _probe_lost(actions: Sequence[Action]) -> MaterialId | None:
    """Name the material whose probe would be kept before the rotation: afterwards it can never be made (P14)."""
    found = [number for number, one in enumerate(actions) if isinstance(one, RotateOnDemand)]
    before = actions[: found[0]] if found else ()
    return next((one.material_id for one in before if isinstance(one, KeepProbe)), None)
