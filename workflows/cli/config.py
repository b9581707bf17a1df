"""mrk config: check the config file, or print its schema."""

import typer

from orchestrator import goals
from orchestrator.errors import Exit
from orchestrator.settings import schema
from workflows.cli.common import read_settings, write, write_json
from workflows.cli.options import ConfigOption

app = typer.Typer(help="The config file: check it, or print its schema.", no_args_is_help=True, rich_markup_mode=None)


@app.command("check")
def check(*, config: ConfigOption = None) -> int:
    """Read the config file and say whether it is sound; calls nothing."""
    settings = read_settings(config)
    keys = goals.counted(len(settings.keys), "key")
    write(f"sound: {keys}, store {settings.store.uri}")
    return Exit.OK


@app.command("schema")
def print_schema() -> int:
    """Print the JSON Schema of the config file, for editors."""
    write_json(schema())
    return Exit.OK
