"""Files that are published once, durably, and never changed again (P1).

A crash, or a power cut, leaves a file whole or absent. What a killed process may leave is a temporary file, named
`.<32 hex digits>.tmp`, which nothing ever reads, and an empty directory. The next publication in the same directory
removes temporary files that are an hour old by the file system's own clock, so a wrong clock here does no harm.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path

from .disk import cannot_sync, no_links, no_sync
from .guard import FILE_MODE, FOLDER_MODE, check_folder, open_private, os_errors, read_all

STEPS = ("folder", "created", "written", "synced", "linked", "durable", "cleaned")
TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_STALE_SECONDS = 3600.0


def no_step(_name: str) -> None:
    """Do nothing at a step of a publication; tests fail or die here."""


class PublishedFiles:
    """The files below one root.

    `steps` is called with a name of STEPS as each step of a publication is done; `sync` makes an open file durable.
    """

    def __init__(
        self, root: Path, steps: Callable[[str], None] = no_step, sync: Callable[[int], None] = os.fsync
    ) -> None:
        self.root = root
        self._step = steps
        self._sync = sync
        # (device, inode, ctime) of what this process has already made durable; published files never change.
        self._durable: set[tuple[int, int, int]] = set()
        # What a file system said that cannot make names durable: what is there is read, and nothing is added.
        self._unable: OSError | None = None

    def make_root(self) -> None:
        """Make the root directory, and the directories above it that are missing, durably."""
        missing = [folder for folder in (self.root, *self.root.parents) if not os.path.lexists(folder)]
        for folder in reversed(missing):
            self._make_folder(folder)
        check_folder(self.root, self.root)
        with os_errors("make durable", self.root):
            self._sync_folder(self.root)

    def publish(self, path: Path, content: bytes) -> bool:
        """Publish a file durably; returns False, changing nothing, where a file of this name is there already.

        Raises StoreError where the file system refuses.
        """
        self._require_able(path.parent)
        for folder in self._folders(path)[1:]:
            self._make_folder(folder)
            check_folder(folder, self.root)
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        with os_errors("publish", path):
            try:
                created = self._write(temporary, content)
                published = self._link(temporary, path)
            finally:
                # Left-over temporary files are harmless, so failing to remove one must not hide what happened.
                with contextlib.suppress(OSError):
                    temporary.unlink()
            self._step("cleaned")
        _sweep(path.parent, created - _STALE_SECONDS)
        return published

    def read(self, path: Path) -> bytes | None:
        """Read a file, having made it durable first, whoever wrote it; None where there is none.

        Raises StoreError where the file, or a directory above it, is not private, or cannot be read.
        """
        if not self.check_way(path):
            return None
        handle = open_private(path, self.root)
        if handle is None:
            return None
        try:
            self._make_durable(handle, path)
            return read_all(handle, path)
        finally:
            os.close(handle)

    def check_way(self, path: Path) -> bool:
        """Tell whether every directory that leads to a path is there; raises StoreError where one is not private."""
        return all(check_folder(folder, self.root) for folder in self._folders(path))

    def _folders(self, path: Path) -> list[Path]:
        below = path.parent.relative_to(self.root).parts
        return [self.root.joinpath(*below[:depth]) for depth in range(len(below) + 1)]

    def _make_folder(self, folder: Path) -> None:
        with os_errors("make the directory", folder):
            try:
                folder.mkdir(FOLDER_MODE)
            except FileExistsError:
                return
            self._sync_folder(folder.parent)
            self._require_able(folder)
            self._step("folder")

    def _write(self, temporary: Path, content: bytes) -> float:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            self._step("created")
            file.write(content)
            file.flush()
            self._step("written")
            self._sync(handle)
            _forget_cached(handle)
            self._step("synced")
            return os.fstat(handle).st_mtime

    def _link(self, temporary: Path, path: Path) -> bool:
        """Give the written file its name by link(2), which cannot overwrite."""
        try:
            os.link(temporary, path, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            if lacking := no_links(path.parent, error):
                raise lacking from error
            raise
        self._step("linked")
        self._sync_folder(path.parent)
        self._require_able(path.parent)
        self._step("durable")
        return True

    def _make_durable(self, handle: int, path: Path) -> None:
        """Do what the writer may have died before doing: sync the file, and every name that leads to it."""
        found = os.fstat(handle)
        known = (found.st_dev, found.st_ino, found.st_ctime_ns)
        if known in self._durable:
            return
        with os_errors("make durable", path):
            self._sync_if_able(handle)
            for folder in reversed(self._folders(path)):
                self._sync_folder(folder)
        self._durable.add(known)

    def _sync_folder(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._sync_if_able(handle)
        finally:
            os.close(handle)

    def _sync_if_able(self, handle: int) -> None:
        """Make something durable, or note that this file system never can: whoever only looks needs it not."""
        try:
            self._sync(handle)
        except OSError as error:
            if not cannot_sync(error):
                raise
            self._unable = error

    def _require_able(self, folder: Path) -> None:
        if self._unable is not None:
            raise no_sync(folder, self._unable) from self._unable


def _forget_cached(handle: int) -> None:
    """Drop the written pages from the cache, where the system can, so that the read-back comes from the disk."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _sweep(folder: Path, older_than: float) -> None:
    """Remove old temporary files. They are harmless, so nothing that goes wrong here undoes a publication."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for item in found:
            if TEMPORARY.fullmatch(item.name) and item.stat(follow_symlinks=False).st_mtime < older_than:
                Path(item.path).unlink()
