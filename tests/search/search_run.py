"""One run of the shipping core, as the runner drives it: it looks, decides, begins what is free, and learns what came.

A run is a small immutable value. No clock runs in it: what was seen is either recent or too old to rotate by, a
rotation in doubt either still waits or not, and patience ends when the explorer says so. Nothing else that the stages
do depends on time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from search_calls import REGIONS, Call, begun, check_begun
from search_notes import LONG_AGO, NOW, Notes, noted
from search_world import JUST_NOW, NO_KEY, NOT, SILENT, Seen, Store, aged
from search_world import LONG_AGO as GIVEN_UP

from orchestrator import memory
from orchestrator.decide import decide, judge
from orchestrator.goals import Pinned, rotate_now
from orchestrator.model import (
    STORE,
    Action,
    Entry,
    EntryName,
    Goal,
    Idle,
    KeyArn,
    KeyState,
    LookFailure,
    MaterialId,
    MaterialRow,
    MaterialState,
    Memory,
    Outcome,
    Policy,
    Proof,
    Receipt,
    Region,
    RegionView,
    RotateOnDemand,
    Run,
    Stage,
    StoreView,
    Turn,
    View,
    Wait,
)
from workflows.rotate import ROTATE

SOON = NOW + timedelta(days=20)
RECENTLY, A_WHILE_AGO = NOW - timedelta(seconds=2), NOW - timedelta(hours=1)
A_MOMENT, QUARTER = timedelta(seconds=1), timedelta(minutes=15)
KEY = KeyArn("aws", REGIONS[0], "111122223333", "mrk-1234abcd12ab34cd56ef1234567890ab")

Snapshot = Seen | Store


class Mind(NamedTuple):
    """All that a run knows. Targets are numbered: each Region, and last the store."""

    seen: tuple[Snapshot | None, ...]
    recent: tuple[bool, ...]
    newer: frozenset[int] = frozenset()  # the Regions that were looked at since the store was, where that matters
    dirty: frozenset[int] = frozenset()
    looking: frozenset[int] = frozenset()
    acting: tuple[Call, ...] = ()
    goal: Goal | None = None
    notes: Notes = Notes()
    end: str = ""
    reasons: frozenset[str] = frozenset()

    @property
    def ended(self) -> str:
        """How it ended, and why."""
        return self.end + (": " + ", ".join(sorted(self.reasons)) if self.reasons else "")


@dataclass(frozen=True)
class Runs:
    """How runs of one kind go: over so many Regions, with this policy."""

    regions: int
    policy: Policy
    stages: Sequence[Stage] = ROTATE
    pin: Callable[[View, Policy], Pinned] = rotate_now
    aborts: bool = False

    def noted(self, remembered: Memory) -> Notes:
        """Take the times out of a memory."""
        return noted(remembered, self.policy.looks, aborts=self.aborts)

    def fresh(self) -> Mind:
        """A run that has seen nothing yet: also what a crash leaves."""
        targets = self.regions + 1
        return Mind((None,) * targets, (False,) * targets)

    # ---- what it may do next ----

    def wants_to_look(self, mind: Mind) -> Sequence[int]:
        """The targets that it looks at next: first all of them, later what changed and what a wait names."""
        if mind.end:
            return ()
        if mind.goal is None:
            unseen = [target for target in range(self.known(mind)) if mind.seen[target] is None]
            return unseen[:1] if 0 in unseen else unseen or [self.regions]
        named = {self.index(name) for name in self.turn(mind).look}
        return sorted((mind.looking | named) - self._acted_on(mind))

    @property
    def lasts(self) -> datetime | None:
        """Until when material is imported."""
        return NOW + self.policy.expires if self.policy.expires else None

    def known(self, mind: Mind) -> int:
        """Tell of how many members it knows."""
        told = max((found.members for found in mind.seen if isinstance(found, Seen)), default=1)
        return max(told, len(self.policy.regions), 1)

    def index(self, target: str) -> int:
        """Number a target."""
        return self.regions if target == STORE else REGIONS.index(Region(target))

    def target(self, action: Action) -> int:
        """Number what an action changes."""
        return self.index(action.target)

    # ---- what it does with what comes ----

    def looked(self, mind: Mind, target: int, found: Snapshot, *, slow: bool = False) -> Mind:
        """Take in a look. `slow` tells that it began before the other one of primary and store was looked at."""
        store = target == self.regions
        every = frozenset(at for at, one in enumerate(mind.seen[:-1]) if one is not None)
        newer = (every if slow else frozenset[int]()) if store else mind.newer | {target}
        recent = mind.recent[0] if store and slow else True
        seen = _put(mind.seen, target, found)
        mind = mind._replace(
            seen=seen,
            recent=_put(mind.recent, target, recent),
            newer=frozenset(at for at in newer if _may_be_behind(at, seen[at], seen[-1])),
            looking=mind.looking - {target},
        )
        if mind.goal is not None and not store:
            run = memory.saw(self.run(mind), self.view(mind), REGIONS[target])
            mind = mind._replace(notes=self.noted(run.memory))
        return self.thought(mind)

    def learned(self, mind: Mind, call: Call, outcome: Outcome) -> Mind:
        """Take in what came of an action: what it touched is not as it was seen any more."""
        run = memory.learned(self.run(mind), call.action, outcome, NOW)
        acting = tuple(other for other in mind.acting if other.action != call.action)
        dirty = mind.dirty | {self.target(call.action), self.regions}
        notes = self.noted(run.memory)
        return self.thought(mind._replace(acting=acting, dirty=dirty, notes=notes))

    def stepped(self, mind: Mind, call: Call, then: Call) -> Mind:
        """Note that an action under way has come one step further."""
        return mind._replace(acting=tuple(then if other == call else other for other in mind.acting))

    def a_minute_later(self, mind: Mind) -> Mind:
        """What was seen is too old to rotate by, and what was in doubt may be tried again."""
        failed = tuple(failure for failure in mind.notes.failed if failure[1] or failure[2])
        mind = mind._replace(recent=(False,) * len(mind.recent), notes=mind.notes._replace(failed=failed))
        return mind if mind.end or mind.goal is None else self.thought(mind)

    def a_quarter_later(self, mind: Mind) -> Mind:
        """After 15 min no rotation that was begun before can be under way; what was given up, was long ago."""
        goal = replace(mind.goal, pinned_at=NOW - QUARTER) if mind.goal else None
        mind = mind._replace(notes=mind.notes._replace(rotation_seen=False), goal=goal)
        if (store := mind.seen[-1]) is not None and not isinstance(store, Seen):
            mind = mind._replace(seen=_put(mind.seen, self.regions, aged(store)))
        return self.a_minute_later(mind)

    def out_of_patience(self, mind: Mind) -> Mind:
        """End the run if its waits have lasted as long as they may; else nothing changes."""
        if mind.end or mind.goal is None or mind.acting or mind.looking:
            return mind
        run, turn = self.run(mind), self.turn(mind)
        waited = memory.waited(run, turn, LONG_AGO)
        turn = decide(self.stages, self.view(mind), waited, NOW)
        return mind if turn.status == "going" else self._ended(mind, turn)

    def thought(self, mind: Mind) -> Mind:
        """Take one turn, as the runner does whenever anything has come in."""
        if mind.goal is None:
            mind = self._pinned(mind)
        if mind.goal is None or mind.end:
            return mind
        mind = self._without_the_dead(mind, mind.goal)
        turn = self.turn(mind)
        if turn.status != "going":
            return mind if mind.acting or mind.looking else self._ended(mind, turn)
        for action in turn.act:
            if self._free(mind, action):
                check_begun(action, mind.seen[-1], mind.newer)
                sending = memory.sending(self.run(mind), action, NOW)
                notes = self.noted(sending.memory)
                calls = sorted((*mind.acting, begun(action)), key=lambda call: self.target(call.action))
                mind = mind._replace(acting=tuple(calls), notes=notes)
        begins = mind.dirty - self._acted_on(mind)
        return mind._replace(dirty=mind.dirty - begins, looking=mind.looking | begins)

    def _without_the_dead(self, mind: Mind, goal: Goal) -> Mind:
        """Forget what no stage asks for any more, so that more states are alike."""
        view = self.view(mind)
        if view.past(goal.replaces):  # nothing is rotated any more, so that the age of a look does not matter
            mind = mind._replace(recent=(True,) * len(mind.recent))
        deposited = view.store is not None and view.store.get(goal.entry) is not None
        if deposited:  # the proof was tried on the old material
            proofs = tuple(proof for proof in mind.notes.proofs if proof[1] != goal.replaces)
            mind = mind._replace(notes=mind.notes._replace(proofs=proofs))
        return mind

    def _pinned(self, mind: Mind) -> Mind:
        if None in (*mind.seen[: self.known(mind)], mind.seen[-1]):
            return mind
        pinned = self.pin(self.view(mind), self.policy)
        if isinstance(pinned, Goal):
            return mind._replace(goal=pinned, notes=self.noted(memory.begin(pinned, self.view(mind)).memory))
        if isinstance(pinned, Idle):
            return _over(mind, "idle", ())
        waits = [self.index(name) for step in pinned if isinstance(step, Wait) for name in step.look]
        if waits and all(mind.seen[at] == SILENT for at in waits):
            return _over(mind, "failed", [str(step.reason) for step in pinned if isinstance(step, Wait)])
        if again := [at for at in waits if mind.seen[at] != SILENT]:
            return mind._replace(seen=tuple(None if at in again else found for at, found in enumerate(mind.seen)))
        turn = judge(pinned, Run(a_stand_in(self.policy), Memory()), NOW)
        return _over(mind, turn.status, [str(block.reason) for block in turn.blocks])

    def _free(self, mind: Mind, action: Action) -> bool:
        """Whether an action may begin: its target is as it was seen; before a rotation, everything is."""
        busy = mind.dirty | mind.looking | self._acted_on(mind)
        return not busy if isinstance(action, RotateOnDemand) else self.target(action) not in busy

    def _acted_on(self, mind: Mind) -> frozenset[int]:
        return frozenset(self.target(call.action) for call in mind.acting)

    def _ended(self, mind: Mind, turn: Turn) -> Mind:
        return _over(mind, turn.status, [str(block.reason) for block in turn.blocks])

    # ---- the shipping values that it stands for ----

    def turn(self, mind: Mind) -> Turn:
        """What `decide` says."""
        return decide(self.stages, self.view(mind), self.run(mind), NOW)

    def run(self, mind: Mind) -> Run:
        """The run of a pinned goal."""
        assert mind.goal is not None
        return Run(mind.goal, mind.notes.memory())

    def view(self, mind: Mind) -> View:
        """All that was seen, as values of the shipping model."""
        regions = {
            REGIONS[target]: _region(
                target,
                self.regions,
                found,
                RECENTLY if mind.recent[target] else A_WHILE_AGO,
                target in mind.newer,
                self.lasts,
            )
            for target, found in enumerate(mind.seen[:-1])
            if isinstance(found, Seen) and found not in (NO_KEY, SILENT)
        }
        failures: dict[str, LookFailure] = {
            REGIONS[target]: LookFailure(
                REGIONS[target], RECENTLY, found.key_state, transient=found == SILENT, not_found=found == NO_KEY
            )
            for target, found in enumerate(mind.seen[:-1])
            if found in (NO_KEY, SILENT) and isinstance(found, Seen)
        }
        view = View(KEY, NOW, regions, failures=failures)
        found = mind.seen[-1]
        if found is None or isinstance(found, Seen):
            return view
        at = RECENTLY if mind.recent[-1] else A_WHILE_AGO
        return replace(view, store=_store(found, at))


@cache
def a_stand_in(policy: Policy) -> Goal:
    """A goal for what is said before any is pinned."""
    return Goal(KEY, EntryName(KEY.identity, None), KEY.region, frozenset(), None, NOW + policy.deadline, policy)


def _over(mind: Mind, end: str, reasons: Sequence[str]) -> Mind:
    """Forget all but how it ended: nothing else matters any more."""
    targets = len(mind.seen)
    return Mind((None,) * targets, (False,) * targets, end=end, reasons=frozenset(reasons))


def _may_be_behind(region: int, seen: Snapshot | None, store: Snapshot | None) -> bool:
    """Whether it matters that the store was looked at before a Region: it may say more of what that lists by now."""
    if not isinstance(seen, Seen) or store is None or isinstance(store, Seen):
        return seen is not None
    if any(kept.attempt == -1 - region and kept.discarded for kept in store):
        return True
    known = {kept.material for kept in store if kept.linked}
    return seen.key_state == "PendingImport" or any(row.material not in known for row in seen.rows)


def _put(items: tuple, index: int, new: object) -> tuple:
    return (*items[:index], new, *items[index + 1 :])


@cache
def _region(region: int, regions: int, seen: Seen, at: datetime, newer: bool, lasts: datetime | None) -> RegionView:
    rows = tuple(
        MaterialRow(
            MaterialId(row.material),
            MaterialState(row.state),
            row.imported,
            valid_to=LONG_AGO if row.expired else SOON if row.ending else lasts,
            rotated_at=(LONG_AGO if row.material in "za" else NOW - timedelta(minutes=5)) if row.rotated_in else None,
            on_demand=row.rotated_in,
        )
        for row in seen.rows
    )
    at = at + A_MOMENT if newer else at
    return RegionView(
        KEY.within(REGIONS[region]),
        at,
        KeyState(seen.key_state),
        LONG_AGO,
        multi_region=regions > 1,
        primary=REGIONS[seen.primary],
        members=frozenset(REGIONS[: seen.members]),
        rows=rows,
        rotation_started_at=NOW - timedelta(minutes=1) if seen.rotation_shows else None,
        told_at=at,
    )


_WHEN = {NOT: None, JUST_NOW: NOW, GIVEN_UP: NOW - QUARTER}


@cache
def _store(store: Store, at: datetime) -> StoreView:
    entries, withdrawn_at, off = [], None, {}
    for kept in store:
        if kept.attempt < 0 and kept.discarded:
            off[REGIONS[-1 - kept.attempt]] = at + A_MOMENT / 2
        if kept.attempt == 0:
            withdrawn_at = _WHEN[kept.discarded]
        if kept.attempt <= 0:
            continue
        name = EntryName(KEY.identity, MaterialId(kept.replaces) if kept.replaces else None, kept.attempt)
        linked = MaterialId(kept.material) if kept.linked else None
        given_up = _WHEN[kept.discarded]
        proofs = dict.fromkeys(REGIONS, Proof.FULL) if kept.proven else {}
        claimed = MaterialId(kept.claim) if kept.claim and not linked else None
        entries.append(
            Entry(
                name,
                Receipt(name, at),
                linked=linked,
                claimed=claimed,
                proofs=proofs,
                probe=kept.probe,
                discarded_at=given_up,
            )
        )
    return StoreView(at, tuple(entries), withdrawn_at, switched_off=off)
