"""mrk status: how the keys stand. Tells, and judges nothing."""

from rich.console import RenderableType

from orchestrator.errors import Exit
from orchestrator.progress import Report
from orchestrator.report import documents, tables, telling
from workflows import jobs
from workflows.cli.common import each, looking, opened
from workflows.cli.options import NamesArgument, Options, with_options
from workflows.cli.results import exit_code, write, write_json


@with_options
def command(names: NamesArgument = None, *, options: Options) -> int:
    """Show every key: its Regions, its key material, what the store holds, and what is left of its rotations."""
    with opened(options, names, changing=False) as called:
        todo = each(called, names, lambda name, key: looking(jobs.run(name, key, called.settings.policy(key))))
        reports = called.look(todo)
    partial = any(report.view is not None and report.view.failures for report in reports)
    code = Exit.worst([Exit(exit_code(reports)), Exit.FAILED if partial else Exit.OK])
    if options.as_json:
        write_json(documents.envelope(code, [documents.status(report) for report in reports]))
    else:
        for report, others in telling.together(reports):
            write(_shown(report), *telling.same_of(others), "")
    return code


def _shown(report: Report) -> RenderableType:
    if report.view is None:
        return tables.ended(report)
    return tables.status(report.job.name, report.view, report.job.policy)
