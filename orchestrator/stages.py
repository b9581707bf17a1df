"""Stages: each a pure function that answers what is still missing for the goal. Nothing missing means passed.

A workflow is a list of these; `decide` stops at the first one that misses something.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator import checks, lasting
from orchestrator.checks import ROTATION
from orchestrator.holding import refused
from orchestrator.importable import in_good_time, switches
from orchestrator.looks import LAG, not_seen
from orchestrator.model import (
    STORE,
    Act,
    Block,
    DepositMaterial,
    Entry,
    Goal,
    ImportMaterial,
    ImportType,
    MaterialId,
    MaterialRow,
    MaterialState,
    Proof,
    Purpose,
    Reason,
    Region,
    RegionView,
    RotateOnDemand,
    Run,
    Step,
    View,
    Wait,
    name_of,
    short,
)
from orchestrator.settling import probe_missing, unproven


def healthy(view: View, run: Run) -> Sequence[Step]:
    """Judge everything before anything is deposited or imported (P7); once it is under way, `ready` judges.

    What the owner has switched off is noted first, whatever else stands against a rotation: KMS forgets it (P10).
    """
    goal, noting = run.goal, switches(view)
    if moved := checks.topology(view, goal):
        return [*noting, *moved]
    if view.past(goal.replaces) or _ours_pending(view, run):
        return noting
    return [*noting, *checks.before_deposit(view, run)]


def deposited(view: View, run: Run) -> Sequence[Step]:
    """Keep the new material in the store before KMS sees it (I1), and a probe of the old while it is CURRENT (P14)."""
    goal, store = run.goal, view.store
    if view.past(goal.replaces) or store is None:
        return [] if store else [not_seen(view, STORE)]
    entry = store.get(goal.entry)
    if entry is None:
        return _proof_untried(view, run) or [Act(DepositMaterial(goal.entry))]
    return [*_kept(entry), *probe_missing(view, run)]


def _proof_untried(view: View, run: Run) -> Sequence[Step]:
    """Try the proof on CURRENT material first: what it may not do must show before anything is made (P7)."""
    replaces = run.goal.replaces
    if run.goal.policy.proof is Proof.OFF or replaces is None:
        return []
    return unproven(view, run, replaces, run.goal.members)


def _kept(entry: Entry) -> Iterable[Step]:
    unclear = entry.damage.get("discarded") or entry.damage.get("reinstated")
    if entry.discarded_at is not None:
        yield checks.given_up(entry)
    elif unclear:
        message = "the store cannot tell whether this attempt was given up"
        yield Block(Reason.STORE_UNREADABLE, f"{message}: {unclear}", "mend that mark, then run again")
    elif entry.receipt is None:
        way = entry.mend or "restore the store from its copy"
        yield Block(Reason.STORE_UNREADABLE, f"the store cannot read the deposited material back: {entry.problem}", way)


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
    return in_good_time(primary, view, run) or [Act(proof_of(primary, entry, current, view, run))]


def proof_of(primary: RegionView, entry: Entry, row: MaterialRow, view: View, run: Run) -> ImportMaterial:
    """Import with the row's own id and expiry: accepted only if the bytes are this row's.

    Where the row has lost its bytes, or KMS would refuse its expiry as past, what lasting tells stands in.
    """
    there, region = row.usable(view.at), primary.region
    known = lasting.of_known(view, run.goal, region, row.material_id)
    valid_to = row.valid_to if there else known if row.permanent else lasting.of_new(view, run.goal, region)
    asked = Purpose.IDENTIFY if there else Purpose.RESTORE
    purpose = asked if row.permanent else Purpose.ROTATE
    return ImportMaterial(primary.arn, entry.name, ImportType.EXISTING, row.material_id, valid_to, purpose)


def _pending_is_ours(view: View, run: Run, entry: Entry, pending: MaterialRow) -> Sequence[Step]:
    primary, goal = view.primary, run.goal
    assert primary is not None  # noqa: S101 - the caller has it
    if foreign := checks.pending_is_ours(view, run):
        return foreign
    if checks.rotation_seen(view, run):
        return []
    if closed := in_good_time(primary, view, run):
        return closed
    if entry.linked is None:
        return [Act(proof_of(primary, entry, pending, view, run))]
    if expired(pending, view, run, primary.region):
        until = lasting.of_new(view, goal, primary.region)
        return [Act(ImportMaterial(primary.arn, entry.name, ImportType.EXISTING, entry.linked, until))]
    return []


def expired(row: MaterialRow, view: View, run: Run, region: Region) -> bool:
    """Whether pending material would expire too soon, and the goal gives it longer."""
    goal, until = run.goal, lasting.of_new(view, run.goal, region)
    soon = not row.usable(view.at) or checks.expires_within(row, view.at, goal.policy.safety_window)
    return soon and (until is None or row.valid_to is None or until > row.valid_to)


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
    until = lasting.of_new(view, goal, primary.region)
    new = ImportMaterial(primary.arn, entry.name, ImportType.NEW, None, until)
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
    if row is not None and row.usable(view.at) and not expired(row, view, run, region):
        return []
    if closed := in_good_time(seen, view, run):
        return closed
    if row is None:
        message = f"{region} does not list the new material yet"
        return [Wait(Reason.SLOT, message, region, LAG, look=(region,))]
    until = lasting.of_new(view, run.goal, region)
    return [Act(ImportMaterial(seen.arn, run.goal.entry, ImportType.EXISTING, material, until))]


def ready(view: View, run: Run) -> Sequence[Step]:
    """Judge everything once more, on a fresh view, right before the point of no return (I3, P7)."""
    goal, pending = run.goal, view.pending
    if view.past(goal.replaces) or checks.rotation_seen(view, run):
        return []
    found = checks.before_rotate(view, run) or _replaced_unproven(view, run)
    if found or pending is None:
        return found
    if pending.state is MaterialState.PENDING_REPLICAS:
        message = "KMS has not yet noted that every replica has the new material"
        return [Wait(Reason.SLOT, message, goal.primary, LAG, look=(goal.primary,))]
    return []


def _replaced_unproven(view: View, run: Run) -> Sequence[Step]:
    """Rotate away from nothing that was not proven: of a rotation that was not finished the marks may be lost (P14)."""
    replaces, store = run.goal.replaces, view.store
    held = store.holding(replaces) if store and replaces else None
    return _proof_untried(view, run) if held is not None and held.held and not held.proven else []


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


def _ours_pending(view: View, run: Run) -> bool:
    entry = view.store.get(run.goal.entry) if view.store else None
    return entry is not None and entry.linked is not None and view.pending is not None
