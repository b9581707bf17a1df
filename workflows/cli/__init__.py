"""The command `mrk`: one file per command, and here the one place where an error becomes a message and an exit code."""

import os
import sys
from contextlib import suppress
from functools import partial

from orchestrator.errors import Exit
from orchestrator.secret_sources import learn_surroundings
from orchestrator.written import guarded
from workflows.cli.complaints import complain_of_loss, judged, lost, refuse
from workflows.cli.signals import INTERRUPTED, listen_from_the_start
from workflows.cli.streams import open_streams

__all__ = ["main"]

_SIGNALLED = 130


def main() -> None:
    """Run the command line and end the process; no traceback ever reaches a user (I9)."""
    listen_from_the_start()
    from orchestrator.hardening import offer_no_core_dump  # noqa: PLC0415 - see invoke

    offer_no_core_dump()
    open_streams()
    code = invoke(sys.argv[1:])
    with suppress(OSError):
        sys.stderr.flush()
    # Nothing is left to be done: a call that does not come back must not hold up the end, and taking the interpreter
    # apart would take a tenth of the time of a plan.
    os._exit(code)


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    learn_surroundings(os.environ, arguments)
    with guarded():
        code = _invoke(arguments)
        if not lost():
            return code
        complain_of_loss()
        return code or Exit.FAILED


def _invoke(arguments: list[str]) -> int:
    # Imported here: it takes a while, in which Ctrl-C is already listened to.
    import typer  # noqa: PLC0415

    from workflows.cli.app import app  # noqa: PLC0415

    refused = partial(refuse, as_json="--json" in arguments)
    try:
        code = app(args=arguments, prog_name="mrk", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):
            return refused(Exit.USAGE, message, f"{_command(arguments)} --help")
        context = getattr(error, "ctx", None)
        command = context.command_path if context else _command(arguments)
        return refused(Exit.USAGE, message, f"{command} --help")
    except (KeyboardInterrupt, typer.Abort):
        return refused(Exit.INTERRUPTED, *INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort: told without a traceback
        return refused(*judged(error))
    if code == _SIGNALLED:
        return refused(Exit.INTERRUPTED, *INTERRUPTED)
    return int(code or Exit.OK)


def _command(arguments: list[str]) -> str:
    """Name the command that was meant, where the error does not tell it."""
    import typer.main  # noqa: PLC0415 - see invoke

    from workflows.cli.app import app  # noqa: PLC0415 - see invoke

    words, commands = ["mrk"], getattr(typer.main.get_command(app), "commands", {})
    for word in arguments:
        if word not in commands:
            break
        words.append(word)
        commands = getattr(commands[word], "commands", {})
    return " ".join(words)
