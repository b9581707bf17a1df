"""Repair: import again, from the store, whatever material a Region lacks; nothing is rotated."""

from collections.abc import Sequence

from orchestrator import checks
from orchestrator.model import (
    Act,
    Block,
    ImportMaterial,
    ImportType,
    MaterialId,
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
    """Import every permanent material that a Region lacks: the same bytes, by their id."""
    return [
        step
        for _, seen in sorted(view.regions.items())
        for material in view.permanent_ids()
        for step in restored_in(view, run, seen, material)
    ]


def restored_in(view: View, run: Run, seen: RegionView, material: MaterialId) -> Sequence[Step]:
    """Import one permanent material into one Region if that lacks it."""
    row = seen.row(material)
    if row is None:
        message = f"{seen.region} does not list key material {short(material)} yet"
        return [Wait(Reason.INCONSISTENT, message, seen.region, LAG, look=(seen.region,))]
    return [] if row.usable(view.at) else import_again(view, run, seen, material, "lacks")


def import_again(view: View, run: Run, seen: RegionView, material: MaterialId, why: str) -> Sequence[Step]:
    """Import into one Region what the store holds of one material; blocked where the key or the store is not open."""
    if closed := checks.importable(seen, healing=True):
        return closed
    entry = view.store.holding(material) if view.store else None
    if entry is None or entry.receipt is None:
        problem = entry.problem if entry else "it never held it, or lost the link"
        message = f"{seen.region} {why} key material {short(material)}, and the store cannot give it: {problem}"
        way = f"bring the bytes: mrk adopt NAME FILE --material-id {material}"
        return [Block(Reason.STORE_LACKS, message, way, seen.region)]
    return [Act(ImportMaterial(seen.arn, entry.name, ImportType.EXISTING, material, run.goal.valid_to))]


REPAIR = (sound, restored, settled, proven)
