"""The sealed key material of entries: published once, opened with this machine's identity, bound to its name."""

from collections.abc import Callable
from datetime import datetime

from orchestrator.errors import EntryError
from orchestrator.model import EntryName

from .age import AgeBox
from .entry import checked, encode, missing, other_bytes, parse
from .file import FileShelf
from .material import KeyMaterial
from .shelf import Slot


class SealedVault:
    """Vault over age-encrypted files.

    Without an identity it opens only what this very object has put there.
    """

    def __init__(self, shelf: FileShelf, box: AgeBox, clock_now: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._box = box
        self._now = clock_now
        # By the sealed bytes, so that an own entry is known again only while its file is what was written.
        self._own: dict[bytes, KeyMaterial] = {}

    def __repr__(self) -> str:
        return f"SealedVault({self._shelf!r}, {self._box!r})"

    def holds(self, name: EntryName) -> bool:
        """Tell whether there is a file of this name, readable or not; raises StoreError where that cannot be told."""
        return self._shelf.holds(Slot(name))

    def put(self, name: EntryName, material: KeyMaterial) -> None:
        """Publish key material, unless an entry is there; then read back that it is durably kept (P1).

        Raises EntryError where this call published it and something else was read back.
        """
        sealed = self._box.seal(encode(name, material, self._now()))
        if not self._box.can_open:
            self._own[sealed] = material
        if not self._shelf.publish(Slot(name), sealed):
            self._own.pop(sealed, None)
        elif not self.open(name).matches(material):
            raise other_bytes(name, "the disk, or another program, changes files: check the disk first")

    def open(self, name: EntryName) -> KeyMaterial:
        """Read an entry back, durably kept; raises EntryError where it is not there, or is not what its name says."""
        where = self._shelf.where(Slot(name))
        sealed = self._shelf.read(Slot(name))
        if sealed is None:
            raise missing(name, where, self._shelf.advice)
        if self._box.can_open:
            return checked(name, parse(self._box.open(sealed, where)), where, self._shelf.advice)
        if sealed in self._own:
            return self._own[sealed]
        raise EntryError(
            f"the entry {name} cannot be read on this machine: no identity is configured",
            "finish on a machine that has one, or set store.identity to the file of an identity that may read here",
        )
