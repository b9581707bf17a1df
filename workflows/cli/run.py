"""mrk run: whatever is due. What cron calls."""

import random

from orchestrator.clock import SystemClock
from orchestrator.errors import Exit
from orchestrator.ports import Event
from workflows import jobs
from workflows.cli import plan
from workflows.cli.common import complain, each, finish, opened, read_settings, watcher
from workflows.cli.options import DryRunOption, NamesArgument, Options, with_options
from workflows.cli.signals import stopping
from workflows.cli.unattended import Delay, watched


@with_options
def command(names: NamesArgument = None, *, options: Options, dry_run: DryRunOption = False) -> int:
    """Do whatever is due: finish what is unfinished, rotate what is due. Nothing due: exit 0."""
    if not dry_run and not _begun(options):
        complain("interrupted before anything was begun", "run again")
        return Exit.INTERRUPTED
    with opened(options, changing=not dry_run) as called:
        todo = each(called, names, lambda name, key: jobs.run(name, key, called.settings.policy(key)))
        return plan.show(called, todo) if dry_run else finish(called, called.run(todo))


def _begun(options: Options) -> bool:
    """Wait up to `run.start_delay` where nobody watches; nothing is held or looked at meanwhile."""
    longest = read_settings(options.config).run.start_delay
    if not longest or watched():
        return True
    clock = SystemClock()
    delay = Delay(longest, clock, random.random)
    if not options.quiet:
        watcher(options.log_level)(Event(clock.now(), "run.delayed", data={"until": delay.until.isoformat()}))
    with stopping(delay):
        return delay()
