"""A local multi-Region KMS over HTTP, for demos and tests; it imports nothing of the rest of the project."""

from orchestrator.simulator.calls import Call
from orchestrator.simulator.errors import ClockNotOwnedError, ServiceError
from orchestrator.simulator.server import Served, run, serve
from orchestrator.simulator.simulator import Simulator
from orchestrator.simulator.switches import Switches
from orchestrator.simulator.timing import Lag
from orchestrator.simulator.truth import TrueKey, TrueRow

__all__ = [
    "Call",
    "ClockNotOwnedError",
    "Lag",
    "Served",
    "ServiceError",
    "Simulator",
    "Switches",
    "TrueKey",
    "TrueRow",
    "run",
    "serve",
]
