"""Repair: import again, from the store, whatever material a Region lacks, and make replicas that are missing.

Nothing is rotated. What is brought back into a Region asks for that Region and the store, and for nothing else (I11):
what is odd elsewhere is told at the end.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from orchestrator import checks, kinds, settling
from orchestrator.goals import Pinned, as_it_stands
from orchestrator.holding import import_of, to_identify
from orchestrator.importable import importable, off_since, switches
from orchestrator.looks import LAG, seen_everywhere
from orchestrator.model import (
    STORE,
    Act,
    Block,
    ImportMaterial,
    ImportType,
    KeyState,
    MaterialId,
    Policy,
    Purpose,
    Reason,
    Region,
    RegionView,
    Run,
    Stage,
    Step,
    View,
    Wait,
    short,
)
from workflows.replicate import foreseen, is_new, replicated


def whatever_is_broken(view: View, policy: Policy) -> Pinned:
    """Pin the key as it stands, with the replicas that are to be made."""
    strangers = ", ".join(sorted(policy.may_enable - view.members)) if view.regions else ""
    if strangers:
        message = f"the key has no member in {strangers}, which --enable names: nothing was done"
        return [Block(Reason.SETTINGS, message, f"name Regions that it has: {', '.join(sorted(view.members))}")]
    return as_it_stands(foreseen(view, policy), policy)


# ---- one Region by itself (I11) -----------------------------------------------------------------------------------


def wanted_in(view: View, policy: Policy) -> Sequence[RegionView]:
    """Choose the Regions that were seen and that the owner wants the key in: bytes go nowhere else."""
    return [seen for region, seen in sorted(view.regions.items()) if policy.lists(region)]


def lacking_in(view: View, run: Run, seen: RegionView) -> Sequence[Step]:
    """Import every permanent material that one Region lacks."""
    return [step for material in view.permanent_ids() for step in restored_in(view, run, seen, material)]


def restored_in(view: View, run: Run, seen: RegionView, material: MaterialId) -> Sequence[Step]:
    """Import one permanent material into one Region if that lacks it."""
    row = seen.row(material)
    if row is None:
        message = f"{seen.region} does not list key material {short(material)} yet"
        return [Wait(Reason.INCONSISTENT, message, seen.region, LAG, look=(seen.region,))]
    purpose = Purpose.FILL if is_new(view, run, seen.region) else Purpose.RESTORE
    return [] if row.usable(view.at) else import_again(view, run, seen, material, purpose)


def import_again(view: View, run: Run, seen: RegionView, material: MaterialId, purpose: Purpose) -> Sequence[Step]:
    """Import into one Region what the store holds of one material; blocked where the key or the store is not open."""
    off = off_since(view, run.goal.policy, seen.region)
    steps = importable(seen, healing=True, off=off) or import_of(view, run, seen, material, purpose)
    # Asked only before an import: else each look at a Region that stays off would want another one at the store.
    imports = any(isinstance(step, Act) for step in steps)
    return (imports and _switch_unclear(view, seen)) or steps


def _switch_unclear(view: View, seen: RegionView) -> Sequence[Step]:
    """Know, by a store looked at since, whether a Region without material was Disabled before: KMS says no more."""
    store, told_at = view.store, seen.told_at or seen.seen_at
    if seen.key_state is not KeyState.PENDING_IMPORT or store is None:
        return []
    if store.switch_problem:
        message = f"the store cannot tell whether the key in {seen.region} was Disabled: {store.switch_problem}"
        return [Block(Reason.STORE_UNREADABLE, message, "mend that mark, then run again", seen.region)]
    if store.seen_at >= told_at:
        return []
    message = f"looking whether the key in {seen.region} was Disabled before it lost its material"
    return [Wait(Reason.LOOKING, message, seen.region, look=(STORE,))]


def possible(steps: Iterable[Step]) -> list[Step]:
    """Leave out what needs a person: that is told at the end, and holds up nothing else (I11)."""
    return [step for step in steps if not isinstance(step, Block)]


def blocked(steps: Iterable[Step]) -> list[Step]:
    """Choose what needs a person, or another run."""
    return [step for step in steps if isinstance(step, Block)]


# ---- the stages ---------------------------------------------------------------------------------------------------


def restored(view: View, run: Run) -> Sequence[Step]:
    """Import every permanent material that a Region lacks: the same bytes, by their id."""
    lacking = [step for seen in wanted_in(view, run.goal.policy) for step in lacking_in(view, run, seen)]
    return [*switches(view), *possible(lacking)]


def identified(view: View, run: Run) -> Sequence[Step]:
    """Let the primary say whose bytes an entry holds, where no link says it of these bytes (P2)."""
    primary = view.primary
    if primary is None or importable(primary, healing=True):
        return []
    return [
        Act(
            ImportMaterial(
                primary.arn, entry.name, ImportType.EXISTING, row.material_id, row.valid_to, Purpose.IDENTIFY
            )
        )
        for entry, row in to_identify(view, run, primary)
        if row.usable(view.at)
    ]


def where_possible(stage: Stage, blocks: Callable[[View, Run, RegionView], Sequence[Step]]) -> Stage:
    """Return a stage that judges the Regions that were seen and can be helped; the others are told at the end."""

    def judged(view: View, run: Run) -> Sequence[Step]:
        good = {s.region for s in wanted_in(view, run.goal.policy) if not blocked(blocks(view, run, s))}
        members: frozenset[Region] = run.goal.members & good
        return stage(view, replace(run, goal=replace(run.goal, members=members)))

    judged.__name__ = stage.__name__
    judged.__doc__ = stage.__doc__
    return judged


def told_later(stage: Stage) -> Stage:
    """Return a stage that leaves what needs a person to `sound`, which tells first what a Region lacks."""

    def judged(view: View, run: Run) -> Sequence[Step]:
        return possible(stage(view, run))

    judged.__name__ = stage.__name__
    judged.__doc__ = stage.__doc__
    return judged


def sound(view: View, run: Run) -> Sequence[Step]:
    """Tell what stands against the key: what a Region lacks and cannot get, what was left, and unexpected members."""
    lacking = [step for seen in wanted_in(view, run.goal.policy) for step in blocked(lacking_in(view, run, seen))]
    return [*(lacking or blocked([*settled(view, run), *proven(view, run)])), *odd(view, run)]


def odd(view: View, run: Run) -> list[Step]:
    """Tell what was not seen, and which members are not as they were, or as the config lists them."""
    goal = run.goal
    whole = foreseen(view, goal.policy, goal.members)
    members = [region for region in goal.members if goal.policy.lists(region)]
    return [*seen_everywhere(whole, members), *kinds.right_kind(whole), *checks.topology(whole, goal)]


settled = where_possible(settling.settled, lacking_in)
proven = where_possible(settling.proven, lacking_in)

REPAIR = (restored, identified, replicated, told_later(settled), told_later(proven), sound)
