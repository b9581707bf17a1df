"""Entries that were swapped, changed, cut, lost or opened to others: each has one clear problem, and harms no other."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from store_kit import (
    FIRST,
    KEY,
    MATERIAL_A,
    NEXT,
    NOW,
    OAEP,
    OTHER_KEY,
    PLACE,
    FileStand,
    WrappingKey,
    any_wrapping_key,
    plain,
)

from orchestrator.errors import EntryError, NotPrivateError, StoreError
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId, Proof, Receipt, Region
from orchestrator.ports import MaterialStore
from orchestrator.stores import open_store
from orchestrator.stores.layout import Kind, path_of

SECOND = replace(FIRST, attempt=2)
US = Region("us-east-1")
PROVEN = {"regions": [US], "proof": "full"}


@pytest.fixture
def store(stand: FileStand) -> MaterialStore:
    """A store with two entries, of which the first will be damaged."""
    store = stand.init()
    store.deposit(FIRST)
    store.deposit(SECOND)
    return store


def assert_refused(store: MaterialStore, problem: str, name: EntryName = FIRST) -> None:
    """Judge one bad entry: find tells and never raises, deposit and wrap raise, and its neighbour is as before."""
    found = store.find(name)
    assert found is not None
    assert found.receipt is None
    assert problem in found.told
    assert "to mend it: " in found.told
    for ask in (store.deposit, lambda each: store.wrap(each, any_wrapping_key(), OAEP)):
        with pytest.raises(StoreError) as caught:
            ask(name)
        assert problem in caught.value.message
        assert caught.value.hint
    assert plain(store.find(SECOND)) == Entry(SECOND, Receipt(SECOND, NOW))
    assert {entry.name: bool(entry.receipt) for entry in store.entries()}[name] is False


def seal(stand: FileStand, payload: bytes) -> bytes:
    sealed: bytes = pyrage.encrypt(payload, [pyrage.x25519.Recipient.from_str(text) for text in stand.recipients])
    return sealed


def payload(stand: FileStand, name: EntryName = FIRST) -> dict[str, object]:
    identity = next(line for line in stand.identity.read_text().splitlines() if not line.startswith("#"))
    opened = pyrage.decrypt(stand.path(name).read_bytes(), [pyrage.x25519.Identity.from_str(identity)])
    fields: dict[str, object] = json.loads(opened)
    return fields


DAMAGES = {
    "empty": (lambda _: b"", "is empty"),
    "cut short in the header": (lambda sealed: sealed[:100], "cut short"),
    "cut short in the content": (lambda sealed: sealed[:-20], "changed or cut short"),
    "a bit changed in the content": (lambda sealed: sealed[:-5] + bytes([sealed[-5] ^ 1]) + sealed[-4:], "changed"),
    "a bit changed in the header": (lambda sealed: sealed.replace(b"X25519", b"X25518"), "does not open"),
    "no age file": (lambda _: b"hello" * 100, "not an age file"),
    "far too long": (lambda sealed: sealed + bytes(2 << 20), "is longer than"),
}


@pytest.mark.parametrize(("damage", "problem"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_has_one_clear_problem_that_names_its_file(
    stand: FileStand, store: MaterialStore, damage: Callable[[bytes], bytes], problem: str
) -> None:
    """I1, I9: no receipt, no wrap, no traceback; the neighbour is not touched (I10)."""
    stand.path().write_bytes(damage(stand.path().read_bytes()))
    assert_refused(store, problem)
    assert_refused(store, str(stand.path()))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(SECOND, id="another attempt"),
        pytest.param(NEXT, id="another replaced material"),
        pytest.param(EntryName(OTHER_KEY, None), id="another key"),
        pytest.param(EntryName(KeyIdentity("aws", "999999999999", KEY.key_id), None), id="another account"),
    ],
)
def test_an_entry_copied_over_another_is_told_with_both_names(
    stand: FileStand, store: MaterialStore, other: EntryName
) -> None:
    """P2: bytes of one generation or key never pass for another's."""
    store.deposit(other)
    shutil.copy(stand.path(other), stand.path())
    assert_refused(store, f"stands in the place of {FIRST}, but says that it is {other}")


