"""The README does not rot: its lines run as they stand, its tables name what there is."""

import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from typer.main import get_command

from orchestrator.errors import Exit
from orchestrator.settings import load
from workflows.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"<!-- test: (?P<name>[a-z]+) -->\n *```sh\n(?P<script>.*?)\n *```", re.DOTALL)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def readme_script() -> str:
    """Join every block, in order, into one script that stops at the first error."""
    blocks = {found["name"]: textwrap.dedent("   " + found["script"]) for found in BLOCK.finditer(README)}
    assert list(blocks) == ["simulator", "key", "config", "adopt", "plan", "rotate", "status"]
    script = "\n".join(re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in blocks.values())
    return f"set -euo pipefail\ntrap 'kill %1' EXIT\n{script.replace('4599', free_port())}\n"


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_the_rotation_by_hand_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    """Every block, in order, in one shell that stops at the first error."""
    script = readme_script()
    surroundings = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "MRK_RUN__POLL": "500ms",
    }

    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=150, check=False
    )

    assert ran.returncode in {0, -signal.SIGTERM}, ran.stdout + ran.stderr
    assert "finished" in ran.stdout
    assert "nothing is due" in ran.stdout


def test_the_readme_lists_every_command_and_no_other() -> None:
    listed = set(re.findall(r"^\| `mrk ([a-z]+)` \|", README, re.MULTILINE))

    assert listed == set(get_command(app).commands)


def test_the_readme_lists_every_exit_code_and_no_other() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}

    assert listed == {int(code) for code in Exit}


def test_the_example_config_loads_and_names_every_setting() -> None:
    example = ROOT / "config.example.yaml"

    settings = load(example, {})

    assert settings.keys["payments"].regions
    text = example.read_text()
    for section in (settings.store, settings.defaults, settings.keys["payments"], settings.run, settings.aws):
        for name in type(section).model_fields:
            assert f"{name}:" in text, name


def test_every_command_explains_itself_without_a_traceback() -> None:
    for words in ([], *([name] for name in get_command(app).commands), ["store", "init"], ["store", "list"]):
        ran = subprocess.run(
            [str(Path(sys.executable).parent / "mrk"), *words, "--help"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0
        assert "Usage" in ran.stdout, words
