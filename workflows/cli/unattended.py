"""What surrounds a command that nobody may be watching: the delay, the lock, the hook, the metrics."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.errors import Exit, MrkError
from orchestrator.hook import Hook
from orchestrator.ports import Clock
from orchestrator.progress import Report
from orchestrator.secret_sources import command_line
from orchestrator.settings import Settings
from workflows.cli.complaints import complain, defect, refusal
from workflows.cli.signals import stopping


def watched() -> bool:
    """Whether somebody sits at a terminal."""
    return any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


class Delay:
    """A wait of a length that chance decides, so that many machines do not begin at once. `stop` ends it."""

    def __init__(self, longest: timedelta, clock: Clock, chance: Callable[[], float]) -> None:
        self._inbox: SimpleQueue[str] = SimpleQueue()
        self._clock = clock
        self.until: datetime = clock.now() + longest * chance()

    def stop(self) -> None:
        """End the wait; safe in a signal handler."""
        self._inbox.put("stop")

    def __call__(self) -> bool:
        """Wait, and tell whether that came to its end."""
        while self._clock.now() < self.until:
            if self._clock.receive(self._inbox, self.until, busy=False):
                return False
        return True


@contextmanager
def refusals_told(settings: Settings, run_id: str) -> Iterator[None]:
    """Where nobody watches, tell the hook and the metrics of a command that goes no further."""
    try:
        yield
    except MrkError as error:
        _told_refused(settings, run_id, error.exit_code, error.message, error.hint)
        raise
    except Exception as error:
        _told_refused(settings, run_id, Exit.INTERNAL, defect(error), "")
        raise


def _told_refused(settings: Settings, run_id: str, code: Exit, message: str, hint: str) -> None:
    if not watched():
        tell(settings, {"run": run_id, **refusal(code, message, hint)}, (), code)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the lock of the config."""
    from orchestrator import lock  # noqa: PLC0415 - a command that changes nothing starts faster without

    config = settings.file or Path("config.yaml")
    arns = [key.arn for key in settings.keys.values()]
    path = settings.run.lock or lock.default_path(config, arns, settings.run.journal)
    command = shlex.join(["mrk", *command_line(sys.argv[1:])])
    with lock.held(path, command, SystemClock().now()):
        yield


def tell(settings: Settings, document: Mapping[str, Any], reports: Sequence[Report], code: Exit) -> dict[str, Any]:
    """Write the metrics, and tell the hook; return what came of both. Neither changes how the command ended."""
    run = settings.run
    outcomes: dict[str, Any] = {}
    if run.metrics is not None:
        from orchestrator import metrics  # noqa: PLC0415 - whoever wants none starts faster without

        names = settings.keys
        problem = metrics.write(run.metrics, names, reports, code, SystemClock().now())
        outcomes["metrics"] = _outcome("run.metrics", run.metrics, problem and f"it cannot be written: {problem}")
    if run.after is not None:
        hook = Hook(run.after, run.after_timeout, os.environ)
        with stopping(hook):
            problem = hook({**document, **outcomes})
        outcomes["after"] = _outcome("run.after", run.after, problem)
    return outcomes


def _outcome(setting: str, path: Path, problem: str) -> dict[str, str | None]:
    if problem:
        complain(f"{setting} {path}: {problem}; that does not change how the run ended")
    return {"path": str(path), "problem": problem or None}