def test_two_entries_that_were_swapped_are_both_told(stand: FileStand, store: MaterialStore) -> None:
    first, second = stand.path(FIRST).read_bytes(), stand.path(SECOND).read_bytes()
    stand.path(FIRST).write_bytes(second)
    stand.path(SECOND).write_bytes(first)
    assert [bool(entry.receipt) for entry in store.entries()] == [False, False]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "something-else"}, "no key material of the format"),
        ({"version": 2}, "format version 2"),
        ({"attempt": True}, "of no entry at all"),
        ({"attempt": "1"}, "of no entry at all"),
        ({"replaces": 5}, "of no entry at all"),
        ({"account": None}, "of no entry at all"),
        ({"key_material": "AAAA"}, "is not 32 bytes"),
        ({"key_material": "not base64!"}, "is not 32 bytes"),
        ({"key_material": f"!{base64.b64encode(bytes(32)).decode()}"}, "is not 32 bytes"),
        ({"key_material": None}, "is not 32 bytes"),
    ],
)
def test_an_entry_that_opens_but_is_not_what_it_should_be_is_told(
    stand: FileStand, store: MaterialStore, change: dict[str, object], problem: str
) -> None:
    stand.path().write_bytes(seal(stand, json.dumps({**payload(stand), **change}).encode()))
    assert_refused(store, problem)
    assert_refused(store, str(stand.path()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "reads version 1; to mend it: use a newer release of mrk"),
        ({"attempt": "1"}, "of no entry at all; to mend it: somebody copied or moved it: put each file back"),
    ],
)
def test_an_entry_of_another_version_and_one_that_was_moved_are_mended_differently(
    stand: FileStand, store: MaterialStore, change: dict[str, object], told: str
) -> None:
    """I9: neither way out helps the other."""
    stand.path().write_bytes(seal(stand, json.dumps({**payload(stand), **change}).encode()))
    found = store.find(FIRST)
    assert found is not None
    assert told in found.told


def test_an_entry_that_opens_but_has_no_key_material_is_told(stand: FileStand, store: MaterialStore) -> None:
    fields = payload(stand)
    del fields["key_material"]
    stand.path().write_bytes(seal(stand, json.dumps(fields).encode()))
    assert_refused(store, "is not 32 bytes")


def test_an_entry_that_was_exchanged_while_it_was_deposited_is_told(stand: FileStand) -> None:
    """P1: what is read back is what was written, or nothing is sent."""
    stand.init()

    def exchanges(step: str) -> None:
        if step == "cleaned" and stand.path().exists():
            other = {"key_material": base64.b64encode(bytes(32)).decode()}
            stand.path().write_bytes(seal(stand, json.dumps({**payload(stand), **other}).encode()))

    with pytest.raises(EntryError, match=f"^the entry {FIRST} reads back as other key material") as caught:
        stand.stepping(exchanges).deposit(FIRST)
    assert caught.value.hint.startswith("nothing was sent to KMS; the disk")


@pytest.mark.parametrize("content", [b"", b"not json", b"\xff\xfe", b"[1]", b"[" * 99999, b"7"])
def test_an_entry_that_opens_but_holds_no_json_object_is_told(
    stand: FileStand, store: MaterialStore, content: bytes
) -> None:
    stand.path().write_bytes(seal(stand, content))
    assert_refused(store, "no key material of the format")


