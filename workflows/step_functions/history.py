"""How much of its history an execution has used. Step Functions ends one at 25,000 events, with no report of ours.

So whoever decides ends it well before that; a new execution goes on where the key stands. Counted as Step Functions
does: entering and leaving a state, and scheduling, starting and ending a task, are one event each.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

LIMIT = 25_000
"""Events that an execution may have (Step Functions, service quotas)."""

ENOUGH = 22_000
"""Events after which nothing more is begun: one more act in 33 Regions, each tried to the last, fits into the rest."""

BEGUN = 3
"""The start of an execution, and its first state."""

APPROVAL = 7
"""Asking for an approval, and taking the answer in."""

WAIT = 2
CHOICE = 2
PASS = 2
TASK = 5
RETRY = 3
_MAP = 4
_ITERATION = 2
_LOOK_AND_CHOICE = TASK + CHOICE

SHORTEST_WAIT = timedelta(seconds=1)
"""A Wait state waits whole seconds."""


def of_look(retried: int) -> int:
    """Count the look that is under way, and the choice after it."""
    return _LOOK_AND_CHOICE + RETRY * retried


def since_the_last_look(status: str, notes: Sequence[Mapping[str, Any]], *, everywhere: bool, most_retries: int) -> int:
    """Count what came after a turn: a wait, or acts, of which one that did not answer was tried to the last."""
    if status == "waiting":
        return WAIT
    acts = sum(_of_act(note, most_retries) for note in notes)
    return _MAP + acts + _ITERATION * len(notes) if everywhere else acts


def _of_act(note: Mapping[str, Any], most_retries: int) -> int:
    if "Error" in note:
        return TASK + RETRY * most_retries + PASS
    return TASK + RETRY * int(note.get("retried", 0))


def polls(deadline: timedelta, poll: timedelta) -> int:
    """Count the events of looking, and waiting, until the deadline."""
    cycle = _LOOK_AND_CHOICE + WAIT
    return cycle * int(deadline / max(poll, SHORTEST_WAIT))


def slowest(deadline: timedelta) -> timedelta:
    """Tell the poll interval with which looking until the deadline fits a history."""
    return deadline * (_LOOK_AND_CHOICE + WAIT) / ENOUGH
