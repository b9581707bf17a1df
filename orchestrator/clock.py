"""The time of this machine."""

from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any


class SystemClock:
    """Clock of the machine; waiting is interrupted by whatever arrives in the inbox, a stop included."""

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return datetime.now(UTC)

    def receive(self, inbox: "SimpleQueue[Any]", until: datetime, *, busy: bool) -> Any | None:  # noqa: ARG002
        """Wait for the next thing in the inbox, or until a time."""
        seconds = (until - self.now()).total_seconds()
        try:
            return inbox.get(timeout=max(seconds, 0.001))
        except Empty:
            return None
