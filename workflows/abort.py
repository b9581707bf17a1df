"""Abort: give a rotation up that was begun and not accepted. Its bytes stay in the store; KMS forgets what is pending.

KMS takes a deletion also while an accepted rotation runs, and would rotate in whatever is imported next; so nothing is
deleted before no rotation can be under way any more (P9).
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from orchestrator import checks, kinds, lasting
from orchestrator.checks import ROTATION, SKEW
from orchestrator.goals import Pinned, full_id, unseen
from orchestrator.holding import holds, store_behind
from orchestrator.importable import importable, switches
from orchestrator.looks import LAG, not_seen, seen_everywhere
from orchestrator.model import (
    ADOPTED,
    STORE,
    Act,
    Block,
    DeletePendingMaterial,
    DiscardMaterial,
    Entry,
    EntryName,
    Goal,
    Idle,
    KeyArn,
    MaterialId,
    Policy,
    Reason,
    Region,
    ReinstateMaterial,
    Run,
    Step,
    StoreView,
    View,
    Wait,
    short,
)
from orchestrator.progress import Job
from orchestrator.stages import proof_of
from workflows.repair import restored_in


def abort(name: str, key: KeyArn, policy: Policy, material: MaterialId | None = None, *, unheld: bool = False) -> Job:
    """Give up what is begun of one key; foreign pending material only where a person names its id.

    `unheld` tells that somebody has read that the store does not hold its bytes, and wants it deleted all the same.
    """
    pin = partial(whatever_is_begun, policy=policy, material=material, unheld=unheld)
    return Job(name, key, policy, ABORT, pin, "aborted: nothing is pending in any Region; the store keeps the bytes")


# ---- the stages ---------------------------------------------------------------------------------------------------


def located(view: View, run: Run) -> Sequence[Step]:
    """See the primary key, where it was when the run began, and the store; note what the owner switched off (P10)."""
    goal, primary = run.goal, view.primary
    if view.store is None or primary is None:
        return [not_seen(view, goal.primary if view.store else STORE)]
    if primary.region != goal.primary:
        message = f"the primary key moved from {goal.primary} to {primary.region} during the run"
        return [Block(Reason.TOPOLOGY, message, "run again: the next run follows it", person=False)]
    return [*switches(view), *kinds.right_kind(view)]


def rescued(view: View, run: Run) -> Sequence[Step]:
    """Where KMS has rotated the material in after all, bring its bytes wherever they lack, and keep the attempt."""
    entry, material = _entry(view, run), _withdrawn(view, run)
    if material is None or material not in view.permanent_ids():
        return []
    lacking = [step for _, seen in sorted(view.regions.items()) for step in restored_in(view, run, seen, material)]
    if lacking:
        return lacking
    if entry is not None and entry.discarded_at is not None:
        return [Act(ReinstateMaterial(entry.name, view.at))]
    message = f"key material {short(material)} was rotated in before it could be withdrawn: the key needs it for ever"
    way = "finish the rotation: mrk run NAME" if entry else "keep its bytes: mrk adopt NAME FILE"
    return [Block(Reason.ROTATED_IN, message, way, run.goal.primary)]


def discarded(view: View, run: Run) -> Sequence[Step]:
    """Mark the attempt in the store first, so that every other run stops."""
    entry = _entry(view, run)
    return [] if entry is None or entry.discarded_at is not None else [Act(DiscardMaterial(entry.name, view.at))]


def owned(view: View, run: Run) -> Sequence[Step]:
    """Know whose the pending material is: linked, named by a person, or proven by KMS to be the entry's (P2)."""
    pending, primary, entry = view.pending, view.primary, _entry(view, run)
    if pending is None or primary is None or pending.material_id == _withdrawn(view, run):
        return []
    if not checks.to_withdraw(view, run, pending):
        return _others(view, run, pending.material_id, primary.arn)
    if entry is None or checks.rotation_seen(view, run):
        return []
    return importable(primary, healing=True) or [Act(proof_of(primary, entry, pending, view, run))]


