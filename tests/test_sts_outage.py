"""`aws.role_arn` where STS of one Region fails: that stops what is to be done there, and nothing else (I10, I11)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.errors import KmsError
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import Policy, Region
from orchestrator.settings import KeySettings
from workflows import jobs
from worlds import REGIONS, ManualClock, World

ROLE = "arn:aws:iam::111122223333:role/mrk"
FAULTS: dict[str, dict[str, Any]] = {
    "resets connections": {"drop": "before"},
    "loses its answers": {"drop": "after"},
    "fails": {"error": "InternalFailure", "status": 500},
    "throttles": {"error": "ThrottlingException"},
    "is not activated": {"error": "RegionDisabledException", "status": 403},
}


@pytest.fixture
def clock() -> ManualClock:
    """A clock that begins now: the SDK judges by the machine's whether a role's credentials have expired."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def assuming(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which everything is done in a role."""
    world = make_world()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", world.endpoint_url)
    assume_anew(world)
    return world


def assume_anew(world: World) -> None:
    """Begin with no credentials of the role."""
    options = KmsOptions(world.endpoint_url, run_id="test", role_arn=ROLE)
    world._kms = KmsFactory(options, world.clock.now, world.events.append)


def told(world: World) -> list[tuple[str, str]]:
    return [(event.region, event.data["message"]) for event in world.events if event.kind == "sts"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("down", REGIONS)
def test_one_region_without_sts_and_kms_keeps_no_other_from_being_renewed(
    assuming: World, down: str, fault: str
) -> None:
    """Whichever it is: the one that the ARN names and that is asked first, or another."""
    world = assuming
    ends = (world.clock.now() + timedelta(days=20)).replace(microsecond=0)
    arn = world.make_key(valid_to=ends)
    assume_anew(world)
    rule = world.simulator.faults.add(region=down, **FAULTS[fault])
    policy = Policy(frozenset(map(Region, REGIONS)), expires=timedelta(days=60), deadline=timedelta(minutes=5))

    (report,) = world.runner().run([jobs.run("payments", KeySettings(arn=str(arn)), policy)])

    world.simulator.faults.remove(rule)
    ended = {region: [row.valid_to for row in world.true(arn, region).rows] for region in REGIONS}
    assert {region for region, (until,) in ended.items() if until > ends.timestamp()} == {*REGIONS} - {down}
    assert report.status in {"failed", "blocked"}
    assert len(told(world)) == len({region for region, _ in told(world)}) <= 1, "each is told once"


@pytest.mark.parametrize("fault", FAULTS)
def test_where_sts_of_the_first_region_fails_another_is_asked_and_that_is_told_once(
    assuming: World, fault: str
) -> None:
    """KMS of that Region is reached all the same, with what another Region's STS gave."""
    world = assuming
    world.simulator.faults.add(region=REGIONS[0], operation="AssumeRole", **FAULTS[fault])
    kms = world.kms()
    both = [kms(Region(region)) for region in REGIONS[:2]]

    for client in both * 2:
        with pytest.raises(KmsError, match="NotFoundException"):
            client.origin("mrk-1234abcd12ab34cd56ef1234567890ab")

    ((region, message),) = told(world)
    assert region == REGIONS[0]
    assert f"so that {REGIONS[1]}'s is asked" in message
    assert [call.region for call in world.calls("AssumeRole") if call.result == "ok"][-1] == REGIONS[1]


def test_a_role_that_may_not_be_assumed_is_asked_for_in_no_other_region(assuming: World) -> None:
    """That is the role's: it would be refused everywhere."""
    world = assuming
    world.simulator.faults.add(operation="AssumeRole", error="AccessDenied")
    kms = world.kms()
    first, _ = (kms(Region(region)) for region in REGIONS[:2])

    with pytest.raises(KmsError, match="AccessDenied"):
        first.origin("mrk-1234abcd12ab34cd56ef1234567890ab")

    assert [call.region for call in world.calls("AssumeRole")] == [REGIONS[0]]
    assert told(world) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_an_sts_that_fails_for_now_ends_no_command_before_it_begins(assuming: World, fault: str) -> None:
    """Others are asked: what ends a command at the start is what no waiting mends."""
    assuming.simulator.faults.add(region=REGIONS[0], operation="AssumeRole", **FAULTS[fault])

    assuming.kms().check_credentials(list(map(Region, REGIONS)))

    assert [call.region for call in assuming.calls("AssumeRole") if call.result == "ok"][-1] == REGIONS[1]


def test_an_sts_that_fails_everywhere_for_now_ends_none_either(assuming: World) -> None:
    assuming.simulator.faults.add(operation="AssumeRole", error="InternalFailure", status=500)

    assuming.kms().check_credentials(list(map(Region, REGIONS)))

    assert {call.region for call in assuming.calls("AssumeRole")} == {*REGIONS}
