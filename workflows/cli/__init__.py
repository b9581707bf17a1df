"""The command `mrk`: one file per command, and here the one place where an error becomes a message and an exit code."""

import os
import sys
import threading
from pathlib import Path

import typer

from orchestrator.compose import WORKER
from orchestrator.errors import Exit, MrkError
from workflows.cli.app import app
from workflows.cli.common import complain

__all__ = ["main"]

_SIGNALLED = 130
_PATIENCE = 1.0


def main() -> None:
    """Run the command line and end the process; no traceback ever reaches a user (I9)."""
    _open_streams()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        code = code or Exit.FAILED
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain("the result could not be written to stdout", "what was done stands in the journal: mrk report last")
    workers = [thread for thread in threading.enumerate() if thread.name.startswith(WORKER)]
    for thread in workers:
        thread.join(_PATIENCE / len(workers))
    if any(thread.is_alive() for thread in workers):
        # A call that does not come back must not hold up the end: the next run looks at what came of it.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _open_streams() -> None:
    """Give every standard stream somewhere to go, also where the caller closed it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the life of the process


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        code = app(args=arguments, prog_name="mrk", standalone_mode=False)
    except MrkError as error:
        complain(error.message, error.hint)
        return error.exit_code
    except typer.TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):
            sys.stderr.write(message + "\n")
        else:
            complain(message, "mrk --help")
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted", "run again: a run resumes where it stands")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.OK
    except OSError as error:
        complain(
            f"the result could not be written: {error.strerror}", "what was done stands in the journal: mrk report last"
        )
        return Exit.FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told without a traceback
        complain(f"a defect in mrk: {type(error).__name__}: {error}", "please report it, with the journal of the run")
        return Exit.INTERNAL
    if code == _SIGNALLED:
        complain("interrupted", "run again: a run resumes where it stands")
        return Exit.INTERRUPTED
    return int(code or Exit.OK)
