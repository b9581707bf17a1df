"""Jobs: what each command asks the runner to do for one key."""

from collections.abc import Mapping, Sequence
from functools import partial

from orchestrator.decide import name_of_stage
from orchestrator.errors import UsageError
from orchestrator.goals import rotate_now
from orchestrator.model import KeyArn, KeyIdentity, MaterialId, Policy, Stage, is_alias
from orchestrator.progress import Job
from orchestrator.settings import KeySettings, Settings
from workflows.renew import RENEW, whatever_expires
from workflows.repair import REPAIR, whatever_is_broken
from workflows.rotate import ROTATE, replaced_at_the_end
from workflows.run import RUN, whatever_is_wanted
from workflows.verify import judged

_MOST_NAMES = 30


def named(settings: Settings, names: Sequence[str]) -> dict[str, KeySettings]:
    """Find keys by their name in the config, or by ARN; no name means all of them."""
    if not settings.keys:
        raise UsageError("the config names no keys", "add one under `keys`: a name and its arn")
    if not names:
        return dict(settings.keys)
    return dict(_find(settings, name) for name in names)


def _find(settings: Settings, name: str) -> tuple[str, KeySettings]:
    wanted = _identity(name)
    for known, key in settings.keys.items():
        if name in {known, key.arn} or (wanted and wanted == _identity(key.arn)):
            return known, key
    if name.startswith("arn:") and not (wanted or is_alias(name)):
        hint = "write arn:aws:kms:REGION:ACCOUNT:key/KEY-ID, or the key's name in the config"
        raise UsageError(f"{name!r} is not the ARN of a KMS key", hint)
    known_names = sorted(settings.keys)
    more = f", and {len(known_names) - _MOST_NAMES} more" if len(known_names) > _MOST_NAMES else ""
    raise UsageError(f"the config has no key {name!r}", f"it has: {', '.join(known_names[:_MOST_NAMES])}{more}")


def _identity(arn: str) -> KeyIdentity | None:
    """Return what names a key whatever its Region; None for what is no key's ARN."""
    try:
        return KeyArn.parse(arn).identity
    except ValueError:
        return None


def rotate(
    name: str,
    key: KeySettings,
    policy: Policy,
    replaces: str | None = None,
    until: str | None = None,
    *,
    by_person: bool = True,
) -> Job:
    """Rotate one key now; `by_person` tells that a person, and no input, names what to replace."""
    material = MaterialId(replaces) if replaces else None
    stages = (*ROTATE, replaced_at_the_end(material)) if material and not until else up_to(ROTATE, until)
    pin = partial(rotate_now, policy=policy, replaces=material, by_person=by_person)
    return Job(name, KeyArn.parse(key.arn), policy, stages, pin)


def run(name: str, key: KeySettings, policy: Policy) -> Job:
    """Renew what expires, finish what is unfinished, rotate where that is due; repair where the owner allows it."""
    return Job(name, KeyArn.parse(key.arn), policy, RUN, partial(whatever_is_wanted, policy=policy))


def repair(name: str, key: KeySettings, policy: Policy) -> Job:
    """Import again what a Region lacks."""
    return Job(name, KeyArn.parse(key.arn), policy, REPAIR, partial(whatever_is_broken, policy=policy))


def renew(name: str, key: KeySettings, policy: Policy) -> Job:
    """Import again what will soon expire."""
    pin = partial(whatever_expires, policy=policy)
    return Job(name, KeyArn.parse(key.arn), policy, RENEW, pin, "renewed: nothing that the key needs expires soon")


def verify(name: str, key: KeySettings, policy: Policy) -> Job:
    """Judge one key, and do nothing."""
    return Job(name, KeyArn.parse(key.arn), policy, (), partial(judged, policy=policy))


WORKFLOWS: Mapping[str, Sequence[Stage]] = {"rotate": ROTATE, "repair": REPAIR, "renew": RENEW, "run": RUN}
"""The workflows that a state machine can be rendered from."""


def of(workflow: str, name: str, key: KeySettings, policy: Policy, replaces: str | None = None) -> Job:
    """Make the job of a workflow that an input names; raises UsageError where there is none."""
    if workflow == "rotate":
        return rotate(name, key, policy, replaces, by_person=False)
    makers = {"repair": repair, "renew": renew, "run": run}
    if workflow not in makers:
        raise UsageError(f"there is no workflow {workflow!r}", f"it is one of {', '.join(WORKFLOWS)}")
    if replaces:
        raise UsageError(f"`replaces` goes with rotate, not with {workflow}", "leave it out, or rotate")
    return makers[workflow](name, key, policy)


def up_to(stages: Sequence[Stage], until: str | None) -> Sequence[Stage]:
    """Cut a workflow after one stage."""
    names = [name_of_stage(stage) for stage in stages]
    if until is None:
        return stages
    if until not in names:
        raise UsageError(f"there is no stage {until!r}", f"the stages are: {', '.join(names)}")
    return stages[: names.index(until) + 1]
