"""Processes of `mrk` that are forked from one which has imported everything (forking.py).

They are what the installed command is, but for the interpreter's start, which takes most of a short command's time.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any

_FORKING = Path(__file__).with_name("forking.py")


class Forked:
    """One process, used as one of subprocess is."""

    def __init__(self, nursery: "Nursery", pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._nursery = nursery
        self._files = (out, err)

    @property
    def returncode(self) -> int:
        return self._nursery.ended[self.pid]

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end, and return what was printed."""
        self._nursery.wait(self.pid, timeout)
        out, err = (file.read_text() for file in self._files)
        return out, err


class Nursery:
    """The process that all others are forked from, and how each of them has ended."""

    def __init__(self, **given: str) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | given
        self._process = subprocess.Popen(
            [sys.executable, str(_FORKING)], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._told, self._born = Condition(), Lock()
        self._begun: list[int] = []
        self._numbers = count(1)
        self.ended: dict[int, int] = {}
        Thread(target=self._listen, daemon=True).start()
        atexit.register(self._process.kill)

    def start(self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], **more: Any) -> Forked:
        """Begin a process in a directory, where it leaves what it prints."""
        number = next(self._numbers)
        out, err = (directory / f".{number}.{name}" for name in ("out", "err"))
        files = {"out": str(out), "err": str(err)}
        asked = {"arguments": arguments, "cwd": str(directory), "environment": environment, **files, **more}
        with self._born:
            born = len(self._begun)
            assert self._process.stdin is not None
            self._process.stdin.write(f"{json.dumps(asked)}\n")
            self._process.stdin.flush()
            with self._told:
                assert self._told.wait_for(lambda: len(self._begun) > born, 30)
            return Forked(self, self._begun[born], out, err)

    def wait(self, pid: int, timeout: float) -> None:
        with self._told:
            assert self._told.wait_for(lambda: pid in self.ended, timeout), f"process {pid} has not ended"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            pid, *code = map(int, line.split())
            with self._told:
                if code:
                    self.ended[pid] = code[0]
                else:
                    self.ended.pop(pid, None)
                    self._begun.append(pid)
                self._told.notify_all()


@cache
def nursery() -> Nursery:
    """One for each process of the tests."""
    return Nursery()


@cache
def nursery_of_any_time() -> Nursery:
    """One whose processes take the time from FAKETIME, or a file that FAKETIME_TIMESTAMP_FILE names, at every look."""
    faked = subprocess.run(
        ["faketime", "-m", "-f", "+0d", "printenv", "LD_PRELOAD"], stdout=subprocess.PIPE, check=True
    )
    kept = dict.fromkeys(("FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"), "1")
    return Nursery(LD_PRELOAD=faked.stdout.decode().strip(), **kept)
