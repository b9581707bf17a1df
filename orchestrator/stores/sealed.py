"""The sealed key material of entries: published once, opened with this machine's identity, bound to its name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.errors import EntryError, StoreError
from orchestrator.model import EntryName

from . import seals
from .age import AgeBox
from .entry import Content, Opened, checked, encode, missing, opened, other_bytes, parse
from .file import FileShelf
from .marks import Marks
from .material import KeyMaterial
from .shelf import Slot


class SealedVault:
    """Vault over age-encrypted files."""

    def __init__(self, shelf: FileShelf, box: AgeBox, clock_now: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._box = box
        self._now = clock_now

    def __repr__(self) -> str:
        return f"SealedVault({self._shelf!r}, {self._box!r})"

    def holds(self, name: EntryName) -> bool:
        """Tell whether there is a file of this name, readable or not; raises StoreError where that cannot be told."""
        return self._shelf.holds(Slot(name))

    def put(self, name: EntryName, material: KeyMaterial) -> None:
        """Publish key material, unless an entry is there; then read back that it is durably kept (P1).

        Raises EntryError where this call published it and something else was read back.
        """
        sealed = self._box.seal(encode(name, material, self._now(), self._box.maker))
        if not self._shelf.publish(Slot(name), sealed):
            return
        seals.note(self._marks(), name, sealed, self._box.names, self._now())
        if not self.open(name).matches(material):
            raise other_bytes(name, "the disk, or another program, changes files: check the disk first")

    def open(self, name: EntryName) -> KeyMaterial:
        """Read an entry back, durably kept; raises EntryError where it is not there, or is not what its name says."""
        return self._open(name)[0]

    def desk(self) -> "FileDesk":
        """Begin a look."""
        return FileDesk(self._shelf, self._look)

    def _look(self, name: EntryName) -> Opened | StoreError:
        try:
            material, content = self._open(name)
        except StoreError as error:
            return error
        return opened(name, content, material, self._box.maker)

    def _open(self, name: EntryName) -> tuple[KeyMaterial, Content]:
        """Open a file that every recipient can open, as far as its header tells."""
        where = self._shelf.where(Slot(name))
        sealed = self._shelf.read(Slot(name))
        if sealed is None:
            raise missing(name, where, self._shelf.advice)
        content = parse(self._box.open(sealed, where))
        material = checked(name, content, where, self._shelf.advice)
        if lacking := self._box.lacks(sealed, seals.noted(self._marks(), name, sealed)):
            raise EntryError(f"{where} opens, but {lacking}", self._box.reseal(where))
        return material, content

    def _marks(self) -> Marks:
        return Marks(self._shelf, self.desk())


class FileDesk:
    """A look at files, each of which is read when it is asked for."""

    def __init__(self, shelf: FileShelf, look: Callable[[EntryName], Opened | StoreError]) -> None:
        self._look = look
        self.shows = shelf.shows
        self.read = shelf.read

    def bring(self, slots: Iterable[Slot]) -> None:
        """Bring nothing: nothing takes so long."""

    def opened(self, names: Sequence[EntryName]) -> Mapping[EntryName, Opened | StoreError]:
        """Open entries, one after the other."""
        return {name: self._look(name) for name in names}
