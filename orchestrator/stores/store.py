"""The store: what every scheme has in common, over a vault of key material and a shelf of marks."""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import EntryError, StoreError
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId, Proof, Receipt, Region
from orchestrator.ports import WrappingAlgorithm
from orchestrator.wrapping import wrap, wrapping_key

from .adoption import read_source, shown
from .commitment import commitment, fits
from .entry import Opened, missing
from .judging import Noted, best
from .layout import Kind
from .looking import Looks
from .marks import Marks, Turns, proofs_of, state_of
from .material import LENGTH, KeyMaterial
from .place import Place
from .shelf import Shelf, Slot, Vault

_AES_KEY_LENGTH = 32
_T = TypeVar("_T")


class Store:
    """MaterialStore over a vault and a shelf, which any number of processes and threads may share.

    `keep` is for how long a look remembers the entries of older materials.
    """

    def __init__(
        self,
        vault: Vault,
        shelf: Shelf,
        place: Place,
        *,
        clock_now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes] = os.urandom,
        keep: timedelta = timedelta(0),
    ) -> None:
        self._vault = vault
        self._shelf = shelf
        self._place = place
        self._now = clock_now
        self._random_bytes = random_bytes
        self._looks = Looks(vault, shelf, clock_now, keep)
        # The commitments to all that was wrapped: of one of them KMS tells the id.
        self._wrapped: dict[EntryName, set[str]] = {}
        # What was brought to be adopted: a pipe is read once, and of a file the same bytes count to the end.
        self._brought: dict[Path, KeyMaterial] = {}

    def __repr__(self) -> str:
        return f"Store({self._vault!r}, {self._place})"

    def __str__(self) -> str:
        return str(self._shelf)

    def deposit(self, name: EntryName) -> Receipt:
        """Publish 32 fresh random bytes under `name`; where an entry is there, return that one's receipt (P1)."""
        self._check_for(name)
        fresh = KeyMaterial(self._random_bytes(LENGTH)) if self._is_free(name) else None
        if fresh:
            self._put(name, fresh)
        kept = self._vault.open(name)
        if fresh and kept.matches(fresh):
            self._looks.made(name, commitment(fresh, name.key))
        return Receipt(name, self._now())

    def adopt(self, name: EntryName, source: Path) -> Receipt:
        """Publish the 32 bytes of a file or pipe under `name`; EntryError where an entry with other bytes is there.

        Raises UsageError where the file does not hold exactly 32 bytes.
        """
        self._check_for(name)
        material = self._source(source)
        if self._is_free(name):
            self._put(name, material)
        if not self._vault.open(name).matches(material):
            raise EntryError(
                f"the entry {name} is there already, and holds other key material than {shown(source)}",
                "nothing was changed; check which material the file is, and under which name it belongs",
            )
        self._looks.made(name, commitment(material, name.key))
        return Receipt(name, self._now())

    def identify(self, key: KeyIdentity, source: Path) -> EntryName | None:
        """Compare the 32 bytes of a file with every entry of a key that opens; of several the best one is told.

        Raises UsageError where the file does not hold exactly 32 bytes.
        """
        self._shelf.check(key)
        wanted = commitment(self._source(source), key)
        names, desk = self._shelf.names(key), self._vault.desk()
        desk.bring(Slot(name) for name in names)
        opened = desk.opened(names)
        same = [name for name, one in opened.items() if isinstance(one, Opened) and fits(one.commitment, wanted)]
        found = [entry for entry in self._looks.at(same) if entry is not None]
        best_one = max(found, key=lambda entry: (entry.held, not entry.discarded_at), default=None)
        return best_one.name if best_one else None

    def find(self, name: EntryName) -> Entry | None:
        """Probe one exact name (P3); what is found is made durable, read back and compared with its marks (P1, I12)."""
        self._check_for(name)
        return self._looks.at([name])[0]

    def look(self, first: Sequence[EntryName]) -> tuple[Entry, ...]:
        """Find each of these names and every further attempt that follows without a gap; the last replaces CURRENT."""
        self._check_for(*first)
        return self._looks.follow(first)

    def entries(self, key: KeyIdentity | None = None) -> tuple[Entry, ...]:
        """List what is there, for people; decisions use `look`. What is not of a store is passed over."""
        self._shelf.check()
        names = self._shelf.names(key)
        self._shelf.check(*(name.key for name in names))
        found = self._looks.at(names)
        return tuple(entry for entry in found if entry is not None)

    def wrap(self, name: EntryName, public_key: bytes, algorithm: WrappingAlgorithm) -> bytes:
        """Wrap an entry's bytes under a wrapping key of KMS: the only way out (I2)."""
        self._check_for(name)
        wrapping_key(public_key)
        hybrid = algorithm.name.startswith("RSA_AES")
        aes_key = self._random_bytes(_AES_KEY_LENGTH) if hybrid else None
        material = self._vault.open(name)
        self._wrapped.setdefault(name, set()).add(commitment(material, name.key))
        return wrap(material.reveal(), public_key, algorithm, aes_key)

    def link(self, name: EntryName, material_id: MaterialId) -> None:
        """Note the id that KMS gave these bytes (P2); EntryError where another id is noted of the same bytes.

        EntryError, too, where the bytes are not those that were wrapped: a store may be changed meanwhile.
        """
        bound = self._bound(name)

        def noted(turns: Turns[MaterialId]) -> bool:
            known = bool(turns.fitting(bound))
            self._require_same(name, known or self._wrapped.get(name, {bound}) == {bound})
            return known

        found = self._note(
            Slot(name, Kind.LINK),
            lambda marks: marks.links(name),
            noted,
            {"key_material_id": material_id, "commitment": bound},
        )
        linked = found.fitting(bound)[-1]
        if linked != material_id:
            raise EntryError(
                f"the entry {name} is linked to key material {linked} already, and not to {material_id}",
                "one entry's bytes have one id: CloudTrail tells which ImportKeyMaterial call returned which id",
            )

    def keep_probe(self, name: EntryName, ciphertext: bytes) -> None:
        """Keep the probe ciphertext made under this material (P14); the first one of these bytes stays."""
        bound = self._bound(name)
        self._note(
            Slot(name, Kind.PROBE),
            lambda marks: marks.probes(name),
            lambda turns: bool(turns.fitting(bound)),
            {"ciphertext": base64.b64encode(ciphertext).decode(), "commitment": bound},
        )

    def probe(self, name: EntryName) -> bytes | None:
        """Return the probe ciphertext that was made under an entry's bytes; None where none was."""
        self._check_for(name)
        turns = self._marks().probes(name)
        if not turns.marks and not turns.damage:
            return None
        found = turns.fitting(self._bound(name))
        if not found and turns.damage:
            raise turns.damage[0]
        return found[-1] if found else None

    def mark_proven(self, name: EntryName, evidence: Mapping[str, Any]) -> None:
        """Mark the entry as finished, with small evidence: ids, times, `regions`, and `proof`, how thoroughly (P14).

        What is marked stays; a Region that no mark names yet, or one that is proven more thoroughly now, is added.
        Evidence that names no Region proves nothing, and is not kept.
        """
        bound, wanted = self._bound(name), proofs_of(evidence)
        if material_id := evidence.get("material_id"):
            self._require_same(name, material_id in self._marks().links(name).fitting(bound))

        def noted(turns: Turns[Mapping[Region, Proof]]) -> bool:
            known = best(turns.fitting(bound))
            return all(region in known and known[region].covers(how) for region, how in wanted.items())

        fields = {"evidence": dict(evidence), "commitment": bound}
        self._note(Slot(name, Kind.PROVEN), lambda marks: marks.proofs(name), noted, fields)

    def discard(self, name: EntryName, at: datetime) -> None:
        """Mark the attempt as given up (P9), readable or not; the bytes stay, and so does the first mark."""
        self._turn(Slot(name, Kind.DISCARDED), at, from_given_up=False)

    def reinstate(self, name: EntryName, at: datetime) -> None:
        """Take a discard back (P9); an attempt that is not discarded stays as it is."""
        self._turn(Slot(name, Kind.REINSTATED), at, from_given_up=True)

    def withdraw(self, name: EntryName, material_id: MaterialId) -> None:
        """Note which pending material beside this entry, or in its place, is about to be deleted from KMS (P6)."""
        self._check_for(name)
        which = {"key_material_id": material_id}
        self._append(Slot(name, Kind.WITHDRAWN), lambda marks: marks.withdrawals(name), lambda _: False, which)

    def withdrawn(self, name: EntryName) -> Mapping[MaterialId, datetime]:
        """Tell what was noted so, and when last."""
        self._check_for(name)
        return {mark.value: mark.at for mark in _whole(self._marks().withdrawals(name)).marks}

    def note_switch(self, key: KeyIdentity, region: Region, at: datetime, *, off: bool) -> None:
        """Note that the owner's switch of a Region was seen: Disabled, or Enabled again. What is noted stays."""
        name = EntryName(key, None)
        self._check_for(name)
        self._append(
            Slot(name, Kind.SWITCH),
            lambda marks: marks.switches(name),
            lambda turns: (region in _off(turns)) is off,
            {"region": region, "state": state_of(off=off), "at": at.isoformat()},
        )

    def switched_off(self, key: KeyIdentity) -> Mapping[Region, datetime]:
        """Tell which Regions were last noted as Disabled, and since when."""
        name = EntryName(key, None)
        self._check_for(name)
        return _off(_whole(self._marks().switches(name)))

    def _source(self, source: Path) -> KeyMaterial:
        if source not in self._brought:
            self._brought[source] = read_source(source)
        return self._brought[source]

    def _put(self, name: EntryName, material: KeyMaterial) -> None:
        with self._looks.changing(name):
            self._vault.put(name, material)

    def _note(
        self,
        slot: Slot,
        read: Callable[[Marks], Turns[_T]],
        noted: Callable[[Turns[_T]], bool],
        fields: Mapping[str, Any],
    ) -> Turns[_T]:
        """Note something, unless it is noted; return the marks, of which one says so."""
        self._append(slot, read, noted, fields)
        turns = read(self._marks())
        if not noted(turns):
            raise turns.damage[0] if turns.damage else self._missing(slot)
        return turns

    def _append(
        self,
        slot: Slot,
        read: Callable[[Marks], Turns[_T]],
        noted: Callable[[Turns[_T]], bool],
        fields: Mapping[str, Any],
    ) -> None:
        """Publish a mark in the next free turn, unless it is noted; whoever loses the turn to another looks again."""
        tried = 0
        with self._looks.changing(slot.name):
            while not noted(turns := read(marks := self._marks())):
                if turns.next == tried:  # it is taken, and cannot be seen
                    raise turns.damage[0] if turns.damage else self._missing(slot)
                tried = turns.next
                if marks.publish(replace(slot, turn=tried), **{"at": self._now().isoformat(), **fields}):
                    return

    def _turn(self, slot: Slot, at: datetime, *, from_given_up: bool) -> None:
        """Give an attempt up, or take that back, unless that is how it stands."""
        self._check_there(slot.name)
        marks = self._marks()
        found = marks.given_up(slot.name)
        if found.unknown:
            raise next(iter(found.damage.values()))
        if (found.at is not None) is from_given_up:
            with self._looks.changing(slot.name):
                marks.publish(replace(slot, turn=found.turn), at=at.isoformat())

    def _marks(self) -> Marks:
        return Marks(self._shelf, self._vault.desk())

    def _bound(self, name: EntryName) -> str:
        """Open an entry, and return the commitment to its bytes."""
        self._check_for(name)
        return commitment(self._vault.open(name), name.key)

    def _require_same(self, name: EntryName, same: bool) -> None:
        if not same:
            raise EntryError(
                f"the entry {name} holds other bytes than those that KMS was given",
                "somebody changed the store meanwhile: restore this entry from a copy of the store, then run again",
            )

    def _check_there(self, name: EntryName) -> None:
        self._check_for(name)
        if not self._vault.holds(name):
            raise self._missing(Slot(name))

    def _check_for(self, *names: EntryName) -> None:
        for name in names:
            self._shelf.where(Slot(name))
        self._shelf.check(*(name.key for name in names))
        for name in names:
            if name.key.partition != self._place.partition:
                raise StoreError(
                    f"key {name.key} is in partition {name.key.partition}; this store is stamped for {self._place}",
                    "each partition has its own store: make one with mrk store init, and name it in store.uri",
                )

    def _is_free(self, name: EntryName) -> bool:
        """Tell whether key material may be put under this name; raises where it must not be."""
        noted = Noted.of(name, self._marks())
        if noted.given_up.unknown:
            raise next(iter(noted.given_up.damage.values()))
        if (discarded_at := noted.given_up.at) is not None:
            raise StoreError(
                f"the attempt {name} was discarded at {discarded_at.isoformat()}; nothing is deposited into it",
                f"the next attempt is {name.attempt + 1}: run mrk status to see what is left to do",
            )
        if self._vault.holds(name):
            return False
        # Fresh bytes beside the marks of lost ones would pass for the lost ones.
        if noted.anything:
            raise self._missing(Slot(name))
        return True

    def _missing(self, slot: Slot) -> EntryError:
        return missing(slot.name, self._shelf.where(slot), self._shelf.advice)


def _whole(turns: Turns[_T]) -> Turns[_T]:
    """Return marks of which every one can be read; raises EntryError."""
    if turns.damage:
        raise turns.damage[0]
    return turns


def _off(turns: Turns[tuple[Region, bool]]) -> dict[Region, datetime]:
    """Tell which Regions were last seen switched off, and since when."""
    found: dict[Region, datetime] = {}
    for mark in turns.marks:
        region, off = mark.value
        if off:
            found[region] = mark.at
        else:
            found.pop(region, None)
    return found
