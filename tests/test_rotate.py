"""The main job, end to end over HTTP: what the world looks like afterwards."""

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
