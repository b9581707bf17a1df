"""mrk repair: import again what a Region lacks."""

from dataclasses import replace
from typing import Annotated

import typer

from orchestrator.kms import check_regions
from orchestrator.model import KeyArn, Region
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from workflows import jobs
from workflows.cli import plan
from workflows.cli.common import each, finish, opened
from workflows.cli.options import DryRunOption, NameArguments, Options, with_options


@with_options
def command(
    names: NameArguments,
    *,
    options: Options,
    enable: Annotated[
        list[str] | None,
        typer.Option("--enable", metavar="REGION", help="Import there though the key was Disabled: that enables it."),
    ] = None,
    dry_run: DryRunOption = False,
) -> int:
    """Import again, from the store, whatever key material a Region lacks. Rotates nothing."""
    allowed = frozenset(Region(region) for region in enable or ())
    with opened(options, names, changing=not dry_run) as called:

        def job(name: str, key: KeySettings) -> Job:
            check_regions(KeyArn.parse(key.arn).partition, allowed)
            return jobs.repair(name, key, replace(called.settings.policy(key), may_enable=allowed))

        todo = each(called, names, job)
        return plan.show(called, todo) if dry_run else finish(called, called.run(todo))
