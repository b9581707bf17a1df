"""The options that every command has, written once; as the aws command has them, where it has them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.cli.completion import beginning, key_names

LEVELS = ("debug", "info", "warning", "error")

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names from the config, or ARNs; none: all keys.", autocompletion=key_names),
]
NameArguments = Annotated[
    list[str], typer.Argument(metavar="NAME", help="Names from the config, or ARNs.", autocompletion=key_names)
]
NameArgument = Annotated[str, typer.Argument(help="A name from the config, or an ARN.", autocompletion=key_names)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
TakeOption = Annotated[
    bool, typer.Option("--take", help="Take new key material from the store though nothing says who made it.")
]


ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The config file; default: config.yaml, then $MRK_CONFIG.")
]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said beside the command's own options."""

    config: ConfigOption = None
    endpoint_url: Annotated[
        str | None, typer.Option("--endpoint-url", help="Anything that speaks the KMS API, such as mrk simulator.")
    ] = None
    profile: Annotated[str | None, typer.Option("--profile", help="A profile, as in the aws command.")] = None
    region: Annotated[
        str | None, typer.Option("--region", help="Look at the member in this Region first, not at the one in the ARN.")
    ] = None
    role_arn: Annotated[str | None, typer.Option("--role-arn", help="Assume this role first.")] = None
    as_json: JsonOption = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")] = False
    log_level: Annotated[
        str, typer.Option("--log-level", help="debug, info, warning or error.", autocompletion=beginning(LEVELS))
    ] = "info"


def with_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command every common option; it gets them as one value, `options`."""
    names = [field.name for field in fields(Options)]
    annotations = inspect.get_annotations(Options)

    @wraps(command)
    def called(*arguments: Any, **given: Any) -> int:
        options = Options(**{name: given.pop(name) for name in names if name in given})
        return command(*arguments, options=options, **given)

    own = [one for one in inspect.signature(command).parameters.values() if one.name != "options"]
    common = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotations[field.name]
        )
        for field in fields(Options)
    ]
    called.__signature__ = inspect.Signature([*own, *common], return_annotation=int)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*own, *common)} | {"return": int}
    return called
