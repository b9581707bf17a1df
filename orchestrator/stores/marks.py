"""The marks beside an entry: small JSON objects, published once, each of which names the entry it belongs to.

Link, probe and proven mark also carry the commitment to the bytes that they are about: beside other bytes they say
nothing. A mark has turns, link, link.2, link.3 ...: what was noted stays, and what is noted after it stands beside it.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from orchestrator.errors import EntryError, StoreError
from orchestrator.model import EntryName, MaterialId, Proof, Region, material_id_of
from orchestrator.replies import is_region, reckonable

from .commitment import fits
from .fields import read_object, shown, write_object
from .layout import Kind
from .shelf import Desk, Shelf, Slot

_VERSION = 1
_AHEAD = 2
"""So far is looked for the next turn: one that was taken away hides none behind it."""
_MANY = 18
"""So many more turns are brought at once where the first ones all stand, and so many may be damaged."""
_COMMITMENT = re.compile(r"[0-9a-f]{64}")
_BOUND = (Kind.LINK, Kind.PROBE, Kind.PROVEN)
_AFTER = {
    Kind.LINK: "mrk then asks KMS whose the bytes are",
    Kind.PROBE: "a new one is made while the material is CURRENT, and after that its proof is skipped",
    Kind.PROVEN: "the next run then proves it again",
    Kind.DISCARDED: "the attempt then counts as not given up: mrk abort gives it up again",
    Kind.REINSTATED: "the attempt then counts as given up, and its bytes stay",
    Kind.WITHDRAWN: "15 minutes after the last mrk abort of this key at the earliest",
    Kind.SEALED: "to whom the entry was sealed is then only counted: mrk store check --identity FILE tells",
    Kind.SWITCH: "then disabled Regions of this key are not remembered until they are seen again",
}
"""What comes of it when a damaged mark is taken away."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Mark(Generic[_T]):
    """One mark that can be read."""

    value: _T
    at: datetime
    commitment: str | None


