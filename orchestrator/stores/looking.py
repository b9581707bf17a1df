"""Looking at entries: several at once, and what does not change not at every look."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from orchestrator.errors import StoreError
from orchestrator.model import Entry, EntryName, MaterialId

from .entry import Opened
from .judging import Noted, judged
from .layout import Kind
from .marks import Marks, ahead
from .shelf import Desk, Shelf, Slot, Vault


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found under a name, and when."""

    entry: Entry | None
    at: datetime


class Looks:
    """Looks at entries; those of older materials, which nobody changes, it remembers for `keep`."""

    def __init__(self, vault: Vault, shelf: Shelf, now: Callable[[], datetime], keep: timedelta) -> None:
        self._vault = vault
        self._shelf = shelf
        self._now = now
        self._keep = keep
        self._lock = Lock()
        self._remembered: dict[EntryName, _Seen] = {}
        self._changes = 0
        # The commitments to what was made here: that needs no other proof of its maker.
        self._made: dict[EntryName, str] = {}

    def __repr__(self) -> str:
        return f"Looks({self._vault!r})"

    def made(self, name: EntryName, commitment: str) -> None:
        """Note that these bytes were put under this name here."""
        self._made[name] = commitment

    @contextmanager
    def changing(self, name: EntryName) -> Iterator[None]:
        """Change something of an entry: who looks after that looks anew, and who looks meanwhile keeps nothing."""
        try:
            yield
        finally:
            with self._lock:
                self._changes += 1
                self._remembered.pop(name, None)

    def at(self, names: Sequence[EntryName]) -> list[Entry | None]:
        """Look at these names, whatever is remembered."""
        found = self._look(names, self._vault.desk())
        return [found[name] for name in names]

    def follow(self, first: Sequence[EntryName]) -> tuple[Entry, ...]:
        """Look at each name and at every attempt that follows it without a gap; the last name replaces CURRENT (P3)."""
        current = first[-1].replaces if first else None
        desk, found, names = self._vault.desk(), dict[EntryName, Entry | None](), list(first)
        while names:
            found |= self._recalled(names, desk, current)
            there = [name for name in names if _leads_on(found[name], desk)]
            names = [_next(name) for name in there if _next(name) not in found]
        return tuple(dict(pair for one in first for pair in _chain(one, found)).values())

    def _recalled(
        self, names: Sequence[EntryName], desk: Desk, current: MaterialId | None
    ) -> Mapping[EntryName, Entry | None]:
        """Look at what is not remembered, and remember of it what lasts."""
        now = self._now()
        with self._lock:
            changes, recalled = self._changes, {name: self._remembered.get(name) for name in names}
        known = {name: seen.entry for name, seen in recalled.items() if seen and self._lasts(seen, now)}
        found = self._look([name for name in names if name not in known], desk)
        lasting = {name: _Seen(one, now) for name, one in found.items() if _lasting(name, one, current)}
        with self._lock:
            self._remembered |= lasting if self._changes == changes else {}
        return known | found

    def _lasts(self, seen: _Seen, now: datetime) -> bool:
        """Whether what was seen still counts; after a clock was set back, too."""
        return timedelta(0) <= now - seen.at < self._keep

    def _look(self, names: Sequence[EntryName], desk: Desk) -> dict[EntryName, Entry | None]:
        desk.bring(slot for name in names for slot in _telling(name))
        there = [name for name in names if _shows(desk, name)]
        desk.bring(slot for name in there for slot in (*ahead(name), *_telling(_next(name))))
        opened, marks = desk.opened(there), Marks(self._shelf, desk)
        entries = {name: self._entry(name, opened[name], Noted.of(name, marks)) for name in there}
        return {name: entries.get(name) for name in names}

    def _entry(self, name: EntryName, opened: Opened | StoreError, noted: Noted) -> Entry:
        if isinstance(opened, Opened) and self._made.get(name) == opened.commitment:
            opened = replace(opened, ours=True)
        return judged(name, opened, noted, self._now())


def _telling(name: EntryName) -> Iterable[Slot]:
    """Name what tells whether there is, or was, an entry."""
    return Slot(name), Slot(name, Kind.LINK)


def _shows(desk: Desk, name: EntryName) -> bool:
    """Whether there is anything of an entry; what cannot be looked at is not taken for absent."""
    try:
        return desk.shows(name)
    except StoreError:
        return True


def _leads_on(entry: Entry | None, desk: Desk) -> bool:
    """Whether an attempt is surely there; where that cannot be told, as on a bad disk, none would be the last."""
    if entry is None or entry.receipt is not None:
        return entry is not None
    try:
        return desk.shows(entry.name)
    except StoreError:
        return False


def _next(name: EntryName) -> EntryName:
    return replace(name, attempt=name.attempt + 1)


def _chain(name: EntryName, found: Mapping[EntryName, Entry | None]) -> Iterator[tuple[EntryName, Entry]]:
    while (entry := found.get(name)) is not None:
        yield name, entry
        name = _next(name)


def _lasting(name: EntryName, entry: Entry | None, current: MaterialId | None) -> bool:
    """Whether nothing more is expected of a name: what replaces CURRENT, is CURRENT, or is nobody's yet, may change."""
    if name.replaces == current:
        return False
    if entry is None:
        return True
    settled = entry.linked not in {None, current} or entry.discarded_at is not None
    return settled and entry.receipt is not None and not entry.damage
