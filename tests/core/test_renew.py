"""Renew: the same bytes with a later ValidTo, in time, so that nothing that the key needs ever expires."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core_building import (
    NOW,
    a_goal,
    a_key,
    a_run,
    a_view,
    current,
    days,
    entry,
    first,
    judged_by,
    marked,
    past,
    pending,
    told,
)

from orchestrator.goals import Pinned
from orchestrator.model import Block, Goal, Idle, ImportMaterial, KeyArn, KeyState, MaterialRow, Policy
from orchestrator.plan import predict
from orchestrator.progress import Report
from orchestrator.settings import KeySettings
from workflows import jobs
from workflows.renew import renewed, sound, whatever_expires
from worlds import REGIONS, World

BOTH = [past("a"), current("b")]
STORED = (first(), entry("a", "b", **marked()))
STANDING = a_goal("a")

SOON: list[tuple[str, datetime, datetime | None, bool]] = [
    ("the config gives it for ever", days(3), None, True),
    ("the config gives it longer", days(3), days(90), True),
    ("the config gives it as long", days(3), days(3), False),
    ("the config gives it less", days(3), days(2), False),
    ("it expires at the end of renew_before", days(30), days(90), True),
    ("it expires later than renew_before", days(30.1), days(90), False),
    ("it has expired: that is for repair", days(-1), days(90), False),
]


@pytest.mark.parametrize(("claim", "valid_to", "wanted", "again"), SOON, ids=[row[0] for row in SOON])
def test_what_expires_soon_is_imported_again_where_the_config_gives_it_longer(
    claim: str, valid_to: datetime, wanted: datetime | None, *, again: bool
) -> None:
    """I3: in that Region alone, with the goal's expiry."""
    view = a_view(a_key(BOTH, eu=[BOTH[0], current("b", valid_to=valid_to)]), *STORED)
    turn = judged_by(renewed, view, a_run(a_goal("a", valid_to=wanted)))

    assert told(turn)[1:] == (["import EXISTING b into eu-west-1"] if again else []), claim
    assert [action.valid_to for action in turn.act if isinstance(action, ImportMaterial)] == [wanted] * again


STANDS: list[tuple[str, dict[str, object], list[str]]] = [
    (
        "an old material and CURRENT",
        {"rows": [past("a", valid_to=days(3)), current("b", valid_to=days(4))]},
        ["import EXISTING a into eu-west-1", "import EXISTING b into eu-west-1"],
    ),
    (
        "a Disabled key: an import would enable it",
        {"rows": [BOTH[0], current("b", valid_to=days(3))], "key_state": KeyState.DISABLED},
        [],
    ),
    (
        "a key that lacks another material",
        {"rows": [past("a", imported=False), current("b", valid_to=days(3))], "key_state": KeyState.PENDING_IMPORT},
        ["import EXISTING b into eu-west-1"],
    ),
    ("pending material: the rotation sees to it", {"rows": [*BOTH, pending("c", valid_to=days(3))]}, []),
]


@pytest.mark.parametrize(("claim", "eu", "says"), STANDS, ids=[row[0] for row in STANDS])
def test_what_is_renewed_and_what_is_not(claim: str, eu: dict[str, object], says: list[str]) -> None:
    """P10, I3."""
    view = a_view(a_key(BOTH, eu=eu), *STORED)

    assert told(judged_by(renewed, view, a_run(STANDING)))[1:] == says, claim


def test_what_the_store_cannot_give_is_told() -> None:
    view = a_view(a_key([past("a", valid_to=days(9)), BOTH[1]]), STORED[1])
    turn = judged_by(sound, view, a_run(STANDING))

    assert {block.reason for block in turn.blocks} == {"store-lacks"}
    assert "mrk adopt NAME FILE --material-id" in turn.blocks[0].way_out


def test_nothing_is_pinned_where_nothing_expires() -> None:
    far: list[MaterialRow] = [past("a"), current("b", valid_to=NOW + timedelta(days=31))]
    policy = Policy(expires=timedelta(days=90))

    assert isinstance(whatever_expires(a_view(a_key(far), *STORED), policy), Idle)
    assert isinstance(whatever_expires(a_view(a_key(far), *STORED), replace(policy, renew_before=days(32) - NOW)), Goal)


@pytest.mark.parametrize("lost", [current("b", valid_to=days(-1)), current("b", imported=False)])
def test_what_has_expired_is_never_called_nothing_to_renew(lost: MaterialRow) -> None:
    """P5: the key is dead in that Region, and only a repair brings it back."""
    (block,) = asked(whatever_expires(a_view(a_key(BOTH, eu=[BOTH[0], lost]), *STORED), Policy()))

    assert (block.reason, block.region) == ("material-missing", "eu-west-1")
    assert "mrk repair NAME" in block.way_out


def asked(pinned: Pinned) -> list[Block]:
    assert isinstance(pinned, Sequence), pinned
    return [step for step in pinned if isinstance(step, Block)]


# ---- in the simulated world --------------------------------------------------------------------------------------


def key(arn: KeyArn) -> KeySettings:
    return KeySettings(arn=str(arn))


def renewing(world: World, arn: KeyArn, policy: Policy) -> Report:
    return world.runner().run([jobs.renew("payments", key(arn), policy)])[0]


def running(world: World, arn: KeyArn, policy: Policy) -> Report:
    return world.runner().run([jobs.run("payments", key(arn), policy)])[0]


