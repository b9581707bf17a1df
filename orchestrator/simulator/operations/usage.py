"""When a key was last used, and for what."""

import uuid
from typing import Any

from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import CRYPTOGRAPHIC
from orchestrator.simulator.state import LastUse
from orchestrator.simulator.world import World


def note_use(world: World, operation: str, region: str, answer: dict[str, Any], now: float) -> None:
    """Keep that an operation succeeded with the keys that its answer names, if it is a cryptographic one."""
    if operation not in CRYPTOGRAPHIC:
        return
    request_id = str(uuid.uuid4())
    for arn in {answer["KeyId"], answer.get("SourceKeyId", answer["KeyId"])}:
        world.uses[arn.rpartition("/")[2], region] = LastUse(operation, now, str(uuid.uuid4()), request_id)


def get_key_last_usage(request: Request) -> dict[str, Any]:
    """Tell the last cryptographic operation that succeeded with a key in this Region, whatever the key's state."""
    view = request.usable_key()
    use = request.world.uses.get((view.keys.key_id, request.region))
    if use is not None and use.at < view.member.created:
        use = None  # of an earlier replica in this Region
    return {
        "KeyId": view.keys.key_id,
        "KeyCreationDate": view.member.created,
        "TrackingStartDate": view.member.created,
        "KeyLastUsage": {} if use is None else _told(use),
    }


def _told(use: LastUse) -> dict[str, Any]:
    return {
        "Operation": use.operation,
        "Timestamp": use.at,
        "CloudTrailEventId": use.event_id,
        "KmsRequestId": use.request_id,
    }


OPERATIONS = {"GetKeyLastUsage": get_key_last_usage}
