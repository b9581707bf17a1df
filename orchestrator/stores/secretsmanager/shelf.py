"""The shelf of a store `secretsmanager:`: one secret for each entry and each mark, created once and never changed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from orchestrator.errors import EntryError, KmsError, StoreError, Trouble
from orchestrator.model import EntryName, KeyIdentity, Region
from orchestrator.retry import Retry
from orchestrator.stores.layout import Kind
from orchestrator.stores.place import Place
from orchestrator.stores.shelf import Slot

from .address import Address
from .calls import Kept, Replica, SecretsManager
from .hidden import Hidden
from .keys import EncryptionKeys
from .meaning import deletion, unseen
from .stamps import Protection, Stamps

_IN_SYNC = "InSync"
_FAILED = "Failed"
_T = TypeVar("_T")


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
        self._secrets = secrets
        self._address = address
        self._keys = keys
        self._replicas: Mapping[Region, str | None] = {one: keys.key_in(one) for one in protection.replica_regions}
        self._retry = retry
        self._stamps = Stamps(address, place, protection, self._read)
        # Of secrets that were seen, by name: they are there, though a read that lags may not show it.
        self._seen: set[str] = set()
        # Marks are no secret and never change, so one that was read once is not read again.
        self._marks: dict[Slot, bytes] = {}

    def __repr__(self) -> str:
        return f"SecretShelf({str(self._address)!r})"

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
                self._keep(self._address.stamp_of(number))

    def stamped(self) -> bool:
        """Tell whether there is a store; raises StoreError where it is for another place (P12)."""
        return bool(self._stamps.found())

    def check(self) -> None:
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
            self._check_key(region, self._keys.key_in(region), "store.kms_key: what is stored")

    def where(self, slot: Slot) -> str:
        """Name the secret of a slot."""
        return f"the secret {self._address.secret(slot)} in {self._address.region}"

    def publish(self, slot: Slot, content: bytes) -> bool:
        """Publish a mark."""
        return self.publish_hidden(slot, Hidden(content.decode()))

    def publish_hidden(self, slot: Slot, text: Hidden) -> bool:
        """Create a secret; returns False, changing nothing, where one of its name is there."""
        return self._create(self._address.secret(slot), text)

    def read(self, slot: Slot) -> bytes | None:
        """Read a mark."""
        if slot not in self._marks:
            text = self.read_hidden(slot)
            if text is None:
                return None
            self._marks[slot] = text.reveal().encode()
        return self._marks[slot]

    def read_hidden(self, slot: Slot) -> Hidden | None:
        """Read a secret as it was created; raises EntryError where it was changed, or is to be deleted."""
        return self._read(self._address.secret(slot))

    def holds(self, slot: Slot) -> bool:
        """Tell whether there is a secret in a slot, readable or not."""
        return self._describe(self._address.secret(slot)) is not None

    def marked(self, name: EntryName) -> bool:
        """Tell whether there is a link: without one KMS never had the bytes, or nobody knows as what."""
        return self.holds(Slot(name, Kind.LINK))

    def names(self, key: KeyIdentity | None) -> tuple[EntryName, ...]:
        """List the names of which there is any secret; new ones show after a while."""
        secrets = self._retry(lambda: self._secrets.names(self._address.below(key)))
        names = {name for secret in secrets if (name := self._address.entry_name(secret))}
        return tuple(sorted(names, key=lambda name: (name.key, name.replaces or "", name.attempt)))

    def check_kept(self, slot: Slot) -> None:
        """See that a secret stays readable and, where wanted, is in every replica Region; raises where it is not.

        KmsError, transient, while it is still being replicated.
        """
        self._keep(self._address.secret(slot))

    def _keep(self, secret: str) -> None:
        self._retry(lambda: self._check_kept(secret))

    def _check_kept(self, secret: str) -> None:
        kept = self._describe_once(secret)
        if kept is None:
            raise unseen(secret, self._address.region)
        if kept.deleted:
            raise deletion(secret, self._address.region)
        if kept.rotating:
            raise EntryError(
                f"the secret {secret} is rotated by Secrets Manager, which would replace its content",
                f"aws secretsmanager cancel-rotate-secret --region {self._address.region} --secret-id {secret}",
            )
        self._check_key(self._address.region, kept.key, f"the secret {secret}")
        for replica in kept.replicas:
            self._check_key(replica.region, replica.key, f"the replica of {secret}")
        if kept.primary_region in {None, self._address.region}:
            self._check_replicas(secret, {replica.region: replica for replica in kept.replicas})

    def _check_replicas(self, secret: str, found: Mapping[Region, Replica]) -> None:
        missing = {region: key for region, key in self._replicas.items() if region not in found}
        if missing:
            self._secrets.replicate(secret, missing)
        for replica in (found[region] for region in self._replicas if region in found):
            if replica.status == _FAILED:
                raise EntryError(
                    f"the secret {secret} is not replicated to {replica.region}: {replica.message}",
                    "mend that, then: aws secretsmanager remove-regions-from-replication --secret-id"
                    f" {secret} --remove-replica-regions {replica.region} - and run again",
                )
            if replica.status != _IN_SYNC:
                missing[replica.region] = replica.key
        if missing:
            raise KmsError(
                f"the secret {secret} is still being replicated to {', '.join(sorted(missing))}",
                "run again",
                trouble=Trouble.TRANSIENT,
                operation="DescribeSecret",
                region=self._address.region,
            )

    def _check_key(self, region: Region, key: str | None, what: str) -> None:
        self._retry(lambda: self._keys.check(region, key, what))

    def _create(self, secret: str, text: Hidden) -> bool:
        key = self._keys.key_in(self._address.region)
        created = self._retry(lambda: self._secrets.create(secret, text, key, self._replicas))
        self._seen.add(secret)
        return created

    def _read(self, secret: str) -> Hidden | None:
        return self._retry(lambda: self._noticed(secret, self._secrets.read(secret)))

    def _describe(self, secret: str) -> Kept | None:
        return self._retry(lambda: self._describe_once(secret))

    def _describe_once(self, secret: str) -> Kept | None:
        return self._noticed(secret, self._secrets.describe(secret))

    def _noticed(self, secret: str, found: _T | None) -> _T | None:
        """Remember that a secret is there; raises a transient KmsError where one that was there does not show."""
        if found is None and secret in self._seen:
            raise unseen(secret, self._address.region)
        if found is not None:
            self._seen.add(secret)
        return found