def valid_until(world: World, arn: KeyArn) -> set[datetime | None]:
    """Until when the Regions may use CURRENT."""
    return {seen.current.valid_to for seen in world.view(arn).regions.values() if seen.current}


def expiring(world: World, lasts: int = 40) -> tuple[KeyArn, Policy, datetime]:
    """A key whose material expires, and a policy that gives it 90 days."""
    expiry = world.clock.now() + timedelta(days=lasts)
    policy = replace(world.policy, expires=timedelta(days=90), rotate_every=timedelta(days=365))
    return world.make_key(valid_to=expiry), policy, expiry


def test_renew_gives_every_region_the_later_expiry_and_rotates_nothing(world: World) -> None:
    arn, policy, expiry = expiring(world)
    assert renewing(world, arn, policy).status == "idle"
    assert valid_until(world, arn) == {expiry}, "not yet: it lasts longer than renew_before"

    world.clock.advance(days=11)
    report = renewing(world, arn, policy)

    assert report.status == "finished", report
    (later,) = valid_until(world, arn)
    assert later is not None
    assert later > world.clock.now() + timedelta(days=89)
    assert world.true(arn).rotations == 0


def test_a_key_never_expires_whose_run_is_called_every_week(world: World) -> None:
    """Cron alone keeps it alive for a year, through a rotation that becomes due on the way."""
    arn, policy, _ = expiring(world)
    policy = replace(policy, rotate_every=timedelta(days=200))

    for week in range(52):
        world.clock.advance(days=7)
        report = running(world, arn, policy)
        assert report.status in {"idle", "finished"}, (week, report)
        assert {str(key.key_state) for key in world.everywhere(arn).values()} == {"Enabled"}, week

    assert world.true(arn).rotations == 1
    assert len(world.calls("ImportKeyMaterial")) < 60


def test_the_way_out_of_expires_soon_leads_out(world: World) -> None:
    """I3, I9: blocked by the safety window; renewed; then a rotation is possible."""
    arn, policy, _ = expiring(world)
    world.clock.advance(days=35)

    blocked = world.rotate(arn, policy=policy)
    assert {block.reason for block in blocked.blocks} == {"expires-soon"}
    assert all("mrk renew" in block.way_out for block in blocked.blocks)
    assert renewing(world, arn, policy).status == "finished"
    assert world.rotate(arn, policy=policy).status == "finished"


def test_a_run_renews_what_it_can_and_tells_what_it_cannot(world: World) -> None:
    """I10: a Region that its owner disabled holds up no other, is never enabled, and is told of at the end."""
    arn, policy, expiry = expiring(world)
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    world.clock.advance(days=15)

    report = running(world, arn, policy)

    assert report.status == "blocked"
    assert {(block.reason, block.region) for block in report.blocks} == {("disabled", REGIONS[1])}
    until = {str(region): seen.current.valid_to for region, seen in world.view(arn).regions.items() if seen.current}
    assert [region for region, valid_to in until.items() if valid_to == expiry] == [REGIONS[1]]
    assert world.true(arn, REGIONS[1]).key_state == "Disabled"


def test_a_run_renews_before_it_rotates_and_the_plan_says_so(world: World) -> None:
    arn, policy, _ = expiring(world)
    policy = replace(policy, rotate_every=timedelta(days=30))
    world.clock.advance(days=36)
    wanted = jobs.run("payments", key(arn), policy)
    looked = world.runner().run([replace(wanted, stages=())])[0]
    assert looked.view is not None
    assert looked.run is not None
    planned = predict(wanted.stages, looked.view, looked.run, looked.view.at)

    assert planned.end.status == "finished", planned.end
    assert planned.steps[0].stage == "kept_alive"
    assert any(step.point_of_no_return for step in planned.steps)
    assert running(world, arn, policy).status == "finished"
    assert world.true(arn).rotations == 1


@pytest.mark.parametrize("seed", [3, 4])
def test_a_renewal_is_over_when_the_later_expiry_was_seen_several_times_in_a_row(
    make_world: Callable[..., World], seed: int
) -> None:
    """I8: under these seeds a Region shows the later expiry, then the old one again."""
    world = make_world(lag="aws-like", seed=seed)
    arn, policy, old = expiring(world)
    world.clock.advance(days=15)
    begun = len(world.events)

    assert renewing(world, arn, policy).status == "finished"

    for region in REGIONS:
        looks = [event for event in world.events[begun:] if event.kind == "look" and event.region == region]
        last = [event.data["rows"][0]["valid_to"] for event in looks][-policy.looks :]
        assert all(valid_to > old for valid_to in last), region


@pytest.mark.parametrize("seed", range(3))
def test_a_renewal_under_lag_and_flapping_reads_ends_as_without(make_world: Callable[..., World], seed: int) -> None:
    world = make_world(lag="aws-like", seed=seed)
    arn, policy, _ = expiring(world)
    world.clock.advance(days=15)
    before = len(world.calls("ImportKeyMaterial"))

    report = running(world, arn, policy)

    world.clock.advance(minutes=10)
    assert report.status == "finished", report
    assert all(valid_to and valid_to > world.clock.now() + timedelta(days=89) for valid_to in valid_until(world, arn))
    assert len(world.calls("ImportKeyMaterial")) - before < 20
