"""Opening and making a store of the scheme `file:`."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import UsageError

from .age import AgeBox
from .durable import check_durable
from .file import FileShelf
from .place import Place
from .publish import PublishedFiles
from .sealed import SealedVault
from .store import Store
from .wanted import Wanted


def open_file_store(
    location: str, place: Place, wanted: Wanted, files: Callable[[Path], PublishedFiles] = PublishedFiles
) -> Store:
    """Open the store in the directory `location`; raises UsageError for settings, StoreError for the store itself."""
    shelf, box = _parts(location, place, wanted, files)
    shelf.check()
    return _store(shelf, box, place, wanted)


def init_file_store(
    location: str, place: Place, wanted: Wanted, files: Callable[[Path], PublishedFiles] = PublishedFiles
) -> Store:
    """Make the store in the directory `location`, or open the one that is there; raises as open_file_store does."""
    shelf, box = _parts(location, place, wanted, files)
    shelf.init()
    return _store(shelf, box, place, wanted)


def check_file_store(location: str, wanted: Wanted) -> None:
    """Judge the settings, read the identity, and see where the store would be; raises UsageError or StoreError."""
    _settings(location, wanted)


def _parts(
    location: str, place: Place, wanted: Wanted, files: Callable[[Path], PublishedFiles]
) -> tuple[FileShelf, AgeBox]:
    root, box = _settings(location, wanted)
    return FileShelf(files(root), place, box.names, wanted.clock_now), box


def _settings(location: str, wanted: Wanted) -> tuple[Path, AgeBox]:
    if wanted.kms_key or wanted.mac_key or wanted.replica_regions:
        raise UsageError(
            "store.kms_key, store.mac_key and store.replica_regions are settings of a store secretsmanager:",
            "leave them out: a store file: is encrypted to store.recipients",
        )
    if wanted.change:
        raise UsageError(
            "--change is for a store secretsmanager:",
            "recipients of a store file: are changed as docs/store.md says, 'Changing recipients'",
        )
    root, box = _root(location), AgeBox.build(wanted.recipients, wanted.identity, wanted.trial)
    if not wanted.volatile:
        check_durable(root)
    return root, box


def _store(shelf: FileShelf, box: AgeBox, place: Place, wanted: Wanted) -> Store:
    vault = SealedVault(shelf, box, wanted.clock_now)
    return Store(vault, shelf, place, clock_now=wanted.clock_now, random_bytes=wanted.random_bytes)


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
