"""A store whose new bytes KMS knows already: told, with a way out, and never sent for ever (P2)."""

from dataclasses import replace
from datetime import timedelta

from orchestrator.model import Reason
from verdict import before, broken
from worlds import World


def test_bytes_that_are_not_new_are_told_and_not_sent_until_the_deadline(world: World) -> None:
    """A broken source of randomness makes the same bytes twice: KMS has them already, and nothing pends."""
    world.store = world.open_store(f"file:{world.directory / 'constant'}", random_bytes=lambda count: b"\x07" * count)
    arn = world.make_key()
    earlier, begun = before(world.simulator, arn), world.clock.now()

    report = world.rotate(arn, policy=replace(world.policy, deadline=timedelta(minutes=30)))

    assert report.status == "blocked", report.message
    assert [block.reason for block in report.blocks] == [Reason.NOT_NEW]
    assert all(block.way_out for block in report.blocks)
    assert world.clock.now() - begun < timedelta(minutes=15)
    assert not broken(world.simulator, arn, earlier, [world.store], success=False, rotations=0)
    sent = [call for call in world.calls("ImportKeyMaterial") if call.result != "ok"]
    assert len(sent) <= 4
