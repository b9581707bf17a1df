"""Stages: each a pure function that answers what is still missing for the goal. Nothing missing means passed.

A workflow is a list of these; `decide` stops at the first one that misses something.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from orchestrator import checks
from orchestrator.checks import ROTATION
from orchestrator.holding import refused, store_behind
from orchestrator.importable import importable
from orchestrator.looks import not_seen
from orchestrator.model import (
    STORE,
    Act,
    Block,
    DepositMaterial,
    Entry,
    Goal,
    ImportMaterial,
    ImportType,
    KeepProbe,
    MarkProven,
    MaterialId,
    MaterialRow,
    MaterialState,
    Proof,
    ProveRegion,
    Reason,
    Region,
    RegionView,
    ReinstateMaterial,
    RotateOnDemand,
    Run,
    Step,
    View,
    Wait,
    name_of,
    short,
)

LAG = timedelta(minutes=3)
"""How long a change may take to show; AWS says usually seconds, sometimes minutes."""

FEW_LOOKS = timedelta(seconds=20)
"""How long what a run cannot have caused is looked at before it is believed."""


def healthy(view: View, run: Run) -> Sequence[Step]:
    """Judge everything before anything is deposited or imported (P7); once it is under way, `ready` judges."""
    goal = run.goal
    if moved := checks.topology(view, goal):
        return moved
    if view.past(goal.replaces) or _ours_pending(view, run):
        return []
    return checks.before_deposit(view, run)


def deposited(view: View, run: Run) -> Sequence[Step]:
    """Keep the new material in the store before KMS sees it (I1), and a probe of the old while it is CURRENT (P14)."""
    goal, store = run.goal, view.store
    if view.past(goal.replaces) or store is None:
        return [] if store else [not_seen(view, STORE)]
    entry = store.get(goal.entry)
    if entry is None:
        return _proof_untried(view, run) or [Act(DepositMaterial(goal.entry))]
    return [*_kept(entry), *_probe_missing(view, run)]


def _proof_untried(view: View, run: Run) -> Sequence[Step]:
    """Try the proof on CURRENT material first: what it may not do must show before anything is made (P7)."""
    replaces = run.goal.replaces
    if run.goal.policy.proof is Proof.OFF or replaces is None:
        return []
    return _unproven(view, run, replaces, run.goal.members)


def _kept(entry: Entry) -> Iterable[Step]:
    unclear = entry.damage.get("discarded") or entry.damage.get("reinstated")
    if entry.discarded_at is not None:
        yield checks.given_up(entry)
    elif unclear:
        message = "the store cannot tell whether this attempt was given up"
        yield Block(Reason.STORE_UNREADABLE, f"{message}: {unclear}", "mend that mark, then run again")
    elif entry.receipt is None:
        way = "restore the store from its copy, or mend what it says"
        yield Block(Reason.STORE_UNREADABLE, f"the store cannot read the deposited material back: {entry.problem}", way)


def _probe_missing(view: View, run: Run) -> Iterable[Step]:
    """Name the probe of the CURRENT material where `proof: full` wants one and none is kept."""
    current, store = view.current, view.store
    if run.goal.policy.proof is not Proof.FULL or current is None or store is None:
        return
    entry = store.holding(current.material_id)
    if entry is not None and not entry.probe and view.primary is not None:
        yield Act(KeepProbe(view.primary.arn, entry.name, current.material_id))


def primary_imported(view: View, run: Run) -> Sequence[Step]:
    """Import the new material into the primary key, and link its entry to the id that KMS gives it (P2)."""
    goal, store, primary = run.goal, view.store, view.primary
    if primary is None or store is None:
        return [not_seen(view, goal.primary if primary is None else STORE)]
    entry = store.get(goal.entry)
    if view.past(goal.replaces):
        return _linked_after_rotation(view, primary, entry, run)
    if entry is None:
        return []
    if primary.pending is not None:
        return _pending_is_ours(view, run, entry, primary.pending)
    return _new_import(view, run, entry)


def _linked_after_rotation(view: View, primary: RegionView, entry: Entry | None, run: Run) -> Sequence[Step]:
    """Prove an entry that lost its link to a crash: only KMS can say that these bytes are CURRENT (P2).

    Where KMS has said that they are not, `settled` tells that somebody else rotated this key.
    """
    current = primary.current
    if current is None or entry is None or entry.linked is not None:
        return []
    if current.material_id == run.goal.replaces or refused(run, primary.arn, entry, current.material_id):
        return []
    return importable(primary) or [Act(proof_of(primary, entry, current, view, run))]


def proof_of(primary: RegionView, entry: Entry, row: MaterialRow, view: View, run: Run) -> ImportMaterial:
    """Import with the row's own id and expiry: accepted only if the bytes are this row's.

    Where the row has lost its bytes, or KMS would refuse its expiry as past, the goal's expiry stands in.
    """
    valid_to = row.valid_to if row.usable(view.at) else run.goal.valid_to
    return ImportMaterial(primary.arn, entry.name, ImportType.EXISTING, row.material_id, valid_to)


def _pending_is_ours(view: View, run: Run, entry: Entry, pending: MaterialRow) -> Sequence[Step]:
    primary, goal = view.primary, run.goal
    assert primary is not None  # noqa: S101 - the caller has it
    if foreign := checks.pending_is_ours(view, run):
        return foreign
    if checks.rotation_seen(view, run):
        return []
    if closed := importable(primary):
        return closed
    if entry.linked is None:
        return [Act(proof_of(primary, entry, pending, view, run))]
    if expired(pending, view, run):
        return [Act(ImportMaterial(primary.arn, entry.name, ImportType.EXISTING, entry.linked, goal.valid_to))]
    return []


def expired(row: MaterialRow, view: View, run: Run) -> bool:
    """Whether pending material would expire too soon, and the goal gives it longer."""
    goal = run.goal
    soon = not row.usable(view.at) or checks.expires_within(row, view.at, goal.policy.safety_window)
    return soon and (goal.valid_to is None or row.valid_to is None or goal.valid_to > row.valid_to)


def _new_import(view: View, run: Run, entry: Entry) -> Sequence[Step]:
    """Send NEW only where no rotation can be under way, and never for material that was pending before (P6)."""
    goal, primary = run.goal, view.primary
    assert primary is not None  # noqa: S101 - the caller has it
    if entry.linked is not None:
        return _vanished(run, entry.linked)
    if taken_back := _taken_back(view, goal):
        return taken_back
    if primary.rotation_started_at is not None or _shown_lately(view, run):
        message = "an earlier rotation may be under way: it would rotate in whatever is imported now"
        return [Wait(Reason.ROTATING, message, goal.primary, ROTATION, look=(goal.primary,))]
    if cooling := _after_discard(view, run):
        return cooling
    if not (entry.ours or goal.policy.may_take):
        return _made_elsewhere(entry, goal)
    new = ImportMaterial(primary.arn, entry.name, ImportType.NEW, None, goal.valid_to)
    failure = run.memory.failed.get(name_of(new))
    return _not_new(goal) if failure and failure.refusals else [Act(new)]


def _made_elsewhere(entry: Entry, goal: Goal) -> Sequence[Step]:
    """Take no bytes for new key material that somebody else may have chosen; a run that made them links them soon."""
    when = f" at {entry.made_at:%Y-%m-%d %H:%M} UTC" if entry.made_at else ""
    message = f"new key material for this rotation was made elsewhere{when}, and nothing in the store says by whom"
    way = "if a run of yours made it, as its journal tells: mrk rotate NAME --take; else give it up: mrk abort NAME"
    over = Block(Reason.MADE_ELSEWHERE, message, way, goal.primary)
    return [Wait(Reason.MADE_ELSEWHERE, message, goal.primary, LAG, look=(goal.primary, STORE), over=over)]


def _taken_back(view: View, goal: Goal) -> Sequence[Step]:
    """Stop where an earlier attempt goes on after all, as KMS has rotated it in, whatever the last look showed (P4)."""
    assert view.store is not None  # noqa: S101 - the caller has it
    goes_on = view.store.first_attempt(replace(goal.entry, attempt=1))
    if goes_on.attempt >= goal.entry.attempt:
        return []
    message = f"attempt {goes_on.attempt} of this rotation goes on after all: it was rotated in"
    return [Block(Reason.DISCARDED, message, "run again: the next run goes on with it", goal.primary, person=False)]


def _shown_lately(view: View, run: Run) -> bool:
    """Whether a rotation showed within the time that one may take: that it shows no more proves nothing (P6)."""
    shown = run.memory.rotation_seen
    return shown is not None and view.at - shown < ROTATION


def _not_new(goal: Goal) -> Sequence[Step]:
    """KMS has these bytes: pending since a lost reply, and about to show; if never, they are no new material (P2)."""
    message = "KMS says that it has these bytes already; the primary does not list them as pending yet"
    old = f"KMS says that it has the bytes of attempt {goal.entry.attempt} already, but lists nothing as pending"
    way = "run again; if it says so again, give this attempt up: mrk abort NAME"
    over = Block(Reason.NOT_NEW, old, way, goal.primary)
    return [Wait(Reason.SLOT, message, goal.primary, LAG, look=(goal.primary, STORE), over=over)]


def _vanished(run: Run, linked: MaterialId) -> Sequence[Step]:
    primary = run.goal.primary
    gone = f"pending key material {short(linked)} was deleted by somebody else"
    way = (
        "find out who and why; then give this attempt up: mrk abort NAME "
        "(the next run waits until no rotation can be under way, and begins another)"
    )
    message = f"the primary does not list the imported material {short(linked)} yet"
    over = Block(Reason.PENDING_VANISHED, gone, way, primary)
    return [Wait(Reason.SLOT, message, primary, LAG, look=(primary, STORE), over=over)]


def _after_discard(view: View, run: Run) -> Sequence[Step]:
    """After anything was given up or withdrawn, wait until no rotation of it can be under way any more (P6, P8)."""
    store, goal, quiet = view.store, run.goal, run.memory.quiet
    if store is None:
        return []
    if store.withdrawn_problem:
        message = f"the store cannot tell when pending material was withdrawn: {store.withdrawn_problem}"
        return [Block(Reason.STORE_UNREADABLE, message, "restore that note from the store's copy, then run again")]
    discarded = [entry.discarded_at for entry in store.entries if entry.name.replaces == goal.replaces]
    given_up = max(filter(None, (*discarded, store.withdrawn_at)), default=None)
    if given_up is None:
        return []
    enough = quiet is not None and quiet.count >= goal.policy.looks
    if enough and checks.long_over(given_up, view.at, goal):
        return []
    message = "an earlier attempt was given up: waiting until no rotation of it can be under way"
    return [Wait(Reason.ROTATING, message, goal.primary, ROTATION * 2, look=(goal.primary,))]


def replicas_imported(view: View, run: Run) -> Sequence[Step]:
    """Import the same bytes into every replica, each as soon as it lists the material."""
    pending, goal = view.pending, run.goal
    if view.past(goal.replaces) or pending is None or checks.rotation_seen(view, run):
        return []
    others = sorted(goal.members - {goal.primary})
    return [step for region in others for step in _missing_in(view, run, region, pending.material_id)]


def _missing_in(view: View, run: Run, region: Region, material: MaterialId) -> Sequence[Step]:
    """Say what one replica misses: to be seen, to be open to imports, to list the material, or the bytes."""
    seen = view.regions.get(region)
    if seen is None:
        return [not_seen(view, region)]
    row = seen.row(material)
    if row is not None and row.usable(view.at) and not expired(row, view, run):
        return []
    if closed := importable(seen):
        return closed
    if row is None:
        message = f"{region} does not list the new material yet"
        return [Wait(Reason.SLOT, message, region, LAG, look=(region,))]
    return [Act(ImportMaterial(seen.arn, run.goal.entry, ImportType.EXISTING, material, run.goal.valid_to))]


def ready(view: View, run: Run) -> Sequence[Step]:
    """Judge everything once more, on a fresh view, right before the point of no return (I3, P7)."""
    goal, pending = run.goal, view.pending
    if view.past(goal.replaces) or checks.rotation_seen(view, run):
        return []
    found = checks.before_rotate(view, run)
    if found or pending is None:
        return found
    if pending.state is MaterialState.PENDING_REPLICAS:
        message = "KMS has not yet noted that every replica has the new material"
        return [Wait(Reason.SLOT, message, goal.primary, LAG, look=(goal.primary,))]
    return []


def rotated(view: View, run: Run) -> Sequence[Step]:
    """Send RotateKeyOnDemand once, then wait until CURRENT moves (I4)."""
    goal, primary, pending = run.goal, view.primary, view.pending
    if view.past(goal.replaces):
        return []
    if primary is None:
        return [not_seen(view, goal.primary)]
    if checks.rotation_seen(view, run):
        message = "the rotation was accepted; KMS takes from seconds to minutes"
        return [Wait(Reason.ROTATING, message, goal.primary, ROTATION, look=tuple(sorted(goal.members)))]
    if pending is None:
        return [Wait(Reason.SLOT, "the pending material is not listed", goal.primary, LAG, look=(goal.primary,))]
    return [Act(RotateOnDemand(primary.arn, pending.material_id))]


def settled(view: View, run: Run) -> Sequence[Step]:
    """See the new material CURRENT, and everything usable, in every Region and several times in a row (I8, P8)."""
    goal, store = run.goal, view.store
    if store is None:
        return [not_seen(view, STORE)]
    current = view.current
    moved = current is not None and current.material_id != goal.replaces
    if current is not None and moved and store.holding(current.material_id) is None:
        return _foreign_current(view, current)
    return [step for region in _wanted(goal) for step in _unsettled(view, run, region)]


def _wanted(goal: Goal) -> Sequence[Region]:
    """Name the members that the owner wants; of others nothing is expected, and they are told elsewhere (I11)."""
    return [region for region in sorted(goal.members) if goal.policy.lists(region)]


def _foreign_current(view: View, current: MaterialRow) -> Sequence[Step]:
    message = f"CURRENT is {short(current.material_id)}, which is not in this store: somebody else rotated this key"
    way = f"adopt its material: mrk adopt NAME FILE --material-id {current.material_id}"
    primary = view.primary.region if view.primary else view.key.region
    return store_behind(view, current.material_id) or [Block(Reason.FOREIGN_CURRENT, message, way, primary)]


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

    Nothing that a run does disables a key, or schedules its deletion: a few looks suffice to believe that.
    """
    region, unsound, wrong = seen.region, _unsound(seen), unconfirmed(view, seen, run) or "not confirmed yet"
    late = unsound is None or unsound.reason is Reason.MATERIAL_MISSING
    at_most = LAG if late else FEW_LOOKS
    look = (region, *_disagreeing(view, seen))
    return [Wait(Reason.INCONSISTENT, f"{region}: {wrong}", region, at_most, look=look, over=unsound)]


