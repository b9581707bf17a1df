"""Until when imported key material lasts: a control that is there is never taken away unasked, nor made stricter."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from core_building import AP, EU, NOW, US, A, B, a_goal, a_key, a_view, current, days, past, pending

from orchestrator import lasting
from orchestrator.model import NEVER, Policy, Reason, Region, RegionView, Repair, View
from orchestrator.progress import Job, Report
from workflows.abort import abort
from workflows.adopt import adopt
from workflows.jobs import RENEW, REPAIR, RUN, judged, whatever_expires, whatever_is_broken, whatever_is_wanted
from worlds import REGIONS, World

SOON, LATER = days(40), days(90)
UNSET = Policy()
SAYS = {"for ever": Policy(expires=NEVER), "for 60 days": Policy(expires=timedelta(days=60))}

LOST: Mapping[str, tuple[Mapping[Region, RegionView], datetime | None]] = {
    "nothing of the key expires": (a_key(eu=[current("a", imported=False)]), None),
    "it expires elsewhere": (a_key([current("a", valid_to=SOON)], eu=[current("a", imported=False)]), SOON),
    "it expires at two times elsewhere: the first": (
        a_key([current("a", valid_to=LATER)], eu=[current("a", imported=False)], ap=[current("a", valid_to=SOON)]),
        SOON,
    ),
    "only another material expires": (
        a_key([past("a", valid_to=SOON), current("b")], eu=[past("a"), current("b", imported=False)]),
        None,
    ),
    "nobody holds it: as the key's first expiry": (
        a_key([past("a", valid_to=LATER), current("b", imported=False)]),
        LATER,
    ),
    "it was over there": (a_key([current("a", valid_to=LATER)], eu=[current("a", valid_to=days(-1))]), days(-1)),
    "it was over everywhere": (a_key([current("a", valid_to=days(-1))]), days(-1)),
    "it is over elsewhere, and lost there": (
        a_key([current("a", valid_to=days(-1))], eu=[current("a", imported=False)]),
        days(-1),
    ),
}


@pytest.mark.parametrize(("key", "until"), LOST.values(), ids=LOST)
def test_without_expires_a_region_gets_material_back_as_it_had_it(
    key: Mapping[Region, RegionView], until: datetime | None
) -> None:
    view, current_id = a_view(key), B if any(seen.row(B) for seen in key.values()) else A
    goal = a_goal(None, policy=UNSET, valid_to=lasting.pinned(view, UNSET))

    assert lasting.of_known(view, goal, EU, current_id) == until
    assert bool(lasting.over(view, goal, key[EU], current_id)) is (until is not None and until < NOW)


@pytest.mark.parametrize("policy", SAYS.values(), ids=SAYS)
@pytest.mark.parametrize("key", [key for key, _ in LOST.values()], ids=LOST)
def test_what_expires_says_holds_whatever_the_key_has(key: Mapping[Region, RegionView], policy: Policy) -> None:
    view = a_view(key)
    goal = a_goal(None, policy=policy, valid_to=lasting.pinned(view, policy))
    says = None if policy.expires == NEVER else days(60)

    assert [lasting.of_known(view, goal, region, A) for region in REGIONS] == [says] * 3
    assert [lasting.of_new(view, goal, Region(region)) for region in REGIONS] == [says] * 3
    assert not lasting.over(view, goal, key[EU], A)


def test_without_expires_new_material_lasts_as_current_does_in_each_region() -> None:
    key = a_key(
        [past("a"), current("b", valid_to=SOON), pending("c")],
        eu=[past("a"), current("b", valid_to=LATER), pending("c", imported=False)],
        ap=[past("a", valid_to=SOON), current("b"), pending("c", imported=False)],
    )
    view = a_view(key)
    goal = a_goal("b", policy=UNSET, valid_to=lasting.pinned(view, UNSET))

    assert [lasting.of_new(view, goal, region) for region in (US, EU, AP)] == [SOON, LATER, None]


# ---- in the world -------------------------------------------------------------------------------------------------


def expiries(world: World, arn: Any) -> set[datetime | None]:
    """Until when every material is valid, in every Region, as KMS has it."""
    return {row.valid_to for seen in world.view(arn).regions.values() for row in seen.rows if row.imported}


def ran(world: World, arn: Any, policy: Policy, stages: Any, pin: Callable[[View, Policy], Any]) -> Report:
    return world.runner().run([Job("payments", arn, policy, stages, lambda view: pin(view, policy))])[0]


def rotates(world: World, arn: Any, policy: Policy) -> Report:
    return world.rotate(arn, policy=policy)


def repairs(world: World, arn: Any, policy: Policy) -> Report:
    return ran(world, arn, policy, REPAIR, whatever_is_broken)


def renews(world: World, arn: Any, policy: Policy) -> Report:
    return ran(world, arn, policy, RENEW, whatever_expires)


def runs(world: World, arn: Any, policy: Policy) -> Report:
    return ran(world, arn, replace(policy, rotate_every=timedelta(days=900)), RUN, whatever_is_wanted)


def verifies(world: World, arn: Any, policy: Policy) -> Report:
    quiet = replace(policy, rotate_every=timedelta(days=900))
    return ran(world, arn, quiet, (), judged)


def adopts(world: World, arn: Any, policy: Policy) -> Report:
    """The file of CURRENT is brought into a store that lacks it, while the primary lacks it, too."""
    file = kept(world, arn)
    world.store = world.open_store(f"file:{world.directory / 'empty'}")
    return world.runner().run([adopt("payments", arn, policy, file, None)])[0]


def kept(world: World, arn: Any) -> Path:
    """The file of the key's owner."""
    file = world.directory / "file.bin"
    if not file.exists():
        file.write_bytes(world.simulator.material(REGIONS[1], str(arn), world.true(arn, REGIONS[1]).current))
    return file


