"""Repair: import again, from the store, whatever material a Region lacks; nothing is rotated."""

from collections.abc import Sequence

from orchestrator import checks
from orchestrator.model import (
    Act,
    Block,
    ImportMaterial,
    ImportType,
    MaterialId,
    MaterialRow,
    Reason,
    RegionView,
    Run,
    Step,
    View,
    Wait,
    short,
)
from orchestrator.stages import LAG, proven, settled


def sound(view: View, run: Run) -> Sequence[Step]:
    """See every Region, with the members that the run began with."""
    goal = run.goal
    return [*checks.seen_everywhere(view, goal.members), *checks.right_kind(view), *checks.topology(view, goal)]


def restored(view: View, run: Run) -> Sequence[Step]:
    """Import every permanent material that a Region lacks or will soon lose: the same bytes, by their id."""
    return [
        step
        for _, seen in sorted(view.regions.items())
        for material in view.permanent_ids()
        for step in _restored_in(view, run, seen, material)
    ]


def _restored_in(view: View, run: Run, seen: RegionView, material: MaterialId) -> Sequence[Step]:
    row = seen.row(material)
    if row is None:
        message = f"{seen.region} does not list key material {short(material)} yet"
        return [Wait(Reason.INCONSISTENT, message, seen.region, LAG, look=(seen.region,))]
    if row.usable(view.at) and not _to_be_renewed(row, view, run):
        return []
    if closed := checks.importable(seen, healing=True):
        return closed
    entry = view.store.holding(material) if view.store else None
    if entry is None or entry.receipt is None:
        problem = entry.problem if entry else "it never held it, or lost the link"
        message = f"{seen.region} lacks key material {short(material)}, and the store cannot give it: {problem}"
        way = f"bring the bytes: mrk adopt NAME FILE --material-id {material}"
        return [Block(Reason.STORE_LACKS, message, way, seen.region)]
    return [Act(ImportMaterial(seen.arn, entry.name, ImportType.EXISTING, material, run.goal.valid_to))]


def _to_be_renewed(row: MaterialRow, view: View, run: Run) -> bool:
    """Whether material expires within the safety window, and the config gives it longer."""
    longer = run.goal.valid_to is None or row.valid_to is None or run.goal.valid_to > row.valid_to
    return longer and checks.expires_within(row, view.at, run.goal.policy.safety_window)


REPAIR = (sound, restored, settled, proven)
