"""A run races with other hands on the same key: whatever they do, at whichever call of the run they do it.

The hand acts while a call of the run is held, before its effect or after it, so that every order is tried, not met.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from race_kit import CALLS, all_raced, at_call

from orchestrator.errors import KmsError
from orchestrator.model import EntryName, ImportType, KeyArn
from orchestrator.progress import Report
from orchestrator.simulator import Lag, Simulator, serve
from sizes import EVERYTHING, every
from verdict import Count, Watch, before, broken, false_blocks, held, tell, untrue
from worlds import REGIONS, ManualClock, World

pytestmark = pytest.mark.timeout(1800)

PRIMARY, REPLICA = REGIONS[0], REGIONS[2]
ADDED = "sa-east-1"
DEADLINE = timedelta(minutes=10)
SEEDS = range(20)
acted: Counter["Hand"] = Counter()
"""How often KMS let a hand act."""


class NothingToDoError(Exception):
    """A hand found nothing that it could do anything to."""


@dataclass
class Other:
    """Somebody else with rights on the key, and a store of their own."""

    world: World
    arn: KeyArn
    store: Any

    def client(self, region: str = PRIMARY) -> Any:
        return self.world.client(region)


def adds_a_replica(other: Other) -> None:
    other.client().replicate_key(KeyId=str(other.arn), ReplicaRegion=ADDED)


def schedules_a_replica_for_deletion(other: Other) -> None:
    other.client(REPLICA).schedule_key_deletion(KeyId=other.arn.key_id, PendingWindowInDays=7)


def disables_a_replica(other: Other) -> None:
    other.client(REPLICA).disable_key(KeyId=other.arn.key_id)


def moves_the_primary(other: Other) -> None:
    other.client().update_primary_region(KeyId=str(other.arn), PrimaryRegion=REPLICA)


def imports_foreign_material(other: Other) -> None:
    name = EntryName(other.arn.identity, other.world.true(other.arn).current)
    other.store.deposit(name)
    other.world.send(other.store, other.arn, name, ImportType.NEW)


def rotates(other: Other) -> None:
    other.client().rotate_key_on_demand(KeyId=str(other.arn))


def deletes_what_is_pending(other: Other) -> None:
    true = other.world.true(other.arn)
    if not true.pending:
        raise NothingToDoError
    other.client().delete_imported_key_material(KeyId=str(other.arn), KeyMaterialId=true.pending)


def replaces_what_is_pending(other: Other) -> None:
    deletes_what_is_pending(other)
    imports_foreign_material(other)


def deletes_current_in_a_replica(other: Other) -> None:
    current = other.world.true(other.arn).current
    other.client(REPLICA).delete_imported_key_material(KeyId=other.arn.key_id, KeyMaterialId=current)


@dataclass(frozen=True, slots=True)
class Hand:
    """What somebody does, which Regions that alone makes unusable, and how the run after it may end.

    `shows_in` are the Regions where a look tells of it, after which no run may call the key whole.
    """

    act: Callable[[Other], None]
    dead: frozenset[str] = frozenset()
    again: tuple[str, ...] = ("finished",)
    shows_in: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.act.__name__


ALL = ("finished", "blocked", "failed")
HANDS = (
    Hand(adds_a_replica, again=("blocked",), shows_in=frozenset({PRIMARY})),
    Hand(schedules_a_replica_for_deletion, frozenset({REPLICA}), ("blocked",), frozenset({REPLICA})),
    Hand(disables_a_replica, frozenset({REPLICA}), ("blocked",), frozenset({REPLICA})),
    Hand(moves_the_primary),
    Hand(imports_foreign_material, again=("finished", "blocked")),
    Hand(rotates),
    Hand(deletes_what_is_pending, again=("finished", "blocked")),
    # In mid-rotation KMS rotates in whatever stands there then, and no replica has it.
    Hand(replaces_what_is_pending, frozenset(REGIONS[1:]), ("finished", "blocked"), frozenset(REGIONS[1:])),
    Hand(deletes_current_in_a_replica, frozenset({REPLICA}), ("blocked",), frozenset({REPLICA})),
)


@contextmanager
def a_world(lag: Lag, directory: Path, clock: ManualClock, seed: int = 0) -> Iterator[World]:
    """A world for many races."""
    directory.mkdir(exist_ok=True)
    simulator = Simulator(clock.epoch, lag=lag, seed=seed)
    with serve(simulator) as served, ThreadPoolExecutor(8) as threads:
        yield World(simulator, served.endpoint_url, directory, clock, threads)


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock) -> Iterator[World]:
    """A world whose rotations take half a minute, so that there is a time in which one is under way."""
    with a_world(Lag.instant().with_rotation(30), tmp_path, clock) as made:
        yield made


def rotate(world: World, arn: KeyArn) -> Report:
    return world.rotate(arn, policy=replace(world.policy, deadline=DEADLINE))


@dataclass
class Deed:
    """What came of a hand: whether it had anything to do, and the number of the last call before that."""

    tried: bool = True
    last_call: int | None = None


def race(world: World, hand: Hand, number: int, moment: str, *, lagging: bool) -> tuple[bool | None, list[str]]:
    """Let a run and a hand race; say whether they did, and what is wrong in the end, and after one more run."""
    arn = world.make_key()
    other = Other(world, arn, world.open_store(f"file:{world.directory / 'other'}"))
    earlier, deed = before(world.simulator, arn), Deed()
    earlier = replace(earlier, enabled=earlier.enabled - hand.dead)

    def act() -> None:
        with suppress(ClientError, KmsError):  # KMS may refuse it
            try:
                hand.act(other)
            except NothingToDoError:
                deed.tried = False
                return
            acted[hand] += 1
            deed.last_call = world.simulator.calls[-1].number

    watch = Watch(world.simulator, arn, earlier)
    between = at_call(world.simulator, number, moment, act)
    begun = world.clock.now()
    report = rotate(world, arn)
    took = world.clock.now() - begun
    world.simulator.hooks[:] = [watch]  # where the run made fewer calls
    known = held(other.store, key=arn.identity)
    wrong = between.broke
    if report.status not in ALL:
        wrong.append(f"{report.status}: {report.message}")
    if took > DEADLINE + timedelta(minutes=2):
        wrong.append(f"it took {took}")
    seen = not lagging and saw(world, arn, hand, deed)
    wrong += judged(world, arn, earlier, known, report, seen=seen)
    world.clock.advance(minutes=20)
    again = rotate(world, arn)
    recently = {block.reason for block in again.blocks} <= {"recently-rotated"}
    if again.status not in hand.again and not (again.status == "blocked" and recently):
        wrong.append(f"the run after it {again.status}: {again.message}; the first: {report.message}")
    if not all(block.way_out for block in (*report.blocks, *again.blocks)):
        wrong.append("a block without a way out")
    wrong += judged(world, arn, earlier, known, again, seen=not lagging and deed.last_call is not None)
    wrong += false_blocks(world.simulator, arn, [world.store], (*report.blocks, *again.blocks), alone=False)
    world.simulator.hooks.clear()
    wrong += watch.found
    came = between.came and (deed.tried or None)
    return came, [f"{hand} {moment} call {number}: {one}" for one in wrong]


def saw(world: World, arn: KeyArn, hand: Hand, deed: Deed) -> bool:
    """Tell whether the run looked, after the hand's deed, where that shows."""
    looked = {
        call.region
        for call in world.simulator.calls
        if deed.last_call is not None and call.number > deed.last_call
        if call.operation == "DescribeKey" and arn.key_id in str(call.parameters) and call.result == "ok"
    }
    return bool(looked & hand.shows_in)


