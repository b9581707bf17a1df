"""No character fails in any locale, and no narrow terminal or pipe breaks what a person is to copy."""

import json
import os
import pty
import re
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

from e2e.machine import Machine
from workflows.cli.results import write
from workflows.cli.screen import screen
from workflows.cli.streams import forgive

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
LOCALES = {
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ASCII": {"PYTHONIOENCODING": "ascii:strict"},
    "POSIX, as it once was": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX"},
}


@pytest.fixture
def rotated(adopted: tuple[Machine, str]) -> Machine:
    """A machine with a key that was rotated: a column of `store list` is shortened."""
    machine, _ = adopted
    machine.run("mrk", "rotate", "payments", "--yes")
    return machine


def test_every_command_writes_in_every_locale(rotated: Machine) -> None:
    """With the real command as a process, for its encoding is the interpreter's."""
    commands = (["store", "list"], ["run", "--news", "--quiet"], ["report", "last"], ["plan"])
    for name, locale in LOCALES.items():
        for words in commands if name == "ASCII" else commands[:1]:
            rotated.given = locale
            process = rotated.start("mrk", *words)
            out, err = process.communicate(timeout=100)
            assert (process.returncode, err) == (0, ""), (name, words, err)
            assert "\\u" not in out
            if words == ["store", "list"]:
                assert re.search(r"^[0-9a-f]{8}(\.\.\.|…)\.1 ", out, re.MULTILINE), out


def test_what_is_kept_is_the_same_in_every_locale(rotated: Machine) -> None:
    """A journal, and what a hook and a script get, are JSON in ASCII; a config is UTF-8 everywhere."""
    rotated.given = LOCALES["POSIX, as it once was"]
    document = json.loads(rotated.start("mrk", "status", "--json").communicate(timeout=100)[0])

    assert document["exit_code"] == 0
    for path in (rotated.directory / "runs").glob("*.jsonl"):
        assert path.read_bytes().isascii()


def test_a_name_beyond_ascii_needs_a_locale_that_is_as_the_config_is(rotated: Machine) -> None:
    """By hand in one locale and by cron in another, one path would name two stores."""
    rotated.more["run"] = {"journal": str(rotated.directory / "läufe")}
    rotated.write_config()

    told = {}
    for name in ("POSIX, as it once was", "POSIX"):
        rotated.given = LOCALES[name]
        process = rotated.start("mrk", "run", "--quiet")
        told[name] = (process.communicate(timeout=100)[1], process.returncode)

    refused, code = told["POSIX, as it once was"]
    assert code == 2
    assert "run.journal has a letter beyond ASCII" in refused
    assert "hint: set LC_ALL=C.UTF-8" in refused
    assert told["POSIX"] == ("", 0)
    assert (rotated.directory / "läufe").is_dir()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"])
def test_every_character_is_written_on_every_stream(encoding: str) -> None:
    """Ours as people write them in ASCII, others by their number; never an error."""
    kept = BytesIO()
    written, read = TextIOWrapper(kept, encoding=encoding), TextIOWrapper(BytesIO(b"\xff\n"), encoding=encoding)
    forgive(written)
    forgive(read, reads=True)

    written.write("ab\u2026 /srv/schl\xfcssel/\u9375\n")
    written.flush()

    said = kept.getvalue().decode(encoding)
    assert re.fullmatch(r"ab(\.\.\.|…) /srv/schl(ü|\\xfc)ssel/(鍵|\\u9375)\n", said)
    assert len(read.readline()) == 2


def test_every_character_of_our_own_has_a_way_to_be_written_in_ascii() -> None:
    """A new one in a message or a table is a row in workflows/cli/streams.py."""
    ours = {
        letter
        for package in ("orchestrator", "workflows")
        for path in (ROOT / package).rglob("*.py")
        if "simulator" not in path.parts and path.name != "errors.py"  # whose docstring has a drawing
        for letter in path.read_text(encoding="utf-8")
        if not letter.isascii()
    }

    assert ours == {"…"}


COMMAND = "mrk rotate payments --replaces " + "ab" * 32
ADVICE = f"if you want another one, and know what that means for the key and for its budget: {COMMAND}"


def shown(*parts: Any, columns: int, say: Callable[..., None]) -> str:
    """Show parts on a terminal of so many columns, and return what came to it."""
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w", encoding="utf-8") as stream:
        say(stream, columns, *parts)
    text = b""
    with suppress(OSError):  # its end, on Linux
        while more := os.read(controller, 1 << 16):
            text += more
    os.close(controller)
    return text.decode()


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_a_terminal_breaks_no_line_that_holds_a_command(columns: int) -> None:
    """The terminal shows it over several rows, and copies it as one; texts that are grouped or coloured, too."""

    def say(stream: Any, width: int, *parts: Any) -> None:
        console = screen(stream, width=width, force_terminal=True)
        for part in parts:
            console.print(part)

    said = shown(ADVICE, Text(ADVICE, style="yellow"), Text.assemble("-> ", ADVICE), columns=columns, say=say)

    assert said.count(COMMAND) == 3


def test_a_pipe_breaks_no_line_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor a cell of a table: what is piped is searched, and copied."""
    table = Table(box=None)
    table.add_column("where", overflow="fold")
    table.add_column("call", overflow="fold")
    table.add_row("us-east-1", ADVICE)

    write(ADVICE, Text(ADVICE), table)

    assert capsys.readouterr().out.count(COMMAND) == 3


def test_a_hint_is_one_line_in_a_pipe_however_long(rotated: Machine) -> None:
    """With the real command, which is told that it has few columns."""
    rotated.given = {"COLUMNS": "40"}
    process = rotated.start("mrk", "rotate", "payments", "--yes")

    out, _ = process.communicate(timeout=100)

    assert process.returncode == 4
    assert re.search(r"^  -> .*: mrk rotate payments --replaces [0-9a-f]{64}$", out, re.MULTILINE), out
