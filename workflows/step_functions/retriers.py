"""The patience of a state with one call, rendered from the policy that the command line has. Pure."""

from collections.abc import Iterable
from typing import Any

from orchestrator.retry import RetryPolicy
from workflows.step_functions.errors import CallFailed, TooLittleTime

Json = dict[str, Any]

NOT_BEGUN = (TooLittleTime.__name__, CallFailed.__name__)
"""Errors of the function that say for certain that nothing was begun."""

THROTTLED = ("Lambda.TooManyRequestsException",)
"""Lambda did not call the function: as many calls are under way as the account, or the function, may have."""

MAY_PASS = (
    *NOT_BEGUN,
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
)
"""Errors after which an act that derives what is missing anew may be begun again at once."""

_QUEUE = {"IntervalSeconds": 2, "MaxAttempts": 8, "BackoffRate": 2.0, "MaxDelaySeconds": 60, "JitterStrategy": "FULL"}
"""Waiting for a free place takes minutes rather than seconds where many keys, or many Regions, are under way."""


def retriers(errors: Iterable[str]) -> list[Json]:
    """Render the patience with the function: with its errors, and with having to queue for it."""
    return [*retries(errors), {"ErrorEquals": list(THROTTLED), **_QUEUE}]


def queue(errors: Iterable[str]) -> list[Json]:
    """Render the patience with a service that does not take so many calls at once."""
    return [{"ErrorEquals": list(errors), **_QUEUE}]


def retries(errors: Iterable[str]) -> list[Json]:
    """Render the patience with one call: whole seconds are the least that the engine waits."""
    policy = RetryPolicy()
    first = max(1, round(policy.first_pause))
    return [
        {
            "ErrorEquals": list(errors),
            "IntervalSeconds": first,
            "MaxAttempts": policy.attempts - 1,
            "BackoffRate": 2.0,
            "MaxDelaySeconds": max(first + 1, round(policy.longest_pause)),
            "JitterStrategy": "FULL",
        }
    ]


def most_retries() -> int:
    """Count how often a call of the function is tried again at most."""
    return sum(one["MaxAttempts"] for one in retriers(MAY_PASS))
