"""The shelf of a store `file:`: one directory (docs/store.md)."""

import os
from collections.abc import Callable
from datetime import datetime

from orchestrator.model import EntryName, KeyIdentity

from .guard import os_errors
from .layout import Kind, path_of
from .listing import entry_names
from .place import Place
from .publish import PublishedFiles
from .shelf import Slot
from .stamp import check_stamp, write_stamp


class FileShelf:
    """Files below one root, which any number of processes and threads may share."""

    advice = "put the file back from a backup"

    def __init__(self, files: PublishedFiles, place: Place, recipients: frozenset[str]) -> None:
        self.files = files
        self._place = place
        self._recipients = recipients

    def __repr__(self) -> str:
        return f"FileShelf({str(self.files.root)!r})"

    def init(self, now: Callable[[], datetime]) -> None:
        """Make the store's directory and its stamp, or find them as they are wanted; raises StoreError."""
        self.files.make_root()
        write_stamp(self.files, self._place, self._recipients, now())
        self.check()

    def check(self) -> None:
        """Raise StoreError where the store is not there, or is stamped for another place or recipients (P12)."""
        check_stamp(self.files, self._place, self._recipients)

    def where(self, slot: Slot) -> str:
        """Name the file of a slot."""
        return str(path_of(self.files.root, slot.name, slot.kind, slot.turn))

    def publish(self, slot: Slot, content: bytes) -> bool:
        """Publish a file that cannot overwrite another."""
        return self.files.publish(path_of(self.files.root, slot.name, slot.kind, slot.turn), content)

    def read(self, slot: Slot) -> bytes | None:
        """Read a file, having made it durable first."""
        return self.files.read(path_of(self.files.root, slot.name, slot.kind, slot.turn))

    def holds(self, slot: Slot) -> bool:
        """Tell whether there is a file in a slot, readable or not; raises StoreError where that cannot be told."""
        path = path_of(self.files.root, slot.name, slot.kind, slot.turn)
        with os_errors("look at", path):
            try:
                os.lstat(path)
            except FileNotFoundError:
                return False
        return True

    def marked(self, name: EntryName) -> bool:
        """Tell whether there is any mark of an entry; what was withdrawn from KMS need not have been one of ours."""
        return any(self.holds(Slot(name, kind)) for kind in Kind if kind is not Kind.WITHDRAWN)

    def names(self, key: KeyIdentity | None) -> tuple[EntryName, ...]:
        """List the names of which there is any file."""
        return entry_names(self.files.root, key)
