"""Which Regions answer: one that does not is asked by one key at a time, and the answer is shared.

Otherwise every key with a member there would wait for the same silence, and the more keys there are, the longer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from orchestrator.errors import KmsError, Trouble
from orchestrator.model import Region

T = TypeVar("T")

_AGAIN = timedelta(seconds=5)
"""How long what one key was told is good for the others."""


@dataclass(slots=True)
class _Silence:
    """A Region that did not answer when it was last asked; `asked` while somebody asks it again."""

    error: KmsError
    at: datetime
    asked: bool = False


class Reach:
    """Asks Regions for many keys; safe to share between threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = Lock()
        self._silent: dict[Region, _Silence] = {}

    def __call__(self, region: Region, ask: Callable[[], T]) -> T:
        """Ask a Region, or raise what was seen there a moment ago: that it does not answer."""
        if (shared := self._told(region)) is not None:
            raise shared
        silent: KmsError | None = None
        try:
            return ask()
        except KmsError as error:
            silent = error if error.unanswered else None
            raise
        finally:
            self._note(region, silent)

    def _told(self, region: Region) -> KmsError | None:
        with self._lock:
            silence = self._silent.get(region)
            if silence is None:
                return None
            if silence.asked or timedelta() <= self._now() - silence.at < _AGAIN:
                return _shared(region, silence.error)
            silence.asked = True
            return None

    def _note(self, region: Region, error: KmsError | None) -> None:
        with self._lock:
            if error is None or error.trouble is not Trouble.TRANSIENT:
                self._silent.pop(region, None)
            else:
                self._silent[region] = _Silence(error, self._now())


def _shared(region: Region, error: KmsError) -> KmsError:
    """Say that a Region does not answer, without asking it again: for this key, or another."""
    return KmsError(
        f"{region} does not answer, as was seen a moment ago: {error.unanswered}",
        error.hint,
        trouble=error.trouble,
        operation=error.operation,
        region=region,
        code=error.code,
        unanswered=error.unanswered,
    )
