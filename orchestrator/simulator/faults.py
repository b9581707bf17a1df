"""Faults on command: errors, lost replies, reset connections and slow answers, by operation, Region and number."""

from collections.abc import Collection
from itertools import count
from threading import Lock
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.simulator.checked import Checked, checked
from orchestrator.simulator.errors import STATUS, THROTTLED, ServiceError
from orchestrator.simulator.regions import known_regions
from orchestrator.simulator.sts import ACTIONS
from orchestrator.simulator.wire import operation_names

Drop = Literal["before", "after"]
_From1 = Annotated[int, Field(ge=1)]


class ConnectionDropped(Exception):  # noqa: N818 - not an error of ours: the reply is withheld on purpose
    """Raised through the simulator when a fault says that the client gets no reply."""


class Fault(Checked):
    """One rule; a rule counts the calls that match its operation and Region (left out: all), from 1.

    `error` answers with that code, before the effect unless `after_effect`; `drop` resets the connection
    before or after the effect; `delay` is in seconds of real time and adds to either.
    """

    operation: str | None = None
    region: str | None = None
    calls: list[_From1] | None = Field(None, strict=False)
    times: _From1 | None = None
    error: Annotated[str, Field(min_length=1)] | None = None
    message: str | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    drop: Drop | None = None
    delay: Annotated[float, Field(ge=0, le=3600)] = 0.0
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
        if self.error is None and self.drop is None and not self.delay:
            raise ValueError("a fault needs an error, a drop or a delay")
        if self.error is None and (self.message is not None or self.status is not None or self.after_effect):
            raise ValueError("message, status and after_effect go with an error")
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
        """Add a rule (see Fault) and return its number; without calls and times it holds until removed.

        ValueError for a rule that makes no sense.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return self.enter(checked(Fault, given))

    def enter(self, rule: Fault) -> int:
        """Put a rule in force and return its number."""
        with self._lock:
            number = next(self._numbers)
            self._rules[number] = rule
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
            for number, rule in self._rules.items():
                if rule.matches(operation, region):
                    self._seen[number] += 1
                    if struck is None and rule.strikes(self._seen[number]):
                        struck = rule
        return struck

    def in_force(self) -> list[dict[str, Any]]:
        """Return the rules with their numbers, as plain data."""
        with self._lock:
            return [rule.as_json(number) for number, rule in self._rules.items()]
