"""The judge of the promises can find each of them broken, and counts what it judged."""

import shutil
from collections.abc import Callable

import pytest

import verdict
from orchestrator.model import EntryName, ImportType, KeyArn
from verdict import PROMISES, TALLY, Watch, before, broken, held, untrue
from worlds import REGIONS, World


@pytest.fixture
def arn(world: World) -> KeyArn:
    return world.make_key()


def forgets(world: World, arn: KeyArn) -> None:
    """The store's directory of the key is gone."""
    for path in (world.directory / "store").rglob("*.age"):
        if arn.key_id in str(path):
            path.unlink()


def deletes_everywhere(world: World, arn: KeyArn) -> None:
    for region in REGIONS:
        world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)


def rotates_twice(world: World, arn: KeyArn) -> None:
    for _ in range(2):
        world.rotate(arn, replaces=world.true(arn).current)


BREAKING: dict[str, Callable[[World, KeyArn], None]] = {
    "lost": forgets,
    "double": rotates_twice,
    "unusable": deletes_everywhere,
    "false_success": lambda *_: None,
}


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_is_found_broken_and_counted_once(world: World, arn: KeyArn, promise: str) -> None:
    earlier = before(world.simulator, arn)
    BREAKING[promise](world, arn)

    for _ in range(2):
        found = broken(world.simulator, arn, earlier, [world.store], success=True)

    assert any(one.startswith(f"{promise}:") for one in found), found
    numbers = TALLY.numbers()
    assert numbers[promise] == len([one for one in found if one.startswith(f"{promise}:")])
    assert numbers[f"{promise}_judged"] == 2


def test_material_that_no_region_and_no_store_has_is_lost(world: World, arn: KeyArn) -> None:
    """Also where the key was unusable before, and nobody asks about that any more."""
    deletes_everywhere(world, arn)
    earlier = before(world.simulator, arn)
    known = held(world.store, key=arn.identity)
    forgets(world, arn)

    assert broken(world.simulator, arn, earlier, [world.store], success=False)[0].startswith("lost:")
    assert not broken(world.simulator, arn, earlier, [world.store], success=False, known=known)


def test_pending_material_that_no_store_has_is_lost(world: World, arn: KeyArn) -> None:
    earlier, name = before(world.simulator, arn), EntryName(arn.identity, world.true(arn).current)
    world.store.deposit(name)
    world.send(world.store, arn, name, ImportType.NEW)
    assert not broken(world.simulator, arn, earlier, [world.store], success=False)
    shutil.rmtree(world.directory / "store")
    world.store = world.open_store()

    assert len(broken(world.simulator, arn, earlier, [world.store], success=False)) == 2


def test_a_success_that_others_undid_is_true_and_one_that_never_was_is_not(world: World, arn: KeyArn) -> None:
    earlier = before(world.simulator, arn)
    assert untrue(world.simulator, arn, earlier, [world.store])
    world.rotate(arn)
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)

    assert not untrue(world.simulator, arn, earlier, [world.store])
    assert TALLY.numbers() == {"false_success": 1, "false_success_judged": 2}


def test_a_region_that_is_gone_is_unusable(world: World, arn: KeyArn) -> None:
    earlier = before(world.simulator, arn)
    world.client(REGIONS[1]).schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=7)
    world.clock.advance(days=8)

    assert broken(world.simulator, arn, earlier, [world.store], success=False) == [f"unusable: {REGIONS[1]} gone"]


def test_a_region_that_was_unusable_for_a_while_is_told_once(world: World, arn: KeyArn) -> None:
    earlier = before(world.simulator, arn)
    watch = Watch(world.simulator, arn, earlier)
    for _ in range(2):
        world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
        world.client(REGIONS[1]).enable_key(KeyId=arn.key_id)

    assert not broken(world.simulator, arn, earlier, [world.store], success=False)
    (told,) = watch.found
    assert told.startswith(f"unusable: {REGIONS[1]} Disabled after call ")
    assert TALLY.numbers()["unusable"] == 1


def test_nothing_is_told_of_what_nobody_judged() -> None:
    assert verdict.Tally().numbers() == {}
