"""A command line that is wrong is the user's to mend: exit 2, never a defect of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import Exit
from workflows.cli import invoke

WRONG = {
    "no such command": (["nope"], "No such command 'nope'", "mrk --help"),
    "a name is missing": (["rotate"], "NAME", "mrk rotate --help"),
    "no such option": (["store", "list", "--bad"], "--bad", "mrk store list --help"),
    "no number": (["demo", "--regions", "many"], "--regions", "mrk demo --help"),
}


@pytest.mark.parametrize(("arguments", "said", "hint"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_is_told_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str, hint: str
) -> None:
    """I9: what is wrong, and a hint."""
    assert invoke(arguments) == Exit.USAGE

    told = capsys.readouterr().err
    assert said in told
    assert f"hint: {hint}\n" in told
    assert "defect" not in told


def test_the_help_says_what_each_command_does_in_a_line_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert invoke(["--help"]) == Exit.OK

    _, commands = capsys.readouterr().out.split("Commands:\n")
    assert len(commands.splitlines()) >= 16
    assert "..." not in commands


def test_ctrl_c_while_mrk_is_being_loaded_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    """An exception in the midst of an import is lost, or leaves every thread to wait for the import lock."""
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    mrk = [Path(sys.executable).parent / "mrk", "run"]

    ended = subprocess.run(
        mrk, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == Exit.INTERRUPTED
    assert ended.stderr == "mrk: interrupted\nhint: run again: a run resumes where it stands\n"
