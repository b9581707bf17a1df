"""One key on its way through the runner: what was seen, what is under way, and the run so far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.decide import name_of_stage
from orchestrator.durations import spoken
from orchestrator.goals import Pinned
from orchestrator.looks import FRESH, rounded, seen_for, stands_on
from orchestrator.model import (
    STORE,
    Action,
    Block,
    EntryName,
    Goal,
    ImportMaterial,
    KeyArn,
    LookFailure,
    MaterialId,
    Memory,
    Policy,
    Proof,
    Purpose,
    Region,
    RegionView,
    Run,
    Stage,
    StoreView,
    Turn,
    View,
    short,
    touched,
)

Status = Literal["finished", "idle", "blocked", "failed", "interrupted", "error"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for one key: its name for people, the stages, how to pin the goal, and what to say at the end.

    A job that `judges` nothing only shows what is there, whatever this machine's clock says.
    """

    name: str
    key: KeyArn
    policy: Policy
    stages: Sequence[Stage]
    pin: Callable[[View], Pinned]
    done: str = ""
    judges: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """How the run of one key ended, and where the key stands. Never a bare boolean."""

    job: Job
    status: Status
    stage: str
    message: str
    blocks: tuple[Block, ...] = ()
    view: View | None = None
    run: Run | None = None
    done: tuple[Action, ...] = ()


def named(blocks: Sequence[Block], name: str) -> tuple[Block, ...]:
    """Put the key's name into the commands that the blocks advise."""
    return tuple(replace(block, way_out=block.way_out.replace("NAME", name)) for block in blocks)


LOOKED = "looked, and did nothing"


def told(job: Job, run: Run | None, blocks: Sequence[Block], done: Sequence[Action] = ()) -> str:
    """Say how a run ended: the worst news first; what was brought back is never told as anything less (I13)."""
    regions = ", ".join(sorted(run.memory.restored)) if run else ""
    restored = [f"brought back key material that was missing in {regions}"] if regions else []
    later = {action.target for action in done if isinstance(action, ImportMaterial) and action.purpose is Purpose.RENEW}
    restored += [f"renewed key material in {', '.join(sorted(later))}"] if later else []
    if blocks:
        return "; ".join([*(block.message for block in blocks), *restored])
    return "; ".join([*restored, *_rotated_before(job, run), in_good_order(job, run)])


def _rotated_before(job: Job, run: Run | None) -> list[str]:
    """Say that a run that was asked to rotate finished an earlier rotation instead (I6)."""
    asked = bool(job.stages) and name_of_stage(job.stages[-1]) == "proven"
    rotated = run is not None and (run.memory.rotation_seen or may_have_rotated(run))
    return ["an earlier rotation was unfinished, and this run rotated nothing more"] if asked and not rotated else []


def may_have_rotated(run: Run) -> bool:
    """Whether this run sent a rotation: KMS may have taken one that got no answer (I13)."""
    return run.memory.rotation_sent is not None or any(name.startswith("rotate:") for name in run.memory.failed)


def in_good_order(job: Job, run: Run | None) -> str:
    """Say what a run came to, and claim no proof that was not made."""
    if job.done or not job.stages:
        return job.done or LOOKED
    last = name_of_stage(job.stages[-1])
    if last not in {"proven", "clean", "replaced", "sound"}:
        return f"stopped after stage {last}, as asked{_goes_on(last, run)}"
    if job.policy.proof is Proof.OFF:
        return "settled in every Region (proof: off, so that nothing was tried)"
    if run is None or not run.memory.proofs:
        return "settled in every Region; CURRENT was proven before"
    if job.policy.proof is not Proof.FULL:
        return "settled in every Region; each encrypts under CURRENT (proof: ids-only opens nothing)"
    if not run.memory.unopened:
        return f"settled in every Region, and proven: {_tried(run)} opens what every generation encrypted"
    ids = ", ".join(sorted(short(MaterialId(one)) for one in run.memory.unopened))
    return f"settled in every Region; proven for every generation but {ids} (no ciphertext of it is kept to open)"