def _others(view: View, run: Run, pending: MaterialId, arn: KeyArn) -> Sequence[Step]:
    """Leave to another run what is pending of a later attempt; what is nobody's needs a person."""
    entries, name = view.store.entries if view.store else (), run.goal.entry
    going_on = [e for e in entries if e.name.replaces == name.replaces and e.name != name and not e.discarded_at]
    if going_on or view.primary is None:
        return []
    return store_behind(view, pending) or [_foreign(pending, arn)]


def quiet(view: View, run: Run) -> Sequence[Step]:
    """Wait until no rotation of what is pending can be under way: 15 min since any sign of one, and K looks (P8).

    This run watches for all of that time: a mark may be from another machine, whose clock is wrong.
    """
    goal, memory = run.goal, run.memory
    if not checks.to_withdraw(view, run, view.pending):
        return []
    until = _last_sign(view, run) + ROTATION
    enough = memory.quiet is not None and memory.quiet.count >= goal.policy.looks
    if enough and view.at >= until and not checks.rotation_seen(view, run):
        return []
    message = f"waiting until no rotation can be under way: not before {until:%H:%M} UTC"
    return [Wait(Reason.ROTATING, message, goal.primary, ROTATION * 2, look=(goal.primary,))]


def withdrawn(view: View, run: Run) -> Sequence[Step]:
    """Delete the pending material on the primary, once, by its id, on a fresh look (I5)."""
    pending, primary, goal = view.pending, view.primary, run.goal
    if pending is None or primary is None or pending.material_id != _withdrawn(view, run):
        return []
    if run.memory.deletion_sent is not None:
        message = f"{primary.region} lists the deleted key material {short(pending.material_id)} still"
        return [Wait(Reason.INCONSISTENT, message, primary.region, LAG, look=(primary.region,))]
    rotation = EntryName(goal.key.identity, view.current.material_id if view.current else goal.replaces)
    return [Act(DeletePendingMaterial(primary.arn, pending.material_id, rotation))]


def gone(view: View, run: Run) -> Sequence[Step]:
    """See nothing pending in every Region, several times in a row (I8, P8), once no import of it can be on its way."""
    entry, goal = _entry(view, run), run.goal
    until = (entry.discarded_at or goal.began) + LAG if entry else goal.began
    if view.at < until and (entry is None or entry.linked is None):
        message = f"waiting until no import of it can be on its way: not before {until:%H:%M:%S} UTC"
        return [Wait(Reason.SETTLING, message, goal.primary, LAG * 2, look=tuple(sorted(view.members)))]
    return [step for region in sorted(view.members) for step in _gone_in(view, run, region)]


def _gone_in(view: View, run: Run, region: Region) -> Sequence[Step]:
    streak, looks = run.memory.settled.get(region), run.goal.policy.looks
    count = streak.count if streak else 0
    if region not in view.regions:
        return [not_seen(view, region)]
    if count >= looks:
        return []
    message = f"{region} confirmed {count} of {looks} times that nothing is pending"
    return [Wait(Reason.SETTLING, message, region, LAG, look=(region,))]


ABORT = (located, rescued, discarded, owned, quiet, withdrawn, gone)


# ---- what it is about ---------------------------------------------------------------------------------------------


def _entry(view: View, run: Run) -> Entry | None:
    """Find the attempt that is given up; none where a person named material of nobody's."""
    goal = run.goal
    entry = view.store.get(goal.entry) if view.store else None
    return entry if entry is None or goal.named in {None, entry.linked} else None


def _withdrawn(view: View, run: Run) -> MaterialId | None:
    entry = _entry(view, run)
    return run.goal.named or (entry.linked if entry else None)


def _last_sign(view: View, run: Run) -> datetime:
    """Tell when a rotation may last have been begun: before the mark that stops every run, or when one was seen."""
    entry, began = _entry(view, run), run.goal.began
    marked = entry.discarded_at if entry and entry.discarded_at else began
    # A mark that no clock can have written is no sign of anything.
    return max(began, marked if marked - view.at <= SKEW else began, run.memory.rotation_seen or began)


