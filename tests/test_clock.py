"""The clock of a run: what somebody does to the machine's clock meanwhile makes no run wait longer, or shorter."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.clock import SystemClock

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_machine_whose_clock_is_set_does_not_move_the_time_of_a_run(step: timedelta) -> None:
    machine, elapsed = [START], [100.0]
    clock = SystemClock(lambda: machine[0], lambda: elapsed[0])

    machine[0] += step
    elapsed[0] += 90

    assert clock.now() == START + timedelta(seconds=90)


def test_it_tells_the_time() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
