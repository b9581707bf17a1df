"""The shelf of a store `file:`: one directory (docs/store.md)."""

import os
import shlex
from collections.abc import Callable
from datetime import datetime

from orchestrator.model import EntryName, KeyIdentity

from .guard import check_beside, os_errors
from .layout import path_of
from .listing import entry_names, files_of
from .marks import ahead
from .place import Place
from .publish import PublishedFiles
from .shelf import Slot
from .stamp import check_stamp, write_stamp


class FileShelf:
    """Files below one root, which any number of processes and threads may share."""

    advice = "put the file back from a backup"

    def __init__(
        self, files: PublishedFiles, place: Place, recipients: frozenset[str], now: Callable[[], datetime]
    ) -> None:
        self.files = files
        self._now = now
        self._place = place
        self._recipients = recipients

    def __repr__(self) -> str:
        return f"FileShelf({str(self.files.root)!r})"

    def __str__(self) -> str:
        return f"file:{self.files.root}"

    def init(self) -> None:
        """Make the store's directory and its stamp, or find them as they are wanted; raises StoreError."""
        self.files.make_root()
        write_stamp(self.files, self._place, self._recipients, self._now())
        self.check()

    def check(self, *keys: KeyIdentity) -> None:
        """Raise StoreError where the store is not there, or is stamped for another place or recipients (P12).

        And where a directory of these keys, or several files in it, are not private: of those nothing is known, and so
        nothing is lacking.
        """
        check_stamp(self.files, self._place, self._recipients, self._now)
        for key in dict.fromkeys(keys):
            if self.files.check_way(path_of(self.files.root, EntryName(key, None))):
                check_beside(files_of(self.files.root, key), self.files.root)

    def where(self, slot: Slot) -> str:
        """Name the file of a slot."""
        return str(path_of(self.files.root, slot.name, slot.kind, slot.turn))

    def take_away(self, slot: Slot) -> str:
        """Tell how a damaged mark is taken out of the store."""
        path = self.where(slot)
        return f"mv {shlex.quote(path)} {shlex.quote(path + '.damaged')}"

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

    def shows(self, name: EntryName) -> bool:
        """Tell whether there is any file of an entry; a note of the key, or of KMS, need not be of one of ours."""
        return self.holds(Slot(name)) or any(self.holds(slot) for slot in ahead(name))

    def names(self, key: KeyIdentity | None) -> tuple[EntryName, ...]:
        """List the names of which there is any file."""
        return entry_names(self.files.root, key)
