"""What is the simulator's own at /_simulator/...: its clock, its faults and its record of calls."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from orchestrator.simulator.checked import Checked, checked
from orchestrator.simulator.errors import ClockNotOwnedError, ServiceError, invalid, not_found
from orchestrator.simulator.faults import Fault
from orchestrator.simulator.simulator import Simulator
from orchestrator.simulator.timing import CENTURY

PREFIX = "/_simulator/"

Handler = Callable[[Simulator, Any], dict[str, Any]]


class _Nothing(Checked):
    """An order that takes no words."""


class _ClockOrder(Checked):
    """Move the clock forward by so many seconds, stop it, or let it run on."""

    advance: Annotated[float, Field(ge=0, le=CENTURY)] | None = None
    freeze: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.advance is None and self.freeze is None:
            raise ValueError("advance (seconds) or freeze (true or false) is needed")
        return self


class _FaultNumber(Checked):
    """One rule, or none named: all."""

    number: Annotated[int, Field(ge=1)] = 0


class _CallsAfter(Checked):
    """The number of the last call that is known already; from a query string, so text."""

    after: Annotated[int, Field(ge=0, strict=False)] = 0


def control(simulator: Simulator, method: str, path: str, body: Any) -> dict[str, Any]:
    """Answer a control request; NotFoundException and ValidationException say what is there and what is wrong."""
    known = _HANDLERS.get((method, path.removeprefix(PREFIX).strip("/")))
    if known is None:
        there = ", ".join(sorted(f"{method} {PREFIX}{name}" for method, name in _HANDLERS))
        raise not_found(f"there is {there}")
    if not isinstance(body, dict):
        raise invalid("the body is one JSON object")
    order, handler = known
    try:
        return handler(simulator, checked(order, body))
    except (ValueError, ClockNotOwnedError) as error:
        raise ServiceError("ValidationException", str(error)) from error


def _get_clock(simulator: Simulator, _: _Nothing) -> dict[str, Any]:
    return {"now": simulator.clock()}


def _move_clock(simulator: Simulator, order: _ClockOrder) -> dict[str, Any]:
    simulator.move_clock(order.advance or 0.0, freeze=order.freeze)
    return {"now": simulator.clock()}


def _get_faults(simulator: Simulator, _: _Nothing) -> dict[str, Any]:
    return {"faults": simulator.faults.in_force()}


def _add_fault(simulator: Simulator, rule: Fault) -> dict[str, Any]:
    return {"number": simulator.faults.enter(rule)}


def _clear_faults(simulator: Simulator, order: _FaultNumber) -> dict[str, Any]:
    if order.number:
        simulator.faults.remove(order.number)
    else:
        simulator.faults.clear()
    return {}


def _get_calls(simulator: Simulator, order: _CallsAfter) -> dict[str, Any]:
    return {"calls": [call.as_json() for call in simulator.calls if call.number > order.after]}


def _clear_calls(simulator: Simulator, _: _Nothing) -> dict[str, Any]:
    simulator.calls.clear()
    return {}


_HANDLERS: Mapping[tuple[str, str], tuple[type[Checked], Handler]] = {
    ("GET", "clock"): (_Nothing, _get_clock),
    ("POST", "clock"): (_ClockOrder, _move_clock),
    ("GET", "faults"): (_Nothing, _get_faults),
    ("POST", "faults"): (Fault, _add_fault),
    ("DELETE", "faults"): (_FaultNumber, _clear_faults),
    ("GET", "calls"): (_CallsAfter, _get_calls),
    ("DELETE", "calls"): (_Nothing, _clear_calls),
}
