"""The key material of entries as Secrets Manager keeps it: encrypted by AWS, for whoever may read the secret."""

from collections.abc import Callable
from datetime import datetime

from orchestrator.errors import StoreError
from orchestrator.model import EntryName
from orchestrator.stores.entry import Content, Opened, checked, encode, missing, opened, other_bytes, parse
from orchestrator.stores.maker import Maker
from orchestrator.stores.material import KeyMaterial
from orchestrator.stores.shelf import Slot

from .desk import SecretDesk
from .hidden import Hidden
from .shelf import SecretShelf


class SecretVault:
    """Vault over secrets."""

    def __init__(self, shelf: SecretShelf, maker: Maker, clock_now: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._maker = maker
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
        text = Hidden(encode(name, material, self._now(), self._maker).decode())
        if self._shelf.publish_hidden(Slot(name), text) and not self.open(name).matches(material):
            raise other_bytes(name, "ask CloudTrail who changed the secret")

    def open(self, name: EntryName) -> KeyMaterial:
        """Read a secret back, kept wherever it should be; raises EntryError where it is not what its name says."""
        return self._open(name, self.desk())[0]

    def desk(self) -> SecretDesk:
        """Begin a look."""
        return self._shelf.desk(self._look)

    def _look(self, name: EntryName, desk: SecretDesk) -> Opened | StoreError:
        try:
            material, content = self._open(name, desk)
        except StoreError as error:
            return error
        return opened(name, content, material, self._maker)

    def _open(self, name: EntryName, desk: SecretDesk) -> tuple[KeyMaterial, Content]:
        where = self._shelf.where(Slot(name))
        text = desk.text(Slot(name))
        if text is None:
            raise missing(name, where, self._shelf.advice)
        self._shelf.check_kept(Slot(name))
        content = parse(text.reveal().encode())
        return checked(name, content, where, self._shelf.advice), content
