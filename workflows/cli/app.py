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


app.command("demo", short_help="A whole rotation on an embedded simulator: no AWS, no config.")(demo.command)
app.command("plan", short_help="What `mrk run` would do, call by call; changes nothing.")(plan.command)
app.command("run", short_help="Whatever is due: finish, renew, rotate; for cron.")(run.command)
app.command("rotate", short_help="Rotate keys now.")(rotate.command)
app.command("status", short_help="How the keys stand; judges nothing.")(status.command)
app.command("verify", short_help="Are the keys well? Exit 0; 3 unseen or unfinished; 4 unhealthy.")(verify.command)
app.command("repair", short_help="Import again, from the store, what a Region lacks.")(repair.command)
app.command("renew", short_help="Import again, with a later ValidTo, what expires soon.")(renew.command)
app.command("adopt", short_help="Bring material that was made elsewhere into the store.")(adopt.command)
app.command("abort", short_help="Give up a rotation that KMS has not accepted.")(abort.command)
app.command("report", short_help="What a run did, from its journal, and whether that is intact.")(report.command)
app.command("policy", short_help="The least that IAM or the key policies must allow.")(policy.command)
app.command("simulator", short_help="Serve a local multi-Region KMS.")(simulator.command)
app.add_typer(config.app, name="config")
app.add_typer(store.app, name="store")
app.add_typer(workflow.app, name="workflow")