def test_an_entry_for_other_recipients_only_does_not_open(stand: FileStand, store: MaterialStore) -> None:
    stranger = pyrage.x25519.Identity.generate().to_public()
    stand.path().write_bytes(pyrage.encrypt(json.dumps(payload(stand)).encode(), [stranger]))
    assert_refused(store, "sealed for other recipients")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_a_file_that_others_may_use_is_refused_with_the_chmod_to_run(
    stand: FileStand, store: MaterialStore, mode: int
) -> None:
    """I2."""
    stand.path().chmod(mode)
    assert_refused(store, f"{stand.path()} has mode {mode:04o}, wanted 0600")
    found = store.find(FIRST)
    assert found is not None
    assert f"chmod 600 {stand.path()}" in found.told


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_directory_of_a_key_that_others_may_use_is_refused(
    stand: FileStand, store: MaterialStore, depth: int
) -> None:
    """I2: whoever may write there could exchange entries."""
    folder = stand.path().parents[depth]
    folder.chmod(0o770)
    asked: tuple[Callable[[], object], ...] = (
        lambda: store.find(FIRST),
        lambda: store.look([FIRST]),
        store.entries,
        lambda: store.switched_off(FIRST.key),
        lambda: store.deposit(replace(FIRST, attempt=3)),
    )
    for ask in asked:
        with pytest.raises(NotPrivateError, match=f"^{folder} has mode 0770, wanted 0700") as caught:
            ask()
        assert caught.value.hint.startswith(f"chmod 700 {folder}, ")


def test_a_store_that_others_may_use_is_refused_as_a_whole(stand: FileStand, store: MaterialStore) -> None:
    stand.root.chmod(0o755)
    for ask in (stand.open, stand.init, store.entries, lambda: store.find(FIRST), lambda: store.deposit(FIRST)):
        with pytest.raises(StoreError, match="has mode 0755, wanted 0700") as caught:
            ask()
        assert f"chmod 700 {stand.root}" in caught.value.hint


def test_a_file_of_another_owner_is_refused(stand: FileStand, store: MaterialStore) -> None:
    """Giving a file away takes root; anyone else tries the claim on what is root's."""
    if os.geteuid() == 0:
        os.chown(stand.path(), 12345, 12345)
        assert_refused(store, f"{stand.path()} belongs to user id 12345")
        os.chown(stand.root, 12345, 12345)
        with pytest.raises(StoreError, match=f"^{stand.root} belongs to user id 12345"):
            stand.open()
    else:
        with pytest.raises(StoreError, match=r"^/ belongs to user id 0"):
            open_store("file:/", PLACE, stand.settings())


