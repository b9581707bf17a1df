"""mrk plan: what `mrk run` would do, call by call. Changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from orchestrator import compose
from orchestrator.errors import Exit, UsageError
from orchestrator.model import Stage
from orchestrator.plan import Plan, predict
from orchestrator.progress import Job, Report, named
from orchestrator.report import documents, scripts, tables, telling
from orchestrator.stores.layout import path_of
from workflows import jobs
from workflows.cli.common import Invocation, each, opened
from workflows.cli.complaints import complain
from workflows.cli.options import DryRunOption, NamesArgument, Options, TakeOption, with_options
from workflows.cli.results import exit_code, write, write_json, write_text
from workflows.cli.tellable import untold

__all__ = ["DryRunOption", "command", "show"]


@with_options
def command(
    names: NamesArgument = None,
    *,
    options: Options,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 10 where there is work to do.")] = False,
    script: Annotated[
        bool, typer.Option("--script", help="Print the plan as a shell script: aws, openssl, age.")
    ] = False,
    take: TakeOption = False,
) -> int:
    """Show what `mrk run` would do: the exact calls in order, and the point of no return. Changes nothing."""
    if script and options.as_json:
        raise UsageError("--script and --json exclude each other", "leave one of them out")
    with opened(options, names, changing=False) as called:
        policy = called.settings.policy
        todo = each(called, names, lambda name, key: jobs.run(name, key, replace(policy(key), may_take=take)))
        return show(called, todo, work_to_do=exit_code, script=script)


def show(called: Invocation, todo: Sequence[Job], *, work_to_do: bool = False, script: bool = False) -> int:
    """Predict each job and print the plans."""
    planned = predicted(called, todo)
    code = _code(planned, work_to_do=work_to_do)
    algorithm = called.settings.aws.wrapping_algorithm
    if script:
        write_text(scripts.script(planned, _means(called)))
        _complain_of_what_is_not_in_it(planned)
    elif called.as_json:
        write_json(documents.envelope(code, [documents.plan(report, found, algorithm) for report, found in planned]))
    else:
        plans = {report.job.name: found for report, found in planned}
        for report, others in telling.together([report for report, _ in planned]):
            write(tables.plan(report, plans[report.job.name], algorithm), *telling.same_of(others))
    return code


def _means(called: Invocation) -> scripts.Means:
    """Tell what a script needs beside the plans; one can use a store file: alone."""
    settings, kms = called.settings, called.engine.kms
    store, aws = settings.store, settings.aws
    shelf = None
    if store.uri.startswith("file:"):
        root, where = Path(store.uri.removeprefix("file:").removeprefix("//")), compose.place(settings, kms)
        stamp = {"partition": where.partition, "endpoint_class": where.endpoint_class}
        shelf = scripts.Shelf(root, stamp, partial(path_of, root), store.recipients, store.identity)
    return scripts.Means(aws.wrapping_algorithm, kms.endpoint_url, shelf, aws.profile, aws.role_arn)


def _code(planned: Sequence[tuple[Report, Plan | None]], *, work_to_do: bool) -> Exit:
    code = Exit(exit_code([_as_it_ends(report, found) for report, found in planned]))
    some = any(found and found.steps for _, found in planned)
    return Exit.WORK_TO_DO if work_to_do and some and code == Exit.OK else code


def _complain_of_what_is_not_in_it(planned: Sequence[tuple[Report, Plan | None]]) -> None:
    """Say on stderr what the script leaves undone: whoever runs it may never read it."""
    for report, found in planned:
        blocks = found.end.blocks if found else report.blocks
        for message, way in telling.alike((block.region or "", block.message, block.way_out) for block in blocks):
            complain(f"{report.job.name}: not in the script: {message}", way)
        if not blocks and _as_it_ends(report, found).status not in {"finished", "idle"}:
            complain(f"{report.job.name}: not in the script: {report.message}", "mrk plan says more")


def predicted(called: Invocation, todo: Sequence[Job]) -> list[tuple[Report, Plan | None]]:
    """Look at every key, pin what would be done, and predict it."""
    reports = called.look([replace(job, stages=(), done="") for job in todo])
    stages = {job.name: job.stages for job in todo}
    return [_alone(stages.get(report.job.name, ()), report) for report in reports]


def _alone(stages: Sequence[Stage], report: Report) -> tuple[Report, Plan | None]:
    """Predict one key: where that brings a defect to light, the others are shown all the same (I10)."""
    try:
        return report, _predict(stages, report)
    except Exception as error:  # noqa: BLE001 - told as what it is
        return untold(report, error), None


def _predict(stages: Sequence[Stage], report: Report) -> Plan | None:
    if report.run is None or report.view is None or report.status != "finished":
        return None
    found = predict(stages, report.view, report.run, report.view.at)
    blocks = telling.foreseen(found.end, report.view, report.job.policy)
    return replace(found, end=replace(found.end, blocks=named(blocks, report.job.name)))


def _as_it_ends(report: Report, planned: Plan | None) -> Report:
    """Judge a key by where its plan ends: a blocked plan is a blocked key."""
    if planned is None or planned.end.status == "finished":
        return report
    return replace(report, status="blocked" if planned.end.status == "blocked" else "failed")
