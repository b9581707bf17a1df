"""Ctrl-C and SIGTERM: the first one ends in good order whatever is under way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Stoppable(Protocol):
    """Something under way."""

    def stop(self) -> None:
        """End in good order, soon; called from a signal handler."""


@contextmanager
def stopping(under_way: Stoppable) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM stop what is under way in good order, and a second one at once."""
    numbers = (signal.SIGINT, signal.SIGTERM)
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
