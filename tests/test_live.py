"""What a person sees while a run is under way."""

import io
import re
from datetime import UTC, datetime

from rich.console import Console

from orchestrator.ports import Event
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


def test_the_live_line_leaves_room_for_the_mark_of_an_interrupt() -> None:
    """A terminal writes ^C after it; a line that is full would break, and its first half stay behind for ever."""
    written = io.StringIO()
    live = LiveLine(Console(file=written, force_terminal=True, width=80, color_system=None))
    wait = {"reason": "key-state", "message": "a Region that takes its time " * 5, "at_most": 360}
    now = datetime(2026, 3, 2, tzinfo=UTC)

    live(Event(now, "run.pinned", "payments", data={"members": 5}))
    live(Event(now, "turn", "payments", data={"stage": "settled", "waits": [wait]}))
    live(Event(now, "run.ended", "payments"))

    plain = re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", written.getvalue())
    shown = [line for line in re.split(r"[\r\n]+", plain) if "takes its time" in line]
    assert shown
    assert all(len(line) <= 80 - len("^C^C") for line in shown)
    assert all("at most 6 min" in line for line in shown)


def test_where_the_result_follows_an_end_is_told_in_a_word() -> None:
    lines: list[str] = []
    ended = Event(
        datetime(2026, 3, 2, tzinfo=UTC), "run.ended", "payments", data={"status": "idle", "message": "nothing is due"}
    )

    narrator(lines.append, brief=True)(ended)
    narrator(lines.append)(ended)

    assert lines == ["payments: idle", "payments: idle: nothing is due"]
