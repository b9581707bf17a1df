"""The stamps of a store `secretsmanager:`: for which place it is, and how what is stored is protected.

A secret never changes, so that another protection is another stamp: `store`, `store.2`, ...; the last one counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.model import Region
from orchestrator.stores.place import Place
from orchestrator.stores.stamp import read_stamp, stamp

from .address import Address
from .hidden import Hidden


@dataclass(frozen=True, slots=True)
class Protection:
    """The KMS keys that encrypt secrets, and tell who made them; and the Regions that each is kept in as well."""

    kms_key: str | None = None
    mac_key: str | None = None
    replica_regions: tuple[Region, ...] = ()

    @classmethod
    def stamped(cls, found: Mapping[str, Any]) -> "Protection":
        """Read it from a stamp; one that says nothing of it is of a store that was made without."""
        return cls(found.get("kms_key"), found.get("mac_key"), tuple(map(Region, found.get("replica_regions") or ())))

    def differences(self, wanted: "Protection") -> Iterator[str]:
        """Say what is wanted that is not stamped, and the reverse."""
        keys = {"kms_key": (self.kms_key, wanted.kms_key), "mac_key": (self.mac_key, wanted.mac_key)}
        for name, (has, asked) in keys.items():
            if has != asked:
                yield f"store.{name} is {asked or 'not set'}, and the store has {has or 'none'}"
        for region in sorted(set(self.replica_regions) - set(wanted.replica_regions)):
            yield f"store.replica_regions lacks {region}"
        for region in sorted(set(wanted.replica_regions) - set(self.replica_regions)):
            yield f"store.replica_regions has {region}, which is new"


class Stamps:
    """Reads and names them. `read` gives the text of a secret, or None."""

    def __init__(
        self, address: Address, place: Place, wanted: Protection, read: Callable[[str], Hidden | None]
    ) -> None:
        self._address = address
        self._place = place
        self._wanted = wanted
        self._read = read
        self._found: list[Mapping[str, Any]] = []

    def found(self) -> Sequence[Mapping[str, Any]]:
        """Read every stamp, once, as they never change; raises StoreError where one is for another place (P12)."""
        if not self._found:
            self._found = list(self._every())
        return self._found

    def _every(self) -> Iterator[Mapping[str, Any]]:
        for number in count(1):
            name = self._address.stamp_of(number)
            content = self._read(name)
            if content is None:
                return
            yield read_stamp(content.reveal().encode(), self._place, str(self._address), f"the secret {name}")

    def differences(self) -> list[str]:
        """Say how the settings differ from the last stamp; in a replica Region nothing is written, and none count."""
        last = self.found()[-1]
        if last.get("region", self._address.region) != self._address.region:
            return []
        return list(Protection.stamped(last).differences(self._wanted))

    def check(self) -> None:
        """Raise StoreError where the settings protect what is stored otherwise than the stamp says."""
        if differences := self.differences():
            raise StoreError(
                f"the store {self._address} was made with other settings: {'; '.join(differences)}",
                "put them back (on Lambda: the stack's StoreKmsKey and StoreReplicaRegions); to change them on purpose:"
                " mrk store init --change",
            )

    def next(self, at: datetime) -> tuple[str, Hidden]:
        """Return the name and the text of the next stamp."""
        number = len(self.found()) + 1
        self._found = []
        text = stamp(
            self._place,
            at,
            region=self._address.region,
            kms_key=self._wanted.kms_key,
            mac_key=self._wanted.mac_key,
            replica_regions=sorted(self._wanted.replica_regions),
        )
        return self._address.stamp_of(number), Hidden(text.decode())
