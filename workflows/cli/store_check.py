"""What is wrong with a store: whatever does not open, does not fit, cannot be read, or is not there."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.errors import NotPrivateError, StoreError
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId
from orchestrator.ports import MaterialStore

_WHOSE = "only KMS can say whose these bytes are (docs/store.md, 'Two copies are two stores')"

_NONE = (
    "the store holds nothing of this key, which the config names; to mend it: put its directory back from a copy of the"
    " store, or bring the bytes: mrk adopt {name} FILE"
)
_LOST = (
    "it replaces key material {id}, of which no entry is there; to mend it: put that back from a copy of the store, or"
    " bring the bytes: mrk adopt {name} FILE --material-id {id}"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with one entry or with what is noted of a key."""

    name: EntryName
    what: str


def findings(
    store: MaterialStore, entries: Sequence[Entry], keys: Mapping[KeyIdentity, str], may_lack: Collection[KeyIdentity]
) -> list[Finding]:
    """Judge every entry, all that is noted of each key, and what is not there, as far as no call to KMS is needed.

    `keys` are the ones in the config, with their names; of those in `may_lack` old key material may be missing.
    """
    wrong = [Finding(entry.name, what) for entry in entries for what in of_entry(entry)]
    for key in dict.fromkeys((*keys, *(entry.name.key for entry in entries))):
        if closed := _closed(store, key):
            wrong.append(Finding(EntryName(key, None), closed))
            continue
        of_key = [entry for entry in entries if entry.name.key == key]
        if not of_key:
            wrong.append(Finding(EntryName(key, None), _NONE.format(name=keys[key])))
        if key not in may_lack:
            wrong += _lost(of_key, keys.get(key, "NAME"))
        wrong += _of_key(store, key, of_key)
    return wrong


def of_entry(entry: Entry) -> Iterator[str]:
    """Say what is wrong with one entry."""
    if entry.receipt is None:
        yield f"does not open: {entry.told}"
    if entry.claimed:
        yield f"a link names {entry.claimed}, and does not fit these bytes: {_WHOSE}"
    for kind, damage in entry.damage.items():
        yield f"the mark {kind}: {damage}"


def _closed(store: MaterialStore, key: KeyIdentity) -> str:
    """Say why nothing of a key was looked at; nothing where it was."""
    try:
        store.switched_off(key)
    except NotPrivateError as error:
        return f"not looked at: {error.message}; to mend it: {error.hint}"
    except StoreError:
        pass  # told beside what else is wrong with the key
    return ""


def _lost(entries: Sequence[Entry], name: str) -> Iterator[Finding]:
    """Find the key materials that an entry replaces, and that no entry can hold."""
    known = {id_ for entry in entries for id_ in (entry.linked, entry.claimed)}
    told: set[MaterialId] = set()
    for entry in entries:
        replaced = entry.name.replaces
        if replaced is None or replaced in known | told or _may_be_held(replaced, entries):
            continue
        told.add(replaced)
        yield Finding(entry.name, _LOST.format(id=replaced, name=name))


def _may_be_held(material: MaterialId, entries: Sequence[Entry]) -> bool:
    """Whether an entry that no id is noted of may hold it: not one that came after it."""
    after, more = {material}, True
    while more:
        found = {entry.linked for entry in entries if entry.linked and entry.name.replaces in after}
        more = not found <= after
        after |= found
    unknown = [entry for entry in entries if entry.linked is None and not entry.discarded_at]
    return any(entry.name.replaces not in after for entry in unknown)


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
