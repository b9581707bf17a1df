"""From any state that random legal calls reach, a rotation comes to a proven end or stops with a reason.

And whatever state that was: it makes no usable key unusable, deletes nothing, and never sends NEW with other bytes for
one goal.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.errors import KmsError, StoreError
from orchestrator.model import Entry, EntryName, ImportType, KeyArn, MaterialId, Policy, Region, Repair, Replicate
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from orchestrator.simulator import Call
from sizes import EVERYTHING
from verdict import Count, Watch, before, broken, false_blocks, held, let_die, told_of, untold
from workflows import jobs
from workflows.abort import abort
from workflows.adopt import adopt
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(3000)


@dataclass
class Play:
    """One key and everybody who acts on it.

    `sent` holds, for each goal and attempt, the ids that KMS took as NEW from mrk; `deleted` what mrk had it delete;
    `wrong` what was not as a run told it.
    """

    world: World
    arn: KeyArn
    other: Any
    sent: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    deleted: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = Watch(
            self.world.simulator, self.arn, replace(before(self.world.simulator, self.arn), enabled=frozenset())
        )
        self.watch.judging = False

    def client(self, region: str) -> Any:
        return self.world.client(region)

    def rotate(self, stop_at: int = 0) -> Report:
        """Rotate; stop at a call where one is named."""
        return self.run(lambda policy: self.world.job(self.arn, policy=policy), stop_at)

    def run(self, job: Callable[[Policy], Job], stop_at: int = 0) -> Report:
        """Run a job, which shows no defect, and note what is sent as NEW, what is deleted, and every other change."""
        runner, first = self.world.runner(), len(self.world.simulator.calls)
        earlier = before(self.world.simulator, self.arn)
        self.watch.noted = set(self.world.store.switched_off(self.arn.identity))

        def watch(call: Call, when: str) -> None:
            if when == "after":
                self.note(call)
            if stop_at and call.number >= first + stop_at:
                runner.stop()

        self.world.simulator.hooks.append(watch)
        self.watch.judging = True
        report = runner.run([job(replace(self.world.policy, deadline=timedelta(minutes=60)))])[0]
        self.world.simulator.hooks.remove(watch)
        self.watch.judging = False
        self.wrong += untold(self.world.simulator, self.arn, earlier, told_of(report))
        self.wrong += false_blocks(self.world.simulator, self.arn, [self.world.store], report.blocks, alone=False)
        assert report.status != "error", report.message
        return report

    def note(self, call: Call) -> None:
        """Note what KMS has just done for mrk; a call that it refused is not told of here."""
        if call.parameters.get("ImportType") == "NEW_KEY_MATERIAL":
            true = self.world.true(self.arn, call.region)
            given_up = [e for e in self.entries() if e.name.replaces == true.current and e.discarded_at]
            self.sent[str(true.current), len(given_up)].add(str(true.pending))
        if call.operation == "DeleteImportedKeyMaterial":
            self.deleted.append(str(call.parameters.get("KeyMaterialId")))
        self.done.append(call.operation)

    def entries(self) -> list[Entry]:
        return list(self.world.store.entries(self.arn.identity))


Move = Callable[[Play, int], object]
ALL_REGIONS = (*REGIONS, "sa-east-1")


def replica(number: int) -> str:
    return REGIONS[1 + number % (len(REGIONS) - 1)]


def primary(play: Play) -> str:
    return play.world.true(play.arn).primary


def deletes_pending(play: Play, _: int) -> None:
    pending = play.world.true(play.arn).pending
    if pending:
        play.client(primary(play)).delete_imported_key_material(KeyId=play.arn.key_id, KeyMaterialId=pending)


def deletes_permanent(play: Play, number: int) -> None:
    rows = play.world.true(play.arn).rows
    material = rows[number % len(rows)].material_id
    play.client(replica(number)).delete_imported_key_material(KeyId=play.arn.key_id, KeyMaterialId=material)


def imports_again(play: Play, number: int) -> None:
    """Somebody imports, as a person with the right files could, whatever the store holds."""
    entries = [entry for entry in play.world.store.entries(play.arn.identity) if entry.linked]
    entry = entries[number % len(entries)]
    region = Region(REGIONS[number % len(REGIONS)])
    play.world.send(play.world.store, play.arn.within(region), entry.name, ImportType.EXISTING, entry.linked)


def imports_foreign(play: Play, _: int) -> None:
    name = EntryName(play.arn.identity, play.world.true(play.arn).current)
    play.other.deposit(name)
    play.world.send(play.other, play.arn.within(Region(primary(play))), name, ImportType.NEW)


def imports_briefly(play: Play, number: int) -> None:
    """The CURRENT material is imported again, to expire within some days."""
    entries = [entry for entry in play.world.store.entries(play.arn.identity) if entry.linked]
    entry, region = entries[-1], Region(REGIONS[number % len(REGIONS)])
    until = (play.world.clock.now() + timedelta(days=1 + number % 20)).replace(microsecond=0)
    arn = play.arn.within(region)
    play.world.send(play.world.store, arn, entry.name, ImportType.EXISTING, entry.linked, valid_to=until)


def discards(play: Play, _: int) -> None:
    for entry in play.world.store.entries(play.arn.identity):
        needed = entry.linked in {row.material_id for row in play.world.true(play.arn).rows}
        if not entry.proven and not entry.discarded_at and not needed:
            play.world.store.discard(entry.name, play.world.clock.now())


def aborts(play: Play, number: int) -> None:
    """Give up what is begun; where that is foreign, by its id, on some days."""
    pending = play.world.true(play.arn).pending
    named = MaterialId(pending) if pending and number % 2 else None
    play.run(lambda policy: abort("payments", play.arn, policy, named, unheld=True))


def adopts(play: Play, number: int) -> None:
    """Adopt, as this key's material, a file with the bytes of somebody's entry."""
    held_by = play.other if number % 2 else play.world.store
    entries = list(held_by.entries(play.arn.identity))
    if not entries:
        return
    file = play.world.directory / "adopted.bin"
    file.write_bytes(held_by._vault.open(entries[number % len(entries)].name).reveal())
    file.chmod(0o600)
    play.run(lambda policy: adopt("payments", play.arn, policy, file, None))


def workflow(name: str, **settings: Any) -> Move:
    """Run one of the workflows, as its owner does who set these in the config."""
    make = {"repair": jobs.repair, "renew": jobs.renew, "run": jobs.run}[name]

    def wanted(key: KeySettings, policy: Policy) -> Job:
        return make("payments", key, replace(policy, **settings))

    restores = name == "repair" or settings.get("repair") is Repair.AUTO

    def move(play: Play, number: int) -> None:
        key, earlier = KeySettings(arn=str(play.arn)), before(play.world.simulator, play.arn)
        off, lag = set(play.world.store.switched_off(play.arn.identity)), play.world.simulator.lag.oldest
        report = play.run(partial(wanted, key), stop_at=number % 3 and number % 90)
        if report.status in {"finished", "idle", "blocked"} and not lag:
            well, renewed = set(earlier.states) - off, settings.get("renew_before")
            until = (play.world.clock.now() + renewed).timestamp() if renewed else None
            stores = [play.world.store]
            found = let_die(play.world.simulator, play.arn, earlier, stores, well, restore=restores, until=until)
            play.wrong += [f"{name}: {one} ({report.message})" for one in found]

    return move


def replicates(play: Play, _: int) -> None:
    play.client(primary(play)).replicate_key(KeyId=play.arn.key_id, ReplicaRegion="sa-east-1")


MOVES: dict[str, Move] = {
    "somebody deletes what is pending": deletes_pending,
    "somebody deletes material in a replica": deletes_permanent,
    "somebody imports again": imports_again,
    "somebody imports foreign material": imports_foreign,
    "somebody imports with an expiry": imports_briefly,
    "somebody rotates": lambda play, _: play.client(primary(play)).rotate_key_on_demand(KeyId=play.arn.key_id),
    "somebody disables": lambda play, n: play.client(REGIONS[n % 3]).disable_key(KeyId=play.arn.key_id),
    "somebody enables": lambda play, n: play.client(REGIONS[n % 3]).enable_key(KeyId=play.arn.key_id),
    "somebody schedules a deletion": lambda play, n: play.client(replica(n)).schedule_key_deletion(
        KeyId=play.arn.key_id, PendingWindowInDays=30
    ),
    "somebody cancels a deletion": lambda play, n: play.client(replica(n)).cancel_key_deletion(KeyId=play.arn.key_id),
    "somebody moves the primary": lambda play, n: play.client(primary(play)).update_primary_region(
        KeyId=play.arn.key_id, PrimaryRegion=REGIONS[n % 3]
    ),
    "an attempt is given up": discards,
    "somebody makes a replica": replicates,
    "mrk aborts": aborts,
    "mrk adopts": adopts,
    "mrk repairs": workflow("repair"),
    "mrk replicates": workflow("repair", replicate=Replicate.AUTO, regions=frozenset(map(Region, ALL_REGIONS))),
    "mrk renews": workflow("renew", expires=timedelta(days=200), renew_before=timedelta(days=30)),
    "mrk runs": workflow("run", repair=Repair.AUTO, rotate_every=timedelta(days=5)),
    "mrk rotates": lambda play, _: play.rotate(),
    "mrk is interrupted": lambda play, n: play.rotate(stop_at=1 + n % 80),
    "a minute passes": lambda play, _: play.world.clock.advance(minutes=1),
    "days pass": lambda play, n: play.world.clock.advance(days=1 + n % 9),
}

FORBIDDEN = ("Schedule", "Disable", "PutKeyPolicy", "CreateKey", "ReplicateKey", "UpdatePrimary")


HARMLESS = {"a minute passes", "days pass", "somebody enables", "mrk repairs"}
"""What stands in the way of no rotation."""

Ends = list[str]
"""The status in which the rotation of each example ended."""

Moving = list[tuple[str, int]]


class Playing:
    """A world, and how its examples ended.

    Hypothesis prints what a failing example was given, the fields of a dataclass, too, and trips over a whole world.
    """

    def __init__(self, world: World, ends: Ends) -> None:
        self.world = world
        self.ends = ends

    def __repr__(self) -> str:
        return "Playing(...)"


@pytest.fixture
def ends(record_property: Count) -> Iterator[Ends]:
    """Collect how the examples end; a fifth of them or more finish: if but a tenth does, it blocks too much."""
    collected: Ends = []
    yield collected
    record_property("examples", len(collected))
    assert not collected or collected.count("finished") > len(collected) // 10, Counter(collected)


@pytest.fixture
def playing(world: World, ends: Ends) -> Playing:
    return Playing(world, ends)


@pytest.fixture
def lagging(make_world: Callable[..., World], ends: Ends) -> Playing:
    return Playing(make_world(lag="aws-like"), ends)


def given_moves(in_full: int, in_short: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Draw so many lists of moves, besides none at all."""
    drawn = st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 10_000)), max_size=12)
    said = settings(
        max_examples=in_full if EVERYTHING else in_short,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        print_blob=True,
    )
    return lambda test: said(given(moves=drawn)(example(moves=[])(test)))


