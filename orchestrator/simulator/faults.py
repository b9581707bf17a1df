"""Faults on command: errors, lost replies, reset connections and slow answers, by operation, Region and number."""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Lock
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.simulator.checked import Checked, checked
from orchestrator.simulator.errors import STATUS, THROTTLED, ServiceError
from orchestrator.simulator.regions import known_regions
from orchestrator.simulator.sts import ACTIONS
from orchestrator.simulator.wire import operation_names

Drop = Literal["before", "after"]
_From1 = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(ge=0, le=3600)]


class ConnectionDropped(Exception):  # noqa: N818 - not an error of ours: the reply is withheld on purpose
    """Raised through the simulator when a fault says that the client gets no reply."""


class Fault(Checked):
    """One rule; a rule counts the calls that match its operation and Region (left out: all), from 1.

    `error` answers with that code, before the effect unless `after_effect`; `drop` resets the connection
    before or after the effect; `delay` (before the effect) and `delay_after` (it) are seconds of real time and add to
    either.
    """

    operation: str | None = None
    region: str | None = None
    calls: Annotated[list[_From1], Field(min_length=1)] | None = Field(None, strict=False)
    times: _From1 | None = None
    error: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z][A-Za-z0-9._]*$")] | None = None
    message: str | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    drop: Drop | None = None
    delay: _Seconds = 0.0
    delay_after: _Seconds = 0.0
    after_effect: bool = False

    @field_validator("operation")
    @classmethod
    def _is_known(cls, operation: str | None) -> str | None:
        if operation is not None and operation not in operation_names() | ACTIONS:
            raise ValueError(f"there is no operation {operation!r}")
        return operation

    @field_validator("region")
    @classmethod
    def _is_there(cls, region: str | None) -> str | None:
        if region is not None and region not in known_regions():
            raise ValueError(f"there is no Region {region!r}")
        return region

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.error is None and self.drop is None and not self.delay and not self.delay_after:
            raise ValueError("a fault needs an error, a drop or a delay")
        if self.error is None and (self.message is not None or self.status is not None or self.after_effect):
            raise ValueError("message, status and after_effect go with an error")
        return self

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.error is not None and self.drop is not None:
            raise ValueError("error and drop exclude each other: a call ends in one of them")
        if self.calls is not None and self.times is not None:
            raise ValueError("calls and times exclude each other: both tell which calls are struck")
        without = self.drop == "before" or (self.error is not None and not self.after_effect)
        if self.delay_after and without:
            raise ValueError("delay_after needs an effect, which this fault prevents")
        return self

    def matches(self, operation: str, region: str) -> bool:
        """Tell whether a call is one that this rule counts."""
        return self.operation in (None, operation) and self.region in (None, region)

    def strikes(self, seen: int) -> bool:
        """Tell whether the rule applies to the so-manieth call that it counts."""
        if self.calls is not None:
            return seen in self.calls
        return self.times is None or seen <= self.times

    def answer(self, error: str) -> ServiceError:
        """Return the error; message and HTTP status, if left out, are AWS's own, as far as that is one for all."""
        usual = THROTTLED if error == "ThrottlingException" else ""
        message = usual if self.message is None else self.message
        return ServiceError(error, message, status=self.status or STATUS.get(error, 400))

    def as_json(self, number: int) -> dict[str, Any]:
        """Return the rule as plain data."""
        return {"number": number, **self.model_dump()}


@dataclass(slots=True)
class Rule:
    """A fault in force, how many calls it has counted, and the end of it, for which held calls wait."""

    fault: Fault
    seen: int = 0
    over: Event = field(default_factory=Event)


class Faults:
    """The rules in force; the first that strikes decides."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule] = {}
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
        delay_after: float = 0.0,
        after_effect: bool = False,
    ) -> int:
        """Add a rule (see Fault) and return its number; without calls and times it holds until removed.

        ValueError for a rule that makes no sense.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return self.enter(checked(Fault, given))

    def enter(self, fault: Fault) -> int:
        """Put a fault in force and return its number."""
        with self._lock:
            number = next(self._numbers)
            self._rules[number] = Rule(fault)
        return number

    def remove(self, number: int) -> None:
        """Take a rule out of force, and let go on what it holds; unknown numbers are ignored."""
        with self._lock:
            rule = self._rules.pop(number, None)
        if rule is not None:
            rule.over.set()

    def clear(self) -> None:
        """Take every rule out of force, and let go on what they hold."""
        with self._lock:
            rules, self._rules = self._rules, {}
        for rule in rules.values():
            rule.over.set()

    def release(self) -> None:
        """Let go on what is held now; the rules stay in force."""
        with self._lock:
            for rule in self._rules.values():
                rule.over.set()
                rule.over = Event()

    def strike(self, operation: str, region: str) -> Rule | None:
        """Count a call and return the rule that it meets."""
        struck: Rule | None = None
        with self._lock:
            for rule in self._rules.values():
                if rule.fault.matches(operation, region):
                    rule.seen += 1
                    if struck is None and rule.fault.strikes(rule.seen):
                        struck = rule
        return struck

    def in_force(self) -> list[dict[str, Any]]:
        """Return the rules with their numbers, as plain data."""
        with self._lock:
            return [rule.fault.as_json(number) for number, rule in self._rules.items()]
