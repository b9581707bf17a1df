"""The journal around one command: begun before anything is looked at, sealed and told at its end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from rich.text import Text

from orchestrator.clock import SystemClock
from orchestrator.compose import clock_of
from orchestrator.errors import MrkError
from orchestrator.journal import Header, Journal, Kept, whoami
from orchestrator.ports import Event
from orchestrator.secret_sources import command_line
from orchestrator.settings import Settings
from workflows.cli.complaints import complain
from workflows.cli.screen import screen


@contextmanager
def journal(settings: Settings, run_id: str, *, quiet: bool, log_level: str) -> Iterator[Journal]:
    """Keep the journal of one run; however the command ends, it is sealed and its final hash told on stderr."""
    now, (user, host) = clock_of(settings).now, whoami()
    config = str(settings.file.absolute()) if settings.file else ""
    command = ("mrk", *command_line(sys.argv[1:]))
    kept = Journal(
        settings.run.journal, Header(run_id, now(), version("mrk-orchestrator"), command, config, user, host)
    )
    try:
        yield kept
    except MrkError as error:
        kept(Event(now(), "command.refused", data={"message": error.message, "exit_code": int(error.exit_code)}))
        raise
    finally:
        _tell(kept.seal(now()), quiet=quiet, log_level=log_level)


def _tell(kept: Kept, *, quiet: bool, log_level: str) -> None:
    """Say where the journal is and what its final hash is: a dim line on a terminal, JSON elsewhere."""
    if kept.problem:
        complain(f"{kept.problem}; what was done is not all in it")
    if quiet:
        return
    if sys.stderr.isatty() and log_level == "info":
        screen(sys.stderr).print(Text(line(kept), style="dim"))
    else:
        from orchestrator.logs import event_logger  # noqa: PLC0415 - see workflows.cli.common

        event_logger(sys.stderr, log_level)(Event(SystemClock().now(), "journal.ended", data=document(kept)))


def line(kept: Kept) -> str:
    """Tell of a journal that has ended, for people."""
    return f"journal {kept.path}, {kept.lines} lines, final hash {kept.hash}"


def document(kept: Kept) -> dict[str, object]:
    """Tell of a journal that has ended, for scripts."""
    about: dict[str, object] = {"path": str(kept.path.absolute()), "lines": kept.lines, "hash": kept.hash}
    return about | ({"problem": kept.problem} if kept.problem else {})
