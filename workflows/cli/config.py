"""mrk config: begin a config file, check it, or print its schema."""

from importlib.resources import files

import typer

from orchestrator import compose, goals
from orchestrator.clock import SystemClock
from orchestrator.errors import Exit, UsageError
from orchestrator.report import documents
from workflows.cli.common import read_settings
from workflows.cli.options import ConfigOption, JsonOption
from workflows.cli.results import write, write_json, write_text

app = typer.Typer(
    help="The config file: begin one, check it, or print its schema.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("check")
def check(*, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Judge the settings without a call. Exit 0 where they are sound, 2 where they are not."""
    from orchestrator import soundness  # noqa: PLC0415 - no other command needs it

    settings = read_settings(config)
    compose.check(settings)
    if problems := soundness.problems(settings):
        raise UsageError(problems, "change the config, or what it names")
    unwise = soundness.warnings(settings, SystemClock().now())
    if as_json:
        keys = [{"name": name, "arn": key.arn} for name, key in settings.keys.items()]
        write_json(documents.envelope(Exit.OK, keys, store={"uri": settings.store.uri}, warnings=unwise))
    else:
        write(*(f"warning: {one}" for one in unwise))
        write(f"sound: {goals.counted(len(settings.keys), 'key')}, store {settings.store.uri}")
    return Exit.OK


@app.command("example")
def print_example() -> int:
    """Print an example config that explains every setting."""
    write_text(files("workflows.cli").joinpath("config.example.yaml").read_text("ascii"))
    return Exit.OK


@app.command("schema")
def print_schema() -> int:
    """Print the JSON Schema of the config file, for editors."""
    from orchestrator.schema import schema  # noqa: PLC0415 - no other command needs it

    write_json(schema())
    return Exit.OK
