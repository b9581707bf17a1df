"""From any state that random legal calls reach, a rotation comes to a proven end or stops with a reason.

And whatever state that was: it makes no usable key unusable, deletes nothing, and never sends NEW with other bytes for
one goal.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import KmsError, StoreError
from orchestrator.model import EntryName, ImportType, KeyArn, Region
from orchestrator.progress import Report
from orchestrator.simulator import Call
from quick import quick
from sizes import EVERYTHING
from verdict import Count, before, broken, held
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(3000)


@dataclass
class Play:
    """One key and everybody who acts on it; `sent` holds, for each goal, the ids that mrk sent as NEW."""

    world: World
    arn: KeyArn
    other: Any
    discards: int = 0
    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def client(self, region: str) -> Any:
        return self.world.client(region)

    def rotate(self, stop_at: int = 0) -> Report:
        """Rotate, and note which materials are sent as NEW; stop at a call where one is named."""
        runner, first = self.world.runner(), len(self.world.simulator.calls)

        def watch(call: Call, when: str) -> None:
            if when == "after" and call.parameters.get("ImportType") == "NEW_KEY_MATERIAL":
                true = self.world.true(self.arn, call.region)
                self.sent[str(true.current)].add(str(true.pending))
            if stop_at and call.number >= first + stop_at:
                runner.stop()

        self.world.simulator.hooks.append(watch)
        policy = replace(self.world.policy, deadline=timedelta(minutes=40))
        report = runner.run([self.world.job(self.arn, policy=policy)])[0]
        self.world.simulator.hooks.clear()
        return report


Move = Callable[[Play, int], object]


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
            play.discards += 1


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
    "mrk rotates": lambda play, _: play.rotate(),
    "mrk is interrupted": lambda play, n: play.rotate(stop_at=1 + n % 80),
    "a minute passes": lambda play, _: play.world.clock.advance(minutes=1),
    "days pass": lambda play, n: play.world.clock.advance(days=1 + n % 9),
}

FORBIDDEN = ("Delete", "Schedule", "Disable", "PutKeyPolicy", "CreateKey", "ReplicateKey", "UpdatePrimary")


@pytest.fixture
def playing(world: World, record_property: Count) -> Iterator[tuple[World, list[int]]]:
    examples: list[int] = []
    yield quick(world), examples
    record_property("examples", len(examples))


@settings(
    max_examples=120 if EVERYTHING else 15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)
@given(st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 10_000)), max_size=9))
def test_a_rotation_from_any_state_is_finished_or_blocked_with_a_reason(
    playing: tuple[World, list[int]], moves: list[tuple[str, int]]
) -> None:
    world, examples = playing
    examples.append(1)
    arn = world.make_key()
    play = Play(world, arn, world.open_store(f"file:{world.directory / 'other'}"))
    for name, number in moves:
        with suppress(ClientError, KmsError, StoreError):
            MOVES[name](play, number)
    earlier, calls = before(world.simulator, arn), len(world.simulator.calls)

    report = play.rotate()
    for _ in range(2):
        if report.status == "failed":
            world.clock.advance(minutes=20)
            report = play.rotate()

    assert report.status in {"finished", "idle", "blocked"}, f"{report.status} in {report.stage}: {report.message}"
    assert report.status != "blocked" or (report.blocks and all(b.message and b.way_out for b in report.blocks))
    success = report.status == "finished"
    wrong = broken(
        world.simulator, arn, earlier, [world.store], success=False, known=held(play.other, key=arn.identity)
    )
    assert not wrong, wrong
    if success:
        states = {key.key_state for key in world.everywhere(arn).values()}
        rows = [
            row for key in world.everywhere(arn).values() for row in key.rows if row.state in {"CURRENT", "NON_CURRENT"}
        ]
        assert states == {"Enabled"}
        assert all(row.usable for row in rows)
        assert any(
            entry.linked == world.true(arn).current and entry.proven for entry in world.store.entries(arn.identity)
        )
    done = [call.operation for call in list(world.simulator.calls)[calls:]]
    assert not [operation for operation in done if operation.startswith(FORBIDDEN)]
    assert all(len(ids) <= 1 + play.discards for ids in play.sent.values()), play.sent
