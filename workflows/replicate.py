"""Replicate: make a member in every Region that the config lists and KMS lacks, and bring the key's material there.

Only with `replicate: auto` (P11). A new replica has no key material, so it is made only where the store can give all.
"""

from collections.abc import Sequence

from orchestrator import checks, effects, kinds
from orchestrator.checks import ROTATION
from orchestrator.holding import cannot_give, holds, may_hold
from orchestrator.importable import in_good_time
from orchestrator.looks import LAG, not_seen, seen_everywhere
from orchestrator.model import (
    Act,
    Block,
    Policy,
    Reason,
    Region,
    RegionView,
    Replicate,
    ReplicateKey,
    Run,
    Step,
    View,
    Wait,
    short,
)


def foreseen(view: View, policy: Policy, among: frozenset[Region] | None = None) -> View:
    """Return the view with the replicas that are to be made among some Regions, or were made and do not show yet."""
    for region in _absent(view, policy, policy.regions if among is None else among):
        if view.primary is not None:
            view = effects.after(view, ReplicateKey(view.primary.arn, region))
    return view


def _absent(view: View, policy: Policy, among: frozenset[Region]) -> Sequence[Region]:
    """Name the Regions of the config without a member; a new one may be a member before its own Region knows of it."""
    if policy.replicate is not Replicate.AUTO or view.primary is None or not view.primary.multi_region:
        return []
    unseen = sorted((policy.regions & among) - set(view.regions))
    return [region for region in unseen if region not in view.members or _unknown_in(view, region)]


def _unknown_in(view: View, region: Region) -> bool:
    failure = view.failures.get(region)
    return failure is not None and failure.not_found


def replicated(view: View, run: Run) -> Sequence[Step]:
    """Make the replicas that are missing, each with the primary's own key policy; then wait until they show."""
    goal, primary = run.goal, view.primary
    absent = _absent(view, goal.policy, goal.members)
    if not absent or primary is None:
        return []
    made = [region for region in absent if region in view.members or region in run.memory.replicated]
    wanted = [region for region in absent if region not in made]
    closed = _not_now(view, run, primary) if wanted else []
    return [
        *(_not_shown(region, primary) for region in made),
        *(closed or [step for region in wanted for step in _make(view, primary, region)]),
    ]


def _not_shown(region: Region, primary: RegionView) -> Step:
    message = f"the replica in {region} was made, and does not show yet"
    return Wait(Reason.INCONSISTENT, message, region, LAG, look=(region, primary.region))


def _make(view: View, primary: RegionView, region: Region) -> Sequence[Step]:
    """Make one replica where KMS says in its Region, too, that there is none."""
    if not _unknown_in(view, region):
        return [not_seen(view, region)]
    return [Act(ReplicateKey(primary.arn, region))]


def _not_now(view: View, run: Run, primary: RegionView) -> Sequence[Step]:
    """Say why nothing can be replicated now; the primary and the store tell, so no other Region holds this up (I10)."""
    whole = foreseen(view, run.goal.policy, run.goal.members)
    return (
        [*kinds.right_kind(view), *checks.topology(whole, run.goal), *in_good_time(primary, view, run)]
        or _under_way(view, run, primary)
        or _not_held(view, run, primary)
    )


def _under_way(view: View, run: Run, primary: RegionView) -> Sequence[Step]:
    """Nothing is replicated while anything is pending or rotating (P11)."""
    if any(seen.rotation_started_at for seen in view.regions.values()):
        message = "a rotation is under way: nothing is replicated before it is over"
        return [Wait(Reason.ROTATING, message, primary.region, ROTATION, look=tuple(sorted(run.goal.members)))]
    pending = next((seen.pending for _, seen in sorted(view.regions.items()) if seen.pending), None)
    if pending is None:
        return []
    message = f"nothing is replicated while key material {short(pending.material_id)} is pending in {primary.region}"
    lacking = ", ".join(sorted(run.goal.policy.regions - view.members))
    way = (
        f"give the rotation up: mrk abort NAME; or finish it with {lacking} taken out of `regions`, and add that again"
    )
    return [Block(Reason.REGION_LACKING, message, way, primary.region)]


def _not_held(view: View, run: Run, primary: RegionView) -> Sequence[Step]:
    """A replica needs every permanent material, whatever `missing_old` says: without it, it could never be used."""
    if view.store is None:
        return seen_everywhere(view, [])
    why = f"a replica of {primary.arn} would need"
    unknown = [m for m in view.permanent_ids() if not holds(view, m) and not may_hold(view, run, primary.arn, m)]
    return [step for material in unknown for step in cannot_give(view, run, material, why, primary.region)]


def unproven_members(view: View, policy: Policy) -> frozenset[Region]:
    """Name the members that CURRENT was not proven in as thoroughly as is wanted, since it was marked as proven."""
    held = view.store.holding(view.current.material_id) if view.store and view.current else None
    members = [region for region in view.members if policy.lists(region)]
    return held.unproven_in(members, policy.proof) if held is not None and held.proven else frozenset()


def is_new(view: View, run: Run, region: Region) -> bool:
    """Whether a replica was made by this run, or after CURRENT was proven: so it is not that it lost something."""
    held = view.store.holding(view.current.material_id) if view.store and view.current else None
    came_later = held is not None and held.proven and region not in held.proofs
    return region in run.goal.policy.regions and (region in run.memory.replicated or came_later)