def _foreign(material: MaterialId, arn: KeyArn) -> Block:
    message = f"{arn.region} holds pending key material {short(material)}, which is not in this store"
    way = f"if nobody wants it, delete it for good: mrk abort NAME --material-id {material} --unrecoverable"
    return Block(Reason.FOREIGN_PENDING, message, way, arn.region)


# ---- pinning ------------------------------------------------------------------------------------------------------


def whatever_is_begun(view: View, policy: Policy, material: MaterialId | None, *, unheld: bool = False) -> Pinned:
    """Pin the attempt to give up: what is pending, or deposited, or was given up and yet rotated in; else Idle."""
    primary, store = view.primary, view.store
    if primary is None or store is None:
        return [not_seen(view, unseen(view))]
    if wrong := kinds.right_kind(view):
        return wrong
    pending = view.pending.material_id if view.pending else None
    named = full_id(view, material) if material else None
    if named not in {None, pending}:
        message = f"{short(named)} is not pending: only what is pending can be withdrawn"
        return [Block(Reason.INCONSISTENT, message, "see the ids with mrk status", primary.region)]
    if pending is not None and policy.deadline <= ROTATION:
        return [_TOO_SHORT]
    if entry := _rotated_in(view, store) or store.holding(pending):
        return _goal(view, policy, entry.name)
    if named is not None:
        unread = [] if unheld else _not_held(view, named, primary.region)
        return unread or _goal(view, policy, EntryName(view.key.identity, None), named)
    if entry := _unfinished(view, store):
        return _goal(view, policy, entry.name)
    if pending is None:
        return seen_everywhere(view, view.members) or Idle("nothing is begun: there is nothing to abort")
    return store_behind(view, pending) or [_foreign(pending, primary.arn)]


def _not_held(view: View, named: MaterialId, region: Region) -> list[Step]:
    """Delete only what can be imported again: should a rotation cross the deletion, the key needs it for ever."""
    if holds(view, named):
        return []
    message = f"the store does not hold pending key material {short(named)}: once deleted, nobody here can restore it"
    way = f"adopt it first: mrk adopt NAME FILE --material-id {named}; or mrk abort NAME --material-id {named}"
    return store_behind(view, named) or [Block(Reason.STORE_LACKS, message, f"{way} --unrecoverable", region)]


def _rotated_in(view: View, store: StoreView) -> Entry | None:
    """Find an attempt that was given up, and whose material KMS rotated in all the same."""
    needed = view.permanent_ids()
    return next((entry for entry in store.entries if entry.discarded_at and entry.linked in needed), None)


def _unfinished(view: View, store: StoreView) -> Entry | None:
    """Find the attempt to replace CURRENT: the one that goes on; where something is or may be pending, one given up."""
    if view.current is None:
        return None
    name = EntryName(view.key.identity, view.current.material_id)
    goes_on = store.get(store.first_attempt(name))
    given_up = [e for e in store.entries if e.name.replaces == name.replaces and e.discarded_at and not e.linked]
    if goes_on is not None and not (view.pending and goes_on.linked):
        return goes_on
    return next((e for e in reversed(given_up) if view.pending or _on_its_way(view, e)), None)


def _on_its_way(view: View, entry: Entry) -> bool:
    """Whether an import that was sent before the mark may show yet; of a file, none is sent but under an id."""
    marked = entry.discarded_at if entry.name.attempt < ADOPTED else None
    return marked is not None and view.at < marked + LAG


def _goal(view: View, policy: Policy, name: EntryName, named: MaterialId | None = None) -> Goal:
    primary = view.primary.region if view.primary else view.key.region
    deadline = view.at + policy.deadline
    valid_to = lasting.pinned(view, policy)
    return Goal(view.key, name, primary, view.members, valid_to, deadline, policy, aborting=True, named=named)


_TOO_SHORT = Block(
    Reason.TOO_LATE,
    "pending material is deleted only after one run has seen no sign of a rotation for 15 min",
    "give it that long: run.deadline above 15m",
)
