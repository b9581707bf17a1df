"""A command line that is wrong is the user's to mend: exit 2, never a defect of ours."""

import pytest

from orchestrator.errors import Exit
from workflows.cli import run

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
    assert run(arguments) == Exit.USAGE

    told = capsys.readouterr().err
    assert said in told
    assert "hint: mrk --help" in told
    assert "defect" not in told
