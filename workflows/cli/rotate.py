"""mrk rotate: rotate keys now."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from orchestrator.errors import UsageError
from orchestrator.plan import Plan
from orchestrator.progress import Job, Report
from orchestrator.report import tables
from orchestrator.settings import KeySettings
from workflows import jobs
from workflows.cli import plan
from workflows.cli.asking import as_shown
from workflows.cli.common import Invocation, declined, each, finish, opened
from workflows.cli.completion import stages
from workflows.cli.options import DryRunOption, NameArguments, Options, TakeOption, with_options
from workflows.cli.results import confirmed
from workflows.cli.screen import screen
from workflows.rotate import ROTATE


@with_options
def command(
    names: NameArguments,
    *,
    options: Options,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")] = False,
    replaces: Annotated[
        str | None, typer.Option("--replaces", metavar="ID", help="Rotate only if this material is CURRENT.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="STAGE",
            help="Stop after this stage; `ready` is the last before the rotation.",
            autocompletion=stages,
        ),
    ] = None,
    take: TakeOption = False,
    dry_run: DryRunOption = False,
) -> int:
    """Rotate keys now. Unfinished work is finished first, and then nothing more is done."""
    if replaces and len(names) > 1:
        raise UsageError("--replaces goes with one key", "name one key")
    stops_before = until in {"healthy", "deposited", "primary_imported", "replicas_imported", "ready"}
    if not (yes or dry_run or stops_before or sys.stdin.isatty()):
        raise UsageError("a rotation cannot be undone, and there is no terminal to ask on", "add --yes, or --dry-run")
    attended = sys.stdin.isatty() and not yes
    with opened(options, names, changing=not dry_run, asks=not yes) as called:

        def job(name: str, key: KeySettings) -> Job:
            policy = replace(called.settings.policy(key, attended=attended), may_take=take)
            return jobs.rotate(name, key, policy, replaces, until)

        todo = each(called, names, job)
        if dry_run:
            return plan.show(called, todo)
        if not yes:
            planned = plan.predicted(called, todo)
            if not _confirmed(called, planned):
                raise declined(called, todo)
            todo = as_shown(_as_asked(todo, planned), [report for report, _ in planned])
        with called.alone():
            return finish(called, called.run(todo))


def _as_asked(todo: Sequence[Job], planned: Sequence[tuple[Report, Plan | None]]) -> list[Job]:
    """Let a key that was not asked about, as something stood against its rotation, not come to that after all."""
    ended = {report.job.name for report, found in planned if found and (found.end.status == "finished" or _asks(found))}
    return [job if job.name in ended else replace(job, stages=jobs.up_to(ROTATE, "ready")) for job in todo]


def _asks(found: Plan) -> bool:
    return any(step.point_of_no_return for step in found.steps)


def _confirmed(called: Invocation, planned: Sequence[tuple[Report, Plan | None]]) -> bool:
    """Show the plans, and have the point of no return confirmed; what does not come to it needs no word."""
    rotated = [report for report, found in planned if found and _asks(found)]
    if not rotated:
        return True
    console = screen(sys.stderr)
    for report, found in planned:
        console.print(tables.plan(report, found, called.settings.aws.wrapping_algorithm))
    for report in rotated:
        console.print(f"{report.job.name}: {tables.budget(report)}", style="yellow")
    return confirmed(f"Rotate {', '.join(report.job.name for report in rotated)}?")
