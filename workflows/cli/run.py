"""mrk run: whatever is due. What cron calls."""

from workflows import jobs
from workflows.cli import plan
from workflows.cli.common import (
    ConfigOption,
    EndpointOption,
    JsonOption,
    LogOption,
    NamesArgument,
    each,
    finish,
    invocation,
)
from workflows.cli.plan import DryRunOption


def command(
    names: NamesArgument = None,
    *,
    config: ConfigOption = None,
    endpoint_url: EndpointOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    log_level: LogOption = "info",
) -> int:
    """Do whatever is due: finish what is unfinished, rotate what is due. Nothing due: exit 0."""
    if dry_run:
        return plan.command(names, config=config, endpoint_url=endpoint_url, as_json=as_json, log_level=log_level)
    with invocation(config, endpoint_url=endpoint_url, as_json=as_json, log_level=log_level) as called:
        todo = each(called, names, lambda name, key: jobs.run(name, key, called.settings.policy(key)))
        return finish(called, called.run(todo))
