"""What must hold before anything is deposited, and again right before a rotation (P7). Pure.

KMS would accept every one of these rotations, and the user would regret it (I3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeGuard

from orchestrator.durations import render
from orchestrator.holding import (
    cannot_give,
    foreign_current,
    holds,
    in_doubt,
    predecessor,
    refused,
    store_behind,
)
from orchestrator.importable import DELETING, enabled, off_since, switched_off
from orchestrator.kinds import right_kind
from orchestrator.lasting import SAY, ran_out, seen_over, unset
from orchestrator.looks import LAG, last_look, not_seen, seen_everywhere
from orchestrator.model import (
    STORE,
    Block,
    Entry,
    Goal,
    KeyState,
    MaterialId,
    MaterialRow,
    MissingOld,
    Policy,
    Reason,
    Region,
    RegionView,
    Replicate,
    Run,
    Step,
    View,
    Wait,
    short,
)
from orchestrator.spending import budget, reserved

ROTATION = timedelta(minutes=15)
"""How long an accepted rotation may take to show; 20 to 460 s were measured."""

SKEW = timedelta(hours=1)
"""How far the clocks of two machines that share a store may be apart: AWS lets in none that is so far off."""


def before_deposit(view: View, run: Run) -> Sequence[Step]:
    """Every check that needs nothing of ours to exist yet."""
    policy = run.goal.policy
    spending = [*budget(view), *reserved(view, policy)]
    return unseen(view, run) or [*clean(view, run), *spending, *expiry_long_enough(view, run.goal)]


def unseen(view: View, run: Run) -> list[Step]:
    """What must be known before anything else can be judged: every Region, of the right kind, as the goal has them."""
    goal = run.goal
    return [*seen_everywhere(view, goal.members), *right_kind(view), *topology(view, goal)]


def clean(view: View, run: Run) -> list[Step]:
    """The key is as it should be in every Region, and the store holds what it needs: also where nothing is due (P5)."""
    goal = run.goal
    return unseen(view, run) or [
        *usable_everywhere(view, run),
        *one_current(view, goal),
        *pending_is_ours(view, run),
        *store_holds(view, run),
    ]


def usable_everywhere(view: View, run: Run) -> list[Step]:
    """Every member is Enabled and has all its key material; what a Region lacks is told once, by its name."""
    lacking = materials_usable(view, run.goal.policy)
    told = {step.region for step in lacking if isinstance(step, Block)}
    states = [step for step in enabled(view, run) if not (_missing(step) and step.region in told)]
    return [*states, *lacking]


def _missing(step: Step) -> TypeGuard[Block]:
    return isinstance(step, Block) and step.reason in {Reason.MATERIAL_MISSING, Reason.SWITCHED_OFF}


def before_rotate(view: View, run: Run) -> Sequence[Step]:
    """Every check again on a fresh view, and that the pending material is in every Region."""
    stale = last_look(view, frozenset({*run.goal.members, STORE}), "a last look before the rotation")
    return stale or [*before_deposit(view, run), *pending_everywhere(view, run.goal)]


def undated(view: View) -> list[Step]:
    """A key that was rotated tells when: a rotation without a date is no sign that the key is due (P5)."""
    found: list[Step] = []
    for region, seen in sorted(view.regions.items()):
        lacking = [row for row in seen.permanent if row.rotated_at is None]
        if len(lacking) > 1:  # the first key material was never rotated in
            message = f"KMS lists {len(lacking)} key materials in {region} without a RotationDate: one may lack it"
            found.append(Wait(Reason.INCONSISTENT, message, region, LAG, look=(region,)))
    return found


def unusable(view: View, policy: Policy) -> list[Step]:
    """Every Region that was seen, is wanted and cannot be used now: the worst news stands first."""
    return [
        step
        for region, seen in sorted(view.regions.items())
        if policy.lists(region)
        for step in _usable_in(view, policy, seen)
        if _missing(step)
    ]


def topology(view: View, goal: Goal) -> list[Step]:
    """The members and the primary are those that the run began with (P13), and those that the config lists (P11).

    Nothing is said of what no look shows: a network that fails everywhere has changed no topology.
    """
    if not view.regions:
        return []
    if any(seen.primary != goal.primary for seen in view.regions.values()):
        now = ", ".join(sorted({seen.primary for seen in view.regions.values()}))
        message = f"the primary key moved from {goal.primary} to {now} during the run"
        return [Block(Reason.TOPOLOGY, message, "run again: the next run follows it", person=False)]
    if view.members != goal.members:
        changed = ", ".join(sorted(view.members ^ goal.members))
        message = f"the members of the multi-Region key changed during the run: {changed}"
        return [Block(Reason.TOPOLOGY, message, "run again: the next run follows it", person=False)]
    return list(listed(view, goal.policy))


def listed(view: View, policy: Policy) -> Iterable[Step]:
    """The Regions of the config, where it names any, are exactly the members that KMS names."""
    if not policy.regions:
        return
    for region in sorted(policy.regions - view.members):
        way = f"take {region} out of `regions`; or {_replicating(view, policy, region)}"
        yield Block(Reason.REGION_LACKING, f"the config lists {region}, but the key has no member there", way, region)
    for region in sorted(view.members - policy.regions):
        yield _unlisted(view, region)


def _unlisted(view: View, region: Region) -> Block:
    """Say what a member is that the config lacks: one on its way out only wants time, any other a person."""
    seen = view.regions.get(region)
    if seen is not None and seen.key_state in DELETING:
        gone = f"on {seen.deleted_at:%Y-%m-%d}" if seen.deleted_at else "after its waiting period"
        message = f"the key in {region} is {seen.key_state}, and `regions` lacks it: KMS names it until it goes {gone}"
        way = f"wait until then; or keep it: aws kms cancel-key-deletion --region {region} --key-id {seen.arn.key_id}"
        return Block(Reason.REGION_UNLISTED, message, f"{way}, and add {region} to `regions`", region, person=False)
    soon = _first_expiry(view, region)
    expires = f"; its key material expires on {soon:%Y-%m-%d}, and nothing renews it there" if soon else ""
    message = f"the key has a member in {region}, which the config lacks: nothing is imported there{expires}"
    call = f"aws kms schedule-key-deletion --region {region} --key-id {view.key.key_id}"
    way = f"add {region} to `regions`, then: mrk repair NAME; or, where nobody needs it there: {call}"
    return Block(Reason.REGION_UNLISTED, message, way, region)


def _first_expiry(view: View, region: Region) -> datetime | None:
    rows = view.regions[region].permanent if region in view.regions else ()
    return min((row.valid_to for row in rows if row.valid_to), default=None)


def _replicating(view: View, policy: Policy, region: Region) -> str:
    """Say how a Region becomes a member."""
    primary = view.primary
    if primary is not None and not primary.multi_region:
        return "make a multi-Region key and move its users, as KMS replicates no single-Region key"
    if view.pending is not None:
        return "first give up the rotation that is begun, as nothing is replicated meanwhile: mrk abort NAME"
    if policy.replicate is Replicate.AUTO:
        return "replicate the key there: mrk repair NAME"
    arn = primary.arn if primary else view.key
    call = f"aws kms replicate-key --region {arn.region} --key-id {arn.key_id} --replica-region {region} --policy ..."
    return f"set `replicate: auto` and run mrk repair NAME; or replicate it yourself ({call}), then mrk repair NAME"


def one_current(view: View, goal: Goal) -> list[Step]:
    """Every Region names the same CURRENT material: the one that this run replaces."""
    found: list[Step] = []
    for region, seen in sorted(view.regions.items()):
        if seen.current is None:
            way = "import the first key material, then run again"
            found.append(Block(Reason.NEVER_IMPORTED, f"the key in {region} has no key material yet", way, region))
        elif seen.current.material_id != goal.replaces:
            message = f"{region} still lists another CURRENT material ({short(seen.current.material_id)})"
            found.append(Wait(Reason.INCONSISTENT, message, region, LAG, look=(region,)))
    return found


def pending_is_ours(view: View, run: Run) -> list[Step]:
    """Whatever is pending is, or may prove to be, the entry of this goal (P2)."""
    pending, primary, store = view.pending, view.primary, view.store
    if pending is None or primary is None or store is None:
        return []
    entry = store.get(run.goal.entry)
    if entry is not None and entry.linked == pending.material_id:
        return []
    if entry is not None and entry.linked is None and not refused(run, primary.arn, entry, pending.material_id):
        return []
    if entry is not None and entry.discarded_at is not None:
        return [given_up(entry)]
    if behind := store_behind(view, pending.material_id):
        return behind
    return [_foreign(view, run, primary, pending, store.holding(pending.material_id))]


def given_up(entry: Entry) -> Block:
    """Stop a run whose attempt was discarded (P9); what is pending may be of the attempt after it."""
    way = "nothing more is done with it; run again to begin the next attempt"
    return Block(Reason.DISCARDED, f"attempt {entry.name.attempt} of this rotation was discarded", way)


def _foreign(view: View, run: Run, primary: RegionView, pending: MaterialRow, held: Entry | None) -> Block:
    """Say whose the pending material is, as far as the store knows, and the way out."""
    whose = "which is not in this store"
    elsewhere = "if another store of yours made it, let mrk finish it there; if you have its bytes: mrk adopt NAME FILE"
    delete = f"only if nobody wants it, delete it for good: mrk abort NAME --material-id {pending.material_id}"
    way = f"run again, which goes on with it; {delete}" if held else f"{elsewhere}; {delete} --unrecoverable"
    if held is not None and held.discarded_at is not None:
        whose, way = "which is of an attempt that was given up", "finish giving it up: mrk abort NAME"
    elif held is not None:
        whose = f"which is of attempt {held.name.attempt}, not of this one"
    if rotation_seen(view, run):
        way = "a rotation is under way: delete nothing; once it is over, adopt its material: mrk adopt NAME FILE"
    message = f"{primary.region} holds pending key material {short(pending.material_id)}, {whose}"
    return Block(Reason.FOREIGN_PENDING, message, way, primary.region)


def to_withdraw(view: View, run: Run, pending: MaterialRow | None) -> bool:
    """Whether pending material is, or may be, what this run gives up: named, linked, or not asked about yet (P9)."""
    goal, primary = run.goal, view.primary
    if pending is None or primary is None:
        return False
    entry = view.store.get(goal.entry) if view.store else None
    known = goal.named or (entry.linked if entry else None)
    if known:
        return pending.material_id == known
    return entry is None or not refused(run, primary.arn, entry, pending.material_id)


def rotation_seen(view: View, run: Run) -> bool:
    """Whether a rotation was sent by this run, or shows in a Region; the absence of both proves nothing (P6)."""
    shown = any(seen.rotation_started_at is not None for seen in view.regions.values())
    return shown or run.memory.rotation_sent is not None


def long_over(since: datetime, at: datetime, goal: Goal) -> bool:
    """Whether no rotation from before a noted time can be under way: this run has watched for as long as one may take.

    Another machine's clock may have noted it: its word alone counts only where no clock can be that far off.
    """
    if since - at > SKEW:
        since = goal.began
    return at - max(since, goal.began) >= ROTATION or at - since >= ROTATION + SKEW


def materials_usable(view: View, policy: Policy) -> list[Step]:
    """Every permanent material is in every Region, and nothing expires within the safety window."""
    return [step for _, seen in sorted(view.regions.items()) for step in _usable_in(view, policy, seen)]


def _usable_in(view: View, policy: Policy, seen: RegionView) -> list[Step]:
    """Judge what one Region needs; what its owner had switched off before it was lost, only he may want back."""
    found: list[Step] = []
    for material in view.permanent_ids():
        judged = material_usable(seen, material, view.at, policy)
        found += (_tells_missing(judged) and seen_over(view, policy, seen, material)) or judged
    off = off_since(view, policy, seen.region)
    return (
        [switched_off(seen, off)]
        if off and _tells_missing(found) and seen.key_state is KeyState.PENDING_IMPORT
        else found
    )


def _tells_missing(found: Sequence[Step]) -> bool:
    return any(isinstance(step, Block) and step.reason is Reason.MATERIAL_MISSING for step in found)


def material_usable(seen: RegionView, material: MaterialId, at: datetime, policy: Policy) -> list[Step]:
    """Judge one permanent material in one Region: IMPORTED with a past ValidTo means missing (P10)."""
    row, region = seen.row(material), seen.region
    if row is None:
        message = f"{region} does not list key material {short(material)} yet"
        return [Wait(Reason.INCONSISTENT, message, region, LAG, look=(region,))]
    if not row.usable(at):
        if row.imported and row.valid_to and unset(policy, [row]):
            return [ran_out(region, material, row.valid_to)]
        since = f" since {row.valid_to:%Y-%m-%d %H:%M} UTC" if row.imported and row.valid_to else ""
        message = f"{region} cannot be used{since}: key material {short(material)} is missing there"
        return [Block(Reason.MATERIAL_MISSING, message, f"import it again in {region} first: mrk repair NAME", region)]
    return [expires_soon(row, region, policy)] if expires_within(row, at, policy.safety_window) else []


def expires_soon(row: MaterialRow, region: Region, policy: Policy) -> Block:
    """Say that key material expires soon, and how it lasts longer."""
    message = f"key material {short(row.material_id)} expires in {region} on {row.valid_to:%Y-%m-%d}"
    longer = f"mrk renew NAME, with `expires` longer than {render(policy.safety_window)}"
    way = f"import it again with a later ValidTo: {longer}"
    if policy.expires is None:
        message, way = f"{message}, and nothing renews it: `expires` is not set", f"{SAY}; then: mrk renew NAME"
    return Block(Reason.EXPIRES_SOON, message, way, region)


def not_to_be_renewed(seen: RegionView, at: datetime, policy: Policy) -> list[Block]:
    """Say what expires in a Region within `renew_before` though nothing says until when it is to last again."""
    ending = [row for row in seen.permanent if row.usable(at) and expires_within(row, at, policy.renew_before)]
    return [expires_soon(row, seen.region, policy) for row in ending] if policy.expires is None else []


def expires_within(row: MaterialRow, at: datetime, window: timedelta) -> bool:
    """Whether a material expires before the window is over."""
    return row.valid_to is not None and row.valid_to <= at + window


def outlived(row: MaterialRow, at: datetime, goal: Goal) -> bool:
    """Whether a material expires within `renew_before`, and the config gives it longer."""
    if goal.policy.expires is None:
        return False
    longer = goal.valid_to is None or row.valid_to is None or goal.valid_to > row.valid_to
    return longer and expires_within(row, at, goal.policy.renew_before)


def not_renewed(view: View, seen: RegionView, goal: Goal) -> str:
    """Name what was, or can be, imported again, and whose later expiry does not show; the rest is told elsewhere."""
    held = [row for row in seen.permanent if holds(view, row.material_id)]
    return ", ".join(short(row.material_id) for row in held if outlived(row, seen.seen_at, goal))


def expiry_long_enough(view: View, goal: Goal) -> list[Step]:
    """The new material must itself outlive the safety window."""
    if goal.policy.expires is None or goal.valid_to is None or goal.valid_to > view.at + goal.policy.safety_window:
        return []  # where `expires` is not set, it lasts as CURRENT does, which is judged by itself
    message = f"the new key material would expire on {goal.valid_to:%Y-%m-%d}, within the safety window"
    return [Block(Reason.EXPIRES_SOON, message, "raise `expires`, or lower `safety_window`")]


def store_holds(view: View, run: Run) -> list[Step]:
    """The store holds, and has just read back, every material that the key needs for ever (P7)."""
    if view.store is None:
        return [not_seen(view, STORE)]
    return [step for material in view.permanent_ids() for step in _held(view, run, material)]


def _held(view: View, run: Run, material: MaterialId) -> list[Step]:
    entry, allowed = view.store.holding(material) if view.store else None, run.goal.policy.missing_old
    if entry is None and allowed is MissingOld.ALLOW:
        return []
    if entry is not None and entry.discarded_at is not None:
        message = f"key material {short(material)}, which the key needs, is of an attempt that was given up"
        return [Block(Reason.DISCARDED, message, "take that back, as KMS rotated it in: mrk abort NAME")]
    lacking = cannot_give(view, run, material, "the key needs")
    is_current = view.current is not None and view.current.material_id == material
    if is_current and view.current and _made_by_another(view, run, lacking, view.current):
        return [foreign_current(view, view.current)]
    elsewhere = "; or bring its entry from the store that made it (docs/store.md)"
    allowing = elsewhere if is_current else "; or set `missing_old: allow`, and keep your own copy safe"
    return [
        replace(step, way_out=step.way_out + allowing)
        if isinstance(step, Block) and step.reason is Reason.STORE_LACKS
        else step
        for step in lacking
    ]


def _made_by_another(view: View, run: Run, lacking: Sequence[Step], current: MaterialRow) -> bool:
    """Whether CURRENT was rotated in, and nothing here can be it; the first material is only not adopted yet."""
    unknown = any(isinstance(step, Block) and step.reason is Reason.STORE_LACKS for step in lacking)
    rotated = predecessor(view, current.material_id) is not None
    return unknown and rotated and not in_doubt(view, run, current.material_id)


def pending_everywhere(view: View, goal: Goal) -> list[Step]:
    """The pending material is ours, read back from the store, usable in every Region, and expires nowhere soon."""
    pending, store = view.pending, view.store
    entry = store.get(goal.entry) if store else None
    if pending is None or entry is None or entry.linked != pending.material_id:
        message = "the primary does not list the pending material"
        return [Wait(Reason.SLOT, message, goal.primary, LAG, look=(goal.primary,))]
    if entry.receipt is None:
        message = f"the store cannot read the pending material back: {entry.problem}"
        return [Block(Reason.STORE_UNREADABLE, message, entry.mend or "mend the store before rotating")]
    found: list[Step] = []
    for region, seen in sorted(view.regions.items()):
        row = seen.row(pending.material_id)
        if row is None or not row.usable(view.at):
            message = f"{region} does not list the pending material as imported"
            found.append(Wait(Reason.SLOT, message, region, LAG, look=(region,)))
        elif expires_within(row, view.at, goal.policy.safety_window):
            message = f"the pending material expires in {region} on {row.valid_to:%Y-%m-%d}"
            way = "raise `expires`, or lower `safety_window`, and run again"
            found.append(Block(Reason.EXPIRES_SOON, message, way, region))
    return found
