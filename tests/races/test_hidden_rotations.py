"""A rotation by hand whose start date vanishes at once, then an abort, then another rotation (I3, P6, P9).

KMS rotates whatever stands there when an accepted request is carried out: what is imported too soon after a deletion
becomes CURRENT without any Region having been asked whether it has it. 460 s and a start date that vanishes after 5 s
were measured.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.model import EntryName, ImportType, KeyArn, MaterialId, Region
from orchestrator.ports import MaterialStore
from orchestrator.simulator import Call, Lag, Simulator, serve
from quick import quick
from verdict import Count, before, broken, held, tell
from workflows.abort import abort
from worlds import REGIONS, ManualClock, World

HIDDEN = replace(Lag.instant().with_rotation(460), start_date_vanishes=5.0, evaporation=240)
PATIENT = timedelta(minutes=60)


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock, executor: Executor) -> Iterator[World]:
    """A world whose rotations take long, and show for 5 s."""
    simulator = Simulator(clock.epoch, lag=HIDDEN)
    with serve(simulator) as served:
        yield quick(World(simulator, served.endpoint_url, tmp_path, clock, executor))


def stage_elsewhere(world: World, arn: KeyArn, store: MaterialStore) -> MaterialId:
    """Somebody else imports new material everywhere, from a store of their own."""
    name = EntryName(arn.identity, MaterialId(str(world.true(arn).current)))
    store.deposit(name)
    material = world.send(store, arn, name, ImportType.NEW)
    for region in REGIONS[1:]:
        world.send(store, arn.within(Region(region)), name, ImportType.EXISTING, material)
    return material


@pytest.mark.parametrize("whose", ["ours", "foreign"])
@pytest.mark.parametrize("poll", [5, 30])
def test_new_material_is_not_rotated_in_by_an_old_request(
    world: World, whose: str, poll: int, record_property: Count
) -> None:
    """The hand rotates in the last minute of the abort's wait, unseen; a replica then refuses the next import."""
    arn, policy = world.make_key(), replace(world.policy, deadline=PATIENT, poll=timedelta(seconds=poll))
    earlier, other = before(world.simulator, arn), world.open_store(f"file:{world.directory / 'other'}")
    material = stage_elsewhere(world, arn, other) if whose == "foreign" else None
    if whose == "ours":
        world.rotate(arn, stages=world.job(arn).stages[:5], policy=policy)
    begun, by_hand = world.clock.now(), []

    def rotate_by_hand(call: Call, moment: str) -> None:
        late = world.clock.now() - begun > timedelta(minutes=14)
        if late and not by_hand and moment == "after" and call.operation == "GetKeyRotationStatus":
            by_hand.append(call.number)
            world.client().rotate_key_on_demand(KeyId=arn.key_id)

    world.simulator.hooks.append(rotate_by_hand)
    world.runner().run([abort("payments", arn, policy, material)])
    world.simulator.hooks.clear()
    world.simulator.faults.add(operation="ImportKeyMaterial", region=REGIONS[1], error="AccessDeniedException")
    world.rotate(arn, policy=policy)
    world.clock.advance(minutes=10)

    known = held(other, key=arn.identity)
    wrong = broken(world.simulator, arn, earlier, [world.store], success=False, known=known)
    record_property("races_run", 1)
    assert by_hand
    assert not wrong, tell(wrong)
