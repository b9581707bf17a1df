"""The steps of one key's plan as lines of a script, each after the look that must come out as the plan foresaw."""

import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator import effects
from orchestrator.model import (
    Action,
    DepositMaterial,
    EntryName,
    ImportMaterial,
    ImportType,
    KeepProbe,
    MarkProven,
    ProveRegion,
    Region,
    ReplicateKey,
    RotateOnDemand,
    View,
)
from orchestrator.plan import Plan, Planned
from orchestrator.progress import Report
from orchestrator.report.expected import looks, material

BY_HAND = (DepositMaterial, ImportMaterial, ReplicateKey, RotateOnDemand, ProveRegion, KeepProbe, MarkProven)
"""What a script can do, or can leave to the run of mrk that comes after it."""

_CHANGING = (ImportMaterial, ReplicateKey, RotateOnDemand)
_GOOD_FOR = timedelta(hours=24)
_CLOCKS = timedelta(minutes=5)
"""How far two clocks may be apart: AWS takes no signature that is older."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store file: as a script uses it: its directory and stamp, the file of an entry, what seals and opens that."""

    root: Path
    stamp: dict[str, str]
    path: Callable[[EntryName], Path]
    recipients: tuple[str, ...]
    identity: Path | None


@dataclass(frozen=True, slots=True)
class Means:
    """What a script needs beside the plans: how to wrap, where each KMS is, and the store, if a script can use it."""

    algorithm: str
    endpoint: Callable[[Region], str]
    shelf: Shelf | None
    profile: str | None = None
    role_arn: str | None = None


def comment(text: str) -> str:
    """Write a comment, which ends at the end of its line."""
    return f"# {plain(text)}"


