"""What docs/simulator.md gives users to copy works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.simulator.operations import OPERATIONS
from orchestrator.simulator.wire import operation_names

MANUAL = Path(__file__).parents[2] / "docs" / "simulator.md"


def code_blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", MANUAL.read_text(), re.DOTALL)


@pytest.mark.e2e
def test_the_fixture_recipe_spawns_a_simulator(tmp_path: Path) -> None:
    fixture, user = code_blocks("python")[:2]
    assert len(fixture.strip().splitlines()) <= 16
    (tmp_path / "conftest.py").write_text(fixture)
    (tmp_path / "test_mine.py").write_text(user)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_every_operation_is_in_the_table_as_what_it_is() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (\w[\w ]*?) \|", MANUAL.read_text(), re.MULTILINE))
    for operation in operation_names():
        simulated = operation in OPERATIONS
        assert operation in table, operation
        assert (table[operation] in ("faithful", "simplified")) == simulated, operation
