"""What cron calls: unattended repair only where the owner wants it (P10), and then whatever is due."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.model import KeyArn, Policy, Reason, Repair
from orchestrator.plan import predict
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from orchestrator.simulator import Call
from workflows import jobs
from worlds import REGIONS, World

DUE = {"days": 91}
POLICY = Policy()


def job(world: World, arn: KeyArn, repair: Repair) -> Job:
    policy = replace(world.policy, rotate_every=timedelta(days=90), repair=repair)
    return jobs.run("payments", KeySettings(arn=str(arn)), policy)


def run(world: World, arn: KeyArn, repair: Repair = Repair.AUTO) -> Report:
    return world.runner().run([job(world, arn, repair)])[0]


def lose(world: World, arn: KeyArn, *regions: str) -> None:
    """Delete the CURRENT material in some Regions, as somebody could by mistake."""
    current = world.true(arn).current
    for region in regions:
        world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
        assert world.true(arn, region).key_state == "PendingImport"


def imports(world: World) -> int:
    return len(world.calls("ImportKeyMaterial"))


def states(world: World, arn: KeyArn) -> set[str]:
    return {str(key.key_state) for key in world.everywhere(arn).values()}


@pytest.mark.parametrize("days", [0, 91])
def test_ask_blocks_and_names_the_command(world: World, days: int) -> None:
    """P10: somebody may have deleted it on purpose; nothing is imported, nothing deposited, due or not."""
    arn = world.make_key()
    world.clock.advance(days=days)
    lose(world, arn, REGIONS[1])
    before = imports(world)

    report = run(world, arn, Repair.ASK)

    assert report.status == "blocked"
    assert {(block.reason, block.region) for block in report.blocks} == {(Reason.MATERIAL_MISSING, REGIONS[1])}
    assert all("mrk repair payments" in block.way_out for block in report.blocks)
    assert imports(world) == before
    assert len(world.store.entries()) == 1


@pytest.mark.parametrize("regions", [REGIONS[1:2], REGIONS[:1], REGIONS])
def test_auto_repairs_a_key_that_is_not_due_and_rotates_nothing(world: World, regions: tuple[str, ...]) -> None:
    """The same bytes again, in a replica, in the primary, or everywhere; settled and proven."""
    arn = world.make_key()
    lose(world, arn, *regions)

    report = run(world, arn)

    assert report.status == "finished", report
    assert states(world, arn) == {"Enabled"}
    assert world.true(arn).rotations == 0
    assert [action.kind for action in report.done].count("import") == len(regions)
    assert run(world, arn).status == "idle"


@pytest.mark.parametrize("unattended", [True, False])
def test_a_region_that_cannot_be_looked_at_holds_up_the_repair_of_no_other(world: World, unattended: bool) -> None:
    """I10: two replicas lack material, and one of them lets nobody look: exit 3, with the other one whole again."""
    arn = world.make_key()
    lose(world, arn, *REGIONS[1:])
    world.simulator.faults.add(operation="DescribeKey", region=REGIONS[1], error="AccessDeniedException")
    wanted = job(world, arn, Repair.AUTO) if unattended else jobs.repair("payments", KeySettings(arn=str(arn)), POLICY)

    report = world.runner().run([wanted])[0]

    assert report.status == "failed"
    assert {block.region for block in report.blocks} == {REGIONS[1]}
    assert world.true(arn, REGIONS[1]).key_state == "PendingImport"
    assert world.true(arn, REGIONS[2]).key_state == "Enabled"


def test_auto_repairs_a_key_that_is_due_and_then_rotates_it(world: World) -> None:
    arn = world.make_key()
    world.clock.advance(**DUE)
    lose(world, arn, REGIONS[2])

    report = run(world, arn)

    assert report.status == "finished", report
    assert states(world, arn) == {"Enabled"}
    assert world.true(arn).rotations == 1
    assert all(row.usable for key in world.everywhere(arn).values() for row in key.rows)


def test_auto_repairs_every_generation(world: World) -> None:
    """After a rotation both materials are lost in one Region: both come back."""
    arn = world.make_key()
    assert world.rotate(arn).status == "finished"
    for row in world.true(arn).rows:
        world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=row.material_id)

    assert run(world, arn).status == "finished"

    assert all(row.usable for row in world.true(arn, REGIONS[1]).rows)
    assert world.true(arn).rotations == 1


def test_auto_takes_an_expired_material_for_missing(world: World) -> None:
    """P10: a ValidTo that is not in the future is missing; it comes back without one, as configured."""
    arn = world.make_key(valid_to=world.clock.now() + timedelta(days=20))
    world.clock.advance(days=21)

    report = run(world, arn)

    assert report.status == "finished", report
    assert states(world, arn) == {"Enabled"}
    assert not any(row.valid_to for key in world.everywhere(arn).values() for row in key.rows)


def test_auto_never_imports_into_a_disabled_key(world: World) -> None:
    """An import would enable it, and somebody disabled it: blocked, while another Region is repaired (I10)."""
    arn = world.make_key()
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    lose(world, arn, REGIONS[2])

    report = run(world, arn)

    assert report.status == "blocked"
    assert {(block.reason, block.region) for block in report.blocks} == {(Reason.DISABLED, REGIONS[1])}
    assert world.true(arn, REGIONS[1]).key_state == "Disabled"
    assert world.true(arn, REGIONS[2]).key_state == "Enabled"


def test_auto_blocks_where_the_store_cannot_give_the_material(world: World) -> None:
    arn = world.make_key(deposited=False)
    lose(world, arn, REGIONS[1])
    before = imports(world)

    report = run(world, arn)

    assert report.status == "blocked"
    assert Reason.STORE_LACKS in {block.reason for block in report.blocks}
    assert imports(world) == before


def test_auto_repairs_in_the_middle_of_a_rotation_and_finishes_it(world: World) -> None:
    """The run was interrupted before the rotation, and then a replica lost its material."""
    arn = world.make_key()
    world.clock.advance(**DUE)
    runner = world.runner()

    def stop(call: Call, when: str) -> None:
        if call.operation == "ImportKeyMaterial" and call.region == REGIONS[1] and when == "after":
            runner.stop()

    world.simulator.hooks.append(stop)
    assert runner.run([job(world, arn, Repair.AUTO)])[0].status == "interrupted"
    world.simulator.hooks.clear()
    lose(world, arn, REGIONS[2])

    assert run(world, arn, Repair.ASK).status == "blocked"
    assert world.true(arn).rotations == 0
    assert run(world, arn).status == "finished"
    assert world.true(arn).rotations == 1
    assert states(world, arn) == {"Enabled"}


def test_a_repaired_key_is_a_success_only_with_a_clean_view(world: World) -> None:
    """P5: what would block where nothing is due blocks after a repair, too: here pending material of nobody's."""
    arn = world.make_key()
    lose(world, arn, REGIONS[1])
    stranger = world.open_store(f"file:{world.directory / 'stranger'}")
    other = world.view(arn).store.entries[0].name
    assert run(world, arn).status == "finished"
    stranger.deposit(other)
    world.send(stranger, arn, other, "NEW_KEY_MATERIAL")
    lose(world, arn, REGIONS[1])

    report = run(world, arn)

    assert report.status == "blocked"
    assert {block.reason for block in report.blocks} == {Reason.FOREIGN_PENDING}


