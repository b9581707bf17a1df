"""mrk workflow: the workflows as state machines for AWS Step Functions. Calls nothing."""

from typing import Annotated

import typer

from orchestrator.errors import Exit, UsageError
from workflows.cli.completion import workflows
from workflows.cli.results import write_json
from workflows.jobs import WORKFLOWS

app = typer.Typer(help="The workflows as state machines for AWS Step Functions.", no_args_is_help=True)


@app.callback()
def _workflow() -> None:
    """Workflows as state machines for AWS Step Functions."""


@app.command("render")
def render(
    name: Annotated[
        str, typer.Argument(help=f"{', '.join(WORKFLOWS)}, or fleet: many keys.", autocompletion=workflows)
    ],
) -> int:
    """Print a workflow as a state machine. It is in the Amazon States Language; the deployment fills ${NAME} in."""
    from workflows.step_functions import fleet, machine  # noqa: PLC0415 - no other command needs them

    if name == "fleet":
        write_json(fleet.fleet())
    elif name in WORKFLOWS:
        write_json(machine.machine(name, WORKFLOWS[name]))
    else:
        raise UsageError(f"there is no workflow {name!r}", f"it is one of {', '.join(WORKFLOWS)}, fleet")
    return Exit.OK