def _goes_on(last: str, run: Run | None) -> str:
    """Say what comes next of a rotation that was begun: whoever stops before it may think that nothing does."""
    if run is None or last not in {"deposited", "primary_imported", "replicas_imported", "ready"}:
        return ""
    return ": the next `mrk run`, or `mrk rotate`, goes on with it, and rotates; `mrk abort` gives it up"


def _tried(run: Run) -> str:
    """Name the Regions that were asked for a proof by this run."""
    regions = sorted(run.memory.proofs)
    return "each" if set(regions) >= run.goal.members else ", ".join(regions)


def interrupted(turn: Turn | None, run: Run | None) -> str:
    """Say where an interrupted run stands."""
    stage = turn.stage if turn else "located"
    if run is not None and run.memory.rotation_sent is not None:
        return f"stopped in stage {stage}; the rotation was accepted, and KMS goes on with it; run again to finish"
    if run is not None and may_have_rotated(run):
        return f"stopped in stage {stage}; the rotation was sent, and may have been accepted; run again to finish"
    return f"stopped in stage {stage}; nothing is in flight; run again to resume"


def clock_was_set(step: timedelta) -> str:
    """Say that nothing goes on by a time that has changed: a rerun derives from KMS where the key stands."""
    how = "ahead" if step > timedelta() else "back"
    return (
        f"the clock was set {how} by {rounded(abs(step))} during the run, or this machine stood still:"
        " run again, which resumes"
    )


def overdue(progress: "Progress") -> str:
    """Say which calls did not come back in time."""
    waited_for = ", ".join(sorted({*progress.looking, *progress.acting})) or "import parameters"
    return f"the deadline passed, and calls to {waited_for} did not come back; run again: it looks at what came of them"


LONGEST_WAIT = timedelta(seconds=30)
"""How long one look at a Region is waited for; less in a run that has less time."""


@dataclass(slots=True)
class Asked:
    """When a look was asked for, and when a worker began with it."""

    at: datetime
    begun: datetime | None = None