@dataclass(frozen=True, slots=True)
class Turns(Generic[_T]):
    """The marks of one kind, oldest first; the next free turn; and what is wrong with those that cannot be read."""

    marks: tuple[Mark[_T], ...] = ()
    next: int = 1
    damage: tuple[StoreError, ...] = ()

    def fitting(self, commitment: str) -> list[_T]:
        """Return what was noted of these bytes, oldest first."""
        return [mark.value for mark in self.marks if fits(mark.commitment, commitment)]

    @property
    def times(self) -> Iterable[datetime]:
        """When the marks were made."""
        return (mark.at for mark in self.marks)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Whether an attempt is given up: `at` tells since when, and the `turn` is the one that the next mark goes to.

    `unknown` tells that a damaged mark leaves it open.
    """

    turn: int = 1
    at: datetime | None = None
    unknown: bool = False
    damage: Mapping[Kind, StoreError] = field(default_factory=dict)
    times: tuple[datetime, ...] = ()


class Marks:
    """Reads, for one look, and publishes marks. A mark that cannot be read is told, and hides no other."""

    def __init__(self, shelf: Shelf, desk: Desk) -> None:
        self._shelf = shelf
        self._desk = desk

    def bring(self, name: EntryName) -> None:
        """Read at once what is asked for in any case."""
        self._desk.bring(ahead(name))

    def links(self, name: EntryName) -> Turns[MaterialId]:
        """Read the ids that KMS gave these bytes."""
        return self._turns(name, Kind.LINK, lambda mark: material_id_of(_text(mark["key_material_id"])))

    def probes(self, name: EntryName) -> Turns[bytes]:
        """Read the probe ciphertexts."""
        return self._turns(name, Kind.PROBE, lambda mark: base64.b64decode(mark["ciphertext"], validate=True))

    def proofs(self, name: EntryName) -> Turns[Mapping[Region, Proof]]:
        """Read where, and how thoroughly, the entry was proven."""
        return self._turns(name, Kind.PROVEN, lambda mark: proofs_of(dict(mark["evidence"])))

    def expiries(self, name: EntryName) -> Turns[datetime | None]:
        """Read until when the material was valid when it was proven."""
        return self._turns(name, Kind.PROVEN, lambda mark: _until(dict(mark["evidence"]).get("valid_to")))

    def withdrawals(self, name: EntryName) -> Turns[MaterialId]:
        """Read which pending material was about to be deleted, and when; a mark from before names none."""
        return self._turns(name, Kind.WITHDRAWN, lambda mark: _withdrawn(mark.get("key_material_id")))

    def switches(self, name: EntryName) -> Turns[tuple[Region, bool]]:
        """Read what was seen of the owner's switches: the Region, and whether it was off."""
        return self._turns(name, Kind.SWITCH, lambda mark: (_region(mark["region"]), _OFF[mark["state"]]))

    def seals(self, name: EntryName) -> Turns[tuple[str, frozenset[str]]]:
        """Read to whom files of this entry were sealed, each by its SHA-256."""
        return self._turns(
            name, Kind.SEALED, lambda mark: (_text(mark["sha256"]), frozenset(map(_text, mark["recipients"])))
        )

    def given_up(self, name: EntryName) -> GivenUp:
        """Follow discarded, reinstated, discarded.2, reinstated.2 ... to the last.

        A mark of the next turn can follow only one that stands, so two processes never write past each other.
        """
        found = GivenUp()
        while True:
            given, back = (self._at(name, kind, found.turn) for kind in (Kind.DISCARDED, Kind.REINSTATED))
            if given is None and back is None:
                return found
            found = _followed(found, given, back)
            if back is None or (isinstance(given, StoreError) and isinstance(back, StoreError)):
                return found

    def publish(self, slot: Slot, **fields: Any) -> bool:
        """Publish a mark; returns False where one is there already."""
        mark = {"mark": slot.kind.label, "version": _VERSION, "entry": str(slot.name), "turn": slot.turn, **fields}
        return self._shelf.publish(slot, write_object(mark))

    def _turns(self, name: EntryName, kind: Kind, parse: Callable[[dict[str, Any]], _T]) -> Turns[_T]:
        """Read every turn; where many cannot be read, as on a bad disk, the rest is not tried."""
        marks: list[Mark[_T]] = []
        damage: list[StoreError] = []
        last, turn, brought = 0, 1, 0
        while turn <= last + _AHEAD and len(damage) < _MANY:
            if turn > brought:
                brought = turn + (_MANY if brought else _AHEAD)
                self._desk.bring(Slot(name, kind, further) for further in range(turn, brought + 1))
            try:
                mark = self._mark(Slot(name, kind, turn), parse)
            except StoreError as error:
                damage.append(error)
                last = turn
            else:
                if mark is not None:
                    marks.append(mark)
                    last = turn
            turn += 1
        return Turns(tuple(marks), last + 1, tuple(damage))

    def _at(self, name: EntryName, kind: Kind, turn: int) -> datetime | StoreError | None:
        """Tell when a mark was made, or what is wrong with it."""
        try:
            mark = self._mark(Slot(name, kind, turn), lambda _mark: None)
        except StoreError as error:
            return error
        return mark.at if mark else None

    def _mark(self, slot: Slot, parse: Callable[[dict[str, Any]], _T]) -> Mark[_T] | None:
        content = self._desk.read(slot)
        if content is None:
            return None
        mark = self._object(slot, content)
        try:
            value = parse(mark)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(slot, f"has no proper field {_FIELD[slot.kind]!r}") from error
        try:
            at = _time(mark["at"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(slot, "has no proper field 'at'") from error
        bound = mark.get("commitment")
        if bound is not None and not (isinstance(bound, str) and _COMMITMENT.fullmatch(bound)):
            raise self._damaged(slot, "has no proper field 'commitment'")
        return Mark(value, at, bound)

    def _object(self, slot: Slot, content: bytes) -> dict[str, Any]:
        mark = read_object(content)
        if mark is None or (mark.get("mark"), mark.get("version")) != (slot.kind.label, _VERSION):
            raise self._damaged(slot, f"is not a mark {slot.kind.label!r} of version {_VERSION}")
        if mark.get("turn", 1) != slot.turn:
            raise self._damaged(slot, f"says that it is of turn {shown(mark.get('turn', 1))}: somebody copied it")
        if mark.get("entry") != str(slot.name):
            said = f"stands beside {slot.name}, but says that it belongs to {shown(mark.get('entry'))}"
            raise self._damaged(slot, f"{said}: somebody copied or moved it")
        return mark

    def _damaged(self, slot: Slot, what: str) -> EntryError:
        way = f"{self._shelf.advice}; where there is none, take it away: {self._shelf.take_away(slot)}"
        return EntryError(f"{self._shelf.where(slot)} {what}", f"{way} ({_AFTER[slot.kind]})")


def ahead(name: EntryName) -> Iterable[Slot]:
    """Name the marks that are asked for where there is one of each kind at the most."""
    for kind in _BOUND:
        yield from (Slot(name, kind, turn) for turn in range(1, _AHEAD + 2))
    yield from (Slot(name, kind) for kind in (Kind.DISCARDED, Kind.REINSTATED))


def proofs_of(evidence: Mapping[str, Any]) -> Mapping[Region, Proof]:
    """Read how thoroughly each Region was proven; evidence that does not tell proves nothing that was tried.

    Raises TypeError or ValueError where it is not as it should be.
    """
    how, regions = Proof(evidence.get("proof", Proof.OFF)), evidence.get("regions", ())
    if not isinstance(regions, list | tuple):
        raise TypeError("a list of Regions is wanted")
    return {_region(region): how for region in regions}


def state_of(*, off: bool) -> str:
    """Name the state of a switch, as KMS does."""
    return "Disabled" if off else "Enabled"


_OFF = {state_of(off=off): off for off in (True, False)}
_FIELD = {
    Kind.LINK: "key_material_id",
    Kind.PROBE: "ciphertext",
    Kind.PROVEN: "evidence",
    Kind.SWITCH: "region",
    Kind.SEALED: "recipients",
}


_Mark = datetime | StoreError | None


def _followed(found: GivenUp, given: _Mark, back: _Mark) -> GivenUp:
    """Add a turn: a discard that stands is the last word, a reinstatement leads to the next turn."""
    last = given if back is None else back
    marks = {Kind.DISCARDED: given, Kind.REINSTATED: back}
    damage = {kind: mark for kind, mark in marks.items() if isinstance(mark, StoreError)}
    return GivenUp(
        turn=found.turn if back is None else found.turn + 1,
        at=given if back is None and isinstance(given, datetime) else None,
        unknown=isinstance(last, StoreError),
        damage={**found.damage, **damage},
        times=(*found.times, *(mark for mark in marks.values() if isinstance(mark, datetime))),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is wanted")
    return value


def _region(value: object) -> Region:
    if not is_region(_text(value)):
        raise ValueError("the name of a Region is wanted")
    return Region(_text(value))


def _withdrawn(value: object) -> MaterialId:
    return MaterialId("") if value is None else material_id_of(_text(value))


def _until(value: object) -> datetime | None:
    return None if value is None else _time(_text(value))


def _time(text: str) -> datetime:
    return reckonable(datetime.fromisoformat(text))
