"""mrk adopt: bring key material that was made elsewhere into the store."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import UsageError
from orchestrator.model import KeyArn, MaterialId
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from orchestrator.stores.adoption import STDIN, check_source
from workflows.adopt import adopt
from workflows.cli import plan
from workflows.cli.common import each, finish, opened
from workflows.cli.options import DryRunOption, NameArgument, Options, with_options


def _source(file: Path) -> Path:
    """Tell where the bytes are read; raises UsageError where nothing can be."""
    if file == Path("-") and sys.stdin is None:
        raise UsageError("the standard input is closed", "name the file with the 32 bytes of key material")
    source = STDIN if file == Path("-") else file
    check_source(source)
    return source.absolute()


@with_options
def command(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="The file with the 32 bytes of key material; - for stdin.")],
    *,
    options: Options,
    material_id: Annotated[
        str | None,
        typer.Option("--material-id", metavar="ID", help="Which of the key's materials; default: the one lacking."),
    ] = None,
    dry_run: DryRunOption = False,
) -> int:
    """Take 32 bytes from a file into the store, once KMS has confirmed that they are this key's material."""
    wanted, source = MaterialId(material_id) if material_id else None, _source(file)
    with opened(options, [name], changing=not dry_run) as called:

        def job(found: str, key: KeySettings) -> Job:
            arn = KeyArn.parse(key.arn)
            same_as = called.engine.store.identify(arn.identity, source)
            return adopt(found, arn, called.settings.policy(key), source, wanted, same_as)

        todo = each(called, [name], job)
        return plan.show(called, todo) if dry_run else finish(called, called.run(todo))
