"""mrk adopt: bring key material that was made elsewhere into the store."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.model import KeyArn, MaterialId
from workflows.adopt import adopt
from workflows.cli.common import (
    ConfigOption,
    EndpointOption,
    JsonOption,
    LogOption,
    each,
    finish,
    invocation,
)


def command(
    name: Annotated[str, typer.Argument(help="A name from the config, or an ARN.")],
    file: Annotated[Path, typer.Argument(help="The file with the 32 bytes of key material.")],
    *,
    material_id: Annotated[
        str | None,
        typer.Option("--material-id", metavar="ID", help="Which of the key's materials; default: the one lacking."),
    ] = None,
    config: ConfigOption = None,
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
    log_level: LogOption = "info",
) -> int:
    """Take 32 bytes from a file into the store, once KMS has confirmed that they are this key's material."""
    with invocation(config, endpoint_url=endpoint_url, as_json=as_json, log_level=log_level) as called:
        wanted = MaterialId(material_id) if material_id else None
        todo = each(
            called,
            [name],
            lambda found, key: adopt(
                found, KeyArn.parse(key.arn), called.settings.policy(key), file.absolute(), wanted
            ),
        )
        return finish(called, called.run(todo))
