"""Who may touch the files of a store, and how the operating system's refusals are told."""

import errno
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import NotPrivateError, StoreError
from orchestrator.mounts import is_read_only, kind_of
from orchestrator.trusted import owner_problem

from .disk import said

FOLDER_MODE = 0o700
FILE_MODE = 0o600
# Entries are about 1 kB and marks are smaller; more than this is no file of ours.
READ_LIMIT = 1 << 20

_ROOM = (
    "make room (or raise the quota or the file size limit), then run the same command again: nothing is half-written"
)
_RIGHTS = "run as the user who owns the store, on a file system that he may write to"
_WRITABLE = "mount the file system read-write, then run the same command again"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EOPNOTSUPP: _RIGHTS,
    errno.EROFS: _WRITABLE,
    errno.ENOTDIR: "a file stands where a directory of the store should be: move it away",
    errno.ELOOP: "a store keeps no symbolic links: put the file itself in its place",
    errno.EIO: "the disk fails: look at the system log, and copy the store to another disk before anything else",
}
_ACCESS = (errno.EACCES, errno.ENOTDIR, errno.ELOOP)
_OTHERWISE = "mend the cause, then run the same command again: nothing is half-written"
_MODELESS = ("cifs", "smb3", "vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "9p")
"""File systems that often keep no modes: what is shown there is what the mount says."""


@contextmanager
def os_errors(doing: str, path: Path) -> Iterator[None]:
    """Tell an OSError as StoreError: what was being done to which path, why it failed, and what to do."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, _OTHERWISE)
        if error.errno == errno.EACCES:
            hint = _opened_again(path) or hint
        kind = NotPrivateError if error.errno in _ACCESS else StoreError
        raise kind(f"cannot {doing} {path}: {said(error)}", hint) from error


def _opened_again(path: Path) -> str:
    """Tell the command that gives this user back what he took from himself; nothing where that is not why."""
    for step in (*reversed(path.parents), path):
        with suppress(OSError):
            found = os.lstat(step)
            wanted = FOLDER_MODE if stat.S_ISDIR(found.st_mode) else FILE_MODE
            if found.st_uid == os.geteuid() and found.st_mode & wanted != wanted:
                return f"{step} has mode {stat.S_IMODE(found.st_mode):04o}: chmod {wanted:o} {shlex.quote(str(step))}"
    return ""


def check_folder(path: Path, root: Path | None = None) -> bool:
    """Tell whether a directory of the store is there; raises StoreError where it is not private to this user.

    `root` is the store's: where more in it is open to others, one command closes all of it.
    """
    with os_errors("look at", path):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
    if not stat.S_ISDIR(found.st_mode):
        link = stat.S_ISLNK(found.st_mode)
        way = "put the directory itself in its place" if link else "move it away"
        message = f"{path} is not a directory{', but a symbolic link' if link else ''}"
        raise NotPrivateError(message, f"a store keeps plain directories only: {way}")
    _check_owner(path, found, (os.geteuid(),), root)
    _check_mode(path, found, FOLDER_MODE, root)
    return True


def check_beside(files: Iterable[Path], root: Path) -> None:
    """Raise NotPrivateError where several of these files are not private: that is told once, and not of each.

    A single one is told of the entry that it belongs to, and holds up no other.
    """
    wrong = [error for path in files if (error := _not_private(path, root))]
    if len(wrong) > 1:
        first, *more = wrong
        beside = "one more file beside it is" if len(more) == 1 else f"{len(more)} more files beside it are"
        raise NotPrivateError(f"{first.message}; {beside} not private, either", first.hint)


def _not_private(path: Path, root: Path) -> NotPrivateError | None:
    try:
        if (handle := open_private(path, root)) is not None:
            os.close(handle)
    except NotPrivateError as error:
        return error
    except StoreError:
        pass  # told when it is read
    return None


def open_private(path: Path, root: Path | None = None) -> int | None:
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
        _check_file(path, os.fstat(handle), root)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_file(path: Path, found: os.stat_result, root: Path | None) -> None:
    """Raise StoreError where a file is not a regular one, or not private to this user."""
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivateError(f"{path} is not a regular file", "a store keeps plain files only: move it away")
    _check_owner(path, found, (os.geteuid(),), root)
    _check_mode(path, found, FILE_MODE, root)


def read_all(handle: int, path: Path) -> bytes:
    """Read an open file to its end; raises StoreError where it is far too long to be one of ours."""
    with os_errors("read", path), os.fdopen(os.dup(handle), "rb") as file:
        content = file.read(READ_LIMIT + 1)
    if len(content) > READ_LIMIT:
        raise StoreError(f"{path} is longer than {READ_LIMIT} bytes", "this is no file of a store: move it away")
    return content


def _check_owner(path: Path, found: os.stat_result, owners: tuple[int, ...], root: Path | None) -> None:
    if problem := owner_problem(str(path), found, frozenset(owners)):
        give = f"chown {os.geteuid()} {shlex.quote(str(path))}"
        if root and _another(root, path, lambda other: other.st_uid not in owners):
            give = f"chown -R {os.geteuid()} {shlex.quote(str(root))}"
        raise NotPrivateError(problem, f"run as its owner, or give it to this user: {give}")


def _check_mode(path: Path, found: os.stat_result, wanted: int, root: Path | None) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if not _open_to_others(found):
        return
    close = f"chmod {wanted:o} {shlex.quote(str(path))}"
    if root and _another(root, path, _open_to_others):
        close = f"chmod -R go= {shlex.quote(str(root))}"
    raise NotPrivateError(
        f"{path} has mode {mode:04o}, wanted {wanted:04o}: others than its owner could use it",
        f"{close}, and ask who had access until now{_unless_mounted_so(path)}",
    )


def _unless_mounted_so(path: Path) -> str:
    """Say where a chmod changes nothing, and what does."""
    kind = kind_of(path)
    if kind in _MODELESS:
        return f"; where that changes nothing, the mount says so ({kind}): give it the modes 0700 and 0600 there"
    if is_read_only(path):
        return f"; before that, {_WRITABLE.partition(',')[0]}"
    return ""


def _open_to_others(found: os.stat_result) -> bool:
    return bool(found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)) and not stat.S_ISLNK(found.st_mode)


def _another(root: Path, path: Path, wrong: Callable[[os.stat_result], bool]) -> bool:
    """Whether anything else in a store is wrong in the same way, as after a copy that kept no modes or owners."""
    for folder, folders, files in os.walk(root):
        for other in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
            with suppress(OSError):
                if other != path and wrong(os.lstat(other)):
                    return True
    return False
