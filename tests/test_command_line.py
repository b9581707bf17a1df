"""A command line that is wrong is the user's to mend: exit 2, never a defect of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import Exit
from workflows.cli import invoke

WRONG = {
    "no such command": (["nope"], "No such command 'nope'"),
    "a name is missing": (["rotate"], "names"),
    "no such option": (["plan", "--bad"], "--bad"),
    "no number": (["demo", "--regions", "many"], "--regions"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_is_told_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """I9: what is wrong, and a hint."""
    assert invoke(arguments) == Exit.USAGE

    told = capsys.readouterr().err
    assert said in told
    assert "hint: mrk --help" in told
    assert "defect" not in told


def test_ctrl_c_while_mrk_is_being_loaded_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    """An exception in the midst of an import is lost, or leaves every thread to wait for the import lock."""
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    mrk = [Path(sys.executable).parent / "mrk", "run"]

    ended = subprocess.run(
        mrk, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == Exit.INTERRUPTED
    assert ended.stderr == "mrk: interrupted\nhint: run again: a run resumes where it stands\n"
