"""The hook `run.after`: a program of the owner's that is told how a run ended.

It gets the report as JSON on its standard input: ids, Regions and sentences, never key material, and no credentials in
its environment. What it says goes to stderr. What it does changes nothing about the run; that it
told nobody is said, and never ends with 0.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

from orchestrator.durations import spoken
from orchestrator.errors import UsageError
from orchestrator.runnable import why_not
from orchestrator.trusted import check_obeyed
from orchestrator.written import clean_lines, to_json

_OURS = ("AWS_", "MRK_")
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_LAST_WORDS = 1.0
"""Seconds that the program's output is waited for after its end: something that it left behind may hold it open."""

_LONGEST_LINE = 1 << 14


def check_hook(program: Path) -> None:
    """Raise UsageError where others could change the program; one that is not there is told when it is to be run."""
    with suppress(OSError):
        check_obeyed(program.absolute(), "the hook (run.after)")


class Hook:
    """One program, without a shell and without arguments, that may run for a limited time."""

    def __init__(self, program: Path, limit: timedelta, environment: Mapping[str, str]) -> None:
        self._program = program.absolute()
        self._limit = limit
        self._environment = without_credentials(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __call__(self, report: Mapping[str, Any]) -> str:
        """Run the program to its end, and return what went wrong: nothing where it ended with 0."""
        if self._stopped:
            return "it was not begun: the run was interrupted"
        if problem := self.problem():
            return problem
        try:
            return self._run(report)
        except OSError as error:
            return f"it cannot be run: {error.strerror}"

    def _run(self, report: Mapping[str, Any]) -> str:
        with _told_on_stderr() as output:
            try:
                check_hook(self._program)
                # In a session of its own, to be ended with whatever it started.
                self._process = subprocess.Popen(
                    [str(self._program)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env=self._environment,
                    start_new_session=True,
                )
            except UsageError as error:
                return f"{error.message}; {error.hint}"
            return self._ended(self._process, to_json(report).encode() + b"\n")

    def problem(self) -> str:
        """Say why the program cannot be run at all; nothing where it can be."""
        problem = why_not(self._program, self._environment)
        return f"it cannot be run: {problem}" if problem else ""

    def _ended(self, process: "subprocess.Popen[bytes]", report: bytes) -> str:
        if self._stopped:
            self._kill()
        try:
            with process:
                self._wait(process, report)
        except subprocess.TimeoutExpired:
            return f"it took longer than {spoken(self._limit)} (run.after_timeout) and was killed"
        if self._stopped:
            return "it was killed: the run was interrupted"
        if process.returncode < 0:
            return f"it was ended by signal {-process.returncode}"
        return f"it ended with exit code {process.returncode}" if process.returncode else ""

    def _wait(self, process: "subprocess.Popen[bytes]", report: bytes) -> None:
        try:
            process.communicate(report, timeout=self._limit.total_seconds())
        finally:
            self._kill()

    def stop(self) -> None:
        """End the program, and whatever it started; a signal handler may call this."""
        self._stopped = True
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):  # of another user's by now
                os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def _told_on_stderr() -> Iterator[int]:
    """Return a file descriptor whose lines are told on stderr as they come; our stdout carries the result only."""
    readable, writable = os.pipe()
    telling = Thread(target=_tell, args=(readable,), name="hook", daemon=True)
    telling.start()
    try:
        yield writable
    finally:
        os.close(writable)
        telling.join(_LAST_WORDS)


def _tell(readable: int) -> None:
    with os.fdopen(readable, "rb") as lines, suppress(OSError, ValueError):
        while line := lines.readline(_LONGEST_LINE):
            sys.stderr.write(clean_lines(line.decode(errors="replace")))
            sys.stderr.flush()


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what AWS and mrk take their credentials and settings from: a hook that calls AWS has its own role."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS) and name != _CREDENTIALS}
