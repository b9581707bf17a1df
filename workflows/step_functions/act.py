"""`act`: see, decide again what one stage misses, and do that. An action is never taken from the input.

So a state that is redriven, retried or delivered twice does what is missing then, and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import timedelta
from functools import wraps

from orchestrator import memory
from orchestrator.compose import Engine
from orchestrator.decide import decide
from orchestrator.durations import spoken
from orchestrator.model import (
    STORE,
    Act,
    Action,
    ImportMaterial,
    ImportType,
    Memory,
    Outcome,
    Result,
    RotateOnDemand,
    Run,
    Stage,
    Step,
    View,
    name_of,
)
from orchestrator.perform import Carrying
from orchestrator.progress import Job, Progress
from orchestrator.sending import Timely
from workflows.step_functions import seeing
from workflows.step_functions.errors import TooLittleTime
from workflows.step_functions.travel import Json, State, changed, memory_json

LONGEST = 150.0
"""Seconds that an import of new material may take: its parameters, with retries, and the call, each once more."""

_ONE_CALL = 30.0


def act(
    engine: Engine,
    job: Job,
    state: State,
    stage: str,
    target: str | None,
    executor: Executor,
    remaining: Callable[[], float],
) -> Json:
    """Do what `stage` misses, in one Region or the store, or wherever it misses something; return a note of it.

    Raises TooLittleTime, with nothing begun, where `remaining` seconds might not suffice.
    """
    if state.goal is None:
        return _note(Memory(), Memory(), {})
    run = Run(state.goal, state.memory)
    progress = Progress(job, engine.clock.now(), run=run)
    stages = job.stages
    if target is None or target == STORE:
        seeing.everything(engine, progress, executor)
    else:
        near = {run.goal.primary, target}
        seeing.some(engine, progress, executor, near)
        seeing.some(engine, progress, executor, [STORE])
        stages = [_about(stage, near) for stage in job.stages]
    now = engine.clock.now()
    turn = decide(stages, progress.view(now), run, now)
    wanted = turn.act if turn.stage == stage else ()
    actions = [action for action in wanted if target in (None, action.target)]
    if problems := [problem for action in actions if (problem := _too_little(action, remaining()))]:
        raise TooLittleTime("; ".join(problems), "give the function a longer timeout")
    groups = [[action for action in actions if action.target == one] for one in sorted({a.target for a in actions})]

    def perform(action: Action) -> Outcome:
        by = progress.good_until(action, now)
        return engine.perform(action, lambda: now <= engine.clock.now() <= by)

    done = executor.map(lambda group: _in_order(perform, group, remaining), groups)
    outcomes = {action: outcome for group in done for action, outcome in group.items()}
    return _note(run.memory, _after(run, outcomes, engine).memory, outcomes, len(state.turn.get("act", ())))


def _in_order(
    perform: Callable[[Action], Outcome], actions: Sequence[Action], remaining: Callable[[], float]
) -> dict[Action, Outcome]:
    """Carry out what one target misses, one after the other, up to the first that fails, or while there is time."""
    outcomes: dict[Action, Outcome] = {}
    for action in actions:
        if remaining() < max(_ONE_CALL, needed(action)):
            break
        outcomes[action] = perform(action)
        if outcomes[action].result is Result.FAILED:
            break
    return outcomes


def _about(stage: Stage, near: set[str]) -> Stage:
    """Judge a stage by the primary and one replica alone: what other Regions miss does not hold this one up (I10)."""

    @wraps(stage)
    def judged(view: View, run: Run) -> Sequence[Step]:
        return [step for step in stage(view, run) if _concerns(step, near)]

    return judged


def _concerns(step: Step, near: set[str]) -> bool:
    if isinstance(step, Act):
        return step.action.target in {*near, STORE}
    return step.region is None or step.region in near


def _after(run: Run, outcomes: dict[Action, Outcome], engine: Engine) -> Run:
    now = engine.clock.now()
    for action, outcome in outcomes.items():
        run = memory.learned(memory.sending(run, action, now), action, outcome, now)
    return run


def _note(before: Memory, after: Memory, outcomes: Mapping[Action, Outcome], among: int = 0) -> Json:
    """Note what an act changed in the memory, as small as that is."""
    names = {name_of(action) for action in outcomes}
    mended = [name for name in before.failed if name in names and name not in after.failed]
    return {"mended": mended, "memory": memory_json(changed(before, after), among)}


def in_time(perform: Carrying, remaining: Callable[[], float]) -> Carrying:
    """Fail, for now, what cannot be taken back where less time, in seconds, remains than it may take."""

    def carried_out(action: Action, timely: Timely = lambda: True) -> Outcome:
        problem = _too_little(action, remaining())
        return Outcome(Result.FAILED, problem) if problem else perform(action, timely)

    return carried_out


def _too_little(action: Action, remaining: float) -> str:
    """Say why an action may not be begun; nothing where it may."""
    if remaining >= needed(action):
        return ""
    return f"{action.kind} in {action.target} may take {_s(needed(action))}, and {_s(remaining)} remain"


def _s(seconds: float) -> str:
    return spoken(timedelta(seconds=int(seconds)))


def needed(action: Action) -> float:
    """Tell how many seconds an action may take that must not be cut off; 0 for one that may be."""
    match action:
        case ImportMaterial(import_type=ImportType.NEW):
            return LONGEST
        case RotateOnDemand():
            return _ONE_CALL
        case _:
            return _ONE_CALL if action.kind.startswith("delete") else 0.0
