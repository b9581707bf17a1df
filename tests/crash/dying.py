"""`mrk`, made to die or to tell, in a process of its own that is forked from this one, which has imported everything.

Reads one JSON object a line: `arguments`, `where`, `told`, `offset`, `cwd`, `environment`, `out`, `err`. WHERE is `-`,
or the name of a call with its number and the moment: `store.link:1:after`, `journal.write:7:torn`. The process kills
itself there with SIGKILL, so that nothing of it is tidied up. TOLD gets one line for each call: its name. OFFSET is a
file with seconds by which the clock is ahead of the real one: where a run has only to wait, it moves that instead;
empty: it waits.

Prints the number of each process as it begins, and again, with its exit code, when it has ended.
"""

import json
import mmap
import os
import selectors
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NoReturn

import boto3  # noqa: F401 - not once in each process

from orchestrator import compose, journal
from orchestrator.clock import SystemClock
from orchestrator.stores import open_store
from workflows.cli import app, main  # noqa: F401 - see boto3


def die() -> NoReturn:
    """End as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class Offset:
    """Seconds, in a file that processes share."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> float:
        return float(struct.unpack("d", self._shared[:])[0])

    def add(self, seconds: float) -> None:
        self._shared[:] = struct.pack("d", self() + seconds)

    @staticmethod
    def make(path: Path) -> "Offset":
        path.write_bytes(struct.pack("d", 0.0))
        return Offset(path)


class Reaper:
    """Counts calls by name and dies at the one that was asked for."""

    def __init__(self, where: str, told: Path) -> None:
        self._where = where
        self._told = told
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def begins(self, name: str) -> str:
        """Count a call, die if it is the one to die before, and return its numbered name."""
        with self._lock:
            self._seen[name] += 1
            point = f"{name}:{self._seen[name]}"
            with self._told.open("a") as told:
                told.write(f"{point}\n")
        self.at(f"{point}:before")
        return point

    def at(self, moment: str) -> None:
        """Die if this is the moment."""
        if moment == self._where:
            die()

    def wants(self, moment: str) -> bool:
        """Whether this is the moment."""
        return moment == self._where


class DyingStore:
    """A store around which the process dies."""

    def __init__(self, store: Any, reaper: Reaper) -> None:
        self._store = store
        self._reaper = reaper

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        return self._around(name, real) if callable(real) else real

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            point = self._reaper.begins(f"store.{name}")
            answer = real(*given, **named)
            self._reaper.at(f"{point}:after")
            return answer

        return call


def hurry(offset: Offset) -> None:
    """Let time pass at once where a run has nothing to do but wait; where it waits for an answer, it waits."""
    really = SystemClock.now

    def now(clock: SystemClock) -> datetime:
        return really(clock) + timedelta(seconds=offset())

    def receive(clock: SystemClock, inbox: "SimpleQueue[Any]", until: datetime, *, busy: bool) -> Any | None:
        seconds = max((until - clock.now()).total_seconds(), 0.001)
        try:
            return inbox.get(timeout=seconds if busy else 0.001)
        except Empty:
            offset.add(0.0 if busy else seconds)
            return None

    SystemClock.now, SystemClock.receive = now, receive  # type: ignore[assignment, method-assign]


def run(where: str, told: str, offset: str, arguments: list[str]) -> None:
    """Be `mrk`, to the end or to the moment that was asked for."""
    reaper = Reaper(where, Path(told))
    write = journal._write

    def write_and_die(file: int, line: bytes) -> None:
        point = reaper.begins("journal.write")
        if reaper.wants(f"{point}:torn"):
            os.write(file, line[: len(line) // 2])
            die()
        write(file, line)
        reaper.at(f"{point}:after")

    if offset:
        hurry(Offset(Path(offset)))
    compose.open_store = lambda *given, **named: DyingStore(open_store(*given, **named), reaper)  # type: ignore[assignment]
    journal._write = write_and_die
    sys.argv = ["mrk", *arguments]
    main()


def become(asked: dict[str, Any]) -> NoReturn:
    """In the forked process: what a shell does for a command, and then the command."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, (name, flags) in enumerate([(os.devnull, os.O_RDONLY), *((asked[n], _NEW) for n in ("out", "err"))]):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    code = 1
    try:
        run(asked["where"], asked["told"], asked["offset"], asked["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_MOMENT = 0.01


def tell(line: str) -> None:
    """Say something to who started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve() -> None:
    """Fork a process for each line, and tell how each has ended, until there are no more lines."""
    waiting, lines = selectors.DefaultSelector(), os.fdopen(os.dup(0), "rb", buffering=0)
    waiting.register(lines, selectors.EVENT_READ)
    alive: set[int] = set()
    while True:
        for _ in waiting.select(_MOMENT if alive else None):
            line = lines.readline()
            if not line:
                return
            if (child := os.fork()) == 0:
                become(json.loads(line))
            alive.add(child)
            tell(f"{child}")
        for child in list(alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                alive.remove(child)
                tell(f"{child} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    serve()
