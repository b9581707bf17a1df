"""Retries of one call: what may pass is tried again, some times, with growing pauses; nothing else is."""

from dataclasses import dataclass, field

import pytest

from orchestrator.errors import KmsError, Trouble
from orchestrator.retry import Retry, RetryPolicy


@dataclass
class Calls:
    """A call that fails in some ways, one after the other, and then answers."""

    fails: list[Trouble]
    made: int = 0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> str:
        self.made += 1
        if self.fails:
            raise KmsError(f"failure {self.made}", trouble=self.fails.pop(0))
        return f"answer {self.made}"

    def retried(self, policy: RetryPolicy | None = None) -> str:
        return Retry(self.slept.append, policy)(self)


def test_an_answer_is_returned_at_once() -> None:
    calls = Calls([])
    assert calls.retried() == "answer 1"
    assert calls.slept == []


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_passes_within_the_attempts_is_answered(failures: int) -> None:
    calls = Calls([Trouble.TRANSIENT] * failures)
    assert calls.retried() == f"answer {failures + 1}"
    assert len(calls.slept) == failures


def test_what_does_not_pass_is_raised_as_it_was_the_last_time() -> None:
    calls = Calls([Trouble.TRANSIENT] * 9)
    with pytest.raises(KmsError, match="failure 4"):
        calls.retried()
    assert calls.made == RetryPolicy().attempts == 4
    assert len(calls.slept) == 3


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble is not Trouble.TRANSIENT])
def test_what_will_not_pass_is_raised_at_once(trouble: Trouble) -> None:
    """I4: neither a refusal nor a world that has changed is met by sending again."""
    calls = Calls([trouble])
    with pytest.raises(KmsError, match="failure 1"):
        calls.retried()
    assert (calls.made, calls.slept) == (1, [])


def test_a_failure_of_another_kind_in_between_ends_it() -> None:
    calls = Calls([Trouble.TRANSIENT, Trouble.PERMANENT, Trouble.TRANSIENT])
    with pytest.raises(KmsError, match="failure 2"):
        calls.retried()


@pytest.mark.parametrize("error", [ValueError("a defect"), KeyboardInterrupt()])
def test_what_is_no_failure_of_kms_goes_through(error: BaseException) -> None:
    def call() -> None:
        raise error

    with pytest.raises(type(error)):
        Retry(lambda _: None)(call)


def test_pauses_are_drawn_at_random_within_bounds_that_double() -> None:
    """Full jitter, so that many callers do not come back at the same moment."""
    drawn: list[list[float]] = []
    for _ in range(40):
        calls = Calls([Trouble.TRANSIENT] * 6)
        calls.retried(RetryPolicy(attempts=7, total=1e9, first_pause=0.5, longest_pause=3.0))
        drawn.append(calls.slept)
    for number, bound in enumerate((0.5, 1.0, 2.0, 3.0, 3.0, 3.0)):
        pauses = [slept[number] for slept in drawn]
        assert all(0 <= pause <= bound for pause in pauses)
        assert max(pauses) > bound / 2
        assert len(set(pauses)) > 1


def test_time_is_bounded_as_attempts_are() -> None:
    calls = Calls([Trouble.TRANSIENT] * 9)
    with pytest.raises(KmsError, match="failure 1"):
        calls.retried(RetryPolicy(attempts=100, total=0))
