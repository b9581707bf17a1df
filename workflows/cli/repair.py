"""mrk repair: import again what a Region lacks."""

from workflows import jobs
from workflows.cli import plan
from workflows.cli.common import (
    ConfigOption,
    EndpointOption,
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
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    log_level: LogOption = "info",
) -> int:
    """Import again, from the store, whatever key material a Region lacks. Rotates nothing."""
    with invocation(
        config, endpoint_url=endpoint_url, as_json=as_json, log_level=log_level, changing=not dry_run
    ) as called:
        todo = each(called, names, lambda name, key: jobs.repair(name, key, called.settings.policy(key)))
        return plan.show(called, todo) if dry_run else finish(called, called.run(todo))
