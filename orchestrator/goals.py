"""Pinning: from a first look at everything to the goal of one run, or to "nothing is due". Pure.

A run finishes unfinished work before it begins anything (I6); it rotates at most once, away from the material that
it pinned (I4, P4).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from orchestrator import checks, kinds, spending
from orchestrator.durations import spoken
from orchestrator.holding import predecessor
from orchestrator.lasting import pinned
from orchestrator.looks import not_seen
from orchestrator.model import (
    ADOPTED,
    STORE,
    Block,
    Entry,
    EntryName,
    Goal,
    Idle,
    MaterialId,
    MaterialRow,
    Policy,
    Reason,
    Run,
    Step,
    StoreView,
    View,
    short,
)

_SHORTEST_ID = 8

_JITTER = timedelta(hours=3)
"""How far apart two nightly runs begin, and how long one takes: a timer spreads them over 2 h."""

_SHARE = 10
"""No rotation is sooner than its interval by more than one part of so many: the 25 are for life."""

Pinned = Goal | Idle | Sequence[Step]


def rotate_now(view: View, policy: Policy, replaces: MaterialId | None = None, *, by_person: bool = True) -> Pinned:
    """Pin a rotation that is asked for; within `min_interval` only if a person names the material to replace (P4)."""
    found = _located(view, policy)
    if not isinstance(found, EntryName):
        return found
    replaces = full_id(view, replaces) if replaces else None
    if replaces is not None and replaces not in view.permanent_ids():
        message = f"{short(replaces)} is not, and never was, CURRENT material of {view.key}"
        return [Block(Reason.INCONSISTENT, message, "see the ids with mrk status")]
    if replaces is not None and view.past(replaces) and found.replaces != replaces:
        return _already(view, policy, replaces, found)
    soon = replaces is not None and by_person
    if not soon and not unfinished(view, found) and (recent := _recently(view, policy)):
        return recent
    return _goal(view, policy, found)


def whatever_is_due(view: View, policy: Policy) -> Pinned:
    """Pin what cron wants: unfinished work, or a rotation that is due; else Idle, which needs a clean view (P5)."""
    found = _located(view, policy)
    if not isinstance(found, EntryName):
        return found
    goal = _goal(view, policy, found)
    due = due_from(view, policy) <= view.at and not _recently(view, policy)
    if due or unfinished(view, found):
        return goal
    return checks.clean(view, Run(goal)) or Idle(f"nothing is due: {due_sentence(view, policy)}")


def verified(view: View, policy: Policy) -> Pinned:
    """Judge a key as it stands, and pin nothing: Idle is healthy, anything else says what is not."""
    found = _located(view, policy)
    if not isinstance(found, EntryName):
        return found
    wrong = [*checks.clean(view, Run(_goal(view, policy, next_entry(view)))), *damaged(view)]
    if wrong or unfinished(view, found):
        return [*wrong, *_not_finished(view, found)]
    return Idle(f"healthy in every Region; {due_sentence(view, policy)}")


def damaged(view: View) -> list[Step]:
    """Say which notes of the store cannot be read: nothing waits for them, and somebody must learn of it (I12, I13)."""
    store = view.store or StoreView(view.at)
    found = [store.withdrawn_problem, store.switch_problem, *(one for e in store.entries for one in e.damage.values())]
    way = "mend it as it says; mrk store check tells whether all is sound then"
    return [
        Block(Reason.STORE_UNREADABLE, f"a note of the store cannot be read: {one}", way, view.key.region)
        for one in dict.fromkeys(found)
        if one
    ]


def _not_finished(view: View, name: EntryName) -> list[Step]:
    """Say that a rotation is half done; the next run finishes it, unless something else stands against that."""
    message = "a rotation was begun, and is not finished and proven"
    way = "finish it: mrk run NAME, or mrk rotate NAME"
    return [Block(Reason.NOT_PROVEN, message, way, view.key.region, person=False)] if unfinished(view, name) else []


def _located(view: View, policy: Policy) -> EntryName | Sequence[Step]:
    """Name the entry that the next, or the unfinished, rotation is about."""
    if view.primary is None or view.store is None:
        return [*checks.unusable(view, policy), not_seen(view, unseen(view))]
    if wrong := [*kinds.right_kind(view), *checks.listed(view, policy), *checks.undated(view)]:
        return [*checks.unusable(view, policy), *wrong]
    if view.current is None:
        return [_never_imported(view)]
    return _started(view, view.store, view.current) or next_entry(view)


def _never_imported(view: View) -> Block:
    way = "import its first key material, adopt that (mrk adopt NAME FILE), then run again"
    region = view.primary.region if view.primary else view.key.region
    return Block(Reason.NEVER_IMPORTED, f"{view.key} has no key material yet", way, region)


def next_entry(view: View) -> EntryName:
    """Name the entry of the next rotation: away from CURRENT as it stands."""
    store, current = view.store, view.current
    assert store is not None  # noqa: S101 - _located has seen it
    assert current is not None  # noqa: S101 - likewise
    name = EntryName(view.key.identity, current.material_id)
    return _pending_entry(view, store, name) or store.first_attempt(name)


def _pending_entry(view: View, store: StoreView, name: EntryName) -> EntryName | None:
    """Find the entry that is linked to the pending material, whatever its attempt: the one to go on with (P2)."""
    held = store.holding(view.pending.material_id) if view.pending else None
    goes_on = held is not None and held.discarded_at is None and held.name.replaces == name.replaces
    return held.name if held and goes_on else None


def unseen(view: View) -> str:
    """Name what must be looked at before anything can be pinned."""
    if view.store is None:
        return STORE
    primaries = sorted({seen.primary for seen in view.regions.values()})
    return primaries[0] if primaries else view.key.region


def _started(view: View, store: StoreView, current: MaterialRow) -> EntryName | None:
    """Find the rotation that made `current` CURRENT and was not finished: linked but not proven, or not even linked."""
    held = store.holding(current.material_id)
    if held is not None:
        unproven = held.held and not held.proven and "proven" not in held.damage
        return held.name if unproven and not _next_begun(view, store, current) else None
    if view.pending is not None:
        return None
    lost = [entry for entry in store.entries if _lost_link(entry, view, current)]
    return min(lost, key=lambda entry: entry.discarded_at is not None).name if lost else None


def _next_begun(view: View, store: StoreView, current: MaterialRow) -> bool:
    """Whether the rotation away from CURRENT is under way, so that its own proof is what is left to be made."""
    name = EntryName(view.key.identity, current.material_id)
    if view.pending is not None:
        return _pending_entry(view, store, name) is not None
    return store.get(store.first_attempt(name)) is not None


def _lost_link(entry: Entry, view: View, current: MaterialRow) -> bool:
    """Whether an entry may hold CURRENT without knowing it: unlinked, and made to replace a material that is past.

    An attempt that was given up may have been rotated in all the same; a file that KMS refused was not.
    """
    unknown = entry.linked is None and entry.claimed in {None, current.material_id}
    unknown = unknown and not (entry.discarded_at and entry.name.attempt >= ADOPTED)
    replaces = entry.name.replaces
    return unknown and replaces != current.material_id and replaces == predecessor(view, current.material_id)


def unfinished(view: View, name: EntryName) -> bool:
    """Whether a rotation was begun: something is pending, the entry is deposited, or CURRENT is not proven."""
    return view.pending is not None or (view.store is not None and view.store.get(name) is not None)


def _recently(view: View, policy: Policy) -> list[Step]:
    newest = last_rotation(view)
    if newest is None or view.at - newest >= policy.min_interval or view.current is None:
        return []
    least = spoken(policy.min_interval)
    message = f"this key was rotated at {newest:%Y-%m-%d %H:%M} UTC, less than {least} ago (`min_interval`)"
    way = f"if you want another one: mrk rotate NAME --replaces {view.current.material_id}"
    return [Block(Reason.RECENTLY_ROTATED, message, way)]


def _already(view: View, policy: Policy, replaces: MaterialId, found: EntryName) -> Pinned:
    """CURRENT has moved on from what was to be replaced: finish that, or say with a clean view that it is (P4, P5)."""
    goal = _goal(view, policy, found)
    current = view.current.material_id if view.current else None
    if found.replaces != current:
        return goal
    return checks.clean(view, Run(goal)) or Idle(f"{short(replaces)} was replaced already; CURRENT is {short(current)}")


def _goal(view: View, policy: Policy, name: EntryName) -> Goal:
    primary = view.primary.region if view.primary else next(iter(view.regions.values())).primary
    deadline = view.at + policy.deadline
    return Goal(view.key, name, primary, view.members, pinned(view, policy), deadline, policy)


def last_rotation(view: View) -> datetime | None:
    """Tell when the newest rotation was completed; None for a key that never was rotated.

    KMS's RotationDate tells it; that the store made CURRENT later than that is the second witness.
    """
    dates = [row.rotated_at for seen in view.regions.values() for row in seen.rows if row.rotated_at]
    return max((*dates, *_made(view)), default=None)


def _made(view: View) -> Sequence[datetime]:
    """Tell when the store made the CURRENT material, if a rotation of its own brought that in."""
    entry = view.store.holding(view.current.material_id) if view.store and view.current else None
    if entry is None or entry.name.replaces is None or entry.name.attempt >= ADOPTED:
        return []
    return [entry.made_at] if entry.made_at and entry.made_at <= view.at else []


def due_at(view: View, policy: Policy) -> datetime:
    """Tell when the key is due; a key that never was rotated counts from its oldest member's CreationDate."""
    created = min(seen.created_at for seen in view.regions.values())
    return (last_rotation(view) or created) + policy.rotate_every


