"""Acts that did not answer: the function died, or could not be called. Each counts as a failure, with backoff. Pure.

Which action it was is not known, so it is noted for the target; a rotation is in doubt then, and noted as such (I4).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator import memory
from orchestrator.model import (
    STORE,
    Action,
    Block,
    Failed,
    MaterialId,
    Memory,
    Outcome,
    Reason,
    Region,
    Result,
    RotateOnDemand,
    Run,
)

MOST = 6
"""How often an act on one target may have no answer in one execution."""

_SUPPOSED = "the answer to the rotation did not come back"
_HINT = "see the function's log for why; then run again: a new execution goes on where the key stands"
_LONGEST_BACKOFF = timedelta(minutes=1)


def noted(run: Run, turn: Mapping[str, Any], notes: tuple[Mapping[str, Any], ...], now: datetime) -> Run:
    """Take in which acts of a turn did not answer."""
    for target, note in _by_target(turn, notes):
        if "Error" not in note:
            continue
        if (material := turn.get("rotating")) and target == run.goal.primary:
            sent = RotateOnDemand(run.goal.key.within(run.goal.primary), MaterialId(material))
            run = memory.learned(run, sent, Outcome(Result.FAILED, _SUPPOSED, doubt=True), now)
        else:
            failure = _failure(run, target, str(note["Error"]), now)
            run = replace(run, memory=replace(run.memory, failed={**run.memory.failed, _name(target): failure}))
    return run


def _by_target(
    turn: Mapping[str, Any], notes: tuple[Mapping[str, Any], ...]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Tell whose note is whose: a map notes one for each target, any other act one for all of them."""
    targets = turn.get("act", ())
    if len(notes) == len(targets):
        yield from zip(targets, notes, strict=True)
        return
    for target in targets:
        for note in notes:
            yield target, note


def _failure(run: Run, target: str, error: str, now: datetime) -> Failed:
    before = run.memory.failed.get(_name(target))
    count = before.count + 1 if before else 1
    pause = min(run.goal.policy.poll * 2 ** (count - 1), _LONGEST_BACKOFF)
    times = "once" if count == 1 else f"{count} times"
    message = f"acting on {target} had no answer {times}; the last time: {error}"
    return Failed(count, message, _HINT, now + pause, final=count >= MOST)


def _name(target: str) -> str:
    return f"unanswered:{target}:"


def of(kept: Memory, action: Action) -> Failed | None:
    """Return the failure that stands for the target of an action, if any."""
    return kept.failed.get(_name(action.target))


def blocks(kept: Memory, actions: Iterable[Action]) -> Iterator[Block]:
    """Say of which targets no answer is waited for any more."""
    for target in sorted({action.target for action in actions}):
        failure = kept.failed.get(_name(target))
        if failure is not None and failure.final:
            region = None if target == STORE else Region(target)
            yield Block(Reason.CALL_FAILED, failure.message, failure.hint, region, person=False)
