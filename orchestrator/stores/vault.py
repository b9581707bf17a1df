"""The sealed key material of entries: published once, opened with this machine's identity, bound to its name."""

import os
from collections.abc import Callable
from datetime import datetime

from orchestrator.errors import EntryError
from orchestrator.model import EntryName

from .age import AgeBox
from .entry import checked, encode, parse
from .guard import os_errors
from .layout import path_of
from .material import KeyMaterial
from .publish import PublishedFiles


class Vault:
    """The entries themselves, without their marks.

    Without an identity it opens only what this very object has put there.
    """

    def __init__(self, files: PublishedFiles, box: AgeBox, clock_now: Callable[[], datetime]) -> None:
        self._files = files
        self._box = box
        self._now = clock_now
        # By the sealed bytes, so that an own entry is known again only while its file is what was written.
        self._own: dict[bytes, KeyMaterial] = {}

    def __repr__(self) -> str:
        return f"Vault({str(self._files.root)!r}, {self._box!r})"

    def holds(self, name: EntryName) -> bool:
        """Tell whether there is a file of this name, readable or not; raises StoreError where that cannot be told."""
        path = path_of(self._files.root, name)
        with os_errors("look at", path):
            try:
                os.lstat(path)
            except FileNotFoundError:
                return False
        return True

    def put(self, name: EntryName, material: KeyMaterial) -> None:
        """Publish key material, unless an entry is there; then read back that it is durably kept (P1).

        Raises EntryError where this call published it and something else was read back.
        """
        sealed = self._box.seal(encode(name, material, self._now()))
        if not self._box.can_open:
            self._own[sealed] = material
        if not self._files.publish(path_of(self._files.root, name), sealed):
            self._own.pop(sealed, None)
        elif not self.open(name).matches(material):
            raise EntryError(
                f"the entry {name} reads back as other key material than was written",
                "the disk, or another program, changes files: nothing was sent to KMS; check the disk first",
            )

    def open(self, name: EntryName) -> KeyMaterial:
        """Read an entry back, durably kept; raises EntryError where it is not there, or is not what its name says."""
        path = path_of(self._files.root, name)
        sealed = self._files.read(path)
        if sealed is None:
            raise EntryError(f"there is no entry {name}: {path} is missing", "put the file back from a backup")
        if self._box.can_open:
            return checked(name, parse(self._box.open(sealed, path)), path)
        if sealed in self._own:
            return self._own[sealed]
        raise EntryError(
            f"the entry {name} cannot be read on this machine: no identity is configured",
            "finish on a machine that has one, or set store.identity to the file of an identity that may read here",
        )