def loses(*regions: str) -> Callable[[World, Any], None]:
    def lost(world: World, arn: Any) -> None:
        for region in regions:
            world.client(region).delete_imported_key_material(KeyId=arn.key_id)
        world.clock.advance(minutes=10)

    return lost


def gains(world: World, arn: Any) -> None:
    """Its owner replicates the key to another Region; that has no material yet."""
    world.client().replicate_key(KeyId=str(arn), ReplicaRegion="sa-east-1")
    world.clock.advance(minutes=10)


def well(_world: World, _arn: Any) -> None:
    """Nothing is wrong."""


SIBLINGS: Mapping[str, tuple[Callable[..., None], Callable[..., Report], str]] = {
    "a rotation": (well, rotates, "finished"),
    "a rotation by cron": (well, lambda world, arn, policy: ran(world, arn, policy, RUN, due), "finished"),
    "a repair of a replica": (loses(REGIONS[1]), repairs, "finished"),
    "a repair of the primary": (loses(REGIONS[0]), repairs, "finished"),
    "a repair by cron": (
        loses(REGIONS[2]),
        lambda world, arn, policy: runs(world, arn, replace(policy, repair=Repair.AUTO)),
        "finished",
    ),
    "a new replica is filled": (gains, repairs, "finished"),
    "an adoption that brings bytes back": (loses(REGIONS[0]), adopts, "finished"),
    "a renewal, nothing of which is asked": (well, renews, "idle"),
}


def due(view: View, policy: Policy) -> Any:
    return whatever_is_wanted(view, replace(policy, rotate_every=timedelta(days=0), min_interval=timedelta()))


@pytest.mark.parametrize(("state", "command", "status"), SIBLINGS.values(), ids=SIBLINGS)
@pytest.mark.parametrize("expires", [True, False], ids=["it expires", "it never expires"])
def test_no_command_changes_how_long_material_lasts_where_nothing_says_so(
    world: World, state: Callable[..., None], command: Callable[..., Report], status: str, *, expires: bool
) -> None:
    """The material of an adopted key expires by policy, and the config has no `expires`."""
    until = (world.clock.now() + timedelta(days=100)).replace(microsecond=0) if expires else None
    arn = world.make_key(valid_to=until)
    state(world, arn)

    report = command(world, arn, world.policy)

    assert report.status == status, report
    assert expiries(world, arn) == {until}