def _unsound(seen: RegionView) -> Block | None:
    """Say what time will not mend in a Region; what is merely late is left to another run."""
    closed = [step for step in importable(seen) if isinstance(step, Block)]
    if closed:
        return closed[0]
    lacking = _lacking(seen)
    if not lacking:
        return None
    message = f"key material {lacking} is missing in {seen.region}"
    way = "import it again: mrk repair NAME; the other Regions are not held up"
    return Block(Reason.MATERIAL_MISSING, message, way, seen.region)


def _lacking(seen: RegionView) -> str:
    return ", ".join(short(row.material_id) for row in seen.permanent if not row.usable(seen.seen_at))


def unconfirmed(view: View, seen: RegionView, run: Run) -> str:
    """Say what one look at a Region does not confirm of the end state; nothing where it confirms all of it."""
    if run.goal.aborting:
        return "what was given up is listed still" if checks.to_withdraw(view, run, seen.pending) else ""
    if (closed := importable(seen)) and isinstance(closed[0], Wait | Block):
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
        return _foreign_current(view, current)
    wanted = _wanted(goal)
    if unseen := [not_seen(view, region) for region in wanted if region not in view.regions]:
        return unseen
    lacking = entry.unproven_in(wanted, goal.policy.proof)
    regions = lacking | (run.memory.restored & frozenset(wanted))
    if goal.policy.proof is not Proof.OFF and (missing := _unproven(view, run, current.material_id, regions)):
        return missing
    if not lacking:
        return []
    if entry.discarded_at is not None:  # given up, and rotated in all the same: the key needs it for ever (P9)
        return [Act(ReinstateMaterial(entry.name, view.at))]
    return [Act(MarkProven(entry.name, current.material_id, tuple(wanted), goal.policy.proof))]


def _unproven(view: View, run: Run, current: MaterialId, regions: Iterable[Region]) -> Sequence[Step]:
    if not regions:
        return []
    probe = list(_probe_missing(view, run))
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


def _ours_pending(view: View, run: Run) -> bool:
    entry = view.store.get(run.goal.entry) if view.store else None
    return entry is not None and entry.linked is not None and view.pending is not None
