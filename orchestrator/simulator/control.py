"""What is the simulator's own at /_simulator/...: its clock, its faults and its record of calls."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.simulator.errors import ClockNotOwnedError, ServiceError, invalid, not_found
from orchestrator.simulator.simulator import Simulator

PREFIX = "/_simulator/"
_FAULT_FIELDS = frozenset(
    {"operation", "region", "calls", "times", "error", "message", "status", "drop", "delay", "after_effect"}
)

Handler = Callable[[Simulator, Any], dict[str, Any]]


def control(simulator: Simulator, method: str, path: str, body: Any) -> dict[str, Any]:
    """Answer a control request; NotFoundException and ValidationException say what is there and what is wrong."""
    handler = _HANDLERS.get((method, path.removeprefix(PREFIX).strip("/")))
    if handler is None:
        known = ", ".join(sorted(f"{method} {PREFIX}{name}" for method, name in _HANDLERS))
        raise not_found(f"there is {known}")
    if not isinstance(body, dict):
        raise invalid("the body is one JSON object")
    try:
        return handler(simulator, body)
    except (TypeError, ValueError, ClockNotOwnedError) as error:
        raise ServiceError("ValidationException", str(error)) from error


def _get_clock(simulator: Simulator, _: Any) -> dict[str, Any]:
    return {"now": simulator.clock()}


def _move_clock(simulator: Simulator, body: dict[str, Any]) -> dict[str, Any]:
    if unknown := body.keys() - {"advance", "freeze"}:
        raise ValueError(f"unknown: {sorted(unknown)}; advance (seconds) and freeze (true or false) are known")
    if "freeze" in body:
        (simulator.clock.freeze if body["freeze"] else simulator.clock.resume)()
    if "advance" in body:
        simulator.advance(float(body["advance"]))
    return {"now": simulator.clock()}


def _get_faults(simulator: Simulator, _: Any) -> dict[str, Any]:
    return {"faults": [fault.as_json() for fault in simulator.faults.in_force()]}


def _add_fault(simulator: Simulator, body: dict[str, Any]) -> dict[str, Any]:
    if unknown := body.keys() - _FAULT_FIELDS:
        raise ValueError(f"unknown: {sorted(unknown)}; known: {sorted(_FAULT_FIELDS)}")
    return {"number": simulator.faults.add(**body)}


def _clear_faults(simulator: Simulator, body: dict[str, Any]) -> dict[str, Any]:
    if "number" in body:
        simulator.faults.remove(int(body["number"]))
    else:
        simulator.faults.clear()
    return {}


def _get_calls(simulator: Simulator, body: dict[str, Any]) -> dict[str, Any]:
    after = int(body.get("after", 0))
    return {"calls": [call.as_json() for call in simulator.calls if call.number > after]}


def _clear_calls(simulator: Simulator, _: Any) -> dict[str, Any]:
    simulator.calls.clear()
    return {}


_HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "clock"): _get_clock,
    ("POST", "clock"): _move_clock,
    ("GET", "faults"): _get_faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "calls"): _get_calls,
    ("DELETE", "calls"): _clear_calls,
}