def plain(text: str) -> str:
    """Return a text on one line, without what a terminal would obey."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def steps_of(report: Report, view: View, plan: Plan, means: Means, numbers: Iterator[int]) -> Iterator[str]:
    """Write the steps of one key; `numbers` names what several keys must not name alike."""
    lines, steps = _Lines(report, means, numbers), plan.steps
    views = [view]
    for step in steps:
        views.append(effects.after(views[-1], step.action))
    yield from lines.begun(views, steps)
    stage = ""
    for step, before, after in zip(steps, views, views[1:], strict=False):
        if step.stage != stage:
            stage = step.stage
            yield comment(stage)
        yield from lines.of(step.action, before, after)
    yield from lines.ended(views[-1], [step.action for step in steps])
    if plan.end.status == "finished":
        yield lines.told([step.action for step in steps])


class _Lines:
    """Writes lines of one key, and gives names to what they share."""

    def __init__(self, report: Report, means: Means, numbers: Iterator[int]) -> None:
        self._name = report.job.name
        self._policy = report.job.policy
        self._means = means
        self._numbers = numbers
        self._entries: dict[EntryName, int] = {}
        self._pause = max(1, math.ceil(self._policy.poll.total_seconds()))
        self._good = ""

    def begun(self, views: Sequence[View], steps: Sequence[Planned]) -> Iterator[str]:
        """Refuse another endpoint, another day, another store, and a key that is not as it was planned."""
        view, shelf = views[0], self._means.shelf
        regions = {*view.regions, *(one.action.region for one in steps if isinstance(one.action, ReplicateKey))}
        yield f"planned_for {shlex.join(sorted(regions))}"
        self._good = _good(views, steps, self._policy.safety_window)
        yield self._good
        if shelf is not None and any(isinstance(one.action, DepositMaterial | ImportMaterial) for one in steps):
            hint = "set IDENTITY in this script to the file of an identity that opens the store"
            yield f'test -n "$IDENTITY" || stop 2 {shlex.quote(hint)}'
            yield f"store_is {shlex.quote(str(shelf.root))} {shlex.quote(_fields(shelf.stamp))}"
        yield "new_id=''"
        check, lines = self._looks(view, view.regions)
        yield from lines
        message = f"{self._name} is not as it was planned, and nothing was done:"
        yield f'all {check} || stop 4 {shlex.quote(plain(message))}" $(odd)"'

    def of(self, action: Action, before: View, after: View) -> Iterator[str]:
        """Write one action, between the looks that it needs."""
        match action:
            case DepositMaterial(entry=entry):
                yield from self._entry(entry)
                recipients = self._means.shelf.recipients if self._means.shelf else ()
                sealed = shlex.join([word for one in recipients for word in ("-r", one)])
                yield f"deposit {self._words(entry)} {sealed}"
            case ImportMaterial():
                yield from self._awaited(before, {action.arn.region, *_primary(before)})
                yield from self._import(action)
            case ReplicateKey(arn=arn, region=region):
                yield from self._awaited(before, {arn.region})
                yield f"replicate {shlex.join([arn.region, str(arn), region])}"
            case RotateOnDemand():
                yield from self._rotation(action, before, after)
            case ProveRegion(arn=arn, material_id=wanted):
                yield f"uses {shlex.join([arn.region, str(arn)])} {material(wanted)}"
            case other:
                yield comment(f"{other.kind}: mrk does this in its store")

    def ended(self, view: View, actions: Sequence[Action]) -> Iterator[str]:
        """See the end in every Region, several times in a row, where that was not seen after a rotation."""
        if any(isinstance(one, _CHANGING) for one in actions) and not _rotates(actions):
            yield from self._awaited(view, view.regions, times=self._policy.looks)

    def told(self, actions: Sequence[Action]) -> str:
        """Say what comes next."""
        command = shlex.join(["mrk", "run" if _rotates(actions) else "verify", self._name])
        done = "rotated; mrk proves that, and marks it in the store" if _rotates(actions) else "done; see how it stands"
        return f"say {shlex.quote(plain(f'{self._name}: {done}: {command}'))}"

    def _rotation(self, action: RotateOnDemand, before: View, after: View) -> Iterator[str]:
        """Judge everything again, the store's copies, too, right before the point of no return (P7)."""
        store = before.store
        held = (store.holding(row.material_id) for row in before.primary.rows) if store and before.primary else ()
        for entry in dict.fromkeys(one.name for one in held if one is not None):
            yield from self._entry(entry)
            yield f"entry_is {self._words(entry)}"
        yield from self._awaited(before, before.regions, look="fresh", ready=True)
        yield self._good
        yield "# ===== point of no return: this cannot be undone, and costs one of 25 rotations for life ====="
        yield f"rotate {shlex.join([action.arn.region, str(action.arn)])}"
        yield from self._awaited(after, after.regions, limit="ROTATING", times=self._policy.looks)

    def _import(self, action: ImportMaterial) -> Iterator[str]:
        yield from self._entry(action.entry)
        where = shlex.join([action.arn.region, str(action.arn)])
        sent = f"{where} {self._words(action.entry)} {action.import_type} {_expiry(action.valid_to)}"
        if action.import_type is ImportType.NEW:
            yield f"import_new {sent}"
        else:
            yield f"import_existing {material(action.material_id)} {sent}"

    def _looks(self, view: View, regions: Iterable[Region], *, ready: bool = False) -> tuple[str, list[str]]:
        """Name and write a function that looks at Regions."""
        name = f"as_planned_{next(self._numbers)}"
        return name, [f"{name}() {{", *looks(view, regions, ready=ready), "}"]

    def _awaited(
        self,
        view: View,
        regions: Iterable[Region],
        *,
        limit: str = "PATIENCE",
        times: int = 1,
        look: str = "all",
        ready: bool = False,
    ) -> Iterator[str]:
        name, lines = self._looks(view, regions, ready=ready)
        yield from lines
        yield f'await "${limit}" {times} {self._pause} {look} {name}'

    def _entry(self, entry: EntryName) -> Iterator[str]:
        """Name the file and the fields of an entry, once."""
        if entry in self._entries or self._means.shelf is None:
            return
        self._entries[entry] = number = next(self._numbers)
        about = {
            "format": "mrk-key-material",
            "version": 1,
            "partition": entry.key.partition,
            "account": entry.key.account,
            "key_id": entry.key.key_id,
            "replaces": entry.replaces,
            "attempt": entry.attempt,
        }
        yield f"entry_{number}={shlex.quote(str(self._means.shelf.path(entry)))}"
        yield f"fields_{number}={shlex.quote(_fields(about))}"

    def _words(self, entry: EntryName) -> str:
        number = self._entries[entry]
        return f'"$entry_{number}" "$fields_{number}"'


def _fields(about: dict[str, object] | dict[str, str]) -> str:
    """Write fields as lines of the store's files, which all end in a comma here: more fields follow."""
    return "\n".join(f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in about.items())


def _rotates(actions: Sequence[Action]) -> bool:
    return any(isinstance(one, RotateOnDemand) for one in actions)


def _primary(view: View) -> tuple[Region, ...]:
    return (view.primary.region,) if view.primary else ()


def _good(views: Sequence[View], steps: Sequence[Planned], window: timedelta) -> str:
    """Say how long a plan is good: a day, and no rotation while anything expires within the safety window (I3)."""
    at = views[0].at
    rotated = [view for step, view in zip(steps, views, strict=False) if isinstance(step.action, RotateOnDemand)]
    rows = [row for view in rotated for seen in view.regions.values() for row in seen.rows]
    until = min([at + _GOOD_FOR, *(row.valid_to - window for row in rows if row.valid_to is not None)])
    return f"in_time {int((at - _CLOCKS).timestamp())} {int(until.timestamp())}"


def _expiry(valid_to: datetime | None) -> str:
    if valid_to is None:
        return "--expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE"
    return f"--expiration-model KEY_MATERIAL_EXPIRES --valid-to {valid_to:%Y-%m-%dT%H:%M:%SZ}"
