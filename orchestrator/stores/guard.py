"""Who may touch the files of a store, and how the operating system's refusals are told."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.trusted import owner_problem

FOLDER_MODE = 0o700
FILE_MODE = 0o600
# Entries are about 1 kB and marks are smaller; more than this is no file of ours.
READ_LIMIT = 1 << 20

_ROOM = (
    "make room (or raise the quota or the file size limit), then run the same command again: nothing is half-written"
)
_RIGHTS = "run as the user who owns the store, on a file system that he may write to and that has hard links"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EOPNOTSUPP: _RIGHTS,
    errno.EROFS: "mount the file system read-write, then run the same command again",
    errno.ENOTDIR: "a file stands where a directory of the store should be: move it away",
    errno.ELOOP: "a store keeps no symbolic links: put the file itself in its place",
    errno.EIO: "the disk fails: look at the system log, and copy the store to another disk before anything else",
}
_OTHERWISE = "mend the cause, then run the same command again: nothing is half-written"


@contextmanager
def os_errors(doing: str, path: Path) -> Iterator[None]:
    """Tell an OSError as StoreError: what was being done to which path, why it failed, and what to do."""
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "unknown error")
        reason = f"{error.strerror or error} ({code})"
        hint = _HINTS.get(error.errno or 0, _OTHERWISE)
        raise StoreError(f"cannot {doing} {path}: {reason}", hint) from error


def check_folder(path: Path) -> bool:
    """Tell whether a directory of the store is there; raises StoreError where it is not private to this user."""
    with os_errors("look at", path):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{path} is not a directory", "a store keeps plain directories only: move it away")
    _check_owner(path, found, (os.geteuid(),))
    _check_mode(path, found, FOLDER_MODE)
    return True


def open_private(path: Path) -> int | None:
    """Open a file of the store to read, or return None where there is none.

    Raises StoreError where it is not a regular file, or not private to this user. The caller closes.
    """
    with os_errors("open", path):
        try:
            # O_NONBLOCK: whoever puts a pipe in the place of an entry must not stop the program.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
    try:
        check_file(path, os.fstat(handle), (os.geteuid(),))
    except BaseException:
        os.close(handle)
        raise
    return handle


def check_file(path: Path, found: os.stat_result, owners: tuple[int, ...]) -> None:
    """Raise StoreError where a file is not a regular one, or not private to one of `owners` (user ids)."""
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a regular file", "a store keeps plain files only: move it away")
    _check_owner(path, found, owners)
    _check_mode(path, found, FILE_MODE)


def read_all(handle: int, path: Path) -> bytes:
    """Read an open file to its end; raises StoreError where it is far too long to be one of ours."""
    with os_errors("read", path), os.fdopen(os.dup(handle), "rb") as file:
        content = file.read(READ_LIMIT + 1)
    if len(content) > READ_LIMIT:
        raise StoreError(f"{path} is longer than {READ_LIMIT} bytes", "this is no file of a store: move it away")
    return content


def _check_owner(path: Path, found: os.stat_result, owners: tuple[int, ...]) -> None:
    if problem := owner_problem(str(path), found, frozenset(owners)):
        raise StoreError(problem, f"run as its owner, or give it to this user: chown {os.geteuid()} {path}")


def _check_mode(path: Path, found: os.stat_result, wanted: int) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreError(
            f"{path} has mode {mode:04o}, wanted {wanted:04o}: others than its owner could use it",
            f"chmod {wanted:o} {path}, and ask who had access until now",
        )
