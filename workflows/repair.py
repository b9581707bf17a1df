"""Repair: import again, from the store, whatever material a Region lacks, and make replicas that are missing.

Nothing is rotated.
"""

from collections.abc import Sequence

from orchestrator import checks
from orchestrator.goals import Pinned, as_it_stands
from orchestrator.model import (
    STORE,
    Act,
    Block,
    ImportMaterial,
    ImportType,
    KeyState,
    MaterialId,
    Policy,
    Reason,
    RegionView,
    Run,
    Step,
    View,
    Wait,
    short,
)
from orchestrator.stages import LAG, proven, settled
from workflows.replicate import foreseen, replicated


def sound(view: View, run: Run) -> Sequence[Step]:
    """Know the store, and the key as of the right kind, with the members that the run began with.

    A Region that cannot be looked at holds up no other one (I10): `settled` tells of it.
    """
    goal = run.goal
    if view.store is None or not view.regions:
        return [checks.not_seen(view, STORE if view.store is None else goal.primary)]
    whole = foreseen(view, goal.policy, goal.members)
    return [*checks.right_kind(whole), *checks.topology(whole, goal)]


def whatever_is_broken(view: View, policy: Policy) -> Pinned:
    """Pin the key as it stands, with the replicas that are to be made."""
    return as_it_stands(foreseen(view, policy), policy)


def restored(view: View, run: Run) -> Sequence[Step]:
    """Import every permanent material that a Region lacks: the same bytes, by their id."""
    return [step for _, seen in sorted(view.regions.items()) for step in lacking_in(view, run, seen)]


def lacking_in(view: View, run: Run, seen: RegionView) -> Sequence[Step]:
    """Import every permanent material that one Region lacks."""
    return [step for material in view.permanent_ids() for step in restored_in(view, run, seen, material)]


def not_open_yet(seen: RegionView, view: View) -> Sequence[Step]:
    """A Region that has all its material again may say for a while that it has not."""
    if seen.key_state is not KeyState.PENDING_IMPORT or not all(row.usable(view.at) for row in seen.permanent):
        return []
    message = f"{seen.region} has all its key material, and is {seen.key_state} still"
    return [Wait(Reason.INCONSISTENT, message, seen.region, LAG, look=(seen.region,))]


def rotating(view: View, run: Run) -> bool:
    """Whether a rotation may be under way, and its end has not shown."""
    return checks.rotation_seen(view, run) and not view.past(run.goal.replaces)


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
    if view.store is None:
        return [checks.not_seen(view, STORE)]
    entry = view.store.holding(material)
    if entry is None and (behind := checks.store_behind(view, view.primary)):
        return behind
    if entry is None or entry.receipt is None:
        problem = entry.problem if entry else "it never held it, or lost the link"
        message = f"{seen.region} {why} key material {short(material)}, and the store cannot give it: {problem}"
        way = f"bring the bytes: mrk adopt NAME FILE --material-id {material}"
        return [Block(Reason.STORE_LACKS, message, way, seen.region)]
    return [Act(ImportMaterial(seen.arn, entry.name, ImportType.EXISTING, material, run.goal.valid_to))]


REPAIR = (sound, restored, replicated, settled, proven)