def judged(world: World, arn: KeyArn, earlier: Any, known: set[bytes], report: Report, *, seen: bool) -> list[str]:
    """Judge the promises; a success is judged by what this run could see: what came after its last look is not it.

    `seen` tells that the run saw what another hand did, so that no Region is excused.
    """
    success = report.status == "finished"
    found = broken(world.simulator, arn, earlier, [world.store], success=success and seen, known=known)
    if success and not seen:
        found += untrue(world.simulator, arn, earlier, [world.store])
    return found


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("hand", HANDS, ids=str)
def test_whatever_others_do_and_whenever(world: World, record_property: Count, hand: Hand, moment: str) -> None:
    """I3, I4, I7, I10, P13: at most one rotation, nothing lost, no key made unusable by us; and the way out is said."""
    numbers = every(CALLS, 20 + 7 * (len(str(hand)) % 9))
    acted.clear()
    all_raced(record_property, numbers, lambda number: race(world, hand, number, moment, lagging=False))
    assert acted[hand] or not EVERYTHING, "KMS refused it at every call"


@pytest.mark.parametrize("hand", HANDS, ids=str)
def test_whatever_others_do_while_reads_lag_and_flap(
    tmp_path: Path, clock: ManualClock, record_property: Count, hand: Hand
) -> None:
    """I3, I4, I7, P6, P8: rotations take up to eight minutes, and no look shows for sure what another one did."""
    wrong, raced = [], 0
    for seed in every(SEEDS, 3 + len(str(hand)) % 9):
        with a_world(Lag.aws_like(), tmp_path / f"{seed}", clock, seed) as world:
            moment = ("before", "after")[seed % 2]
            # An import that crosses a deletion or a disabling by hand may undo it, and the run after it then finishes.
            dead = frozenset({PRIMARY, REPLICA}) if hand.act is moves_the_primary else hand.dead  # they read Updating
            usual = replace(hand, dead=dead, again=("finished", *hand.again))
            came, found = race(world, usual, 3 + seed * 7, moment, lagging=True)
            raced += bool(came)
            wrong += [f"seed {seed}: {one}" for one in found]
    record_property("races_run", raced)
    assert raced
    assert not wrong, tell(wrong)
