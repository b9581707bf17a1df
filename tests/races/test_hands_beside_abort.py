"""Somebody rotates by hand beside an abort, and the start date of that vanishes early; then the next rotation comes.

KMS takes a deletion while an accepted rotation runs, and rotates in what is imported until that evaporates (P6, P9).
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from race_kit import at_call

from orchestrator.model import EntryName, ImportType, KeyArn, MaterialId, Region
from orchestrator.simulator import Lag, Simulator, serve
from sizes import EVERYTHING, some
from verdict import Count, Watch, before, broken, held, tell
from workflows.abort import abort
from workflows.rotate import ROTATE
from worlds import REGIONS, ManualClock, World

pytestmark = pytest.mark.timeout(1800)


class Vanishing(Lag):
    """A KMS whose rotations all cease early to show their start date."""

    def shown_seconds(self, duration: float, rng: random.Random) -> float:  # noqa: ARG002
        return 1.0


def vanishing(lag: Lag, rotation: float) -> Lag:
    """So long a rotation, and an evaporation as long as was measured."""
    return Vanishing(**{**asdict(lag), "rotation": (rotation, rotation, rotation), "evaporation": 240})


MakeWorld = Callable[[Lag], World]


@pytest.fixture
def make(tmp_path: Path, clock: ManualClock) -> Iterator[MakeWorld]:
    """Make a world with this lag."""
    with ExitStack() as opened:
        threads = opened.enter_context(ThreadPoolExecutor(8))

        def made(lag: Lag) -> World:
            simulator = Simulator(clock.epoch, lag=lag)
            served = opened.enter_context(serve(simulator))
            directory = tmp_path / str(len(list(tmp_path.iterdir())))
            directory.mkdir()
            return World(simulator, served.endpoint_url, directory, clock, threads)

        yield made


def of_ours(world: World, arn: KeyArn) -> None:
    """What is pending is an attempt of this store."""
    assert world.rotate(arn, stages=ROTATE[:4]).status == "finished"


def of_nobodys(world: World, arn: KeyArn) -> MaterialId:
    """What is pending is foreign: nothing in the store tells when it was given up."""
    other = world.open_store(f"file:{world.directory / 'other'}")
    name = EntryName(arn.identity, world.true(arn).current)
    other.deposit(name)
    pending = world.send(other, arn, name, ImportType.NEW)
    world.clock.advance(minutes=1)
    for region in REGIONS[1:]:
        world.send(other, arn.within(Region(region)), name, ImportType.EXISTING, pending)
    return pending


Pending = Callable[[World, KeyArn], MaterialId | None]


def race(world: World, pending: Pending, number: int) -> tuple[bool, list[str]]:
    """Give up what is pending, while somebody rotates after a look of that; rotate at once, until that ends.

    Say whether the abort looked that often, and what is wrong.
    """
    arn = world.make_key()
    material = pending(world, arn)
    world.clock.advance(minutes=1)
    earlier = before(world.simulator, arn)

    def act() -> None:
        with suppress(ClientError):  # KMS may refuse it, as nothing is pending any more
            world.client().rotate_key_on_demand(KeyId=str(arn))

    watch = Watch(world.simulator, arn, earlier)
    # Right after a look at whether a rotation shows: no later look shows it.
    between = at_call(world.simulator, number, "after", act, "GetKeyRotationStatus")
    policy = replace(world.policy, deadline=timedelta(minutes=60), poll=timedelta(seconds=30))
    given_up = world.runner().run([abort("payments", arn, policy, material, unheld=True)])[0]
    known = held(world.open_store(f"file:{world.directory / 'other'}"), key=arn.identity)
    wrong = between.broke + broken(world.simulator, arn, earlier, [world.store], success=False, known=known)
    if given_up.status == "finished" and world.true(arn).pending:
        wrong.append("the abort left what was pending")
    for _ in range(3):
        report = world.rotate(arn, policy=policy)
        world.clock.advance(minutes=20)
        wrong += broken(world.simulator, arn, earlier, [world.store], success=False, known=known)
        if report.status != "failed":
            break
    world.simulator.hooks.clear()
    wrong += [f"{one.status}: {one.message}" for one in (given_up, report) if one.status not in ENDS]
    if not all(block.way_out for block in (*given_up.blocks, *report.blocks)):
        wrong.append("a block without a way out")
    told = f"look {number}, abort {given_up.status}, then {report.status}"
    return between.came, [f"{told}: {one}" for one in dict.fromkeys([*wrong, *watch.found])]


ENDS = ("finished", "blocked")
RACES = [
    (lag, rotation, number)
    for lag in (Lag.instant(), Lag.aws_like())
    for rotation in (60, 200, 460)
    for number in range(1, 41)
]
SLICE = [(Lag.instant(), 460, 16), (Lag.aws_like(), 200, 30)]


@pytest.mark.parametrize("pending", [of_ours, of_nobodys])
def test_a_rotation_by_hand_beside_an_abort_rotates_nothing_in_that_is_only_half_there(
    make: MakeWorld, record_property: Count, pending: Pending
) -> None:
    """I3, P6: NEW waits until no request that anybody sent can rotate it in."""
    mine = some(RACES, 0) if EVERYTHING else SLICE
    wrong, raced = [], 0
    for lag, rotation, number in mine:
        world = make(vanishing(lag, rotation))
        came, found = race(world, pending, number)
        raced += came
        wrong += [f"{lag.name}, a rotation of {rotation} s, {one}" for one in found]
    record_property("races_run", raced)
    assert not wrong, tell(wrong)
    assert raced
