"""The key material of entries as Secrets Manager keeps it: encrypted by AWS, for whoever may read the secret."""

from collections.abc import Callable
from datetime import datetime

from orchestrator.model import EntryName
from orchestrator.stores.entry import checked, encode, missing, other_bytes, parse
from orchestrator.stores.material import KeyMaterial
from orchestrator.stores.shelf import Slot

from .hidden import Hidden
from .shelf import SecretShelf


class SecretVault:
    """Vault over secrets."""

    def __init__(self, shelf: SecretShelf, clock_now: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._now = clock_now

    def __repr__(self) -> str:
        return f"SecretVault({self._shelf!r})"

    def holds(self, name: EntryName) -> bool:
        """Tell whether there is a secret of this name, readable or not."""
        return self._shelf.holds(Slot(name))

    def put(self, name: EntryName, material: KeyMaterial) -> None:
        """Create the secret, unless there is one; then read back that it is kept (P1).

        Raises EntryError where this call created it and something else was read back.
        """
        text = Hidden(encode(name, material, self._now()).decode())
        if self._shelf.publish_hidden(Slot(name), text) and not self.open(name).matches(material):
            raise other_bytes(name, "ask CloudTrail who changed the secret")

    def open(self, name: EntryName) -> KeyMaterial:
        """Read a secret back, kept wherever it should be; raises EntryError where it is not what its name says."""
        where = self._shelf.where(Slot(name))
        text = self._shelf.read_hidden(Slot(name))
        if text is None:
            raise missing(name, where, self._shelf.advice)
        self._shelf.check_kept(Slot(name))
        return checked(name, parse(text.reveal().encode()), where, self._shelf.advice)
