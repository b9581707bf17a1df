"""A Region whose every call takes seconds: it is kept alive itself, though a look at it is never 10 s young (I11)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Lock

import pytest

from orchestrator.looks import or_look
from orchestrator.model import (
    Act,
    Action,
    EntryName,
    Goal,
    ImportMaterial,
    ImportType,
    KeyArn,
    Policy,
    Purpose,
    Region,
    RegionView,
    Repair,
    RotateOnDemand,
    Run,
)
from orchestrator.progress import Job, Progress
from orchestrator.settings import KeySettings
from orchestrator.simulator import Call
from workflows import jobs
from worlds import REGIONS, World

BOTH = REGIONS[:2]
WANTED = Policy(
    frozenset(map(Region, BOTH)),
    rotate_every=timedelta(days=3000),
    expires=timedelta(days=60),
    repair=Repair.AUTO,
    deadline=timedelta(minutes=10),
)


def slow(world: World, regions: set[str], seconds: float) -> None:
    """Let so much time pass at each call that a Region gets."""
    lock = Lock()

    def take_its_time(call: Call, moment: str) -> None:
        if moment == "before" and call.region in regions:
            with lock:
                world.clock.advance(seconds=seconds)

    world.simulator.hooks.append(take_its_time)


def ends(world: World, arn: KeyArn) -> None:
    """What is there ends within three weeks, as it was made."""


def lacks(world: World, arn: KeyArn) -> None:
    """Every Region has lost its material."""
    for region in BOTH:
        world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)


@pytest.mark.parametrize("needs", [ends, lacks])
@pytest.mark.parametrize("seconds", [2.5, 4])
@pytest.mark.parametrize("where", [{BOTH[0]}, {BOTH[1]}, {*BOTH}], ids=["the primary", "the replica", "both"])
def test_a_slow_region_is_kept_alive(
    world: World, where: set[str], seconds: float, needs: Callable[[World, KeyArn], None]
) -> None:
    arn = world.make_key(BOTH, valid_to=(world.clock.now() + timedelta(days=20)).replace(microsecond=0))
    needs(world, arn)
    slow(world, where, seconds)
    world.runner().run([jobs.run("payments", KeySettings(arn=str(arn)), WANTED)])

    month = (world.clock.now() + timedelta(days=31)).timestamp()
    rows = {region: [row.usable and row.valid_to for row in one.rows] for region, one in world.everywhere(arn).items()}
    assert all(until and until > month for found in rows.values() for until in found), rows


AGES = {"fresh": (2, 2), "a fresh state, and old rows": (2, 12), "an old state": (12, 12)}
SENT = {
    "an import that prolongs": ["fresh", "a fresh state, and old rows"],
    "new material": ["fresh"],
    "a rotation": ["fresh"],
}


@pytest.mark.parametrize("ages", AGES)
@pytest.mark.parametrize("kind", SENT)
def test_what_only_prolongs_stands_on_a_fresh_state_and_all_else_on_a_whole_fresh_look(
    world: World, kind: str, ages: str
) -> None:
    """I3, I11: judged when it is decided, and until when it may be sent."""
    arn = world.make_key(BOTH)
    view = world.view(arn)
    described, seen = (view.at - timedelta(seconds=age) for age in AGES[ages])
    regions = {region: replace(one, seen_at=seen, described_at=described) for region, one in view.regions.items()}
    view = replace(view, regions=regions)
    (material,), name = view.permanent_ids(), EntryName(arn.identity, None)
    action: Action = {
        "an import that prolongs": ImportMaterial(arn, name, ImportType.EXISTING, material, None, Purpose.RENEW),
        "new material": ImportMaterial(arn, EntryName(arn.identity, material), ImportType.NEW, None, None),
        "a rotation": RotateOnDemand(arn, material),
    }[kind]
    goal = Goal(arn, name, arn.region, view.members, None, view.at + timedelta(hours=1), WANTED)
    job = Job("payments", arn, WANTED, (), lambda _: goal)
    progress = Progress(job, view.at, seen=dict(view.regions), store=view.store, run=Run(goal))

    decided = or_look(Act(action), view, goal)

    assert isinstance(decided, Act) == (ages in SENT[kind])
    assert (progress.good_until(action, view.at) >= view.at) == (ages in SENT[kind])


@pytest.mark.parametrize(
    ("region", "seconds", "times"),
    [(BOTH[0], 0.1, 1), (BOTH[0], 1.5, 2), (BOTH[0], 4, 2), (BOTH[1], 0.1, 1), (BOTH[1], 1.5, 1), (BOTH[1], 4, 2)],
)
def test_a_look_at_a_slow_region_asks_once_and_for_the_state_once_more(
    world: World, region: str, seconds: float, times: int
) -> None:
    """To ask for everything again would bring nothing younger."""
    arn = world.make_key(BOTH).within(Region(region))
    slow(world, {region}, seconds)
    before = len(world.simulator.calls)

    seen = world.observe().region(arn)

    assert isinstance(seen, RegionView)
    assert seen.described_at is not None
    assert world.clock.now() - seen.described_at <= timedelta(seconds=max(seconds, 3))
    sent = [call.operation for call in world.simulator.calls[before:]]
    assert (sent.count("DescribeKey"), sent.count("ListKeyRotations")) == (times, 1)


def test_a_rotation_still_wants_everything_within_ten_seconds(world: World) -> None:
    """I3: where the looks cannot be that young, nothing is rotated."""
    arn = world.make_key(BOTH)
    slow(world, {BOTH[0]}, 4)

    report = world.rotate(arn, policy=replace(world.policy, deadline=timedelta(minutes=5)))

    assert report.status == "failed"
    assert world.true(arn).rotations == 0
