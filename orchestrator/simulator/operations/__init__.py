"""What the simulated KMS can do, by operation name."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.simulator.operations import (
    aliases,
    data_keys,
    encrypting,
    grants,
    importing,
    lifecycle,
    policies,
    replicating,
    rotating,
    signing,
    tags,
    usage,
)
from orchestrator.simulator.request import Request, Services

Operation = Callable[[Request], dict[str, Any]]

AHEAD: Mapping[str, Callable[[Services, dict[str, Any]], None]] = {
    "GetParametersForImport": importing.prepare_wrapping_key,
}
"""Slow work that is done before the world is locked for an operation."""

OPERATIONS: Mapping[str, Operation] = {
    **lifecycle.OPERATIONS,
    **policies.OPERATIONS,
    **aliases.OPERATIONS,
    **importing.OPERATIONS,
    **rotating.OPERATIONS,
    **replicating.OPERATIONS,
    **tags.OPERATIONS,
    **grants.OPERATIONS,
    **usage.OPERATIONS,
    **encrypting.OPERATIONS,
    **data_keys.OPERATIONS,
    **signing.OPERATIONS,
}
