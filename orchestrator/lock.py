"""One lock for each config: two changing commands at once would only do the same work twice.

Locks only save work (I7); that two runs converge is the store's doing. The operating system holds the lock, so a dead
process holds none. What the file says is for people: who held it last.
"""

import errno
import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import lock_descriptor

from orchestrator.config_paths import real_path
from orchestrator.errors import HeldError, UsageError
from orchestrator.mounts import named
from orchestrator.trusted import handed_over, is_own_file, own_folder
from orchestrator.written import to_json

_LONGEST_NOTE = 4096
_NOTE = b'{"pid"'
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def default_path(config: Path, keys: Iterable[str], journal: Path) -> Path:
    """Say where the lock of a config lies: beside its journals, where every changing command may write anyway.

    However a config is named, its real path tells which one it is; one from a pipe has none, and is told by its keys.
    """
    piped = handed_over(config)
    found = Path("piped") if piped else real_path(config)
    digest = hashlib.sha256("\n".join(sorted(keys)).encode() if piped else os.fsencode(found)).hexdigest()
    return journal / f"{found.stem}-{digest[:8]}.lock"


@contextmanager
def held(path: Path, command: str, now: datetime) -> Iterator[None]:
    """Hold the lock; raises HeldError at once where another process does, and UsageError where no lock can be."""
    descriptor = _open(path)
    try:
        if not _taken(descriptor, path):
            raise HeldError(f"another run holds the lock {path}: {_holder(descriptor)}", "run again later")
        _only_a_note(descriptor, path)
        _sign(descriptor, path, command, now)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with own_folder(path.parent, "the lock (run.lock, or beside run.journal)") as folder:
            descriptor = os.open(path.name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise _unusable(path, error) from error
    if not is_own_file(os.fstat(descriptor)):
        os.close(descriptor)
        message = f"the lock file {path} is not used: it is no plain file of this user's or root's alone"
        raise UsageError(message, "look at it (ls -l), and remove it; or set run.lock to another file")
    return descriptor


def _taken(descriptor: int, path: Path) -> bool:
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno is None or error.errno not in _NO_LOCKS:
            raise _unusable(path, error) from error
        raise _no_locks(path, error.errno) from error


def _no_locks(path: Path, code: int) -> UsageError:
    """Say what the file system of a lock cannot do."""
    cannot = f"cannot lock a file (flock: {os.strerror(code)}, {errno.errorcode[code]})"
    message = f"the lock file {path} cannot be used: {named(path.parent)} {cannot}: two runs could not be told apart"
    return UsageError(message, "set run.lock to a file on this machine's own disk that this user may write")


def _only_a_note(descriptor: int, path: Path) -> None:
    """Refuse a file that holds something else than what the holder before said: signing would wipe that out."""
    try:
        content = os.pread(descriptor, _LONGEST_NOTE, 0)
    except OSError as error:
        raise _unusable(path, error) from error
    if content.strip(b"\0\n ") and not content.startswith(_NOTE):
        message = f"the lock file {path} is not used: it holds something else, which a lock would wipe out"
        raise UsageError(message, "look at it, and set run.lock to a file of its own; if nobody needs it, remove it")


def _sign(descriptor: int, path: Path, command: str, now: datetime) -> None:
    """Say in the file who holds the lock."""
    since = now.isoformat(timespec="seconds")
    note = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, to_json(note).encode() + b"\n", 0)
    except OSError as error:
        raise _unusable(path, error) from error


def _holder(descriptor: int) -> str:
    """Read who holds the lock; that has no word about whether it is held."""
    try:
        note = json.loads(os.pread(descriptor, _LONGEST_NOTE, 0))
        return f"{note['command']}, pid {note['pid']} on {note['host']}, since {note['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "it has not said yet who it is"


def _unusable(path: Path, error: OSError) -> UsageError:
    hint = (
        "mend that, or set run.journal, beside which it lies, or run.lock, to a place on this machine's own disk that"
        " this user may write to"
    )
    return UsageError(f"the lock file {path} cannot be used: {error.strerror}", hint)
