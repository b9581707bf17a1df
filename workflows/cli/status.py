"""mrk status: how the keys stand. Tells, and judges nothing."""

from orchestrator.errors import Exit
from orchestrator.report import documents, tables
from workflows import jobs
from workflows.cli.common import (
    ConfigOption,
    EndpointOption,
    JsonOption,
    LogOption,
    NamesArgument,
    each,
    invocation,
    looking,
    write,
    write_json,
)


def command(
    names: NamesArgument = None,
    *,
    config: ConfigOption = None,
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
    log_level: LogOption = "info",
) -> int:
    """Show every key: its Regions, its key material, what the store holds, and what is left of its rotations."""
    with invocation(config, endpoint_url=endpoint_url, as_json=as_json, log_level=log_level, changing=False) as called:
        todo = each(called, names, lambda name, key: looking(jobs.run(name, key, called.settings.policy(key))))
        reports = called.run(todo)
        seen = [(report.job.name, report.view, report.job.policy) for report in reports if report.view is not None]
        if as_json:
            write_json({"keys": [documents.status(*one) for one in seen]})
        else:
            for one in seen:
                write(tables.status(*one), "")
        return Exit.FAILED if any(view.failures for _, view, _ in seen) else Exit.OK
