"""What is told of a key beside its tables: why there is work, where config and KMS differ, what Regions share."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError, ParamValidationError
from rich.console import Console

from orchestrator.kms.meaning import unanswered
from orchestrator.model import (
    NEVER,
    Block,
    Idle,
    KeyArn,
    KeyState,
    LookFailure,
    MaterialId,
    MaterialRow,
    MaterialState,
    Policy,
    Reason,
    Region,
    RegionView,
    Turn,
    View,
    Wait,
)
from orchestrator.progress import Job, Report
from orchestrator.report import tables, telling

NOW = datetime(2026, 5, 4, tzinfo=UTC)
HERE, THERE = Region("us-east-1"), Region("eu-west-1")
ARN = KeyArn.parse(f"arn:aws:kms:{HERE}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
OLD, NEW = MaterialId("5f" * 32), MaterialId("23" * 32)


def view(*, here: datetime | None = None, there: datetime | None = None, pending: bool = False) -> View:
    """A key in two Regions, whose material expires so."""
    states = {OLD: MaterialState.CURRENT} | ({NEW: MaterialState.PENDING_ROTATION} if pending else {})

    def seen(region: Region, valid_to: datetime | None) -> RegionView:
        rows = tuple(MaterialRow(one, state, imported=True, valid_to=valid_to) for one, state in states.items())
        return RegionView(
            ARN.within(region),
            NOW,
            KeyState.ENABLED,
            NOW,
            multi_region=True,
            primary=HERE,
            members=frozenset({HERE, THERE}),
            rows=rows,
        )

    return View(ARN, NOW, {HERE: seen(HERE, here), THERE: seen(THERE, there)})


@pytest.mark.parametrize(
    ("here", "there", "expires", "said"),
    [
        (NOW, NOW, timedelta(days=90), []),
        (
            None,
            None,
            timedelta(days=90),
            ["in every Region, key material 5f5f5f5f never expires; the config says `expires: 90d`"],
        ),
        (
            NOW,
            NOW,
            None,
            ["in every Region, key material 5f5f5f5f expires on 2026-05-04; nothing renews it"],
        ),
        (None, NOW, timedelta(days=90), ["in us-east-1, key material 5f5f5f5f never expires;"]),
        (
            None,
            NOW,
            NEVER,
            ["in eu-west-1, key material 5f5f5f5f expires on 2026-05-04; the config says `expires: never`"],
        ),
    ],
)
def test_an_expiry_that_is_not_the_configs_is_told(
    here: datetime | None, there: datetime | None, expires: Any, said: list[str]
) -> None:
    found = telling.drift(view(here=here, there=there), Policy(expires=expires))

    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))


def test_a_primary_elsewhere_than_the_arn_says_is_told() -> None:
    seen = replace(view(), key=ARN.within(THERE))

    (line,) = telling.notes(seen, seen.key, Policy())

    assert line == "the ARN names eu-west-1; the primary key is in us-east-1, which mrk follows"


def test_a_plan_that_finishes_a_rotation_says_so() -> None:
    assert telling.why(view(pending=True), Policy()).startswith("23232323 is pending; never rotated")


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (-30, "expired"),
        (0, "expired"),
        (1 / 120, "1 min"),
        (0.5, "30 min"),
        (12, "12 h"),
        (49, "2 days"),
        (240, "10 days"),
    ],
)
def test_what_is_left_is_told_as_people_count_and_never_below_nothing(hours: float, said: str) -> None:
    assert telling.left(NOW + timedelta(hours=hours), NOW) == said


def test_what_many_regions_share_is_told_once() -> None:
    regions = [f"eu-west-{number}" for number in range(1, 34)]

    told = telling.alike((region, f"{region}: no credentials", "give some") for region in [*regions, "us-east-1"])
    few = telling.alike((region, f"{region} is Disabled", f"enable {region}") for region in regions[:2])

    assert told == [("eu-west-1: no credentials (and in 33 more Regions)", "give some")]
    assert few == [("eu-west-1 is Disabled (and in eu-west-2)", "enable eu-west-1")]


def test_the_end_of_a_plan_says_what_would_come_and_not_what_has_passed() -> None:
    late = Block(Reason.TOO_LATE, "the deadline of 30 min passed in stage ready", "run again", person=False)
    vain = Block(Reason.SLOT, "waited 3 min in vain: no slot", "run again", person=False)
    slow = Wait(Reason.SLOT, "no slot yet", THERE)

    told = telling.foreseen(Turn("ready", "failed", waits=(slow,), blocks=(late, vain)), view(), Policy())

    assert [block.message for block in told] == ["would wait 3 min in vain: no slot", "would wait: no slot yet"]
    assert "for 30 min at most" in told[1].way_out


def test_a_plan_that_could_not_see_a_region_says_which_and_why() -> None:
    """Its end is a wait, which is no block: without a word of it the exit code would come out of nothing."""
    failed = LookFailure(THERE, NOW, "DescribeKey got no answer", transient=True)
    seen = replace(view(), failures={THERE: failed})
    turn = Turn("healthy", "going", waits=(Wait(Reason.ACCESS, "eu-west-1 cannot be looked at", THERE),))

    (block,) = telling.foreseen(turn, seen, Policy())

    assert block.message == "eu-west-1 cannot be looked at: DescribeKey got no answer"
    assert (block.region, block.person, bool(block.way_out)) == (THERE, False, True)


def a_report(name: str, number: int, regions: Sequence[Region], said: str, seen: View | None = None) -> Report:
    arn = replace(ARN, key_id=f"mrk-{number:032x}")
    blocks = tuple(
        Block(Reason.ACCESS, f"DescribeKey on {arn.within(region)} failed: {said}", "mend it", region, person=False)
        for region in regions
    )
    job = Job(name, arn, Policy(), (), lambda _: Idle(""))
    return Report(job, "failed", "located", "", blocks, seen or View(arn, NOW))


def test_what_kept_many_keys_from_being_seen_is_told_once_and_names_each() -> None:
    """What a key of which something was seen ended by is told by itself."""
    alike = [a_report(f"key-{number}", number, [HERE, THERE][: 1 + number % 2], "expired") for number in range(4)]
    other, seen = a_report("other", 7, [HERE], "denied"), a_report("seen", 8, [HERE], "expired", view())

    told = [(first.job.name, names) for first, names in telling.together([*alike, other, seen])]

    assert told == [("key-0", ["key-1", "key-2", "key-3"]), ("other", []), ("seen", [])]
    assert telling.same_of(["a", "b"]) == ["the same of 2 more keys: a, b"]
    assert telling.same_of([]) == []


def test_a_call_without_credentials_was_not_sent() -> None:
    """It got no answer, because nobody was asked."""
    missing = unanswered(NoCredentialsError(), "DescribeKey", ARN)
    wrong = unanswered(ParamValidationError(report="x"), "DescribeKey", ARN)
    gone = unanswered(TimeoutError(), "DescribeKey", ARN)

    assert "was not sent: Unable to locate credentials" in missing.message
    assert "was not sent" in wrong.message
    assert "got no answer" in gone.message


def test_status_tells_the_way_out_of_what_it_could_not_see() -> None:
    """Once, for 33 Regions that share it."""
    regions = [Region(f"eu-west-{number}") for number in range(1, 34)]
    failures = {
        region: LookFailure(region, NOW, f"DescribeKey on {region} was not sent", transient=False, hint="give some")
        for region in regions
    }
    out = StringIO()

    Console(file=out, width=80).print(tables.status("payments", View(ARN, NOW, {}, failures=failures), Policy()))

    assert out.getvalue().count("was not sent") == 1
    assert "(and in 32 more Regions)" in out.getvalue()
    assert "  -> give some" in out.getvalue()
