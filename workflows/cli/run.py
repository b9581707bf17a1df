"""mrk run: whatever is due. What cron calls."""

import os
import random
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from orchestrator.clock import SystemClock
from orchestrator.errors import Exit
from orchestrator.ports import Event
from orchestrator.progress import Job, Report
from orchestrator.settings import Settings
from orchestrator.task_token import TOKEN
from orchestrator.terminal import watched
from workflows import jobs
from workflows.cli import plan, unattended
from workflows.cli.common import Invocation, check, each, finish, opened, settings_of, watcher
from workflows.cli.complaints import complain, refuse
from workflows.cli.options import DryRunOption, NamesArgument, Options, with_options
from workflows.cli.signals import stopping


@with_options
def command(
    names: NamesArgument = None,
    *,
    options: Options,
    news: Annotated[
        bool, typer.Option("--news", help="Print only the keys that were changed, or need somebody; for cron.")
    ] = False,
    dry_run: DryRunOption = False,
) -> int:
    """Do whatever is due: renew what expires, finish what is unfinished, rotate what is due. Nothing due: exit 0."""
    if dry_run:
        with opened(options, names, changing=False) as called:
            return plan.show(called, _todo(called, names))
    if TOKEN not in os.environ:
        return _run(names, options, lambda _reports: None, news=news)
    from workflows.step_functions import callback  # noqa: PLC0415 - whoever is no task starts faster without

    return callback.answered(os.environ, complain, lambda tell: _run(names, options, tell, news=news))


def _run(names: Sequence[str] | None, options: Options, tell: Callable[[Sequence[Report]], None], *, news: bool) -> int:
    settings = settings_of(options)
    with unattended.refusals_told(settings, ""):
        check(settings, options, names or [])
    if not _begun(settings, options):
        return refuse(Exit.INTERRUPTED, "interrupted before anything was begun", "run again", as_json=options.as_json)
    with opened(options, names, settings=settings) as called:
        reports = called.run(_todo(called, names))
        tell(reports)
        return finish(called, reports, news=news)


def _todo(called: Invocation, names: Sequence[str] | None) -> list[Job]:
    return each(called, names, lambda name, key: jobs.run(name, key, called.settings.policy(key)))


def _begun(settings: Settings, options: Options) -> bool:
    """Wait up to `run.start_delay` where nobody watches; nothing is held or looked at meanwhile."""
    longest = settings.run.start_delay
    if not longest or watched():
        return True
    clock = SystemClock()
    delay = unattended.Delay(longest, clock, random.random)
    if not options.quiet:
        watcher(options.log_level)(Event(clock.now(), "run.delayed", data={"until": delay.until.isoformat()}))
    with stopping(delay):
        return delay()
