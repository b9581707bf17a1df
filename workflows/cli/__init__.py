"""The command `mrk`: one file per command, and here the one place where an error becomes a message and an exit code."""

import sys

import typer

from orchestrator.errors import Exit, MrkError
from workflows.cli.app import app
from workflows.cli.common import complain

__all__ = ["main"]


def main() -> None:
    """Run the command line; no traceback ever reaches a user (I9)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        code = app(args=arguments, prog_name="mrk", standalone_mode=False)
    except MrkError as error:
        complain(error.message, error.hint)
        return error.exit_code
    except typer.TyperException as error:
        complain(error.format_message(), "mrk --help")
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted", "run again: a run resumes where it stands")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told without a traceback
        complain(f"a defect in mrk: {type(error).__name__}: {error}", "please report it, with the journal of the run")
        return Exit.INTERNAL
    return int(code or Exit.OK)
