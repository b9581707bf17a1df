"""mrk abort: give up a rotation that was begun and not accepted."""

import sys
from typing import Annotated

import typer

from orchestrator.errors import Exit, UsageError
from orchestrator.model import KeyArn, MaterialId
from workflows.abort import abort
from workflows.cli import plan
from workflows.cli.common import each, finish, opened
from workflows.cli.complaints import complain
from workflows.cli.options import DryRunOption, NameArguments, Options, with_options


@with_options
def command(
    names: NameArguments,
    *,
    options: Options,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")] = False,
    material_id: Annotated[
        str | None,
        typer.Option("--material-id", metavar="ID", help="Withdraw this pending material, though it is not ours."),
    ] = None,
    dry_run: DryRunOption = False,
) -> int:
    """Give up a rotation that was begun: mark it in the store, wait 15 min, delete what is pending. Bytes are kept."""
    if not names:
        raise UsageError("mrk abort gives up the rotation of the keys that are named", "name at least one key")
    if material_id and len(names) > 1:
        raise UsageError("--material-id goes with one key", "name one key")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError(
            "pending key material is deleted, and there is no terminal to ask on", "add --yes, or --dry-run"
        )
    wanted = MaterialId(material_id) if material_id else None
    with opened(options, changing=not dry_run) as called:
        todo = each(
            called,
            names,
            lambda name, key: abort(name, KeyArn.parse(key.arn), called.settings.policy(key), wanted),
        )
        if dry_run:
            return plan.show(called, todo)
        if not yes and not typer.confirm(f"Give up what is begun of {', '.join(names)}?", err=True):
            complain("not confirmed; nothing was changed")
            return Exit.INTERRUPTED
        return finish(called, called.run(todo))
