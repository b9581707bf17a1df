"""The journal: append-only evidence of what was observed and done, one JSON object a line, chained by hashes.

It is never an input to a decision, and holds ids, Regions, times, error codes and AWS request ids.
No key material reaches an event (I2), and no secret the file (I14).
"""

import fcntl
import os
import pwd
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from orchestrator.chain import BEGUN, ENDED, FORMAT, first_link, link
from orchestrator.errors import UsageError
from orchestrator.ports import Event
from orchestrator.trusted import own_folder
from orchestrator.written import to_json

_HINT = "mend the directory, or set run.journal to another"


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line tells: which run this is, and who began it with which command line."""

    run: str
    at: datetime
    mrk: str = ""
    command: tuple[str, ...] = ()
    config: str = ""
    user: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A journal that has ended. Only `hash`, kept elsewhere, shows later that lines were cut off or written anew."""

    path: Path
    lines: int
    hash: str
    problem: str = ""


class Journal:
    """One file per run; each line reaches the file before the next thing is done. Safe to share between threads.

    Where a line cannot be written, the run goes on without evidence, and `seal` tells that.
    """

    def __init__(self, directory: Path, header: Header) -> None:
        self.path = directory / f"{header.run}.jsonl"
        self._lock = Lock()
        self._lines = 0
        self._link = first_link(header.run)
        self._problem = ""
        self._kept: Kept | None = None
        self._file = _create(self.path)
        about = {name: value for name, value in asdict(header).items() if name != "at"}
        self._append(Event(header.at, BEGUN, data={"format": FORMAT, **about}))
        if self._problem:
            os.close(self._file)
            self.path.unlink(missing_ok=True)
            raise UsageError(self._problem, _HINT)

    def __call__(self, event: Event) -> None:
        """Write one event; never raises, and what comes after the end is not written."""
        with self._lock:
            if self._kept is None:
                self._append(event)

    def seal(self, at: datetime) -> Kept:
        """Write the last line, make the journal durable, close it, and return its final hash; once."""
        with self._lock:
            if self._kept is None:
                self._append(Event(at, ENDED))
                self._close()
                self._kept = Kept(self.path, self._lines, self._link, self._problem)
            return self._kept

    def _append(self, event: Event) -> None:
        if self._problem:
            return
        about = {name: value for name, value in (("key", event.key), ("region", event.region)) if value}
        line = {"seq": self._lines + 1, "prev": self._link, "at": event.at, "kind": event.kind, **about}
        text = to_json({**line, "data": dict(event.data)}, _plain).encode()
        try:
            _write(self._file, text + b"\n")
        except OSError as error:
            self._problem = _unwritable(self.path, error)
            return
        self._lines += 1
        self._link = link(text)

    def _close(self) -> None:
        try:
            os.fsync(self._file)
            os.close(self._file)
        except OSError as error:
            self._problem = self._problem or _unwritable(self.path, error)


def whoami() -> tuple[str, str]:
    """Return the user, as the operating system knows it, and the host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return user, socket.gethostname()


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND | os.O_CLOEXEC
    try:
        with own_folder(path.parent, "the journal (run.journal)") as folder:
            file = os.open(path.name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise UsageError(_unwritable(path, error), _HINT) from error
    with suppress(OSError):
        # So that a journal that is still written can be told from one that a dead run left; not every disk has locks.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def under_way(file: int) -> bool:
    """Whether a run on this machine still writes the journal that is open as `file`; a dead one does not."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _write(file: int, line: bytes) -> None:
    """Write a whole line past every buffer of this process, so that killing it tears the last line at most."""
    while line:
        line = line[os.write(file, line) :]


def _unwritable(path: Path, error: OSError) -> str:
    return f"the journal {path} cannot be written: {error.strerror}"


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"<{len(value)} bytes>" if isinstance(value, bytes | bytearray | memoryview) else str(value)