def due_from(view: View, policy: Policy) -> datetime:
    """Tell from when on the key is rotated: the day that it is due counts as a whole, and some hours before it do.

    A nightly run comes a little before the hour at which the last one's rotation was complete; without this, 90 days
    would be 91. `rotate_every` is how old CURRENT may get, so early is in order; `min_interval` and P4 are no shorter.
    """
    due = due_at(view, policy)
    day = due.replace(hour=0, minute=0, second=0, microsecond=0)
    early = max(min(day, due - _JITTER), due - policy.rotate_every / _SHARE)
    newest = last_rotation(view)
    return max(early, newest + policy.min_interval) if newest else early


def _when_due(view: View, policy: Policy) -> str:
    """Say when the key is due, in words that fit what is done today."""
    due, begins, today = due_at(view, policy), due_from(view, policy), view.at.date()
    if begins > view.at:
        return f"due today from {begins:%H:%M} UTC on" if due.date() == today else f"due {due:%Y-%m-%d}"
    if due.date() > today:
        return "due now"
    return "due today" if due.date() == today else f"due since {due:%Y-%m-%d}"


def due_sentence(view: View, policy: Policy) -> str:
    """Say when the key is due, why, and for how long its rotations will last."""
    last, every = last_rotation(view), policy.rotate_every
    since = f"rotated {last:%Y-%m-%d}" if last else "never rotated"
    left = spending.LIFETIME_ROTATIONS - spending.rotations_used(view)
    until = due_at(view, policy) + every * max(left - 1, 0)
    lasting = f"{counted(left, 'rotation')} left: until {until:%B %Y} at {spoken(every)}"
    budget = lasting if left else "no rotations left"
    return f"{since}, {_when_due(view, policy)}; {budget}"


def counted(number: int, what: str) -> str:
    """Say how many there are of something: 1 key, 2 keys."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def as_it_stands(view: View, policy: Policy) -> Pinned:
    """Pin no rotation at all, but that the key as it stands be usable, settled and proven: what repair wants.

    Any Region that was seen tells enough of the key for that, and a primary that cannot be seen stops nothing (I11).
    """
    if view.store is None or not view.regions:
        return [not_seen(view, view.key.region if view.store else STORE)]
    if wrong := kinds.right_kind(view):
        return wrong
    current = view.current
    if current is None:
        return [_never_imported(view)] if view.primary else [not_seen(view, unseen(view))]
    held = view.store.holding(current.material_id)
    made_to_replace = EntryName(view.key.identity, predecessor(view, current.material_id))
    return _goal(view, policy, held.name if held else made_to_replace)


def full_id(view: View, written: MaterialId) -> MaterialId:
    """Complete a material id that a person shortened to 8 digits or more, where only one of the key's begins so."""
    ids = {row.material_id for seen in view.regions.values() for row in seen.rows}
    found = [material for material in ids if material.startswith(written)]
    return found[0] if len(found) == 1 and len(written) >= _SHORTEST_ID else written