@given_moves(300, 12)
def test_a_rotation_from_any_state_is_finished_or_blocked_with_a_reason(playing: Playing, moves: Moving) -> None:
    playing.ends.append(converges(playing.world, moves))


@given_moves(100, 3)
def test_under_lag_and_flapping_reads_as_well(lagging: Playing, moves: Moving) -> None:
    lagging.ends.append(converges(lagging.world, moves))


def converges(world: World, moves: Moving) -> str:
    """Make the moves, then rotate, judge, and tell how that ended."""
    arn = world.make_key()
    play = Play(world, arn, world.open_store(f"file:{world.directory / 'other'}"))
    for name, number in moves:
        with suppress(ClientError, KmsError, StoreError):
            MOVES[name](play, number)
    world.clock.advance(minutes=1)  # whatever lags has come through
    earlier, deleted = before(world.simulator, arn), len(play.deleted)
    play.done.clear()

    reports = [play.rotate()]
    while reports[-1].status == "failed" and len(reports) < 3:
        world.clock.advance(minutes=20)
        reports.append(play.rotate())
    report = reports[-1]

    assert report.status in {"finished", "blocked"}, f"{report.status} in {report.stage}: {report.message}"
    assert report.status == "finished" or not HARMLESS.issuperset(name for name, _ in moves), report.message
    assert report.status != "blocked" or (report.blocks and all(b.message and b.way_out for b in report.blocks))
    known, success = held(play.other, key=arn.identity), report.status == "finished"
    wrong = broken(world.simulator, arn, earlier, [world.store], success=success, moved=False, known=known)
    world.simulator.hooks.remove(play.watch)
    wrong += [*play.wrong, *play.watch.found]
    assert not wrong, wrong
    assert not [operation for operation in play.done if operation.startswith(FORBIDDEN)]
    assert len(play.deleted) == deleted, "a rotation deletes nothing"
    needed = {row.material_id for row in world.true(arn).rows}
    assert not needed.intersection(play.deleted) - {str(world.true(arn).pending)}, "an abort deleted what the key needs"
    assert all(len(ids) <= 1 for ids in play.sent.values()), play.sent
    return report.status
