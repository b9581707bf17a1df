"""mrk rotate: rotate keys now."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.errors import UsageError
from orchestrator.progress import Job
from orchestrator.report import tables
from workflows import jobs
from workflows.cli import plan
from workflows.cli.common import (
    ConfigOption,
    EndpointOption,
    Invocation,
    JsonOption,
    LogOption,
    NameArguments,
    each,
    finish,
    invocation,
)
from workflows.cli.plan import DryRunOption


def command(
    names: NameArguments,
    *,
    config: ConfigOption = None,
    endpoint_url: EndpointOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")] = False,
    replaces: Annotated[
        str | None, typer.Option("--replaces", metavar="ID", help="Rotate only if this material is CURRENT.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="STAGE", help="Stop after this stage; `ready` is the last before.")
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    log_level: LogOption = "info",
) -> int:
    """Rotate keys now. Unfinished work is finished first, and then nothing more is done."""
    if replaces and len(names) > 1:
        raise UsageError("--replaces goes with one key", "name one key")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError("a rotation cannot be undone, and there is no terminal to ask on", "add --yes, or --dry-run")
    with invocation(
        config, endpoint_url=endpoint_url, as_json=as_json, log_level=log_level, changing=not dry_run
    ) as called:
        todo = each(
            called, names, lambda name, key: jobs.rotate(name, key, called.settings.policy(key), replaces, until)
        )
        if dry_run:
            return plan.show(called, todo)
        if not yes:
            _ask(called, todo)
        return finish(called, called.run(todo))


def _ask(called: Invocation, todo: Sequence[Job]) -> None:
    """Show the plans, and have the point of no return confirmed."""
    for report, planned in plan.predicted(called, todo):
        typer.echo(f"{report.job.name}: {tables.budget(report)}", err=True)
        for step in planned.steps if planned else ():
            typer.echo(f"  {step.stage}: {step.action.kind} {step.action.target}", err=True)
    typer.confirm("Rotate?", abort=True, err=True)
