"""The runner: one coordinator for one key or many. It only looks, acts and waits; `decide` says what.

Runs wake by time or by a result, whichever comes first; results are folded in as they come, so that no Region waits for
another. Nothing that was changed is acted upon before it was looked at again.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any, cast

from orchestrator import memory
from orchestrator.decide import decide, judge
from orchestrator.errors import MrkError, of_system
from orchestrator.happenings import about, came, goal, summary, waits
from orchestrator.lanes import Lanes
from orchestrator.looks import FRESH, SKEWED, wrong_clock
from orchestrator.model import (
    STORE,
    Action,
    Idle,
    KeyArn,
    LookFailure,
    Outcome,
    Reason,
    Region,
    RegionView,
    Result,
    Run,
    StoreView,
    Turn,
    touched,
)
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Carrying
from orchestrator.plan import predict
from orchestrator.ports import Clock, Event, Listener
from orchestrator.progress import (
    Asked,
    Job,
    Progress,
    Report,
    Status,
    clock_was_set,
    interrupted,
    named,
    overdue,
    told,
)
from orchestrator.sending import Timely

GRACE = timedelta(seconds=30)
"""How long after its deadline a run waits for calls that are in flight."""

STEP = timedelta(seconds=2)
"""A wall clock that moves by more than this against uptime was set: no look from before counts any more."""

Carry = Callable[[Run, Turn], tuple[Run, Turn]]


@dataclass(frozen=True, slots=True)
class _Done:
    """Something came back from the executor."""

    progress: Progress
    fold: Callable[[], None]
    error: BaseException | None = None


def _how(error: BaseException) -> tuple[Status, str]:
    """Say how a key ends by an error; what the operating system refuses is no defect of ours."""
    if isinstance(error, MrkError):
        return "failed", error.message
    if refused := of_system(error):
        return "failed", "; ".join(refused)
    return "error", f"a defect in mrk: {type(error).__name__}: {error}"


class _Stop:
    """Somebody asked to stop."""


class Runner:
    """Drives jobs to their end. `jitter` returns 0 to 1; `carry` is what happens to a run between turns.

    `lanes` has workers of its own for each Region and for the store, and others for looks than for actions, so that
    nothing waits behind a Region in which its key has no member (I10).
    """

    def __init__(
        self,
        observe: Observe,
        perform: Carrying,
        parameters: Parameters,
        clock: Clock,
        lanes: Lanes,
        listener: Listener,
        jitter: Callable[[], float] = lambda: 0.0,
        carry: Carry = lambda run, turn: (run, turn),
    ) -> None:
        self._observe = observe
        self._perform = perform
        self._parameters = parameters
        self._clock = clock
        self._lanes = lanes
        self._listener = listener
        self._jitter = jitter
        self._carry = carry
        self._drift = clock.drift()
        self._inbox: SimpleQueue[_Done | _Stop] = SimpleQueue()
        self._heap: list[tuple[datetime, int, Progress]] = []
        self._order = count()
        self._open = 0
        self._stopping = False
        self._reports: dict[int, Report] = {}
        self._answered: dict[str, datetime] = {}

    def stop(self) -> None:
        """Begin nothing more, finish the calls in flight, and report. Safe to call from a signal handler."""
        self._inbox.put(_Stop())

    def run(self, jobs: Sequence[Job]) -> tuple[Report, ...]:
        """Drive every job to its end; one that fails never stops the others (I10)."""
        self._reports.clear()
        self._heap.clear()
        all_progress = [Progress(job, self._clock.now()) for job in jobs]
        for progress in all_progress:
            self._wake_at(progress, progress.begun)
        self._open = len(all_progress)
        while self._open:
            self._turn_all_due()
            if self._open:
                self._take(self._next())
        return tuple(self._reports[id(progress)] for progress in all_progress)

    def _next(self) -> _Done | _Stop | None:
        until = self._heap[0][0] if self._heap else self._clock.now() + timedelta(seconds=1)
        busy = any(progress.under_way for _, _, progress in self._heap)
        return cast("_Done | _Stop | None", self._clock.receive(self._inbox, until, busy=busy))

    def _take(self, item: _Done | _Stop | None) -> None:
        if isinstance(item, _Stop):
            self._stopping = True
            for progress in [progress for _, _, progress in self._heap]:
                self._wake_at(progress, self._clock.now())
        elif item is not None:
            self._fold(item)

    def _fold(self, done: _Done) -> None:
        if id(done.progress) in self._reports:
            return
        if done.error is not None:
            self._end(done.progress, *_how(done.error))
            return
        done.fold()
        self._wake_at(done.progress, self._clock.now())

    def _wake_at(self, progress: Progress, when: datetime) -> None:
        """Wake one key at a time; an earlier appointment of its is forgotten."""
        progress.wake = when
        heapq.heappush(self._heap, (when, next(self._order), progress))

    def _turn_all_due(self) -> None:
        now = self._clock.now()
        self._notice_a_step()
        while self._heap and self._heap[0][0] <= now:
            when, _, progress = heapq.heappop(self._heap)
            if when == progress.wake and id(progress) not in self._reports:
                self._turn_alone(progress, now)

    def _notice_a_step(self) -> None:
        """Where somebody set the clock, look at everything anew; by a time that is far off, nothing goes on at all."""
        drift = self._clock.drift()
        step = drift - self._drift
        if abs(step) <= STEP:
            return
        self._drift = drift
        for progress in {id(progress): progress for _, _, progress in self._heap}.values():
            progress.clock_was_set(step, far=abs(step) > SKEWED)
            self._wake_at(progress, self._clock.now())

    def _turn_alone(self, progress: Progress, now: datetime) -> None:
        """Let a defect that one key brings to light stop that key alone (I10)."""
        try:
            self._turn(progress, now)
        except Exception as error:  # noqa: BLE001 - told as what it is; the other keys go on
            self._end(progress, *_how(error))

    def _turn(self, progress: Progress, now: datetime) -> None:
        """Take one turn of one key: look at what is unknown, else decide and do what was decided."""
        wake = now + progress.job.policy.poll * (1 + self._jitter() / 5)
        for target in sorted(progress.overdue(now, self._answered)):
            self._learned_of(progress, target, progress.wait_no_longer(target, now))
        if progress.waits and now >= progress.begun + progress.job.policy.deadline + GRACE:
            self._end(progress, "failed", overdue(progress))
            return
        if self._stopping:
            self._stop_one(progress, wake)
            return
        if progress.stepped is not None:
            self._end_if_idle(progress, "failed", clock_was_set(progress.stepped), wake)
            return
        if progress.verdict is not None:
            self._look_at(progress, progress.dirty)
            self._finish(progress, progress.verdict)
            self._wake_at(progress, wake)
            return
        if progress.run is None:
            wake = self._pin(progress, now) or wake
        if progress.run is not None and id(progress) not in self._reports:
            wake = self._go_on(progress, progress.run, now) or wake
        if id(progress) not in self._reports:
            self._wake_at(progress, max(wake, now + timedelta(milliseconds=1)))

    def _stop_one(self, progress: Progress, wake: datetime) -> None:
        self._end_if_idle(progress, "interrupted", interrupted(progress.turn, progress.run), wake)

    def _end_if_idle(self, progress: Progress, status: Status, message: str, wake: datetime) -> None:
        """End a key once the calls in flight have come back."""
        if progress.waits:
            self._wake_at(progress, wake)
        else:
            self._end(progress, status, message)

    def _pin(self, progress: Progress, now: datetime) -> datetime | None:
        """Look at everything once, then pin the goal."""
        unseen = (progress.unseen(now) | progress.dirty) - progress.looking
        self._look_at(progress, unseen)
        if progress.awaited:
            return None
        view = progress.view(now)
        pinned = (wrong_clock(view) if progress.job.judges else []) or progress.job.pin(view)
        if isinstance(pinned, Idle):
            self._end(progress, "idle", pinned.message)
            return None
        if not isinstance(pinned, Sequence):
            pinned = pinned.of_a_run_since(progress.begun)
            progress.run = memory.begin(pinned, view)
            named_in = progress.job.key.region
            self._tell("run.pinned", progress, region=pinned.primary, named=named_in, **goal(pinned, view))
            self._prefetch(progress, now)
            return None
        located = progress.located(now)
        turn = judge(pinned, located, now)
        progress.patience = memory.waited(located, turn, now).memory
        return self._follow(progress, turn, now)

    def _go_on(self, progress: Progress, run: Run, now: datetime) -> datetime | None:
        turn = decide(progress.job.stages, progress.view(now), run, now)
        progress.run, turn = self._carry(memory.waited(run, turn, now), turn)
        return self._follow(progress, turn, now)

    def _follow(self, progress: Progress, turn: Turn, now: datetime) -> datetime | None:
        """Do what a turn says, as far as nothing that it touches is under way or not looked at since it changed."""
        before = progress.turn
        if before is None or (before.stage, before.waits, before.status) != (turn.stage, turn.waits, turn.status):
            self._tell("turn", progress, stage=turn.stage, status=turn.status, waits=waits(turn))
        progress.turn = turn
        if turn.status != "going":
            progress.verdict = None if turn.status == "finished" else turn
            self._look_at(progress, progress.dirty)
            self._finish(progress, turn)
            return None
        for action in turn.act:
            if progress.untouched(action, now):
                self._act(progress, action, now)
        last = {target for wait in turn.waits if wait.reason is Reason.LOOKING for target in wait.look}
        again = {target for target in turn.look if self._old(progress, target, now, last=target in last)}
        self._look_at(progress, progress.dirty | again)
        return None if turn.wake is None else turn.wake + (turn.wake - now) * self._jitter() / 5

    def _old(self, progress: Progress, target: str, now: datetime, *, last: bool) -> bool:
        """Whether it is time to look at a target again: what a last look wants is looked at together, and at once."""
        looked, poll = progress.looked.get(target), progress.job.policy.poll
        return looked is None or now - looked >= (min(poll, FRESH / 2) if last else poll)

    def _finish(self, progress: Progress, turn: Turn) -> None:
        """Report, once the calls in flight have come back: whatever was changed was looked at again by then."""
        if progress.waits:
            return
        self._end(progress, cast("Status", turn.status), told(progress.job, progress.run, turn.blocks, progress.done))

    def _end(self, progress: Progress, status: Status, message: str) -> None:
        turn, now = progress.turn, self._clock.now()
        stage = turn.stage if turn else "located"
        blocks = named(turn.blocks, progress.job.name) if turn and status in {"blocked", "failed"} else ()
        report = Report(
            progress.job, status, stage, message, blocks, progress.view(now), progress.run, tuple(progress.done)
        )
        self._reports[id(progress)] = report
        self._open -= 1
        self._tell("run.ended", progress, status=status, stage=stage, message=message)

    def _prefetch(self, progress: Progress, now: datetime) -> None:
        """Fetch import parameters for every Region that will import, while other things are done."""
        if progress.run is None:
            return
        wanted = predict(progress.job.stages, progress.view(now), progress.run, now).imports
        for region in (region for region in wanted if region in progress.seen):
            arn = progress.job.key.within(region)
            progress.fetching += 1
            self._submit(progress, partial(self._fetch, progress, arn), self._lanes.acting(region))

    def _fetch(self, progress: Progress, arn: KeyArn) -> Callable[[], None]:
        self._parameters.prefetch(arn)
        return partial(self._fetched, progress)

    def _fetched(self, progress: Progress) -> None:
        progress.fetching -= 1

    def _look_at(self, progress: Progress, targets: Iterable[str]) -> None:
        """Look at targets that nothing is under way for."""
        for target in sorted(set(targets) - progress.looking - set(progress.acting)):
            progress.looking.add(target)
            progress.dirty.discard(target)
            progress.looked[target] = self._clock.now()
            progress.asked[target] = Asked(self._clock.now())
            materials = progress.view(self._clock.now()).permanent_ids()
            look = partial(self._look, progress, target, materials, progress.asked[target])
            self._submit(progress, look, self._lanes.looking(target))

    def _look(self, progress: Progress, target: str, materials: Sequence[Any], asked: Asked) -> Callable[[], None]:
        key, asked.begun = progress.job.key, self._clock.now()
        found: RegionView | StoreView | LookFailure
        if target == STORE:
            found = self._observe.store(key, materials)
        else:
            found = self._observe.region(key.within(Region(target)))
        return lambda: self._looked(progress, target, found)

    def _looked(self, progress: Progress, target: str, found: RegionView | StoreView | LookFailure) -> None:
        progress.fold_look(target, found)
        self._answered[target] = self._clock.now()
        self._learned_of(progress, target, found)

    def _learned_of(self, progress: Progress, target: str, found: RegionView | StoreView | LookFailure) -> None:
        if progress.run is not None and target != STORE:
            progress.run = memory.saw(progress.run, progress.view(self._clock.now()), Region(target))
        self._tell("look", progress, region=target, **summary(found))

    def _act(self, progress: Progress, action: Action, now: datetime) -> None:
        assert progress.run is not None  # noqa: S101 - only a pinned run acts
        progress.run = memory.sending(progress.run, action, now)
        progress.acting[action.target] = action
        self._tell("action.begun", progress, region=action.target, action=action.kind, **about(action))
        by, drift = progress.good_until(action, now), self._drift

        def timely() -> bool:
            set_meanwhile = abs(self._clock.drift() - drift) > STEP
            return not set_meanwhile and now <= self._clock.now() <= by

        work = partial(self._carried_out, progress, action, timely)
        self._submit(progress, work, self._lanes.acting(action.target))

    def _carried_out(self, progress: Progress, action: Action, timely: Timely) -> Callable[[], None]:
        """Carry out an action, unless it had to wait so long for a worker that what it was decided by is old (I3)."""
        if not timely() or id(progress) in self._reports:
            return partial(self._not_begun, progress, action)
        outcome = self._perform(action, timely)
        return lambda: self._acted(progress, action, outcome)

    def _not_begun(self, progress: Progress, action: Action) -> None:
        assert progress.run is not None  # noqa: S101 - only a pinned run acts
        progress.run = memory.not_begun(progress.run, action)
        self._ended(progress, action, Outcome(Result.SKIPPED, "it had to wait for its turn; looking again"))

    def _acted(self, progress: Progress, action: Action, outcome: Outcome) -> None:
        assert progress.run is not None  # noqa: S101 - only a pinned run acts
        progress.run = memory.learned(progress.run, action, outcome, self._clock.now())
        if outcome.result is Result.DONE:
            progress.done.append(action)
        self._ended(progress, action, outcome)

    def _ended(self, progress: Progress, action: Action, outcome: Outcome) -> None:
        del progress.acting[action.target]
        progress.dirty |= touched(action) | {STORE}
        self._tell("action.ended", progress, region=action.target, action=action.kind, **came(outcome))

    def _submit(self, progress: Progress, work: Callable[[], Callable[[], None]], executor: Executor) -> None:
        """Have work done elsewhere; what it returns is carried out here, in the coordinator's one thread."""

        def task() -> None:
            try:
                self._inbox.put(_Done(progress, work()))
            except BaseException as error:  # noqa: BLE001 - a worker's defect is the coordinator's to report
                self._inbox.put(_Done(progress, lambda: None, error))

        executor.submit(task)

    def _tell(self, kind: str, progress: Progress, *, region: str = "", **data: Any) -> None:
        self._listener(Event(self._clock.now(), kind, progress.job.name, region, data))
