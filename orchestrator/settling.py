"""The stages after a rotation: the new material is CURRENT everywhere, and proven. Pure."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from orchestrator import checks
from orchestrator.holding import cannot_give, foreign_current, refused, store_behind
from orchestrator.importable import importable, off_since
from orchestrator.lasting import first_expiry
from orchestrator.looks import LAG, not_seen
from orchestrator.model import (
    STORE,
    Act,
    Block,
    Goal,
    KeepProbe,
    MarkProven,
    MaterialId,
    MaterialRow,
    Proof,
    ProveRegion,
    Reason,
    Region,
    RegionView,
    ReinstateMaterial,
    Run,
    Step,
    View,
    Wait,
    short,
)

FEW_LOOKS = timedelta(seconds=20)
"""How long what a run cannot have caused is looked at before it is believed."""


def settled(view: View, run: Run) -> Sequence[Step]:
    """See the new material CURRENT, and everything usable, in every Region and several times in a row (I8, P8)."""
    goal, store = run.goal, view.store
    if store is None:
        return [not_seen(view, STORE)]
    current = view.current
    moved = current is not None and current.material_id != goal.replaces
    if current is not None and moved and store.holding(current.material_id) is None:
        return _foreign_current(view, run, current)
    return [step for region in _wanted(goal) for step in _unsettled(view, run, region)]


def _wanted(goal: Goal) -> Sequence[Region]:
    """Name the members that the owner wants; of others nothing is expected, and they are told elsewhere (I11)."""
    return [region for region in sorted(goal.members) if goal.policy.lists(region)]


def _foreign_current(view: View, run: Run, current: MaterialRow) -> Sequence[Step]:
    """Say that CURRENT is somebody else's; not before the primary was seen with it, where it may be our own (I15)."""
    foreign, primary = foreign_current(view, current), view.primary.region if view.primary else view.key.region
    if _may_be_ours(view, run, current):
        if view.primary is None:
            return [not_seen(view, run.goal.primary)]
        message = f"{primary} does not show yet that {short(current.material_id)} is CURRENT, which may be our own"
        return [Wait(Reason.INCONSISTENT, message, primary, LAG, look=(primary,), over=foreign)]
    return store_behind(view, current.material_id) or [foreign]


def _may_be_ours(view: View, run: Run, current: MaterialRow) -> bool:
    """Whether nobody has asked the primary yet whose CURRENT is: it is asked once it shows the rotation (P2)."""
    entry = view.store.get(run.goal.entry) if view.store else None
    if entry is None or entry.receipt is None or entry.linked is not None:
        return False
    shown = view.primary.current if view.primary else None
    primary = run.goal.key.within(run.goal.primary)
    behind = shown is None or shown.material_id == run.goal.replaces
    return behind and not refused(run, primary, entry, current.material_id)


def _unsettled(view: View, run: Run, region: Region) -> Sequence[Step]:
    seen, looks = view.regions.get(region), run.goal.policy.looks
    if seen is None:
        return [not_seen(view, region)]
    streak = run.memory.settled.get(region)
    count = streak.count if streak else 0
    if count >= looks:
        return []
    if count:
        message = f"{region} confirmed {count} of {looks} times"
        return [Wait(Reason.SETTLING, message, region, LAG * 2, look=(region,))]
    return _why_not_settled(view, run, seen)


def _why_not_settled(view: View, run: Run, seen: RegionView) -> Sequence[Step]:
    """Give a Region the time that a change may take to show; then say what a person must mend there, if anything.

    Nothing that a run does disables a key, or schedules its deletion, and what was disabled stays off: a few looks
    suffice to believe that.
    """
    region, unsound, wrong = seen.region, _unsound(view, seen, run), unconfirmed(view, seen, run) or "not confirmed yet"
    late = unsound is None or unsound.reason is Reason.MATERIAL_MISSING
    at_most = LAG if late else FEW_LOOKS
    look = (region, *_disagreeing(view, seen))
    return [Wait(Reason.INCONSISTENT, f"{region}: {wrong}", region, at_most, look=look, over=unsound)]


def _unsound(view: View, seen: RegionView, run: Run) -> Block | None:
    """Say what time will not mend in a Region; what is merely late is left to another run."""
    closed = [step for step in _closed(view, seen, run) if isinstance(step, Block)]
    if closed:
        return closed[0]
    lacking = _lacking(seen)
    if not lacking:
        return None
    message = f"key material {lacking} is missing in {seen.region}"
    way = "import it again: mrk repair NAME; the other Regions are not held up"
    return Block(Reason.MATERIAL_MISSING, message, way, seen.region)


