"""The shelf of a store `secretsmanager:`: one secret for each entry and each mark, created once and never changed."""

import shlex
from collections.abc import Callable, Mapping
from datetime import datetime

from orchestrator.errors import StoreError
from orchestrator.model import EntryName, KeyIdentity, Region
from orchestrator.retry import Retry
from orchestrator.stores.place import Place
from orchestrator.stores.shelf import Slot

from .address import Address
from .calls import SecretsManager
from .desk import Look, SecretDesk
from .hidden import Hidden
from .keeping import Keeping
from .keys import EncryptionKeys
from .reader import SecretReader
from .stamps import Protection, Stamps


class SecretShelf:
    """Secrets below one name prefix, which any number of processes and threads may share."""

    advice = "ask CloudTrail who changed or deleted it; a replica of it can be read in its own Region"

    def __init__(
        self,
        secrets: SecretsManager,
        address: Address,
        place: Place,
        keys: EncryptionKeys,
        protection: Protection,
        retry: Retry,
    ) -> None:
        self._address = address
        self._keys = keys
        self._replicas: Mapping[Region, str | None] = {one: keys.key_in(one) for one in protection.replica_regions}
        self._reader = SecretReader(secrets, retry)
        self._keeping = Keeping(secrets, self._reader, keys, self._replicas, retry)
        self._stamps = Stamps(address, place, protection, self._reader.read)

    def __repr__(self) -> str:
        return f"SecretShelf({str(self._address)!r})"

    def __str__(self) -> str:
        return str(self._address)

    def write_stamp(self, now: Callable[[], datetime]) -> None:
        """Make the store's stamp; raises StoreError where there are entries without one."""
        if strangers := self.names(None):
            raise StoreError(
                f"{self._address} has no stamp, but entries, such as {strangers[0]}",
                "choose another name prefix; if this is a store that lost its stamp, restore that secret:"
                f" {self._address.stamp}",
            )
        self._create(*self._stamps.next(now()))

    def change_stamp(self, now: Callable[[], datetime]) -> None:
        """Add a stamp where the settings differ from the last one: from now on these are wanted of everybody."""
        if self._stamps.differences():
            self._create(*self._stamps.next(now()))
            for number in range(1, len(self._stamps.found()) + 1):
                self._keeping.check(self._address.stamp_of(number))

    def stamped(self) -> bool:
        """Tell whether there is a store; raises StoreError where it is for another place (P12)."""
        return bool(self._stamps.found())

    def check(self, *_keys: KeyIdentity) -> None:
        """Raise StoreError where there is no store, it is for another place (P12), or protected by other settings."""
        if not self.stamped():
            raise StoreError(
                f"there is no store {self._address}: the secret {self._address.stamp} is missing",
                "check Region, prefix and account; make a new one with: mrk store init",
            )
        self._stamps.check()

    def check_keys(self) -> None:
        """Raise StoreError where new secrets would depend on imported key material in some Region."""
        for region in (self._address.region, *self._replicas):
            self._keeping.check_key(
                region, self._keys.key_in(region), "store.kms_key: what is stored is encrypted with"
            )

    def check_key(self, key: str) -> None:
        """Raise StoreError where the key that tells who made an entry has imported key material."""
        self._keeping.check_key(self._address.region, key, "store.mac_key: who made an entry is told by")

    def where(self, slot: Slot) -> str:
        """Name the secret of a slot."""
        return f"the secret {self._address.secret(slot)} in {self._address.region}"

    def take_away(self, slot: Slot) -> str:
        """Tell how a damaged mark is taken out of the store; key material is never in one."""
        secret = shlex.quote(self._address.secret(slot))
        return (
            f"aws secretsmanager delete-secret --region {self._address.region} --secret-id {secret}"
            " --force-delete-without-recovery"
        )

    def publish(self, slot: Slot, content: bytes) -> bool:
        """Publish a mark."""
        return self.publish_hidden(slot, Hidden(content.decode()))

    def publish_hidden(self, slot: Slot, text: Hidden) -> bool:
        """Create a secret; returns False, changing nothing, where one of its name is there."""
        return self._create(self._address.secret(slot), text)

    def desk(self, look: Look) -> SecretDesk:
        """Begin a look, in which entries are opened as `look` does."""
        return SecretDesk(self._reader, self._address, look)

    def holds(self, slot: Slot) -> bool:
        """Tell whether there is a secret in a slot, readable or not."""
        return self._reader.describe(self._address.secret(slot)) is not None

    def names(self, key: KeyIdentity | None) -> tuple[EntryName, ...]:
        """List the names of which there is any secret; new ones show after a while."""
        secrets = self._reader.names(self._address.below(key))
        names = {name for secret in secrets if (name := self._address.entry_name(secret))}
        return tuple(sorted(names, key=lambda name: (name.key, name.replaces or "", name.attempt)))

    def check_kept(self, slot: Slot) -> None:
        """See that a secret stays readable and, where wanted, is in every replica Region; raises where it is not.

        KmsError, transient, while it is still being replicated.
        """
        self._keeping.check(self._address.secret(slot))

    def _create(self, secret: str, text: Hidden) -> bool:
        return self._reader.create(secret, text, self._keys.key_in(self._address.region), self._replicas)
