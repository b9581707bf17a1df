"""mrk demo: a whole rotation on an embedded simulator, with no AWS account and no config."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from orchestrator.errors import UsageError
from orchestrator.report import tables
from orchestrator.report.narrate import narrator
from workflows.cli.results import exit_code, write
from workflows.cli.screen import screen

WITHOUT_SIMULATOR = "in a clone of mrk, type: make install; it brings the simulator"


def command(
    *,
    regions: Annotated[int, typer.Option("--regions", help="How many Regions.", min=1, max=33)] = 5,
) -> int:
    """Show a rotation: an embedded simulator, a multi-Region key, the rotation, the proof, the report."""
    try:
        from workflows.demo import show  # noqa: PLC0415 - the simulator is an extra that may not be installed
    except ImportError as error:
        raise UsageError("the simulator is not installed", WITHOUT_SIMULATOR) from error
    watched = sys.stderr.isatty()
    say = screen(sys.stderr).print
    with TemporaryDirectory(prefix="mrk-demo-") as directory:
        report = show(Path(directory), regions, say, narrator(say, brief=watched and sys.stdout.isatty()))
    if report.view is not None:
        write("", tables.status(report.job.name, report.view, report.job.policy), "")
    write(tables.ending(report))
    return exit_code([report])
