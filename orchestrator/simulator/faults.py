"""Faults on command: errors, lost replies, reset connections and slow answers, by operation, Region and number."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from itertools import count
from threading import Lock
from typing import Any, Literal

from orchestrator.simulator.errors import STATUS, THROTTLED

Drop = Literal["before", "after"]


class ConnectionDropped(Exception):  # noqa: N818 - not an error of ours: the reply is withheld on purpose
    """Raised through the simulator when a fault says that the client gets no reply."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule; a rule counts the calls that match its operation and Region, from 1.

    `error` answers with that code, before the effect unless `after_effect`; `drop` resets the connection
    before or after the effect; `delay` is in seconds of real time and adds to either.
    """

    number: int
    operation: str | None
    region: str | None
    calls: frozenset[int] | None
    times: int | None
    error: str | None
    message: str
    status: int
    drop: Drop | None
    delay: float
    after_effect: bool

    def matches(self, operation: str, region: str) -> bool:
        """Tell whether a call is one that this rule counts."""
        return self.operation in (None, operation) and self.region in (None, region)

    def strikes(self, seen: int) -> bool:
        """Tell whether the rule applies to the so-manieth call that it counts."""
        if self.calls is not None:
            return seen in self.calls
        return self.times is None or seen <= self.times

    def as_json(self) -> dict[str, Any]:
        """Return the rule as plain data."""
        return {**asdict(self), "calls": None if self.calls is None else sorted(self.calls)}


class Faults:
    """The rules in force; the first that strikes decides."""

    def __init__(self) -> None:
        self._rules: dict[int, Fault] = {}
        self._seen: dict[int, int] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def add(
        self,
        *,
        operation: str | None = None,
        region: str | None = None,
        calls: Collection[int] | None = None,
        times: int | None = None,
        error: str | None = None,
        message: str | None = None,
        status: int | None = None,
        drop: Drop | None = None,
        delay: float = 0.0,
        after_effect: bool = False,
    ) -> int:
        """Add a rule and return its number; without calls and times it holds until removed.

        Message and HTTP status, if left out, are those that AWS sends with the code, as far as that is one for all.
        """
        if error is None and drop is None and not delay:
            raise ValueError("a fault needs an error, a drop or a delay")
        if drop not in (None, "before", "after"):
            raise ValueError(f"drop is before or after (the effect), not {drop!r}")
        with self._lock:
            number = next(self._numbers)
            self._rules[number] = Fault(
                number,
                operation,
                region,
                None if calls is None else frozenset(calls),
                times,
                error,
                message if message is not None else (THROTTLED if error == "ThrottlingException" else ""),
                status or STATUS.get(error or "", 400),
                drop,
                delay,
                after_effect,
            )
            self._seen[number] = 0
        return number

    def remove(self, number: int) -> None:
        """Take a rule out of force; unknown numbers are ignored."""
        with self._lock:
            self._rules.pop(number, None)

    def clear(self) -> None:
        """Take every rule out of force."""
        with self._lock:
            self._rules.clear()

    def strike(self, operation: str, region: str) -> Fault | None:
        """Count a call and return the fault that it meets."""
        struck: Fault | None = None
        with self._lock:
            for rule in self._rules.values():
                if rule.matches(operation, region):
                    self._seen[rule.number] += 1
                    if struck is None and rule.strikes(self._seen[rule.number]):
                        struck = rule
        return struck

    def in_force(self) -> list[Fault]:
        """Return the rules."""
        with self._lock:
            return list(self._rules.values())
