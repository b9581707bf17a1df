"""Ctrl-C, SIGTERM, and SIGHUP of a terminal that went away: the first one ends in good order whatever is under way.

SIGQUIT (Ctrl and the backslash) is left as it is, the way to end at once what does not end. By that nothing is lost
(I6).
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from orchestrator.errors import Exit
from orchestrator.written import to_json
from workflows.cli.complaints import refusal

INTERRUPTED = ("interrupted", "run again: a run resumes where it stands")
"""What is said of a command that a signal ended before it had begun anything: the message, and its hint."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_IMPORTING = "<frozen importlib"
"""How the file names of CPython's import machinery begin."""


class Stoppable(Protocol):
    """Something under way."""

    def stop(self) -> None:
        """End in good order, soon; called from a signal handler."""


def listen_from_the_start() -> None:
    """Let a signal end mrk as the contract says also while it is being loaded, or looks for credentials."""
    for number in _heard():
        signal.signal(number, _interrupt)


def _heard() -> list[signal.Signals]:
    """Name the signals that end mrk: after `nohup` a terminal that goes away does not."""
    return [number for number in _ENDING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but end at once in the midst of an import.

    There an exception is lost, or leaves the import lock held, for which every other thread then waits for ever.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            _tell()
            os._exit(Exit.INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _tell() -> None:
    """Tell of it as every command does that goes no further, and import nothing for that."""
    told, hint = INTERRUPTED
    with suppress(OSError):
        os.write(2, f"mrk: {told}\nhint: {hint}\n".encode())
    if "--json" in sys.argv and not getattr(sys.stdout, "used", False):  # one document, whatever fails after it
        with suppress(OSError):
            os.write(1, f"{to_json(refusal(Exit.INTERRUPTED, told, hint), indent=2)}\n".encode())


@contextmanager
def stopping(under_way: Stoppable) -> Iterator[None]:
    """Let the first signal stop what is under way in good order, and a second one of its kind at once."""
    numbers = _heard()
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        under_way.stop()

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
