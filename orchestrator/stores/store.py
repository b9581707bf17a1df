"""The store: what every scheme has in common, over a vault of key material and a shelf of marks."""

import base64
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import EntryError, StoreError
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId, Receipt
from orchestrator.ports import WrappingAlgorithm
from orchestrator.wrapping import wrap, wrapping_key

from .adoption import read_source
from .entry import missing
from .layout import Kind
from .marks import Marks
from .material import LENGTH, KeyMaterial
from .place import Place
from .shelf import Shelf, Slot, Vault

_AES_KEY_LENGTH = 32
_T = TypeVar("_T")


class Store:
    """MaterialStore over a vault and a shelf, which any number of processes and threads may share."""

    def __init__(
        self,
        vault: Vault,
        shelf: Shelf,
        place: Place,
        *,
        clock_now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._vault = vault
        self._shelf = shelf
        self._place = place
        self._now = clock_now
        self._random_bytes = random_bytes
        self._marks = Marks(shelf)

    def __repr__(self) -> str:
        return f"Store({self._vault!r}, {self._place})"

    def deposit(self, name: EntryName) -> Receipt:
        """Publish 32 fresh random bytes under `name`; where an entry is there, return that one's receipt (P1)."""
        self._check_for(name)
        if self._is_free(name):
            self._vault.put(name, KeyMaterial(self._random_bytes(LENGTH)))
        self._vault.open(name)
        return Receipt(name, self._now())

    def adopt(self, name: EntryName, source: Path) -> Receipt:
        """Publish the 32 bytes of a file under `name`; EntryError where an entry with other bytes is there.

        Raises UsageError where the file does not hold exactly 32 bytes.
        """
        self._check_for(name)
        material = read_source(source)
        if self._is_free(name):
            self._vault.put(name, material)
        if not self._vault.open(name).matches(material):
            raise EntryError(
                f"the entry {name} is there already, and holds other key material than {source}",
                "nothing was changed; check which material the file is, and under which name it belongs",
            )
        return Receipt(name, self._now())

    def find(self, name: EntryName) -> Entry | None:
        """Probe one exact name (P3); an entry found is made durable and read back before it is returned (P1)."""
        self._check_for(name)
        problems: list[str] = []
        there = _told(problems, self._vault.holds, name)
        if not (there or problems or self._shelf.marked(name)):
            return None
        linked = _told(problems, self._marks.linked, name)
        proven_in = _told(problems, self._marks.proven, name)
        probe = _told(problems, self._marks.probe, name)
        discarded_at = _told(problems, self._marks.discarded_at, name)
        _told(problems, self._vault.open, name)
        return Entry(
            name,
            receipt=None if problems else Receipt(name, self._now()),
            problem="; ".join(problems),
            linked=linked,
            proven=proven_in is not None,
            probe=probe is not None,
            discarded_at=discarded_at,
            proven_in=proven_in or frozenset(),
        )

    def entries(self, key: KeyIdentity | None = None) -> tuple[Entry, ...]:
        """List what is there, for people; decisions use `find`. What is not of a store is passed over."""
        self._shelf.check()
        found = (self.find(name) for name in self._shelf.names(key))
        return tuple(entry for entry in found if entry is not None)

    def wrap(self, name: EntryName, public_key: bytes, algorithm: WrappingAlgorithm) -> bytes:
        """Wrap an entry's bytes under a wrapping key of KMS: the only way out (I2)."""
        self._check_for(name)
        wrapping_key(public_key)
        hybrid = algorithm.name.startswith("RSA_AES")
        aes_key = self._random_bytes(_AES_KEY_LENGTH) if hybrid else None
        return wrap(self._vault.open(name).reveal(), public_key, algorithm, aes_key)

    def link(self, name: EntryName, material_id: MaterialId) -> None:
        """Note the id that KMS gave these bytes (P2); EntryError where another id is noted."""
        self._keep(name, Kind.LINK, {"key_material_id": material_id, "at": self._now().isoformat()})
        linked = self._marks.linked(name)
        if linked != material_id:
            raise EntryError(
                f"the entry {name} is linked to key material {linked} already, and not to {material_id}",
                "one entry's bytes have one id: CloudTrail tells which ImportKeyMaterial call returned which id",
            )

    def keep_probe(self, name: EntryName, ciphertext: bytes) -> None:
        """Keep the probe ciphertext made under this material (P14); the first one stays."""
        self._keep(
            name, Kind.PROBE, {"ciphertext": base64.b64encode(ciphertext).decode(), "at": self._now().isoformat()}
        )

    def probe(self, name: EntryName) -> bytes | None:
        """Return the probe ciphertext of an entry."""
        self._check_for(name)
        return self._marks.probe(name)

    def mark_proven(self, name: EntryName, evidence: Mapping[str, Any]) -> None:
        """Mark the entry as finished, with small evidence: ids, Regions and times.

        What is marked stays; a Region that no mark names yet gets a further one.
        """
        self._check_there(name)
        self._marks.prove(name, self._now(), evidence)

    def discard(self, name: EntryName, at: datetime) -> None:
        """Mark the attempt as given up (P9), readable or not; the bytes stay, and so does the first mark."""
        self._check_there(name)
        self._marks.discard(name, at)

    def reinstate(self, name: EntryName, at: datetime) -> None:
        """Take a discard back (P9); an attempt that is not discarded stays as it is."""
        self._check_there(name)
        self._marks.reinstate(name, at)

    def withdraw(self, name: EntryName) -> None:
        """Note that what is pending beside this entry, or in its place, is about to be deleted from KMS (P6)."""
        self._check_for(name)
        self._marks.withdraw(name, self._now())

    def withdrawn_at(self, name: EntryName) -> datetime | None:
        """Tell when that was last noted."""
        self._check_for(name)
        return self._marks.withdrawn_at(name)

    def _keep(self, name: EntryName, kind: Kind, fields: Mapping[str, Any]) -> None:
        self._check_there(name)
        self._marks.keep(name, kind, fields)

    def _check_there(self, name: EntryName) -> None:
        self._check_for(name)
        if not self._vault.holds(name):
            raise self._missing(name)

    def _check_for(self, name: EntryName) -> None:
        self._shelf.check()
        self._shelf.where(Slot(name))
        if name.key.partition != self._place.partition:
            raise StoreError(
                f"key {name.key} is in partition {name.key.partition}; this store is stamped for {self._place}",
                "each partition has its own store: make one with mrk store init, and name it in store.uri",
            )

    def _is_free(self, name: EntryName) -> bool:
        """Tell whether key material may be put under this name; raises where it must not be."""
        discarded_at = self._marks.discarded_at(name)
        if discarded_at is not None:
            raise StoreError(
                f"the attempt {name} was discarded at {discarded_at.isoformat()}; nothing is deposited into it",
                f"the next attempt is {name.attempt + 1}: run mrk status to see what is left to do",
            )
        if self._vault.holds(name):
            return False
        # Fresh bytes beside the marks of lost ones would pass for the lost ones.
        if self._marks.linked(name) or self._marks.proven(name) is not None or self._marks.probe(name):
            raise self._missing(name)
        return True

    def _missing(self, name: EntryName) -> EntryError:
        return missing(name, self._shelf.where(Slot(name)), self._shelf.advice)


def _told(problems: list[str], read: Callable[[EntryName], _T], name: EntryName) -> _T | None:
    """Read one thing of an entry; where that fails, note why and how to mend it."""
    try:
        return read(name)
    except StoreError as error:
        problems.append(f"{error.message}; to mend it: {error.hint}")
        return None