def _closed(view: View, seen: RegionView, run: Run) -> Sequence[Step]:
    return importable(seen, off=off_since(view, run.goal.policy, seen.region))


def _lacking(seen: RegionView) -> str:
    return ", ".join(short(row.material_id) for row in seen.permanent if not row.usable(seen.seen_at))


def unconfirmed(view: View, seen: RegionView, run: Run) -> str:
    """Say what one look at a Region does not confirm of the end state; nothing where it confirms all of it."""
    if run.goal.aborting:
        return "what was given up is listed still" if checks.to_withdraw(view, run, seen.pending) else ""
    if (closed := _closed(view, seen, run)) and isinstance(closed[0], Wait | Block):
        return closed[0].message
    if seen.current is None or seen.current.material_id == run.goal.replaces:
        return f"CURRENT is still {short(run.goal.replaces)}"
    if _disagreeing(view, seen):
        return "the Regions do not agree on CURRENT yet"
    if lacking := _lacking(seen):
        return f"key material {lacking} is missing"
    if run.goal.renewing and (soon := checks.not_renewed(view, seen, run.goal)):
        return f"key material {soon} expires soon still"
    return "a rotation is still under way" if seen.rotation_started_at else ""


def _disagreeing(view: View, seen: RegionView) -> list[Region]:
    """Name the Regions that list another CURRENT: any of the looks may be the one that is out of date."""
    listed = {region: other.current.material_id for region, other in sorted(view.regions.items()) if other.current}
    return [region for region, material in listed.items() if seen.current and material != seen.current.material_id]


def proven(view: View, run: Run) -> Sequence[Step]:
    """Let every Region use the new material and open what the old ones encrypted; then mark the entry (P14).

    A Region that became a member later, was proven less thoroughly, or was restored by this run, is proven by itself.
    """
    current, store, goal = view.current, view.store, run.goal
    if current is None or store is None:
        return [not_seen(view, STORE if store is None else goal.primary)]
    entry = store.holding(current.material_id)
    if entry is None:
        return _foreign_current(view, run, current)
    if not entry.held:  # nothing can be noted of bytes that do not open
        return cannot_give(view, run, current.material_id, "the proof needs")
    wanted = _wanted(goal)
    unseen = [not_seen(view, region) for region in wanted if region not in view.regions]
    lacking = entry.unproven_in(wanted, goal.policy.proof)
    regions = (lacking | (run.memory.restored & frozenset(wanted))) & frozenset(view.regions)
    missing = [] if goal.policy.proof is Proof.OFF else unproven(view, run, current.material_id, regions)
    if missing or unseen:
        return [*missing, *unseen]
    if not lacking:
        return []
    if entry.discarded_at is not None:  # given up, and rotated in all the same: the key needs it for ever (P9)
        return [Act(ReinstateMaterial(entry.name, view.at))]
    until = first_expiry(view, current.material_id)
    return [Act(MarkProven(entry.name, current.material_id, tuple(wanted), goal.policy.proof, until))]


def unproven(view: View, run: Run, current: MaterialId, regions: Iterable[Region]) -> Sequence[Step]:
    """Ask these Regions to use the material, and to open what every generation encrypted that a probe is kept of."""
    if not regions:
        return []
    probe = list(probe_missing(view, run))
    if probe:
        return probe
    full = run.goal.policy.proof is Proof.FULL
    materials = view.permanent_ids() if full else ()
    held = {material: view.store.holding(material) if view.store else None for material in materials}
    kept = {material: entry.name for material, entry in held.items() if entry is not None and entry.probe}
    probes, generations = tuple(kept.values()), tuple(kept)
    untried = tuple(material for material, entry in held.items() if entry is None or not entry.probe)
    return [
        Act(ProveRegion(run.goal.key.within(region), current, probes, generations, untried))
        for region in sorted(regions)
        if run.memory.proofs.get(region) != current
    ]


def probe_missing(view: View, run: Run) -> Iterable[Step]:
    """Name the probe of the CURRENT material where `proof: full` wants one and none is kept."""
    current, store = view.current, view.store
    if run.goal.policy.proof is not Proof.FULL or current is None or store is None:
        return
    entry = store.holding(current.material_id)
    if entry is not None and not entry.probe and view.primary is not None:
        yield Act(KeepProbe(view.primary.arn, entry.name, current.material_id))
