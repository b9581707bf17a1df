"""The main job, end to end over HTTP: what the world looks like afterwards."""

from orchestrator.progress import Report
from orchestrator.settings import KeySettings
from workflows import jobs
from worlds import REGIONS, World


def test_a_rotation_ends_with_the_new_material_current_and_usable_everywhere(world: World) -> None:
    """I8, P14: one new material, one rotation, every Region settled, the entry linked and proven."""
    arn = world.make_key()
    old = world.true(arn).current

    report = world.rotate(arn)

    assert report.status == "finished", report
    for region, key in world.everywhere(arn).items():
        assert key.key_state == "Enabled", region
        assert key.current != old
        assert [row.state for row in key.rows] == ["NON_CURRENT", "CURRENT"]
        assert all(row.usable for row in key.rows)
    assert world.true(arn).rotations == 1
    assert set(world.everywhere(arn)) == set(REGIONS)
    current = world.true(arn).current
    entry = world.view(arn).store.holding(current)
    assert entry.proven
    assert entry.probe


def test_what_was_named_and_is_current_still_is_no_success(world: World) -> None:
    """I8, P4: an unfinished rotation is finished first; whoever asked for another one is told to run again."""
    arn = world.make_key()
    world.rotate(arn, stages=world.job(arn).stages[:6])
    world.clock.advance(minutes=10)
    named = str(world.true(arn).current)
    policy = world.policy

    def replacing() -> Report:
        return world.runner().run([jobs.rotate("payments", KeySettings(arn=str(arn)), policy, replaces=named)])[0]

    first, current = replacing(), world.true(arn).current
    second = replacing()

    assert (first.status, first.stage, current) == ("failed", "replaced", named)
    assert f"--replaces {named}" in first.blocks[0].way_out
    assert (second.status, world.true(arn).current == named, world.true(arn).rotations) == ("finished", False, 2)
    assert replacing().status == "idle"
