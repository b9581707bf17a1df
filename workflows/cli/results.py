"""Results on stdout, and the one question on a terminal."""

import sys
from collections.abc import Mapping, Sequence
from io import StringIO

import typer
from rich.console import RenderableType

from orchestrator.errors import Exit
from orchestrator.progress import Report, Status
from orchestrator.written import to_json
from workflows.cli.screen import screen

_WIDE = 100_000
"""Columns of what is no terminal: nothing is folded there."""

_CODES: dict[Status, Exit] = {
    "finished": Exit.OK,
    "idle": Exit.OK,
    "blocked": Exit.BLOCKED,
    "failed": Exit.FAILED,
    "interrupted": Exit.INTERRUPTED,
    "error": Exit.INTERNAL,
}


def exit_code(reports: Sequence[Report]) -> int:
    """Return the one exit code of several runs."""
    return Exit.worst([_CODES[report.status] for report in reports])


def write(*parts: str | RenderableType) -> None:
    """Print a result to stdout; where that is no terminal, without the spaces that only fill a line."""
    if sys.stdout.isatty():
        console = screen(sys.stdout)
        for part in parts:
            console.print(part)
        return
    text = StringIO()
    console = screen(text, width=_WIDE)
    for part in parts:
        console.print(part)
    styled = getattr(sys.stdout, "styled", sys.stdout)
    styled.write("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()))


def write_text(text: str) -> None:
    """Print text to stdout as it is."""
    sys.stdout.write(text)


def write_json(document: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(to_json(document, indent=2) + "\n")


def begin_json(document: Mapping[str, object]) -> None:
    """Print one JSON document, to which members are still to come: whether stdout takes it shows before that."""
    sys.stdout.write(to_json(document, indent=2).removesuffix("\n}"))


def end_json(more: Mapping[str, object]) -> None:
    """Print the rest of it."""
    members = to_json(more, indent=2).removeprefix("{").removesuffix("}").rstrip("\n")
    sys.stdout.write(f"{',' if members else ''}{members}\n}}\n")


def confirmed(question: str) -> bool:
    """Ask on the terminal; Ctrl-C is a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        sys.stderr.write("\n")
        return False
