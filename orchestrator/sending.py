"""How late a request may leave that changes something: judged as it leaves, after whatever has to come before it.

The SDK renews credentials inside the call, which may take longer than the looks are good for that it was decided by.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from orchestrator.errors import KmsError, Trouble

Timely = Callable[[], bool]
"""Tells whether what an action stands on is still fresh (I3)."""

_timely: ContextVar[Timely] = ContextVar("timely", default=lambda: True)


class TooLateError(KmsError):
    """A request was not sent, as what it was decided by had become old; nothing was changed: look again."""

    def __init__(self) -> None:
        message = "what was seen became too old to send it; looking again"
        super().__init__(message, trouble=Trouble.LOOK_AGAIN, code="NotSent")


@contextmanager
def only_while(timely: Timely) -> Iterator[None]:
    """Let requests to KMS leave only while what they stand on is fresh; raises TooLateError where that is past."""
    token = _timely.set(timely)
    try:
        check_timely()
        yield
    finally:
        _timely.reset(token)


def check_timely() -> None:
    """Refuse, right before a request leaves, what would leave too late; raises TooLateError."""
    if not _timely.get()():
        raise TooLateError
