"""What the simulated KMS can do, by operation name."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.simulator.operations import aliases, importing, lifecycle, policies, replicating, rotating, symmetric
from orchestrator.simulator.request import Request

Operation = Callable[[Request], dict[str, Any]]

OPERATIONS: Mapping[str, Operation] = {
    **lifecycle.OPERATIONS,
    **policies.OPERATIONS,
    **aliases.OPERATIONS,
    **importing.OPERATIONS,
    **rotating.OPERATIONS,
    **replicating.OPERATIONS,
    **symmetric.OPERATIONS,
}
