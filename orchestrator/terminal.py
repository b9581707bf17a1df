"""Whether somebody sits at a terminal, and what keeps still there while somebody is asked."""

import sys
from threading import Lock

from orchestrator.ports import Event, Listener

ASKED, ANSWERED = "credentials.asked", "credentials.answered"
"""A person, or a program of theirs, is asked for credentials: it may have a question on the terminal."""


def watched() -> bool:
    """Whether somebody sits at a terminal."""
    return any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


class Hushed:
    """A listener on a terminal that writes nothing over a question: what happens meanwhile is told afterwards."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = Lock()
        self._asked = 0
        self._kept: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Tell of an event, or keep it while a question stands."""
        with self._lock:
            if event.kind == ASKED:
                self._asked += 1
            elif event.kind == ANSWERED:
                self._asked -= 1
            elif self._asked:
                self._kept.append(event)
                return
            self._listener(event)
            while self._kept and not self._asked:
                self._listener(self._kept.pop(0))
