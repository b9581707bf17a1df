"""mrk abort: give up a rotation that was begun and not accepted."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.errors import UsageError
from orchestrator.model import KeyArn, MaterialId, short
from orchestrator.plan import Plan
from orchestrator.progress import Job, Report
from orchestrator.report import tables
from orchestrator.settings import KeySettings
from workflows.abort import abort
from workflows.cli import plan
from workflows.cli.asking import as_shown
from workflows.cli.common import Invocation, declined, each, finish, opened
from workflows.cli.options import DryRunOption, NameArguments, Options, with_options
from workflows.cli.results import confirmed
from workflows.cli.screen import screen


@with_options
def command(
    names: NameArguments,
    *,
    options: Options,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")] = False,
    material_id: Annotated[
        str | None,
        typer.Option("--material-id", metavar="ID", help="Withdraw this pending material, though it is not ours."),
    ] = None,
    unrecoverable: Annotated[
        bool,
        typer.Option("--unrecoverable", help="Delete it though the store does not hold its bytes."),
    ] = False,
    dry_run: DryRunOption = False,
) -> int:
    """Give up a rotation that was begun: mark it in the store, wait 15 min, delete what is pending. Bytes are kept."""
    if not names:
        raise UsageError("mrk abort gives up the rotation of the keys that are named", "name at least one key")
    if material_id and len(names) > 1:
        raise UsageError("--material-id goes with one key", "name one key")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError(
            "pending key material is deleted, and there is no terminal to ask on", "add --yes, or --dry-run"
        )
    wanted = MaterialId(material_id) if material_id else None
    with opened(options, names, changing=not dry_run, asks=not yes) as called:

        def job(name: str, key: KeySettings) -> Job:
            return abort(name, KeyArn.parse(key.arn), called.settings.policy(key), wanted, unheld=unrecoverable)

        todo = each(called, names, job)
        if dry_run:
            return plan.show(called, todo)
        if not yes:
            planned = plan.predicted(called, todo)
            if not _confirmed(called, planned):
                raise declined(called, todo)
            todo = as_shown(todo, [report for report, _ in planned])
        with called.alone():
            return finish(called, called.run(todo))


def _confirmed(called: Invocation, planned: Sequence[tuple[Report, Plan | None]]) -> bool:
    """Show what would be given up and deleted, and ask; where nothing would be, there is nothing to ask."""
    begun = [(report, found) for report, found in planned if found and found.steps]
    if not begun:
        return True
    console = screen(sys.stderr)
    for report, found in begun:
        console.print(tables.plan(report, found, called.settings.aws.wrapping_algorithm))
        if report.view is not None and (pending := report.view.pending):
            deleted = f"key material {short(pending.material_id)} is deleted in every Region"
            patience = "after 15 min without any sign of a rotation; its bytes stay in the store, if it holds them"
            console.print(f"{report.job.name}: {deleted}, {patience}", style="yellow")
    return confirmed(f"Give up what is begun of {', '.join(report.job.name for report, _ in begun)}?")
