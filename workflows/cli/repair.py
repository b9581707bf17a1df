"""mrk repair: import again what a Region lacks."""

from workflows import jobs
from workflows.cli import plan
from workflows.cli.common import each, finish, opened
from workflows.cli.options import DryRunOption, NameArguments, Options, with_options


@with_options
def command(names: NameArguments, *, options: Options, dry_run: DryRunOption = False) -> int:
    """Import again, from the store, whatever key material a Region lacks. Rotates nothing."""
    with opened(options, names, changing=not dry_run) as called:
        todo = each(called, names, lambda name, key: jobs.repair(name, key, called.settings.policy(key)))
        return plan.show(called, todo) if dry_run else finish(called, called.run(todo))