def test_a_symbolic_link_is_not_followed(stand: FileStand, store: MaterialStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.age"
    stand.path().rename(elsewhere)
    stand.path().symlink_to(elsewhere)
    assert_refused(store, f"cannot open {stand.path()}")


def test_a_directory_behind_a_symbolic_link_is_not_followed(stand: FileStand, store: MaterialStore) -> None:
    store.deposit(EntryName(OTHER_KEY, None))
    folder = stand.path(EntryName(OTHER_KEY, None)).parent
    folder.rename(stand.folder / "elsewhere")
    folder.symlink_to(stand.folder / "elsewhere")
    with pytest.raises(StoreError, match="is not a directory") as caught:
        store.deposit(EntryName(OTHER_KEY, None))
    assert caught.value.hint.startswith("a store keeps plain directories only")
    assert {entry.name for entry in store.entries()} == {FIRST, SECOND}


@pytest.mark.parametrize(
    ("kind", "way"),
    [("directory", "a store keeps plain files"), ("pipe", "a store keeps plain files"), ("socket", "mend the cause")],
)
def test_what_is_no_plain_file_is_refused_at_once(stand: FileStand, store: MaterialStore, kind: str, way: str) -> None:
    """A pipe in the place of an entry must not stop the program."""
    path = stand.path()
    path.unlink()
    if kind == "directory":
        path.mkdir(mode=0o700)
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    assert_refused(store, str(path))
    found = store.find(FIRST)
    assert found is not None
    assert f"to mend it: {way}" in found.told


def test_a_file_in_the_place_of_a_directory_is_told_with_its_path(stand: FileStand, store: MaterialStore) -> None:
    """I6: what cannot be looked at is not taken for absent."""
    folder = stand.path().parent
    folder.rename(stand.folder / "elsewhere")
    folder.write_text("")
    for ask in (lambda: store.find(FIRST), lambda: store.look([FIRST])):
        with pytest.raises(NotPrivateError, match=f"^{folder} is not a directory$"):
            ask()


def test_an_entry_with_several_problems_tells_each_where_it_belongs(stand: FileStand, store: MaterialStore) -> None:
    store.link(FIRST, MATERIAL_A)
    stand.path(FIRST, Kind.LINK).write_text("")
    stand.path().write_bytes(b"")
    found = store.find(FIRST)
    assert found is not None
    assert found.told.startswith(f"{stand.path()} is empty")
    assert found.damage["link"].startswith(str(stand.path(FIRST, Kind.LINK)))


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(lambda store: store.link(FIRST, MATERIAL_A), id="link"),
        pytest.param(lambda store: store.keep_probe(FIRST, b"probe"), id="probe"),
        pytest.param(lambda store: store.mark_proven(FIRST, PROVEN), id="proven"),
    ],
)
def test_a_lost_entry_with_a_mark_left_is_told_and_no_fresh_bytes_take_its_place(
    stand: FileStand, store: MaterialStore, mark: Callable[[MaterialStore], None]
) -> None:
    """P2: fresh bytes beside the link of lost ones would pass for the material that the key needs."""
    mark(store)
    stand.path().unlink()
    assert_refused(store, f"{stand.path()} is missing")
    assert not stand.path().exists()


BESIDE = [Kind.LINK, Kind.PROBE, Kind.PROVEN, Kind.DISCARDED, Kind.REINSTATED]
"""What belongs to an entry."""


@pytest.mark.parametrize("content", ["", "[]", '{"mark": "withdrawn", "version": 9}'])
def test_a_note_of_a_withdrawal_that_cannot_be_read_is_told(
    stand: FileStand, store: MaterialStore, content: str
) -> None:
    """P6: as if there were none, new material would be imported too soon."""
    store.withdraw(FIRST, MATERIAL_A)
    stand.path(FIRST, Kind.WITHDRAWN).write_text(content)
    with pytest.raises(EntryError, match="is not a mark 'withdrawn'") as caught:
        store.withdrawn(FIRST)
    assert caught.value.hint.startswith("put the file back")


SPOILT = {
    "empty": "",
    "a list": "[]",
    "no mark": "{}",
    "null": "null",
    "nested": "[" * 99999,
    "of another version": '{"mark": "link", "version": 9}',
}


@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("kind", BESIDE)
def test_a_mark_that_cannot_be_read_is_told_and_takes_nothing_from_intact_bytes(
    stand: FileStand, store: MaterialStore, wrapping_key: WrappingKey, kind: Kind, content: str
) -> None:
    """I11: the bytes can still bring a Region back; what the mark itself told is not known, and is not guessed."""
    mark_all(store, FIRST)
    material = wrapping_key.material(store)
    path = stand.path(FIRST, kind)
    path.write_text(content)

    found = store.find(FIRST)

    assert found is not None
    assert (found.receipt, found.told) == (Receipt(FIRST, NOW), "")
    assert found.damage.keys() == {kind.label}
    assert f"{path} is not a mark" in found.damage[kind.label]
    assert found.linked == (None if kind is Kind.LINK else MATERIAL_A)
    assert (found.claimed, found.discarded_at) == (None, None)
    assert found.probe is (kind is not Kind.PROBE)
    assert found.proofs == ({} if kind is Kind.PROVEN else {US: Proof.FULL})
    assert wrapping_key.material(store) == material


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("way", ["take it away", "put it back"])
def test_the_way_out_of_a_damaged_mark_is_true(
    stand: FileStand, store: MaterialStore, tmp_path: Path, kind: Kind, way: str
) -> None:
    """A shell carries out the command that is told; then the damage is gone, and what it told can be noted anew."""
    mark_all(store, FIRST)
    whole, path = plain(store.find(FIRST)), stand.path(FIRST, kind)
    shutil.copy2(path, tmp_path / "copy")
    path.write_text("{")
    damaged = store.find(FIRST)
    assert damaged is not None
    if way == "put it back":
        assert "put the file back from a backup" in damaged.damage[kind.label]
        shutil.copy2(tmp_path / "copy", path)
        assert plain(store.find(FIRST)) == whole
        return
    command = re.search(r"take it away: (.*?) \(", damaged.damage[kind.label])
    assert command
    subprocess.run(["sh", "-c", command[1]], check=True)
    left = store.find(FIRST)
    assert left is not None
    assert left.damage == {}
    mark_all(store, FIRST)
    assert plain(store.find(FIRST)) == whole


