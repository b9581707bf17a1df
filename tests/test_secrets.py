"""A known material is found in nothing that is written: journal, debug logs, terminal, reports; in no encoding (I2)."""

import io
import json
from pathlib import Path

from leaks import found_in
from orchestrator.journal import Header, Journal
from orchestrator.logs import event_logger
from orchestrator.model import to_json
from orchestrator.report import documents, narrate
from worlds import REGIONS, World

KNOWN = bytes(range(7, 39))


def test_a_known_material_is_found_in_nothing_written(world: World, tmp_path: Path) -> None:
    """I2: with faults everywhere, at level debug."""
    world.store = world.open_store(f"file:{tmp_path / 'known'}", random_bytes=lambda count: KNOWN[:count])
    arn = world.make_key()
    world.store = world.open_store(f"file:{tmp_path / 'known'}", random_bytes=lambda count: KNOWN[::-1][:count])
    for region in REGIONS:
        world.simulator.faults.add(operation="ImportKeyMaterial", region=region, times=1, drop="after")
        world.simulator.faults.add(
            operation="ImportKeyMaterial", region=region, times=1, error="InvalidImportTokenException"
        )
    log, told = io.StringIO(), io.StringIO()
    journal = Journal(tmp_path / "runs", Header("secret-test", world.clock.now()))
    log_event, tell = event_logger(log, "debug"), narrate.narrator(lambda line: told.write(line + "\n"))

    report = world.rotate(arn)
    for event in world.events:
        for listen in (journal, log_event, tell):
            listen(event)
    journal.seal(world.clock.now())

    assert report.status == "finished", report
    assert world.simulator.material(REGIONS[1], str(arn), world.true(arn).current) == KNOWN[::-1]
    written = {
        "journal": journal.path.read_text(),
        "log": log.getvalue(),
        "terminal": told.getvalue(),
        "report": json.dumps(documents.report(report)) + repr(report),
        "carried": to_json(report.run),
        "parts": repr(world.store) + repr(world.runner()) + repr(world.events),
    }
    assert all(text for text in written.values())
    for name, text in written.items():
        assert not found_in(text, (KNOWN, KNOWN[::-1])), name
