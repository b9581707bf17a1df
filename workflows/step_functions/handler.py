"""The one Lambda function. Handler: workflows.step_functions.handler.handle.

{"op": "look", "state": ...} sees and decides; {"op": "act", "state": ..., "stage": ..., "target": ...} does what that
stage misses; {"op": "run", "key": ...} takes a whole key to its end within the function's time.
"""

# Nothing heavy is imported here: the first call imports what it needs. That saves no work: with the template's
# 1,769 MB a call has a whole CPU, as the init phase has. bench/imports.py holds both numbers, and docs tell them.
import os
from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.errors import MrkError


class Context(Protocol):
    """What the Lambda runtime tells of one invocation."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long this invocation may still take."""


def handle(event: Any, context: Context) -> dict[str, Any]:
    """Carry out one operation; every error is raised under the name that a state machine can tell it by."""
    from orchestrator.secret_sources import learn_surroundings  # noqa: PLC0415 - see above
    from orchestrator.written import document  # noqa: PLC0415 - likewise
    from workflows.step_functions import operations  # noqa: PLC0415 - likewise

    learn_surroundings(os.environ, ())
    given = event if isinstance(event, Mapping) else {}
    try:
        operation = operations.OPERATIONS.get(str(given.get("op")))
        if operation is None:
            raise operations.unknown(event)
        found: dict[str, Any] = document(operation(given, context))
    except MrkError as error:
        raise operations.told(error, given, context) from None
    return found
