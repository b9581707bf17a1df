"""mrk adopt: bring key material that was made elsewhere into the store."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import UsageError
from orchestrator.model import KeyArn, MaterialId
from workflows.adopt import adopt
from workflows.cli import plan
from workflows.cli.common import each, finish, opened
from workflows.cli.options import DryRunOption, NameArgument, Options, with_options

MATERIAL_LENGTH = 32


@with_options
def command(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="The file with the 32 bytes of key material.")],
    *,
    options: Options,
    material_id: Annotated[
        str | None,
        typer.Option("--material-id", metavar="ID", help="Which of the key's materials; default: the one lacking."),
    ] = None,
    dry_run: DryRunOption = False,
) -> int:
    """Take 32 bytes from a file into the store, once KMS has confirmed that they are this key's material."""
    _check(file)
    wanted, source = MaterialId(material_id) if material_id else None, file.absolute()
    with opened(options, [name], changing=not dry_run) as called:
        todo = each(
            called,
            [name],
            lambda found, key: adopt(found, KeyArn.parse(key.arn), called.settings.policy(key), source, wanted),
        )
        return plan.show(called, todo) if dry_run else finish(called, called.run(todo))


def _check(file: Path) -> None:
    """Refuse what cannot be key material before anything is looked at; the bytes themselves are the store's to read."""
    if not file.is_file():
        raise UsageError(f"there is no file {file}", "give the file with the 32 bytes of key material")
    if (size := file.stat().st_size) != MATERIAL_LENGTH:
        hint = "decode it first, if it is base64 or hex: base64 -d, or xxd -r -p"
        raise UsageError(
            f"{file} holds {size} bytes; key material of a symmetric key is {MATERIAL_LENGTH} raw bytes", hint
        )
