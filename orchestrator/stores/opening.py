"""Opening and making a store of the scheme `file:`."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.errors import UsageError

from .age import AgeBox
from .file import FileStore
from .place import Place
from .publish import PublishedFiles


def open_file_store(
    location: str,
    place: Place,
    *,
    recipients: Sequence[str],
    identity: Path | None,
    clock_now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = os.urandom,
    files: Callable[[Path], PublishedFiles] = PublishedFiles,
) -> FileStore:
    """Open the store in the directory `location`; raises UsageError for settings, StoreError for the store itself."""
    root, box = _root(location), AgeBox.build(recipients, identity)
    store = FileStore(files(root), place, box, clock_now=clock_now, random_bytes=random_bytes)
    store.check()
    return store


def init_file_store(
    location: str,
    place: Place,
    *,
    recipients: Sequence[str],
    identity: Path | None,
    clock_now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = os.urandom,
    files: Callable[[Path], PublishedFiles] = PublishedFiles,
) -> FileStore:
    """Make the store in the directory `location`, or open the one that is there; raises as open_file_store does."""
    root, box = _root(location), AgeBox.build(recipients, identity)
    store = FileStore(files(root), place, box, clock_now=clock_now, random_bytes=random_bytes)
    store.init()
    return store


def _root(location: str) -> Path:
    """Read what follows `file:`: an absolute path, with the empty authority `//` of file URIs or without it."""
    path = Path(location.removeprefix("//"))
    if not path.is_absolute() or ".." in path.parts:
        raise UsageError(
            f"store.uri 'file:{location}' names no absolute path: a relative one would be another store in every"
            " directory that the program is started in",
            "write file:/var/lib/mrk/store",
        )
    return path
