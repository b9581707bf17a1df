"""Tables that people read."""

import io
from datetime import UTC, datetime

from rich.console import Console

from orchestrator.model import (
    KeyArn,
    KeyState,
    MaterialId,
    MaterialRow,
    MaterialState,
    Policy,
    Region,
    RegionView,
    View,
)
from orchestrator.report import tables

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
