"""The time of this machine, and whether somebody set it meanwhile."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""What nobody can set; where the system has it, the one that goes on while the machine sleeps."""


def _elapsed() -> float:
    return time.clock_gettime(_UPTIME)


class SystemClock:
    """Clock of the machine; waiting is interrupted by whatever arrives in the inbox, a stop included.

    It tells the wall clock's time, by which AWS's signatures are made, and how far that has moved against uptime.
    """

    def __init__(
        self, read: Callable[[], datetime] = lambda: datetime.now(UTC), elapsed: Callable[[], float] | None = None
    ) -> None:
        self._elapsed = elapsed or _elapsed
        self._read = read
        self._read_at = read()
        self._elapsed_then = self._elapsed()

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return self._read()

    def drift(self) -> timedelta:
        """Tell how far the wall clock has gone ahead of uptime since this was made: it was set, or all stood still."""
        return self._read() - self._read_at - timedelta(seconds=self._elapsed() - self._elapsed_then)

    def receive(self, inbox: "SimpleQueue[Any]", until: datetime, *, busy: bool) -> Any | None:  # noqa: ARG002
        """Wait for the next thing in the inbox, or until a time; never for long, as the clock may be set meanwhile."""
        seconds = min((until - self.now()).total_seconds(), _LONGEST_WAIT)
        try:
            return inbox.get(timeout=max(seconds, 0.001))
        except Empty:
            return None


_LONGEST_WAIT = 10.0
