"""The record of every call: what was asked, of which Region and account, and what came of it; no secrets."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from threading import Lock
from typing import Any, overload

_KEPT = 100_000


@dataclass(slots=True)
class Call:
    """One call; `result` is an error code, "ok", or "dropped"; `at` in epoch seconds of the simulator's clock."""

    number: int
    operation: str
    region: str
    account: str
    parameters: dict[str, Any] = field(default_factory=dict)
    result: str = "under way"
    at: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the call as plain data."""
        return asdict(self)


class Calls(Sequence[Call]):
    """All calls in the order in which they came; the oldest are forgotten after a hundred thousand."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT)
        self._numbers = count(1)
        self._lock = Lock()

    def begin(self, operation: str, region: str, account: str, parameters: dict[str, Any], at: float) -> Call:
        """Enter a call that is about to be served."""
        with self._lock:
            call = Call(next(self._numbers), operation, region, account, parameters, at=at)
            self._calls.append(call)
        return call

    def clear(self) -> None:
        """Forget all calls; numbers go on."""
        with self._lock:
            self._calls.clear()

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        with self._lock:
            if isinstance(index, slice):
                return list(self._calls)[index]
            return self._calls[index]

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        with self._lock:
            return iter(tuple(self._calls))
