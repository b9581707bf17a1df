"""The clock of the machine: it tells the wall clock's time, and how far that moved against uptime."""

from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import pytest

from orchestrator.clock import SystemClock

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Machine:
    """A machine whose clock can be set, and whose uptime cannot."""

    def __init__(self) -> None:
        self.wall, self.uptime = START, 100.0
        self.clock = SystemClock(lambda: self.wall, lambda: self.uptime)

    def pass_by(self, **time: float) -> None:
        self.wall += timedelta(**time)
        self.uptime += timedelta(**time).total_seconds()


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(seconds=3), timedelta(days=400)])
def test_a_clock_that_was_set_tells_the_new_time_and_by_how_much_it_moved(step: timedelta) -> None:
    """AWS judges the signatures of a request by the wall clock, so that this is what a run must go by."""
    machine = Machine()
    machine.pass_by(seconds=90)
    assert machine.clock.drift() == timedelta()

    machine.wall += step

    assert machine.clock.now() == START + timedelta(seconds=90) + step
    assert machine.clock.drift() == step


def test_a_machine_that_slept_has_not_drifted() -> None:
    """Where uptime goes on while it sleeps, only time has passed: looks are old by their age."""
    machine = Machine()

    machine.pass_by(hours=9)

    assert machine.clock.drift() == timedelta()
    assert machine.clock.now() == START + timedelta(hours=9)


def test_it_tells_the_time_of_this_machine() -> None:
    clock = SystemClock()

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert abs(clock.drift()) < timedelta(seconds=1)


def test_what_arrives_ends_a_wait() -> None:
    inbox: SimpleQueue[str] = SimpleQueue()
    inbox.put("a result")

    assert Machine().clock.receive(inbox, START + timedelta(days=1), busy=False) == "a result"


def test_a_time_that_is_over_is_not_waited_for() -> None:
    assert Machine().clock.receive(SimpleQueue(), START - timedelta(days=1), busy=False) is None
