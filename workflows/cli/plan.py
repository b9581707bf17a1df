"""mrk plan: what `mrk run` would do, call by call. Changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from orchestrator.errors import Exit
from orchestrator.model import Stage
from orchestrator.plan import Plan, predict
from orchestrator.progress import Job, Report, named
from orchestrator.report import documents, scripts, tables
from workflows import jobs
from workflows.cli.common import Invocation, each, exit_code, opened, write, write_json, write_text
from workflows.cli.options import DryRunOption, NamesArgument, Options, with_options

__all__ = ["DryRunOption", "command", "show"]


@with_options
def command(
    names: NamesArgument = None,
    *,
    options: Options,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 10 where there is work to do.")] = False,
    script: Annotated[
        bool, typer.Option("--script", help="Print the plan as a shell script: aws and openssl.")
    ] = False,
) -> int:
    """Show what `mrk run` would do: the exact calls in order, and the point of no return. Changes nothing."""
    with opened(options, changing=False) as called:
        todo = each(called, names, lambda name, key: jobs.run(name, key, called.settings.policy(key)))
        return show(called, todo, work_to_do=exit_code, script=script)


def show(called: Invocation, todo: Sequence[Job], *, work_to_do: bool = False, script: bool = False) -> int:
    """Predict each job and print the plans."""
    planned = predicted(called, todo)
    algorithm = called.settings.aws.wrapping_algorithm
    if script:
        store = called.settings.store
        means = scripts.Means(algorithm, store.uri, store.identity)
        write_text(scripts.script([(report.job.name, found) for report, found in planned if found], means))
    elif called.as_json:
        write_json({"plans": [documents.plan(report, found, algorithm) for report, found in planned]})
    else:
        for report, found in planned:
            write(tables.plan(report, found, algorithm))
    code = exit_code([_as_it_ends(report, found) for report, found in planned])
    some = any(found and found.steps for _, found in planned)
    return Exit.WORK_TO_DO if work_to_do and some and code == Exit.OK else code


def predicted(called: Invocation, todo: Sequence[Job]) -> list[tuple[Report, Plan | None]]:
    """Look at every key, pin what would be done, and predict it."""
    reports = called.run([replace(job, stages=()) for job in todo])
    stages = {job.name: job.stages for job in todo}
    return [(report, _predict(stages.get(report.job.name, ()), report)) for report in reports]


def _predict(stages: Sequence[Stage], report: Report) -> Plan | None:
    if report.run is None or report.view is None:
        return None
    found = predict(stages, report.view, report.run, report.view.at)
    return replace(found, end=replace(found.end, blocks=named(found.end.blocks, report.job.name)))


def _as_it_ends(report: Report, planned: Plan | None) -> Report:
    """Judge a key by where its plan ends: a blocked plan is a blocked key."""
    if planned is None or planned.end.status == "finished":
        return report
    return replace(report, status="blocked" if planned.end.status == "blocked" else "failed")
