"""Retries of one call, briefly. The only place that knows tenacity; waiting for the world is the runner's.

Full jitter, attempts and time both bounded. NEW imports, rotations and deletes never come here (I4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.errors import KmsError, Trouble

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of the patience with one call; seconds."""

    attempts: int = 4
    total: float = 20.0
    first_pause: float = 0.5
    longest_pause: float = 5.0


class Retry:
    """Calls again what failed for a passing reason; the last failure is raised as it was."""

    def __init__(self, sleep: Callable[[float], None], policy: RetryPolicy | None = None) -> None:
        self._sleep = sleep
        self._policy = policy or RetryPolicy()

    def __call__(self, call: Callable[[], T]) -> T:
        """Carry out one idempotent call."""
        try:
            return call()
        except KmsError as error:
            if not _may_pass(error):
                raise
            return self._again(call, error)

    def _again(self, call: Callable[[], T], error: KmsError) -> T:
        """Go on after a first failure, which counts as the first attempt."""
        # Imported here: it takes longer than a call to KMS does, and most calls need no second one.
        import tenacity  # noqa: PLC0415

        failures = [error]

        def attempt() -> T:
            if failures:
                raise failures.pop()
            return call()

        policy = self._policy
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(policy.attempts) | tenacity.stop_after_delay(policy.total),
            wait=tenacity.wait_random_exponential(multiplier=policy.first_pause, max=policy.longest_pause),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KmsError) and error.trouble is Trouble.TRANSIENT
