"""What nothing public settles about KMS is a switch of the simulator: mrk survives every answer."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest

from orchestrator.model import KeyArn
from orchestrator.progress import Report
from orchestrator.settings import KeySettings
from orchestrator.simulator import Switches
from sizes import some
from verdict import Before, Count, before, broken
from workflows import jobs
from workflows.abort import abort
from workflows.rotate import ROTATE
from worlds import REGIONS, World

Make = Callable[..., World]
SWEEP = "expired_row_sweep_seconds"
SPECIAL: dict[str, tuple[Any, ...]] = {
    SWEEP: (0.0,),
    "tokens_first": (True,),
    "partitions_without_multi_region_import": (),  # feature-detected: tested by itself below
}


def answers() -> Iterator[tuple[str, Any]]:
    """Every switch, with every value that is not its default."""
    hints, default = get_type_hints(Switches), Switches()
    for field in fields(Switches):
        values = SPECIAL.get(field.name) or tuple(value for value in get_args(hints[field.name]))
        if field.name in SPECIAL and not SPECIAL[field.name]:
            continue
        yield from ((field.name, value) for value in values if value != getattr(default, field.name))


ANSWERS = list(answers())


def each(number: int) -> pytest.MarkDecorator:
    """Every answer, or so many of them where there is little time."""
    chosen = some(ANSWERS, number)
    return pytest.mark.parametrize(("switch", "value"), chosen, ids=[f"{name}={value}" for name, value in chosen])


def test_every_switch_is_thrown() -> None:
    thrown = {switch for switch, _ in ANSWERS} | {"partitions_without_multi_region_import"}
    assert thrown == {field.name for field in fields(Switches)}


def ran(world: World, arn: KeyArn) -> Report:
    return world.runner().run([jobs.repair("payments", KeySettings(arn=str(arn)), world.policy)])[0]


def well(world: World, arn: KeyArn, earlier: Before, rotations: int) -> None:
    """Nothing is broken, and so many rotations were done."""
    assert not broken(world.simulator, arn, earlier, [world.store], success=True, rotations=rotations)
    everywhere = world.everywhere(arn).values()
    assert {str(key.key_state) for key in everywhere} == {"Enabled"}
    assert world.true(arn).rotations == rotations
    assert all(row.usable for key in everywhere for row in key.rows)


@each(100)
def test_a_rotation_is_finished_whatever_the_answer(
    make_world: Make, record_property: Count, switch: str, value: Any
) -> None:
    """I6, I8: begun, stopped before the rotation, lost on one replica, and taken up again."""
    record_property("answers", 1)
    world = make_world(switches=Switches(**{switch: value}))
    arn = world.make_key()
    earlier = before(world.simulator, arn)
    world.rotate(arn, stages=ROTATE[:4])
    lost = world.true(arn).pending
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=lost)

    report = world.rotate(arn)

    assert report.status == "finished", report
    well(world, arn, earlier, rotations=1)


@each(4)
def test_a_rotation_is_given_up_whatever_the_answer(
    make_world: Make, record_property: Count, switch: str, value: Any
) -> None:
    """P9: and the next one is finished."""
    record_property("answers", 1)
    world = make_world(switches=Switches(**{switch: value}))
    arn = world.make_key()
    earlier = before(world.simulator, arn)
    world.rotate(arn, stages=ROTATE[:5])

    assert world.runner().run([abort("payments", arn, world.policy)])[0].status == "finished"
    well(world, arn, earlier, rotations=0)
    assert world.rotate(arn).status == "finished"
    well(world, arn, earlier, rotations=1)


@each(4)
def test_what_is_lost_or_disabled_is_told_and_repaired_whatever_the_answer(
    make_world: Make, record_property: Count, switch: str, value: Any
) -> None:
    """P10, I3: a Disabled Region is left alone; material that is lost is brought back, and then it is rotated."""
    record_property("answers", 1)
    world = make_world(switches=Switches(**{switch: value}))
    arn = world.make_key()
    earlier = before(world.simulator, arn)
    replica = world.client(REGIONS[1])
    replica.disable_key(KeyId=arn.key_id)
    assert world.rotate(arn).status == "blocked"
    assert world.true(arn, REGIONS[1]).key_state == "Disabled"
    replica.enable_key(KeyId=arn.key_id)
    ran(world, arn)  # sees it Enabled again; one that went from Disabled to PendingImport unseen stays off
    replica.delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)
    assert world.rotate(arn).status == "blocked"

    assert ran(world, arn).status == "finished"
    assert world.rotate(arn).status == "finished"
    well(world, arn, earlier, rotations=1)


def test_a_key_without_replicas_whose_new_material_never_gets_ready_is_told_and_loses_nothing(make_world: Make) -> None:
    """U20: were such a primary to wait for replicas that it has not, no run could do more than say so."""
    world = make_world(switches=Switches(new_without_replicas="waits"))
    arn = world.make_key(REGIONS[:1])
    assert world.true(arn).key_state == "Enabled"

    report = world.rotate(arn)

    assert report.status in {"finished", "failed"}, report
    assert world.true(arn).key_state == "Enabled"


def test_a_partition_without_this_feature_is_told_and_nothing_is_lost(make_world: Make) -> None:
    """U18: KMS refuses the second material of a multi-Region key."""
    world = make_world(switches=Switches(partitions_without_multi_region_import=frozenset({"aws"})))
    arn = world.make_key()
    earlier = before(world.simulator, arn)

    report = world.rotate(arn)

    assert report.status in {"blocked", "failed"}, report
    assert report.blocks[0].message
    well(world, arn, earlier, rotations=0)
