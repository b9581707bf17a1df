"""mrk status: how the keys stand. Tells, and judges nothing."""

from orchestrator.errors import Exit
from orchestrator.report import documents, tables
from workflows import jobs
from workflows.cli.common import each, exit_code, looking, opened, write, write_json
from workflows.cli.options import NamesArgument, Options, with_options


@with_options
def command(names: NamesArgument = None, *, options: Options) -> int:
    """Show every key: its Regions, its key material, what the store holds, and what is left of its rotations."""
    with opened(options, changing=False) as called:
        todo = each(called, names, lambda name, key: looking(jobs.run(name, key, called.settings.policy(key))))
        reports = called.run(todo)
    seen = [(report.job.name, report.view, report.job.policy) for report in reports if report.view is not None]
    unseen = [report for report in reports if report.view is None]
    if options.as_json:
        write_json({"keys": [documents.status(*one) for one in seen] + [documents.report(one) for one in unseen]})
    else:
        for one in seen:
            write(tables.status(*one), "")
        for report in unseen:
            write(tables.ending(report), "")
    partial = unseen or any(view.failures for _, view, _ in seen)
    return Exit.worst([Exit(exit_code(reports)), Exit.FAILED if partial else Exit.OK])
