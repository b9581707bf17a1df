"""When a key is due, for whoever runs `mrk run` every night: 90 days are 90 nights, and never fewer than is allowed."""

from datetime import UTC, datetime, timedelta

import pytest
from core_building import a_key, a_view, current, entry, first, marked, past

from orchestrator.goals import due_at, due_from, due_sentence, whatever_is_due
from orchestrator.model import Goal, Policy, View

DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
PROVEN = (first(), entry("a", "b", **marked()))


def rotated(last: datetime, at: datetime) -> View:
    """A key that is well, whose last rotation was complete at some time, as it is seen at another."""
    rows = [past("a"), current("b", rotated_at=last, on_demand=True)]
    return a_view(a_key(rows), *PROVEN, at=at)


def is_due(last: datetime, at: datetime, policy: Policy) -> bool:
    return isinstance(whatever_is_due(rotated(last, at), policy), Goal)


def nights(begins: timedelta, took: timedelta, late: timedelta, policy: Policy) -> int:
    """Count the nights from one that rotates to the next one that does: each begins at its hour, or some time later."""
    last, first_night = MONDAY + begins + took, MONDAY + begins
    return next(night for night in range(1, 1000) if is_due(last, first_night + night * DAY + late, policy))


@pytest.mark.parametrize("every", [7, 30, 90, 365])
@pytest.mark.parametrize("took", [timedelta(seconds=20), timedelta(minutes=30)], ids=str)
@pytest.mark.parametrize(
    ("begins", "late"),
    [
        (timedelta(hours=2, minutes=17), timedelta()),
        (timedelta(hours=2), timedelta(hours=2)),
        (timedelta(hours=4), timedelta(hours=-2)),
        (timedelta(), timedelta()),
        (timedelta(hours=1), timedelta(hours=-1, minutes=-30)),
        (timedelta(hours=23, minutes=59, seconds=50), timedelta()),
        (timedelta(hours=23, minutes=50), timedelta(hours=-2)),
        (timedelta(hours=12), timedelta(hours=1)),
    ],
    ids=str,
)
def test_a_nightly_run_rotates_after_as_many_nights_as_the_owner_wants(
    every: int, took: timedelta, begins: timedelta, late: timedelta
) -> None:
    """At the same minute, by a timer that spreads 2 h, across midnight, and across a change to summer time."""
    assert nights(begins, took, late, Policy(rotate_every=every * DAY)) == every


@pytest.mark.parametrize(
    ("every", "least", "after"),
    [
        (1, 1, timedelta(hours=24)),
        (2, 1, timedelta(days=1, hours=19, minutes=12)),
        (90, 90, timedelta(days=90)),
        (30, 1, timedelta(days=29, hours=6)),
    ],
)
def test_it_is_never_sooner_than_is_allowed(every: int, least: int, after: timedelta) -> None:
    """P4: no second rotation within 24 h, nor within `min_interval`, nor a tenth sooner than asked for."""
    policy, last = Policy(rotate_every=every * DAY, min_interval=least * DAY), MONDAY + timedelta(hours=18)
    begins = due_from(rotated(last, last), policy)

    assert begins == last + after
    assert is_due(last, begins, policy)
    assert not is_due(last, begins - timedelta(seconds=1), policy)
    assert begins <= due_at(rotated(last, last), policy)


@pytest.mark.parametrize(
    ("at", "told", "expected"),
    [
        (datetime(2026, 5, 30, 23, 59, tzinfo=UTC), "due 2026-05-31;", False),
        (datetime(2026, 5, 31, 0, 0, tzinfo=UTC), "due today;", True),
        (datetime(2026, 5, 31, 23, 59, tzinfo=UTC), "due today;", True),
        (datetime(2026, 6, 1, 0, 0, tzinfo=UTC), "due since 2026-05-31;", True),
    ],
)
def test_a_key_that_is_due_today_is_rotated_today(at: datetime, told: str, expected: bool) -> None:
    """I9: "due today" is never followed by "nothing is due"."""
    policy, last = Policy(rotate_every=90 * DAY), MONDAY + timedelta(hours=18)

    assert told in due_sentence(rotated(last, at), policy)
    assert is_due(last, at, policy) is expected


def test_the_words_hold_for_every_hour_around_the_day() -> None:
    """A key that is "due today" or "due since" is rotated; one of which a date or an hour is told is not."""
    for every in (1, 2, 5, 90):
        policy = Policy(rotate_every=every * DAY)
        for hour in range(24):
            last = MONDAY + timedelta(hours=hour)
            for off in range(-30, 30):
                at = last + every * DAY + timedelta(hours=off)
                said = due_sentence(rotated(last, at), policy).split("; ")[0].split(", ")[1]
                assert is_due(last, at, policy) is (said in {"due today", "due now"} or "since" in said), (said, at)
