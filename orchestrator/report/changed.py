"""What a run changed, for people and scripts: a repair is told as a repair, wherever it is told (I13). Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.model import (
    Action,
    AdoptMaterial,
    DeletePendingMaterial,
    DiscardMaterial,
    EntryName,
    ImportMaterial,
    MaterialId,
    NoteSwitch,
    Purpose,
    ReplicateKey,
    RotateOnDemand,
    short,
)
from orchestrator.progress import Report, may_have_rotated

_IMPORTED = {
    Purpose.RESTORE: "restored",
    Purpose.RENEW: "renewed",
    Purpose.FILL: "filled",
    Purpose.ROTATE: "imported",
}
_SENTENCES = {
    "restored": "brought back key material {ids} that was missing in {regions}: find out why it was",
    "replicated": "made a replica in {regions}",
    "filled": "imported key material {ids} into the new replica in {regions}",
    "renewed": "renewed key material {ids} in {regions}",
    "imported": "imported new key material {ids} into {regions}",
    "rotated": "rotated to key material {ids}",
    "withdrawn": "deleted pending key material {ids}",
    "adopted": "put the bytes of the file into the store",
    "set aside": "kept the bytes of the file in the store, set aside: no run takes them",
    "disabled": "noted that the key in {regions} is Disabled",
    "enabled": "noted that the key in {regions} is Enabled again",
}
"""In the order in which they are told: what somebody must look into comes first."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was done, in one Region."""

    what: str
    region: str = ""
    material_id: str = ""
    valid_to: str = ""


def of(report: Report) -> list[Change]:
    """Say what a run changed: by its actions, and by its memory, where they were not kept, or got no answer."""
    done = changes(report.done)
    known = {(change.what, change.region) for change in done}
    return _in_order([*done, *(one for one in _remembered(report) if (one.what, one.region) not in known)])


def changes(done: Sequence[Action]) -> list[Change]:
    """Say what actions changed; those that only note, ask or prove changed nothing."""
    aside = {action.entry for action in done if isinstance(action, DiscardMaterial)}
    return _in_order(change for action in done if (change := _change(action, aside)))


def _in_order(found: Iterable[Change]) -> list[Change]:
    order = list(_SENTENCES)
    return sorted(dict.fromkeys(found), key=lambda change: order.index(change.what))


def _remembered(report: Report) -> Iterable[Change]:
    if report.run is None:
        return
    goal, memory, view = report.run.goal, report.run.memory, report.view
    kinds = {"restored": memory.restored, "replicated": memory.replicated, "filled": memory.filled}
    for what, regions in kinds.items():
        yield from (Change(what, region) for region in sorted(regions))
    if may_have_rotated(report.run) and view and view.current and view.past(goal.replaces):
        yield Change("rotated", "", view.current.material_id)


def _change(action: Action, aside: Collection[EntryName]) -> Change | None:
    match action:
        case ImportMaterial() if action.purpose in _IMPORTED:
            until = f"{action.valid_to:%Y-%m-%dT%H:%M:%SZ}" if action.valid_to else "never"
            return Change(_IMPORTED[action.purpose], action.target, action.material_id or "", until)
        case ReplicateKey():
            return Change("replicated", action.region)
        case RotateOnDemand():
            return Change("rotated", "", action.material_id)
        case DeletePendingMaterial():
            return Change("withdrawn", action.target, action.material_id)
        case AdoptMaterial():
            return Change("set aside" if action.entry in aside else "adopted")
        case NoteSwitch():
            return Change("disabled" if action.off else "enabled", action.key.region)
        case _:
            return None


def sentences(found: Sequence[Change]) -> list[str]:
    """Tell changes, those of one kind in one sentence."""
    kinds = dict.fromkeys(change.what for change in found)
    return [_sentence(what, [change for change in found if change.what == what]) for what in kinds]


def _sentence(what: str, alike: Sequence[Change]) -> str:
    ids = dict.fromkeys(short(MaterialId(change.material_id)) for change in alike if change.material_id)
    regions = dict.fromkeys(change.region for change in alike if change.region)
    until = sorted({change.valid_to[:10] for change in alike if change.valid_to not in {"", "never"}})
    lasts = f" (valid until {until[0]})" if until else ""
    words = {"ids": ", ".join(ids) + lasts, "regions": ", ".join(regions)}
    return " ".join(_SENTENCES[what].format(**words).split())


def documents(found: Sequence[Change]) -> list[dict[str, Any]]:
    """Tell changes to scripts."""
    names = ("region", "material_id", "valid_to")
    return [{"what": one.what} | {name: getattr(one, name) or None for name in names} for one in found]
