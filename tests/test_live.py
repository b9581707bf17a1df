"""What a person sees while a run is under way."""

import io

from rich.console import Console

from orchestrator.report.live import LiveLine
from orchestrator.report.narrate import narrator
from worlds import World


def test_a_terminal_shows_the_stage_the_wait_and_its_bound_and_claims_only_what_was_tried(world: World) -> None:
    arn = world.make_key()
    lines: list[str] = []
    shown: list[str] = []
    live, tell = LiveLine(Console(file=io.StringIO(), force_terminal=True)), narrator(lines.append)

    world.rotate(arn)
    for event in world.events:
        live(event)
        shown.append(live.shown)
        tell(event)

    told = "\n".join(lines)
    assert "deposited 32 new random bytes, sealed, and read them back" in told
    assert "from here on there is no way back" in told
    assert "opened what 2 generations encrypted" in told
    assert any("settled" in line and "of 3 times" in line and "(at most" in line for line in shown)
