"""`mrk`, made to die or to tell.

WHERE is `-`, or the name of a call with its number and the moment: `store.link:1:after`, `journal.write:7:torn`. The
process kills itself there with SIGKILL, so that nothing of it is tidied up. TOLD gets one line for each call: its name.
OFFSET is a file with seconds by which the clock is ahead of the real one: where a run has only to wait, it moves that
instead; empty: it waits.
"""

import mmap
import os
import signal
import struct
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NoReturn

from orchestrator import compose, journal
from orchestrator.clock import SystemClock
from orchestrator.stores import open_store


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


def make_mortal(where: str, told: str, offset: str) -> None:
    """Let this process live to the end, or to the moment that was asked for."""
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
