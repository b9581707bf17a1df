"""`mrk`, made to die or to tell: `python dying.py WHERE FILE ARGUMENTS...` runs `mrk ARGUMENTS...`.

WHERE is `-`, or the name of a call with its number and the moment: `store.link:1:after`, `journal.write:7:torn`. The
process kills itself there with SIGKILL, so that nothing of it is tidied up. FILE gets one line for each call: its name.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

from orchestrator import compose, journal
from orchestrator.stores import open_store
from workflows.cli import main


def die() -> NoReturn:
    """End as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


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


def run() -> None:
    where, told, *arguments = sys.argv[1:]
    reaper = Reaper(where, Path(told))
    write = journal._write

    def write_and_die(file: int, line: bytes) -> None:
        point = reaper.begins("journal.write")
        if reaper.wants(f"{point}:torn"):
            os.write(file, line[: len(line) // 2])
            die()
        write(file, line)
        reaper.at(f"{point}:after")

    compose.open_store = lambda *given, **named: DyingStore(open_store(*given, **named), reaper)  # type: ignore[assignment]
    journal._write = write_and_die
    sys.argv = ["mrk", *arguments]
    main()


if __name__ == "__main__":
    run()