@pytest.mark.parametrize("kind", [Kind.LINK, Kind.PROBE, Kind.PROVEN])
def test_a_damaged_mark_is_noted_anew_beside_it_and_that_stays_when_it_is_taken_away(
    stand: FileStand, store: MaterialStore, kind: Kind
) -> None:
    """Nobody has to come for what can be told again."""
    mark_all(store, FIRST)
    whole, path = plain(store.find(FIRST)), stand.path(FIRST, kind)
    path.write_text("{")
    mark_all(store, FIRST)
    found = plain(store.find(FIRST))
    assert found is not None
    assert found.damage.keys() == {kind.label}
    assert replace(found, damage={}) == whole
    path.unlink()
    assert plain(store.find(FIRST)) == whole
    assert path_of(stand.root, FIRST, kind, 2).exists()


@pytest.mark.parametrize("damaged", [2, 3, 7])
def test_what_is_noted_behind_many_damaged_marks_is_found(stand: FileStand, store: MaterialStore, damaged: int) -> None:
    """Each run notes once more what it cannot read; none of them goes round in circles."""
    for turn in range(1, damaged + 1):
        store.link(FIRST, MATERIAL_A)
        path_of(stand.root, FIRST, Kind.LINK, turn).write_text("{")
    store.link(FIRST, MATERIAL_A)
    found = store.find(FIRST)
    assert found is not None
    assert found.linked == MATERIAL_A
    assert found.damage["link"].count("is not a mark") == min(damaged, 3)
    assert ("and 4 more" in found.damage["link"]) is (damaged == 7)
    store.link(FIRST, MATERIAL_A)
    assert not path_of(stand.root, FIRST, Kind.LINK, damaged + 2).exists()


def test_a_mark_that_would_not_be_seen_is_not_published_again_and_again(stand: FileStand, store: MaterialStore) -> None:
    """Behind a gap that is too long for a look the turn is taken: that is told, and ends."""
    store.link(FIRST, MATERIAL_A)
    path = stand.path(FIRST, Kind.LINK)
    for turn in range(1, 30):
        path_of(stand.root, FIRST, Kind.LINK, turn).write_text("{")
        path_of(stand.root, FIRST, Kind.LINK, turn).chmod(0o600)
    with pytest.raises(EntryError, match="is not a mark") as caught:
        store.link(FIRST, MATERIAL_A)
    assert str(path) in caught.value.hint


@pytest.mark.parametrize("kind", [Kind.DISCARDED, Kind.REINSTATED])
def test_nothing_is_deposited_given_up_or_taken_back_where_nobody_can_tell_how_it_stands(
    stand: FileStand, store: MaterialStore, kind: Kind
) -> None:
    """P9: of an attempt that may be given up no new bytes come."""
    mark_all(store, FIRST)
    stand.path(FIRST, kind).write_text("")
    if kind is Kind.DISCARDED:
        stand.path(FIRST, Kind.REINSTATED).unlink()
    for ask in (store.deposit, lambda name: store.discard(name, NOW), lambda name: store.reinstate(name, NOW)):
        with pytest.raises(EntryError, match="is not a mark") as caught:
            ask(FIRST)
        assert str(stand.path(FIRST, kind)) in caught.value.hint


