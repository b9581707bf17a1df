"""`decide`: the first stage that misses something, as one turn. Pure: no I/O, no clock, no randomness."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.checks import unusable
from orchestrator.durations import spoken
from orchestrator.looks import or_look, wrong_clock
from orchestrator.memory import wait_name
from orchestrator.model import (
    Act,
    Action,
    Block,
    KeepProbe,
    Reason,
    Region,
    Run,
    Stage,
    Step,
    Turn,
    View,
    Wait,
    name_of,
)

_TELLING = timedelta(seconds=30)


def decide(stages: Sequence[Stage], view: View, run: Run, now: datetime) -> Turn:
    """Find the first stage with something missing, and say what to do about it."""
    seen_now = replace(view, at=now)
    if wrong := wrong_clock(seen_now):
        return _turn("located", wrong, run, now)
    for stage in stages:
        if steps := stage(seen_now, run):
            fresh = [or_look(step, seen_now, run.goal) for step in steps]
            return _with_what_is_dead(_turn(name_of_stage(stage), fresh, run, now), seen_now, run)
    return Turn("done", "finished")


def _with_what_is_dead(turn: Turn, view: View, run: Run) -> Turn:
    """Tell of a failed run, too, in which Regions the key cannot be used: no other news is worse."""
    if turn.status != "failed":
        return turn
    told = {block.region for block in turn.blocks if block.reason is Reason.MATERIAL_MISSING}
    dead = [step for step in unusable(view, run.goal.policy) if isinstance(step, Block) and step.region not in told]
    return replace(turn, blocks=worst_first((*turn.blocks, *(replace(block, person=False) for block in dead))))


def judge(steps: Sequence[Step], run: Run, now: datetime) -> Turn:
    """Say what follows from steps that stand outside any stage: those of pinning."""
    return _turn("located", steps, run, now)


def name_of_stage(stage: Stage) -> str:
    """Return the name that the journal, the plan and the screen use for a stage."""
    return str(getattr(stage, "__name__", stage))


def _turn(stage: str, steps: Sequence[Step], run: Run, now: datetime) -> Turn:
    failed = run.memory.failed
    actions = [step.action for step in steps if isinstance(step, Act)]
    given_up = [action for action in actions if (f := failed.get(name_of(action))) and f.final]
    later = [action for action in actions if (f := failed.get(name_of(action))) and not f.final and f.not_before > now]
    act = tuple(action for action in actions if action not in given_up and action not in later)
    waits = [step for step in steps if isinstance(step, Wait)]
    over = [wait for wait in waits if _over(stage, wait, run, now)]
    live = (*(wait for wait in waits if wait not in over), *(_backoff(action, run) for action in later))
    blocks = (
        *(step for step in steps if isinstance(step, Block)),
        *(_given_up(action, run) for action in given_up),
        *(_lost_patience(wait) for wait in over),
    )
    if now >= run.goal.deadline:
        late = tuple(wait.over for wait in live if wait.over is not None and _long(stage, wait, run, now))
        return _ended(stage, (*blocks, *(late or (_too_late(stage, live, run),))), live)
    if not act and not live:
        return _ended(stage, blocks, ())
    blocks = worst_first(blocks)
    look = tuple(dict.fromkeys(target for wait in live for target in wait.look))
    return Turn(stage, "going", act, look, _wake(stage, live, run, now), live, blocks)


def _over(stage: str, wait: Wait, run: Run, now: datetime) -> bool:
    since = run.memory.waiting.get(wait_name(stage, wait))
    return since is not None and now - since >= wait.at_most


def _long(stage: str, wait: Wait, run: Run, now: datetime) -> bool:
    """Whether a wait that the deadline cuts short has lasted long enough to say why it was in vain."""
    since = run.memory.waiting.get(wait_name(stage, wait))
    return since is not None and now - since >= min(wait.at_most, _TELLING)


def _backoff(action: Action, run: Run) -> Wait:
    """Turn a failed action into a wait: the world is looked at again before it is decided anew (I4)."""
    failure = run.memory.failed[name_of(action)]
    patience = run.goal.policy.deadline
    region = Region(action.target) if action.target in run.goal.members else None
    # A probe goes into the store, but why it could not be made shows in its Region.
    asked = (action.arn.region,) if isinstance(action, KeepProbe) else ()
    return Wait(Reason.CALL_FAILED, failure.message, region, patience, look=(action.target, *asked))


def _given_up(action: Action, run: Run) -> Block:
    failure = run.memory.failed[name_of(action)]
    region = Region(action.target) if action.target in run.goal.members else None
    way = failure.hint or "mend the cause and run again: the run resumes where it stands"
    return Block(Reason.CALL_FAILED, failure.message, way, region, person=failure.person)


def _lost_patience(wait: Wait) -> Block:
    if wait.over is not None:
        return wait.over
    message = f"waited {spoken(wait.at_most)} in vain: {wait.message}"
    return Block(wait.reason, message, "run again: the run resumes where it stands", wait.region, person=False)


def _too_late(stage: str, waits: Iterable[Wait], run: Run) -> Block:
    reasons = "; ".join(wait.message for wait in waits)
    patience = spoken(run.goal.policy.deadline)
    message = f"the deadline of {patience} passed in stage {stage}" + (f": {reasons}" if reasons else "")
    return Block(Reason.TOO_LATE, message, "run again: the run resumes where it stands", person=False)


def _ended(stage: str, blocks: tuple[Block, ...], waits: tuple[Wait, ...]) -> Turn:
    status: Literal["blocked", "failed"] = "blocked" if any(block.person for block in blocks) else "failed"
    return Turn(stage, status, waits=waits, blocks=worst_first(blocks))


_WORST = (
    Reason.MATERIAL_MISSING,
    Reason.SWITCHED_OFF,
    Reason.KEY_STATE,
    Reason.DISABLED,
    Reason.EXPIRES_SOON,
    Reason.FOREIGN_CURRENT,
)


def worst_first(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Order what is told: what cannot be used, then what soon cannot, then the rest; each thing once."""
    rank = {reason: number for number, reason in enumerate(_WORST)}
    return tuple(sorted(dict.fromkeys(blocks), key=lambda block: rank.get(block.reason, len(_WORST))))


def _wake(stage: str, waits: Iterable[Wait], run: Run, now: datetime) -> datetime:
    """Look again after one poll interval, or sooner where a bound of patience falls earlier."""
    bounds = (run.memory.waiting.get(wait_name(stage, wait), now) + wait.at_most for wait in waits)
    return min((now + run.goal.policy.poll, run.goal.deadline, *bounds))
