"""The marks beside an entry: small JSON objects, published once, each of which names the entry it belongs to."""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from orchestrator.errors import EntryError
from orchestrator.model import EntryName, MaterialId, Region, material_id_of

from .fields import read_object, write_object
from .layout import Kind
from .shelf import Shelf, Slot

_VERSION = 1
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_T = TypeVar("_T")


def _regions(evidence: Mapping[str, Any]) -> tuple[Region, ...]:
    regions = dict(evidence).get("regions", ())
    if not all(_REGION.fullmatch(region) for region in regions):
        raise ValueError("regions are names, such as eu-west-1")
    return tuple(Region(region) for region in regions)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at


class Marks:
    """Read and publish marks.

    Every reader returns None where there is no such mark, and raises EntryError for a bad one.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def keep(self, name: EntryName, kind: Kind, fields: Mapping[str, Any], turn: int = 1) -> None:
        """Publish a mark; where it is there already, the first one stays."""
        slot = Slot(name, kind, turn)
        if self._shelf.read(slot) is None:
            mark = {"mark": kind.label, "version": _VERSION, "entry": str(name), "turn": turn, **fields}
            self._shelf.publish(slot, write_object(mark))
        self._read(slot)

    def discard(self, name: EntryName, at: datetime) -> None:
        """Note that the attempt is given up, unless it is."""
        turn, discarded_at = self._turn(name)
        if discarded_at is None:
            self.keep(name, Kind.DISCARDED, {"at": at.isoformat()}, turn)

    def reinstate(self, name: EntryName, at: datetime) -> None:
        """Note that the attempt is not given up any more, if it is."""
        turn, discarded_at = self._turn(name)
        if discarded_at is not None:
            self.keep(name, Kind.REINSTATED, {"at": at.isoformat()}, turn)

    def withdraw(self, name: EntryName, at: datetime) -> None:
        """Note once more that pending material is about to be deleted."""
        self.keep(name, Kind.WITHDRAWN, {"at": at.isoformat()}, len(self._withdrawals(name)) + 1)

    def withdrawn_at(self, name: EntryName) -> datetime | None:
        """Tell when pending material was last about to be deleted."""
        return max(self._withdrawals(name), default=None)

    def _withdrawals(self, name: EntryName) -> list[datetime]:
        """Follow withdrawn, withdrawn.2, withdrawn.3 ... to the last."""
        found: list[datetime] = []
        while (at := self._at(name, Kind.WITHDRAWN, len(found) + 1)) is not None:
            found.append(at)
        return found

    def linked(self, name: EntryName) -> MaterialId | None:
        """Tell the id that KMS gave these bytes."""
        return self._field(name, Kind.LINK, "key_material_id", material_id_of)

    def probe(self, name: EntryName) -> bytes | None:
        """Return the probe ciphertext."""
        return self._field(name, Kind.PROBE, "ciphertext", lambda text: base64.b64decode(text, validate=True))

    def prove(self, name: EntryName, at: datetime, evidence: Mapping[str, Any]) -> None:
        """Note that the entry is proven, unless it is, in every Region that the evidence names."""
        proofs = self._proofs(name)
        if not proofs or set(_regions(evidence)) - set().union(*proofs):
            self.keep(name, Kind.PROVEN, {"at": at.isoformat(), "evidence": dict(evidence)}, len(proofs) + 1)

    def proven(self, name: EntryName) -> frozenset[Region] | None:
        """Tell where the entry was proven: the Regions that its marks name, which may be none."""
        proofs = self._proofs(name)
        return frozenset().union(*proofs) if proofs else None

    def _proofs(self, name: EntryName) -> list[tuple[Region, ...]]:
        """Follow proven, proven.2, proven.3 ... to the last; a Region that came later is in a later one."""
        found: list[tuple[Region, ...]] = []
        while (more := self._field(name, Kind.PROVEN, "evidence", _regions, len(found) + 1)) is not None:
            found.append(more)
        return found

    def discarded_at(self, name: EntryName) -> datetime | None:
        """Tell when the attempt was given up, where that stands."""
        return self._turn(name)[1]

    def _turn(self, name: EntryName) -> tuple[int, datetime | None]:
        """Follow discarded, reinstated, discarded.2, reinstated.2 ... to the last: the turn, and when it was discarded.

        A mark of the next turn can follow only one that stands, so two processes never write past each other.
        """
        turn = 1
        while (discarded_at := self._at(name, Kind.DISCARDED, turn)) and self._at(name, Kind.REINSTATED, turn):
            turn += 1
        return turn, discarded_at

    def _at(self, name: EntryName, kind: Kind, turn: int = 1) -> datetime | None:
        return self._field(name, kind, "at", _time, turn)

    def _field(self, name: EntryName, kind: Kind, field: str, parse: Callable[[Any], _T], turn: int = 1) -> _T | None:
        slot = Slot(name, kind, turn)
        mark = self._read(slot)
        if mark is None:
            return None
        try:
            return parse(mark[field])
        except (KeyError, TypeError, ValueError) as error:
            raise EntryError(f"{self._shelf.where(slot)} has no proper field {field!r}", self._shelf.advice) from error

    def _read(self, slot: Slot) -> dict[str, Any] | None:
        content = self._shelf.read(slot)
        if content is None:
            return None
        mark, where, advice = read_object(content), self._shelf.where(slot), self._shelf.advice
        if mark is None or (mark.get("mark"), mark.get("version")) != (slot.kind.label, _VERSION):
            raise EntryError(f"{where} is not a mark {slot.kind.label!r} of version {_VERSION}", advice)
        if mark.get("turn", 1) != slot.turn:
            raise EntryError(f"{where} says that it is of turn {mark.get('turn', 1)!s:.20}: somebody copied it", advice)
        if mark.get("entry") != str(slot.name):
            raise EntryError(
                f"{where} stands beside {slot.name}, but says that it belongs to {mark.get('entry')!s:.300}",
                f"somebody copied or moved it: {advice}",
            )
        return mark