def test_a_mark_that_others_may_read_is_told_with_the_chmod_and_takes_nothing_from_the_bytes(
    stand: FileStand, store: MaterialStore
) -> None:
    store.link(FIRST, MATERIAL_A)
    path = stand.path(FIRST, Kind.LINK)
    path.chmod(0o644)
    found = store.find(FIRST)
    assert found is not None
    assert found.receipt == Receipt(FIRST, NOW)
    command = f"chmod 600 {path}"
    assert command in found.damage["link"]
    subprocess.run(["sh", "-c", command], check=True)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), linked=MATERIAL_A)


@pytest.mark.parametrize("kind", BESIDE)
def test_a_mark_copied_from_another_entry_is_told_with_both_names(
    stand: FileStand, store: MaterialStore, kind: Kind
) -> None:
    """P2."""
    mark_all(store, SECOND)
    if kind is Kind.REINSTATED:
        store.discard(FIRST, NOW)
    shutil.copy(stand.path(SECOND, kind), stand.path(FIRST, kind))
    found = store.find(FIRST)
    assert found is not None
    assert (found.linked, found.claimed, found.proofs, found.probe) == (None, None, {}, False)
    problem = f"stands beside {FIRST}, but says that it belongs to {SECOND}: somebody copied or moved it; to mend it: "
    assert problem in found.damage[kind.label]


def test_a_mark_under_another_marks_name_is_told(stand: FileStand, store: MaterialStore) -> None:
    store.mark_proven(FIRST, PROVEN)
    shutil.copy(stand.path(FIRST, Kind.PROVEN), stand.path(FIRST, Kind.DISCARDED))
    found = store.find(FIRST)
    assert found is not None
    assert found.discarded_at is None
    assert "is not a mark 'discarded'" in found.damage["discarded"]


