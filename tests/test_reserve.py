"""The last of the 25 rotations, and a second rotation soon after another: what nobody watches makes neither."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.model import EntryName, ImportType, KeyArn, Policy, Reason, Region
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from workflows import jobs
from worlds import REGIONS, World

TWO = REGIONS[:2]
YEARLY = Policy()


def rotate_by_hand(world: World, arn: KeyArn, times: int) -> None:
    """Rotate a key as its owner could, and keep every material in the store."""
    for _ in range(times):
        name = EntryName(arn.identity, world.true(arn).current)
        world.store.deposit(name)
        made = world.send(world.store, arn, name, ImportType.NEW)
        for region in TWO[1:]:
            world.send(world.store, arn.within(Region(region)), name, ImportType.EXISTING, made)
        world.store.link(name, made)
        world.client().rotate_key_on_demand(KeyId=str(arn))
        world.clock.advance(minutes=20)
        world.store.mark_proven(name, {"regions": list(TWO), "proof": "full"})


def used(world: World, arn: KeyArn) -> set[int]:
    return {key.rotations for key in world.everywhere(arn).values()}


def ended(world: World, job: Job) -> Report:
    return world.runner().run([job])[0]


def key(arn: KeyArn) -> KeySettings:
    return KeySettings(arn=str(arn))


JOBS: dict[str, Any] = {
    "cron": lambda arn, policy: jobs.run("payments", key(arn), policy),
    "rotate --yes": lambda arn, policy: jobs.rotate("payments", key(arn), policy),
    "an input that asks to rotate": lambda arn, policy: jobs.of("rotate", "payments", key(arn), policy),
    "an input that asks to run": lambda arn, policy: jobs.of("run", "payments", key(arn), policy),
}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_nothing_unattended_spends_the_reserve_and_a_person_does(world: World, job: Any) -> None:
    """23 are used: the two that are left wait for somebody who was told so; nothing is deposited until then."""
    arn = world.make_key(TWO)
    rotate_by_hand(world, arn, 23)
    world.clock.advance(days=400)
    entries = len(world.store.entries())

    report = ended(world, job(arn, YEARLY))

    assert report.status == "blocked"
    assert [block.reason for block in report.blocks] == [Reason.RESERVED]
    assert "mrk rotate payments" in report.blocks[0].way_out
    assert (used(world, arn), len(world.store.entries())) == ({23}, entries)

    by_hand = ended(world, jobs.rotate("payments", key(arn), replace(YEARLY, attended=True)))

    assert (by_hand.status, used(world, arn)) == ("finished", {24})


def test_what_a_person_began_in_the_reserve_is_not_rotated_in_by_cron(world: World) -> None:
    """P7: judged again right before the rotation: the material stays pending until a person goes on with it."""
    arn = world.make_key(TWO)
    rotate_by_hand(world, arn, 24)
    world.clock.advance(days=400)
    attended = replace(YEARLY, attended=True)
    begun = ended(world, jobs.rotate("payments", key(arn), attended, until="ready"))
    assert begun.status == "finished", begun

    report = ended(world, jobs.run("payments", key(arn), YEARLY))

    assert [block.reason for block in report.blocks] == [Reason.RESERVED]
    assert used(world, arn) == {24}
    assert ended(world, jobs.rotate("payments", key(arn), attended)).status == "finished"
    assert used(world, arn) == {25}


def test_what_is_not_due_is_well_with_the_reserve_untouched(world: World) -> None:
    """P5: a reserve is no illness."""
    arn = world.make_key(TWO)
    rotate_by_hand(world, arn, 24)

    assert ended(world, jobs.run("payments", key(arn), YEARLY)).status == "idle"


MONTHLY = replace(YEARLY, min_interval=timedelta(days=30), rotate_every=timedelta(days=90))


@pytest.mark.parametrize(("policy", "hours"), [(YEARLY, 23), (MONTHLY, 25), (MONTHLY, 29 * 24)])
def test_no_input_makes_a_rotation_sooner_by_naming_what_to_replace(world: World, policy: Policy, hours: int) -> None:
    """P4: `replaces` of an input is compare-and-swap; a person's is that, and leave to rotate again."""
    arn = world.make_key(TWO)
    rotate_by_hand(world, arn, 1)
    world.clock.advance(hours=hours)
    current = str(world.true(arn).current)

    for replaces in (current, None, current):
        report = ended(world, jobs.of("rotate", "payments", key(arn), policy, replaces))
        assert [block.reason for block in report.blocks] == [Reason.RECENTLY_ROTATED]
        assert f"mrk rotate payments --replaces {current}" in report.blocks[0].way_out
    assert used(world, arn) == {1}

    by_person = ended(world, jobs.rotate("payments", key(arn), policy, current))

    assert (by_person.status, used(world, arn)) == ("finished", {2})


@pytest.mark.parametrize(("policy", "days"), [(YEARLY, 1.1), (MONTHLY, 31)])
def test_when_the_interval_is_over_an_input_may_ask_again(world: World, policy: Policy, days: float) -> None:
    arn = world.make_key(TWO)
    rotate_by_hand(world, arn, 1)
    world.clock.advance(days=days)

    report = ended(world, jobs.of("rotate", "payments", key(arn), policy, str(world.true(arn).current)))

    assert (report.status, used(world, arn)) == ("finished", {2})