@dataclass(slots=True)
class Progress:
    """The runner's notes of one key. Losing them costs time only: the position is derived from the world."""

    job: Job
    begun: datetime
    seen: dict[Region, RegionView] = field(default_factory=dict)
    store: StoreView | None = None
    failures: dict[str, LookFailure] = field(default_factory=dict)
    looked: dict[str, datetime] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    looking: set[str] = field(default_factory=set)
    asked: dict[str, Asked] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    acting: dict[str, Action] = field(default_factory=dict)
    fetching: int = 0
    wake: datetime | None = None
    patience: Memory = field(default_factory=Memory)
    run: Run | None = None
    turn: Turn | None = None
    done: list[Action] = field(default_factory=list)
    stepped: timedelta | None = None
    verdict: Turn | None = None

    def clock_was_set(self, step: timedelta, *, far: bool) -> None:
        """Let nothing count that was seen before; where the clock is `far` off now, or was, nothing goes on."""
        self.begun += step
        self.stepped = step if far else self.stepped
        targets = {*self.seen, *([STORE] if self.store else []), *self.failures}
        self.dirty |= targets - self.looking - set(self.acting)
        self.looked.clear()
        self.asked = {target: Asked(asked.at + step) for target, asked in self.asked.items()}

    def view(self, now: datetime) -> View:
        """Put together what was seen."""
        return View(self.job.key, now, dict(self.seen), self.store, dict(self.failures))

    @property
    def busy(self) -> set[str]:
        """The targets that are not as they were seen, or may soon not be."""
        return self.dirty | self.looking | set(self.acting)

    @property
    def awaited(self) -> set[str]:
        """The looks that are waited for: all that are under way but those that take too long."""
        return self.looking - self.late

    @property
    def waits(self) -> bool:
        """Whether any call is under way that is waited for."""
        return bool(self.awaited or self.acting or self.fetching)

    @property
    def longest(self) -> timedelta:
        """How long a look is waited for: no Region's silence may take the time in which others are helped (I10)."""
        deadline = self.job.policy.deadline
        return min(LONGEST_WAIT, deadline / 4 if self.job.stages else deadline)

    def overdue(self, now: datetime, answered: Mapping[str, datetime]) -> set[str]:
        """Name the Regions that are not waited for any longer; a look that queues waits as long as others come back."""
        found = set()
        for target in self.awaited - {STORE}:
            asked = self.asked.get(target, Asked(now))
            since = asked.begun or max(asked.at, answered.get(target, asked.at))
            if now - since > self.longest:
                found.add(target)
        return found

    def wait_no_longer(self, target: str, now: datetime) -> LookFailure:
        """Go on without a Region; what its look shows is taken in all the same, whenever it comes."""
        message = f"no answer came within {spoken(self.longest)}"
        failure = LookFailure(target, now, message, transient=True)
        self.fold_look(target, failure)
        self.looking.add(target)
        self.late.add(target)
        return failure

    @property
    def under_way(self) -> bool:
        """Whether any call of this key is in flight."""
        return bool(self.looking or self.acting or self.fetching)

    def good_until(self, action: Action, now: datetime) -> datetime:
        """Tell until when an action may be sent that was decided now: while all that it stands on is fresh (I3)."""
        if self.run is None:
            return self.begun + self.job.policy.deadline
        view = self.view(now)
        seen, needed = seen_for(action, view), stands_on(action, view, self.run.goal)
        looks = [seen[target] for target in needed if target in seen]
        return min((self.run.goal.deadline, *(look + FRESH for look in looks)))

    def untouched(self, action: Action, now: datetime) -> bool:
        """Whether an action may begin: nothing that it stands on, or touches, was changed since it was looked at."""
        needed = stands_on(action, self.view(now), self.run.goal) if self.run else frozenset()
        return not self.busy & (needed | touched(action))

    def unseen(self, now: datetime) -> set[str]:
        """Name what a first look still lacks: every member that is known by now, and then the store.

        The store is asked for the materials that the Regions list: it is looked at again where those came after it.
        """
        known: set[str] = set(self.view(now).members | self.job.policy.regions | self._noted())
        regions = known - set(self.seen) - set(self.failures)
        if regions or self.awaited - {STORE}:
            return regions
        told = self.store is not None and self.store.about >= set(self.view(now).permanent_ids())
        return set() if told or STORE in self.failures else {STORE}

    def _noted(self) -> frozenset[Region]:
        """Name the Regions in which the store notes a proof, where neither the config nor a Region names any (I11)."""
        if self.seen or self.job.policy.regions or self.store is None:
            return frozenset()
        return frozenset(region for entry in self.store.entries for region in entry.proofs)

    def fold_look(self, target: str, found: RegionView | StoreView | LookFailure) -> None:
        """Take in what a look showed; a look that failed leaves nothing to judge by."""
        self.looking.discard(target)
        self.late.discard(target)
        if isinstance(found, LookFailure):
            self.failures[target] = found
            self.seen.pop(Region(target), None)
            self.store = None if target == STORE else self.store
            return
        self.failures.pop(target, None)
        if isinstance(found, StoreView):
            self.store = found
        else:
            self.seen[found.region] = found

    def located(self, now: datetime) -> Run:
        """Return the run so far, or a stand-in that carries patience while the goal is not pinned yet."""
        if self.run is not None:
            return self.run
        key, policy = self.job.key, self.job.policy
        members = self.view(now).members
        deadline = self.begun + policy.deadline
        goal = Goal(key, EntryName(key.identity, None), key.region, members, None, deadline, policy)
        return Run(goal, self.patience)