@pytest.mark.parametrize(("source", "copy"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("kind", [Kind.DISCARDED, Kind.REINSTATED])
def test_a_mark_copied_to_another_turn_is_told(
    stand: FileStand, store: MaterialStore, kind: Kind, source: int, copy: int
) -> None:
    """P9: a copy of an old discard must not give the attempt up, nor an old reinstatement take a discard back."""
    for _ in range(2):
        store.discard(FIRST, NOW)
        store.reinstate(FIRST, NOW)
    place = path_of(stand.root, FIRST, kind, copy)
    place.write_bytes(path_of(stand.root, FIRST, kind, source).read_bytes())
    found = store.find(FIRST)
    assert found is not None
    problem = f"{place} says that it is of turn {source}: somebody copied it; to mend it: put the file back"
    assert problem in found.damage[kind.label]


def test_a_mark_that_names_no_turn_is_of_the_first(stand: FileStand, store: MaterialStore) -> None:
    store.withdraw(FIRST, MATERIAL_A)
    store.withdraw(FIRST, MATERIAL_A)
    for turn in (1, 2):
        path = path_of(stand.root, FIRST, Kind.WITHDRAWN, turn)
        mark = json.loads(path.read_text())
        del mark["turn"]
        path.write_text(json.dumps(mark))
    with pytest.raises(EntryError, match=r"withdrawn\.2\.json says that it is of turn 1"):
        store.withdrawn(FIRST)
    path.unlink()
    assert store.withdrawn(FIRST) == {MATERIAL_A: NOW}


def test_every_entry_and_every_mark_says_when_it_was_made(stand: FileStand, store: MaterialStore) -> None:
    """A second witness of the time, should the clock be wrong."""
    mark_all(store, FIRST)
    store.withdraw(FIRST, MATERIAL_A)
    store.note_switch(KEY, US, NOW, off=True)
    marks = [kind for kind in Kind if kind is not Kind.ENTRY]
    times = {kind: json.loads(stand.path(FIRST, kind).read_text()).get("at") for kind in marks}
    assert times == dict.fromkeys(marks, NOW.isoformat())
    assert payload(stand)["created_at"] == NOW.isoformat()


@pytest.mark.parametrize("wrong", ["not base64!", "AAAA!", 5, None])
def test_a_mark_without_its_field_is_told(stand: FileStand, store: MaterialStore, wrong: object) -> None:
    store.keep_probe(FIRST, b"probe")
    path = stand.path(FIRST, Kind.PROBE)
    path.write_text(json.dumps({**json.loads(path.read_text()), "ciphertext": wrong}))
    with pytest.raises(EntryError, match="no proper field 'ciphertext'") as caught:
        store.probe(FIRST)
    assert caught.value.hint.startswith("put the file back")


def test_a_time_without_its_zone_is_told(stand: FileStand, store: MaterialStore) -> None:
    """I9: it cannot be compared with any other."""
    store.discard(FIRST, NOW)
    store.withdraw(FIRST, MATERIAL_A)
    for path in (stand.path(FIRST, Kind.DISCARDED), stand.path(FIRST, Kind.WITHDRAWN)):
        path.write_text(json.dumps({**json.loads(path.read_text()), "at": "2026-11-28T23:50:00"}))
    found = store.find(FIRST)
    assert found is not None
    assert "no proper field 'at'" in found.damage["discarded"]
    with pytest.raises(EntryError, match="no proper field 'at'"):
        store.withdrawn(FIRST)


def test_an_unreadable_attempt_can_be_discarded_and_the_next_one_goes_on(
    stand: FileStand, store: MaterialStore
) -> None:
    """P9, P3: the way out of a damaged pending entry; its mark is seen though its bytes cannot be read."""
    stand.path().write_bytes(b"")
    store.discard(FIRST, NOW)
    found = store.find(FIRST)
    assert found is not None
    assert found.receipt is None
    assert found.discarded_at == NOW
    assert store.deposit(replace(FIRST, attempt=3)) == Receipt(replace(FIRST, attempt=3), NOW)


def test_files_that_are_not_of_the_store_are_passed_over(stand: FileStand, store: MaterialStore) -> None:
    folder = stand.path().parent
    for path in ("README", "first.1.age.bak", ".first.1.age.swp", "x.age", "first.0.age", "first.1.txt"):
        (folder / path).write_text("junk")
    (stand.root / "lost+found").mkdir()
    (stand.root / "aws" / "notes.txt").write_text("junk")
    (stand.root / "aws" / "a b" / "c").mkdir(parents=True)
    assert {entry.name for entry in store.entries()} == {FIRST, SECOND}


@pytest.mark.parametrize(
    "name",
    [
        EntryName(KeyIdentity("aws", "..", "etc"), None),
        EntryName(KeyIdentity("aws", "111122223333", "../x"), None),
        EntryName(KeyIdentity("aws", "111122223333", ""), None),
        EntryName(KEY, MaterialId("../../x")),
        EntryName(KEY, MaterialId("first")),
        EntryName(KEY, None, 0),
    ],
    ids=str,
)
def test_a_name_that_could_lead_out_of_the_store_is_refused(
    store: MaterialStore, name: EntryName, wrapping_key: WrappingKey
) -> None:
    for ask in (store.deposit, store.find, lambda each: store.wrap(each, wrapping_key.public, OAEP)):
        with pytest.raises(EntryError, match="cannot be the name of a store entry"):
            ask(name)


def mark_all(store: MaterialStore, name: EntryName) -> None:
    store.link(name, MATERIAL_A)
    store.keep_probe(name, base64.b64decode("AAAA"))
    store.mark_proven(name, PROVEN)
    store.discard(name, NOW)
    store.reinstate(name, NOW)
