"""What one look reads of the secrets: brought in batches, and read one by one only where nobody brought it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator.errors import EntryError, StoreError
from orchestrator.model import EntryName
from orchestrator.stores.entry import Opened
from orchestrator.stores.layout import Kind
from orchestrator.stores.shelf import Slot

from .address import Address
from .hidden import Hidden
from .reader import SecretReader, side_by_side

Look = Callable[[EntryName, "SecretDesk"], Opened | StoreError]
"""Opens one entry."""


class SecretDesk:
    """The secrets of one look."""

    def __init__(self, reader: SecretReader, address: Address, look: Look) -> None:
        self._reader = reader
        self._address = address
        self._look = look
        self._found: dict[str, Hidden | EntryError | None] = {}

    def bring(self, slots: Iterable[Slot]) -> None:
        """Read what is not here yet."""
        wanted = (self._address.secret(slot) for slot in slots)
        self._found |= self._reader.read_many(one for one in wanted if one not in self._found)

    def shows(self, name: EntryName) -> bool:
        """Tell whether there is key material, or a link: without one nobody knows that KMS had the bytes."""
        return self._there(Slot(name)) or self._there(Slot(name, Kind.LINK))

    def read(self, slot: Slot) -> bytes | None:
        """Read a mark."""
        text = self.text(slot)
        return text.reveal().encode() if text else None

    def opened(self, names: Sequence[EntryName]) -> Mapping[EntryName, Opened | StoreError]:
        """Open entries, side by side."""
        return dict(zip(names, side_by_side(lambda name: self._look(name, self), names), strict=True))

    def text(self, slot: Slot) -> Hidden | None:
        """Read a secret as it was created; raises EntryError where it was changed, or is to be deleted."""
        secret = self._address.secret(slot)
        if secret not in self._found:
            self._found[secret] = self._reader.read(secret)
        found = self._found[secret]
        if isinstance(found, EntryError):
            raise found
        return found

    def _there(self, slot: Slot) -> bool:
        """Tell whether there is a secret, readable or not."""
        self.bring([slot])
        return self._found[self._address.secret(slot)] is not None
