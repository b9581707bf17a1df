"""What a store stands on: named contents that are published once, never changed, and read back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.errors import StoreError
from orchestrator.model import EntryName, KeyIdentity

from .entry import Opened
from .layout import Kind
from .material import KeyMaterial


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that is kept of an entry: its key material, or a mark. Only marks have turns."""

    name: EntryName
    kind: Kind = Kind.ENTRY
    turn: int = 1


class Desk(Protocol):
    """What is read for one look. Raises StoreError, and KmsError where a call to AWS fails."""

    def bring(self, slots: Iterable[Slot]) -> None:
        """Read many slots at once, where one by one would take its time."""

    def shows(self, name: EntryName) -> bool:
        """Tell whether there is anything of an entry: its key material, readable or not, or a mark of it."""

    def read(self, slot: Slot) -> bytes | None:
        """Read a mark that is durably there; None where there is nothing."""

    def opened(self, names: Sequence[EntryName]) -> Mapping[EntryName, Opened | StoreError]:
        """Open entries, and tell of each what its bytes are bound by, or why it does not open."""


class Shelf(Protocol):
    """Where marks are, and what is said of places. Raises StoreError, and KmsError where a call to AWS fails."""

    advice: str
    """How somebody gets back what is missing or damaged."""

    def check(self, *keys: KeyIdentity) -> None:
        """Raise StoreError where the store is not there, or is stamped for something else (P12).

        And where what it has of these keys cannot be looked at, as it is open to others, or closed to this user.
        """

    def where(self, slot: Slot) -> str:
        """Name the place of a slot, for people; raises EntryError where the entry's name could lead elsewhere."""

    def take_away(self, slot: Slot) -> str:
        """Tell the command that takes a damaged mark out of the store."""

    def publish(self, slot: Slot, content: bytes) -> bool:
        """Publish durably; returns False, changing nothing, where something is there already."""

    def names(self, key: KeyIdentity | None) -> tuple[EntryName, ...]:
        """List the names of which there is anything, for people."""


class Vault(Protocol):
    """The key material of entries, without their marks."""

    def holds(self, name: EntryName) -> bool:
        """Tell whether there is an entry of this name, readable or not."""

    def put(self, name: EntryName, material: KeyMaterial) -> None:
        """Publish key material, unless an entry is there; then read back that it is durably kept (P1)."""

    def open(self, name: EntryName) -> KeyMaterial:
        """Read an entry back, durably kept; raises EntryError where it is not there, or is not what its name says."""

    def desk(self) -> Desk:
        """Begin a look."""
