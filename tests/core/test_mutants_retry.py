"""Retries of one call: brief, bounded in number and in time, and only of what may pass (I4)."""

from collections.abc import Callable, Iterator

import pytest

from orchestrator.errors import KmsError, StoreError, Trouble
from orchestrator.retry import Retry, RetryPolicy


def passing(code: str = "ThrottlingException") -> KmsError:
    return KmsError(f"{code} once", code=code, trouble=Trouble.TRANSIENT)


class Calls:
    """A call that fails in turn, and then answers; it counts."""

    def __init__(self, *failures: Exception) -> None:
        self.count = 0
        self._failures: Iterator[Exception] = iter(failures)

    def __call__(self) -> str:
        self.count += 1
        if failure := next(self._failures, None):
            raise failure
        return "answered"


def retrying(call: Callable[[], str], **bounds: float) -> tuple[list[float], str | Exception]:
    """The pauses that were made, and what came of the call."""
    pauses: list[float] = []
    policy = RetryPolicy(**bounds) if bounds else None  # type: ignore[arg-type]
    try:
        return pauses, Retry(pauses.append, policy)(call)
    except Exception as error:  # noqa: BLE001 - it is what the test looks at
        return pauses, error


def test_a_call_that_answers_is_made_once() -> None:
    call = Calls()
    assert (retrying(call), call.count) == (([], "answered"), 1)


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_may_pass_is_called_again_after_a_pause_each_time(failures: int) -> None:
    call = Calls(*[passing()] * failures)

    pauses, came = retrying(call)

    assert (came, call.count, len(pauses)) == ("answered", failures + 1, failures)
    assert all(0 <= pause <= 5 for pause in pauses)


def test_four_attempts_are_all_and_the_last_failure_is_raised_as_it_was() -> None:
    failures = [passing(f"Throttling{number}") for number in range(9)]
    call = Calls(*failures)

    pauses, came = retrying(call)

    assert (came, call.count, len(pauses)) == (failures[3], 4, 3)


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble is not Trouble.TRANSIENT])
def test_what_will_not_pass_is_not_called_again(trouble: Trouble) -> None:
    """Also where it comes after something that did pass."""
    final = KmsError("no", code="AccessDeniedException", trouble=trouble)

    assert retrying(Calls(final)) == ([], final)
    call = Calls(passing(), final)
    assert (retrying(call)[1], call.count) == (final, 2)


def test_a_failure_that_is_not_of_kms_is_not_called_again() -> None:
    gone, call = StoreError("gone", "restore it"), Calls(StoreError("gone", "restore it"))

    assert str(retrying(call)[1]) == str(gone)
    call = Calls(passing(), StoreError("gone", "restore it"))
    assert (str(retrying(call)[1]), call.count) == (str(gone), 2)


def test_no_time_left_is_no_further_attempt() -> None:
    call = Calls(*[passing()] * 9)
    assert isinstance(retrying(call, total=0.0)[1], KmsError)
    assert call.count == 1


def test_no_pause_is_longer_than_the_bound_and_pauses_vary_below_it() -> None:
    """Full jitter: many that fail at once do not come back at once."""
    pauses, _ = retrying(Calls(*[passing()] * 60), attempts=50, first_pause=1.0, longest_pause=2.0)

    assert len(pauses) == 49
    assert max(pauses) <= 2
    assert max(pauses) > 1, "the bound is reached for, not stopped short of"
    assert len(set(pauses)) > 40


def test_the_first_pause_is_no_longer_than_half_a_second() -> None:
    assert max(retrying(Calls(passing()))[0][0] for _ in range(50)) <= 0.5
