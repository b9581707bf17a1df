"""What surrounds a command that nobody may be watching: the delay, the lock, the hook, the metrics."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.errors import Exit
from orchestrator.hook import Hook
from orchestrator.places import unwritable
from orchestrator.ports import Clock
from orchestrator.progress import Report
from orchestrator.secret_sources import command_line
from orchestrator.settings import Settings
from orchestrator.terminal import watched
from workflows.cli.complaints import complain, judged, refusal
from workflows.cli.signals import stopping


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
    except Exception as error:
        code, lines, hint = judged(error)
        if not watched() and run_id not in _told:
            tell(settings, {"run": run_id, **refusal(code, "; ".join(lines), hint)}, (), code)
        raise


_told: set[str] = set()
"""The runs that hook and metrics were told of: what fails after that does not tell it anew, and otherwise."""


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


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling: the exit code with that, and what each channel met with."""

    code: Exit
    outcomes: Mapping[str, Any]


def untold(settings: Settings) -> list[str]:
    """Foresee which channel will tell nobody: the hook cannot be run, or the metrics have no place."""
    run, found = settings.run, []
    if run.after is not None and (problem := _hook(settings).problem()):
        found.append(f"run.after {run.after}: {problem}")
    if run.metrics is not None and (problem := unwritable(run.metrics.parent)):
        found.append(f"run.metrics {run.metrics}: {problem}")
    return found


def tell(settings: Settings, document: Mapping[str, Any], reports: Sequence[Report], code: Exit) -> Told:
    """Write the metrics, and tell the hook: where one of them tells nobody, nothing ends with 0 (I13)."""
    run = settings.run
    _told.update(filter(None, [str(document.get("run", ""))]))
    outcomes: dict[str, Any] = {}
    if run.metrics is not None:
        problem = _measure(settings, reports, code)
        outcomes["metrics"] = _outcome("run.metrics", run.metrics, problem)
        code = _with(code, problem)
    if run.after is not None:
        with stopping(hook := _hook(settings)):
            problem = hook({**document, "exit_code": int(code), **outcomes})
        outcomes["after"] = _outcome("run.after", run.after, problem)
        if run.metrics is not None and _with(code, problem) != code:
            _measure(settings, reports, _with(code, problem))
        code = _with(code, problem)
    return Told(code, outcomes)


def _hook(settings: Settings) -> Hook:
    assert settings.run.after is not None  # noqa: S101 - asked for where there is one
    return Hook(settings.run.after, settings.run.after_timeout, os.environ)


def _with(code: Exit, problem: str) -> Exit:
    return Exit.worst([code, Exit.FAILED]) if problem else code


def _measure(settings: Settings, reports: Sequence[Report], code: Exit) -> str:
    from orchestrator import metrics  # noqa: PLC0415 - whoever wants none starts faster without

    path = settings.run.metrics
    problem = metrics.write(path, settings.keys, reports, code, SystemClock().now()) if path else ""
    return f"it cannot be written: {problem}" if problem else ""


def _outcome(setting: str, path: Path, problem: str) -> dict[str, str | None]:
    if problem:
        complain(f"{setting} {path} told nobody how this ended: {problem}")
    return {"path": str(path), "problem": problem or None}