@pytest.mark.parametrize("seed", range(5))
def test_a_repair_under_lag_and_flapping_reads_ends_as_without(make_world: Callable[..., World], seed: int) -> None:
    """Reads lag and flap: patience, not a verdict; and no storm of imports."""
    world = make_world(lag="aws-like", seed=seed)
    arn = world.make_key()
    world.clock.advance(**DUE)
    current = world.true(arn).current
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    world.clock.advance(minutes=10)
    before = imports(world)

    report = run(world, arn)

    assert report.status == "finished", report
    assert world.true(arn).rotations == 1
    assert states(world, arn) == {"Enabled"}
    assert imports(world) - before < 20


def test_the_plan_shows_the_repair_before_the_rotation(world: World) -> None:
    arn = world.make_key()
    world.clock.advance(**DUE)
    lose(world, arn, REGIONS[1])
    wanted = job(world, arn, Repair.AUTO)
    looked = world.runner().run([replace(wanted, stages=())])[0]
    assert looked.view is not None
    assert looked.run is not None

    planned = predict(wanted.stages, looked.view, looked.run, looked.view.at)

    assert planned.end.status == "finished", planned.end
    assert next((step.stage, step.action.target) for step in planned.steps) == ("kept_alive", REGIONS[1])
    assert any(step.point_of_no_return for step in planned.steps)
