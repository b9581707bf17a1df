"""What is wrong with a store: whatever does not open, does not fit, or cannot be read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.errors import StoreError
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId
from orchestrator.ports import MaterialStore

_WHOSE = "only KMS can say whose these bytes are (docs/store.md, 'Two copies are two stores')"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with one entry or with what is noted of a key."""

    name: EntryName
    what: str


def findings(store: MaterialStore, entries: Sequence[Entry], keys: Sequence[KeyIdentity]) -> list[Finding]:
    """Judge every entry, and all that is noted of each key."""
    wrong = [Finding(entry.name, what) for entry in entries for what in of_entry(entry)]
    for key in dict.fromkeys((*keys, *(entry.name.key for entry in entries))):
        wrong += _of_key(store, key, [entry for entry in entries if entry.name.key == key])
    return wrong


def of_entry(entry: Entry) -> Iterator[str]:
    """Say what is wrong with one entry."""
    if entry.receipt is None:
        yield f"does not open: {entry.told}"
    if entry.claimed:
        yield f"a link names {entry.claimed}, and does not fit these bytes: {_WHOSE}"
    for kind, damage in entry.damage.items():
        yield f"the mark {kind}: {damage}"


def _of_key(store: MaterialStore, key: KeyIdentity, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Read what is noted of a key, and of each material that it is known to have."""
    known: dict[MaterialId | None, None] = {None: None}
    known |= dict.fromkeys(id_ for entry in entries for id_ in (entry.name.replaces, entry.linked))
    notes: list[tuple[EntryName, Callable[[], object]]] = [(EntryName(key, None), partial(store.switched_off, key))]
    notes += [(name, partial(store.withdrawn, name)) for name in (EntryName(key, id_) for id_ in known)]
    for name, read in notes:
        try:
            read()
        except StoreError as error:
            yield Finding(name, f"{error.message}; to mend it: {error.hint}")


def by_entry(wrong: Sequence[Finding]) -> Mapping[EntryName, list[str]]:
    """Gather what is wrong by entry."""
    found: dict[EntryName, list[str]] = {}
    for one in wrong:
        found.setdefault(one.name, []).append(one.what)
    return found
