"""The command line's table of contents."""

from importlib.metadata import version
from typing import Annotated

import typer

from workflows.cli import (
    abort,
    adopt,
    config,
    demo,
    plan,
    policy,
    renew,
    repair,
    report,
    rotate,
    run,
    simulator,
    status,
    store,
    verify,
    workflow,
)

app = typer.Typer(
    name="mrk",
    help="Rotate, repair, renew and prove the imported key material (BYOK) of AWS KMS keys across Regions.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mrk {version('mrk-orchestrator')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Rotate, repair, renew and prove the imported key material (BYOK) of AWS KMS keys across Regions."""


app.command("demo")(demo.command)
app.command("plan")(plan.command)
app.command("run")(run.command)
app.command("rotate")(rotate.command)
app.command("status")(status.command)
app.command("verify")(verify.command)
app.command("repair")(repair.command)
app.command("renew")(renew.command)
app.command("adopt")(adopt.command)
app.command("abort")(abort.command)
app.command("report")(report.command)
app.command("policy")(policy.command)
app.command("simulator")(simulator.command)
app.add_typer(config.app, name="config")
app.add_typer(store.app, name="store")
app.add_typer(workflow.app, name="workflow")
