"""The marks beside an entry: small JSON files, published once, each of which names the entry it belongs to."""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from orchestrator.errors import EntryError
from orchestrator.model import EntryName, MaterialId

from .fields import read_object, write_object
from .layout import Kind, path_of
from .publish import PublishedFiles

_VERSION = 1
_BACKUP = "put the file back from a backup"
_T = TypeVar("_T")


class Marks:
    """Read and publish marks.

    Every reader returns None where there is no such mark, and raises EntryError for a bad one.
    """

    def __init__(self, files: PublishedFiles) -> None:
        self._files = files

    def keep(self, name: EntryName, kind: Kind, fields: Mapping[str, Any], turn: int = 1) -> None:
        """Publish a mark; where it is there already, the first one stays."""
        path = path_of(self._files.root, name, kind, turn)
        if self._files.read(path) is None:
            mark = {"mark": kind.label, "version": _VERSION, "entry": str(name), "turn": turn, **fields}
            self._files.publish(path, write_object(mark))
        self._read(name, kind, turn)

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

    def linked(self, name: EntryName) -> MaterialId | None:
        """Tell the id that KMS gave these bytes."""
        return self._field(name, Kind.LINK, "key_material_id", MaterialId)

    def probe(self, name: EntryName) -> bytes | None:
        """Return the probe ciphertext."""
        return self._field(name, Kind.PROBE, "ciphertext", lambda text: base64.b64decode(text, validate=True))

    def proven_at(self, name: EntryName) -> datetime | None:
        """Tell when the entry was marked as proven."""
        return self._at(name, Kind.PROVEN)

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
        return self._field(name, kind, "at", datetime.fromisoformat, turn)

    def _field(self, name: EntryName, kind: Kind, field: str, parse: Callable[[str], _T], turn: int = 1) -> _T | None:
        mark = self._read(name, kind, turn)
        if mark is None:
            return None
        try:
            return parse(mark[field])
        except (KeyError, TypeError, ValueError) as error:
            path = path_of(self._files.root, name, kind, turn)
            raise EntryError(f"{path} has no proper field {field!r}", _BACKUP) from error

    def _read(self, name: EntryName, kind: Kind, turn: int = 1) -> dict[str, Any] | None:
        path = path_of(self._files.root, name, kind, turn)
        content = self._files.read(path)
        if content is None:
            return None
        mark = read_object(content)
        if mark is None or (mark.get("mark"), mark.get("version")) != (kind.label, _VERSION):
            raise EntryError(f"{path} is not a mark {kind.label!r} of version {_VERSION}", _BACKUP)
        if mark.get("turn", 1) != turn:
            raise EntryError(f"{path} says that it is of turn {mark.get('turn', 1)}: somebody copied it", _BACKUP)
        if mark.get("entry") != str(name):
            raise EntryError(
                f"{path} stands beside {name}, but says that it belongs to {mark.get('entry')}",
                f"somebody copied or moved it: {_BACKUP}",
            )
        return mark