@pytest.mark.parametrize("days_left", [5, 20], ids=["within the safety window", "within renew_before"])
def test_to_verify_it_is_not_well_that_nothing_renews_what_soon_expires(world: World, days_left: int) -> None:
    """Every channel says the same: what each run ends with 4 for is not healthy."""
    until = (world.clock.now() + timedelta(days=days_left)).replace(microsecond=0)
    arn = world.make_key(valid_to=until)

    unset, told = verifies(world, arn, world.policy), runs(world, arn, world.policy)

    found = [(block.reason, block.region) for block in unset.blocks]
    assert (unset.status, told.status) == ("blocked", "blocked")
    assert sorted(found) == [(Reason.EXPIRES_SOON, Region(region)) for region in sorted(REGIONS)]
    said = verifies(world, arn, replace(world.policy, expires=timedelta(days=60)))
    assert said.status == ("idle" if days_left > world.policy.safety_window.days else "blocked")


@pytest.mark.parametrize("command", [renews, runs], ids=["renew", "run"])
@pytest.mark.parametrize("policy", [None, *SAYS.values()], ids=["unset", *SAYS])
def test_what_soon_expires_is_renewed_as_the_config_says_and_blocks_where_it_says_nothing(
    world: World, policy: Policy | None, command: Callable[..., Report]
) -> None:
    until = (world.clock.now() + timedelta(days=20)).replace(microsecond=0)
    arn = world.make_key(valid_to=until)
    wanted = replace(world.policy, expires=policy.expires if policy else None)

    report = command(world, arn, wanted)

    if policy is None:
        assert report.status == "blocked"
        assert {(block.reason, block.region) for block in report.blocks} == {
            (Reason.EXPIRES_SOON, Region(region)) for region in REGIONS
        }
        assert expiries(world, arn) == {until}
        assert not world.calls("ImportKeyMaterial")[3:]
    else:
        assert report.status == "finished"
        assert until not in expiries(world, arn)


@pytest.mark.parametrize("command", [repairs, adopts, rotates], ids=["repair", "adopt", "rotate"])
def test_what_expired_comes_back_only_where_the_config_says_for_how_long(
    world: World, command: Callable[..., Report]
) -> None:
    """Its time was over, as somebody had wanted; that it is gone is told as what it is."""
    arn = world.make_key(valid_to=world.clock.now() + timedelta(days=20), deposited=False)
    assert world.runner().run([adopt("payments", arn, world.policy, kept(world, arn), None)])[0].status == "finished"
    before = len(world.calls("ImportKeyMaterial"))
    world.clock.advance(days=21)

    report = command(world, arn, world.policy)

    assert report.status == "blocked", report
    assert Reason.MATERIAL_MISSING in {block.reason for block in report.blocks}
    assert len(world.calls("ImportKeyMaterial")) == before

    if command is repairs:
        assert all(lasting.SAY in block.way_out for block in report.blocks), report.blocks
        again = repairs(world, arn, replace(world.policy, expires=timedelta(days=60)))
        assert again.status == "finished", again
        (until,) = expiries(world, arn)
        assert until is not None


def test_what_an_abort_brings_back_lasts_as_the_config_says(world: World) -> None:
    """P9: KMS rotated in what was being withdrawn; its bytes return at once, and not for ever."""
    policy = replace(world.policy, expires=timedelta(days=60), deadline=timedelta(minutes=40))
    arn = world.make_key(valid_to=world.clock.now() + timedelta(days=60))
    view = world.view(arn)
    job = abort("payments", arn, policy)
    assert job.policy.expires == policy.expires

    from workflows.abort import _goal  # noqa: PLC0415 - what it pins is otherwise seen only in a race

    assert _goal(view, policy, a_goal().entry).valid_to == lasting.pinned(view, policy)
