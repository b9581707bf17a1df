"""What a store says of bytes is bound to the bytes (I12): beside other bytes a mark says nothing, in every store."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from store_kit import (
    FIRST,
    KEY,
    MATERIAL_A,
    MATERIAL_B,
    NEXT,
    NOW,
    OTHER_KEY,
    Bytes,
    Stand,
    WrappingKey,
    plain,
)

from orchestrator.errors import EntryError, UsageError
from orchestrator.model import Entry, EntryName, MaterialId, Proof, Receipt, Region
from orchestrator.ports import MaterialStore
from orchestrator.stores.commitment import commitment
from orchestrator.stores.layout import Kind
from orchestrator.stores.material import KeyMaterial
from orchestrator.stores.shelf import Slot

US, EU = Region("us-east-1"), Region("eu-west-1")
MARKS = (Kind.LINK, Kind.PROBE, Kind.PROVEN)


def finish(store: MaterialStore, name: EntryName = FIRST, material: MaterialId = MATERIAL_A) -> None:
    """Deposit an entry, and note all that a rotation notes of it."""
    store.deposit(name)
    store.link(name, material)
    store.keep_probe(name, b"probe of it")
    store.mark_proven(name, {"regions": [US, EU], "proof": "full"})


FINISHED = {"linked": MATERIAL_A, "probe": True, "proofs": {US: Proof.FULL, EU: Proof.FULL}}


def copied(source: Stand, target: Stand) -> None:
    """Complete a store from another: what is missing is copied, what is there stays."""
    for kind in MARKS:
        target.plant(Slot(FIRST, kind), source.raw(Slot(FIRST, kind)))


# Two copies are two stores.


def test_a_store_that_was_completed_from_anothers_copy_tells_that_the_marks_are_of_other_bytes(
    any_stand: Stand, wrapping_key: WrappingKey
) -> None:
    """Two hosts deposit one name with other bytes; KMS has the first's: the second holds them not, and says so."""
    ours, theirs = any_stand, any_stand.other()
    finish(ours.init())
    theirs.init().deposit(FIRST)
    copied(ours, theirs)

    merged = theirs.open()
    found = plain(merged.find(FIRST))

    assert wrapping_key.material(merged) != wrapping_key.material(ours.open())
    assert found == Entry(FIRST, Receipt(FIRST, NOW), claimed=MATERIAL_A)
    assert not found.held
    assert not found.proven
    assert merged.probe(FIRST) is None
    assert tuple(map(plain, merged.look([FIRST, NEXT]))) == (found,)
    assert tuple(map(plain, merged.entries())) == (found,)
    assert plain(ours.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), **FINISHED)


def test_a_right_mark_is_published_beside_a_wrong_one_and_counts(any_stand: Stand) -> None:
    """When KMS has said whose the bytes are, that is noted, and the other marks stay as they are."""
    ours, theirs = any_stand, any_stand.other()
    finish(ours.init())
    theirs.init().deposit(FIRST)
    copied(ours, theirs)

    finish(theirs.open(), material=MATERIAL_B)

    found = theirs.open().find(FIRST)
    assert plain(found) == Entry(FIRST, Receipt(FIRST, NOW), **{**FINISHED, "linked": MATERIAL_B})
    for kind in MARKS:
        assert theirs.raw(Slot(FIRST, kind)) == ours.raw(Slot(FIRST, kind))
        assert json.loads(theirs.raw(Slot(FIRST, kind, 2)))["turn"] == 2


def test_the_bytes_of_one_that_were_put_beside_the_marks_of_the_other_are_told(any_stand: Stand) -> None:
    """The other way round: an entry that was restored from the wrong host's backup."""
    ours, theirs = any_stand, any_stand.other()
    finish(ours.init())
    theirs.init().deposit(FIRST)
    ours.plant(Slot(FIRST), theirs.raw(Slot(FIRST)))
    assert plain(ours.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), claimed=MATERIAL_A)


def test_what_kms_says_of_bytes_is_not_noted_of_others_that_took_their_place(
    any_stand: Stand, wrapping_key: WrappingKey
) -> None:
    """P2: between the import and the link somebody puts another store's bytes there: nothing is noted of them."""
    ours, theirs = any_stand, any_stand.other()
    store = ours.init()
    store.deposit(FIRST)
    theirs.init().deposit(FIRST)
    wrapping_key.material(store)
    ours.plant(Slot(FIRST), theirs.raw(Slot(FIRST)))

    with pytest.raises(EntryError, match="other bytes"):
        store.link(FIRST, MATERIAL_A)

    found = plain(store.find(FIRST))
    assert (found.linked, found.claimed) == (None, None)
    wrapping_key.material(store)
    with pytest.raises(EntryError, match="other bytes"):  # of two that were wrapped nobody knows whose id that is
        store.link(FIRST, MATERIAL_A)
    store = ours.open()
    wrapping_key.material(store)
    store.link(FIRST, MATERIAL_B)
    with pytest.raises(EntryError, match="other bytes"):
        store.mark_proven(FIRST, {"material_id": MATERIAL_A, "regions": [US], "proof": "full"})
    assert not plain(store.find(FIRST)).proven
    store.mark_proven(FIRST, {"material_id": MATERIAL_B, "regions": [US], "proof": "full"})
    assert plain(store.find(FIRST)).proven


def test_a_mark_is_bound_to_the_key_as_well(any_stand: Stand) -> None:
    """The same bytes under two keys have nothing in common that anybody could see."""
    material = KeyMaterial(Bytes().nth(0))
    assert commitment(material, KEY) != commitment(material, OTHER_KEY)
    store = any_stand.init(random_bytes=lambda length: Bytes().nth(0, length))
    finish(store)
    finish(store, EntryName(OTHER_KEY, None))
    marks = [json.loads(any_stand.raw(Slot(EntryName(key, None), Kind.LINK))) for key in (KEY, OTHER_KEY)]
    assert len({mark["commitment"] for mark in marks}) == 2


def test_the_commitment_to_known_bytes_is_the_documented_one() -> None:
    """docs/store.md: HMAC-SHA-256 with the material as its key, so that it can be checked without this program."""
    assert (
        commitment(KeyMaterial(bytes(range(32))), KEY)
        == "059f8314755b56a8fdf8397fec3d5aaa194881da41b976f2aeb25a0a435a103d"
    )


# Marks of an older format.


@pytest.mark.parametrize("kind", MARKS)
def test_a_mark_of_an_older_format_tells_nothing_of_any_bytes(any_stand: Stand, kind: Kind) -> None:
    """Its link is a claim that KMS can judge; its probe and its proof are made again."""
    finish(any_stand.init())
    mark = json.loads(any_stand.raw(Slot(FIRST, kind)))
    del mark["commitment"]
    any_stand.plant(Slot(FIRST, kind), json.dumps(mark).encode())

    found = plain(any_stand.open().find(FIRST))

    lost: dict[Kind, dict[str, Any]] = {
        Kind.LINK: {"linked": None, "claimed": MATERIAL_A},
        Kind.PROBE: {"probe": False},
        Kind.PROVEN: {"proofs": {}},
    }
    assert found == Entry(FIRST, Receipt(FIRST, NOW), **{**FINISHED, **lost[kind]})
    finish(any_stand.open())
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), **FINISHED)


def test_an_entry_whose_bytes_cannot_be_read_tells_what_its_link_names_and_no_more(any_stand: Stand) -> None:
    """Nothing can be compared: the id is untested, and nothing is called proven (I12)."""
    finish(any_stand.init())
    any_stand.plant(Slot(FIRST), b"torn")
    found = any_stand.open().find(FIRST)
    assert found is not None
    assert (found.receipt, found.linked, found.claimed) == (None, MATERIAL_A, None)
    assert found.problem
    assert not found.held
    assert (found.proofs, found.probe) == ({}, False)


def test_nothing_is_noted_of_bytes_that_cannot_be_read(any_stand: Stand) -> None:
    any_stand.init().deposit(FIRST)
    any_stand.plant(Slot(FIRST), b"torn")
    store = any_stand.open()
    notes: list[Callable[[], object]] = [
        lambda: store.link(FIRST, MATERIAL_A),
        lambda: store.keep_probe(FIRST, b"probe"),
        lambda: store.mark_proven(FIRST, {"regions": [US]}),
    ]
    for note in notes:
        with pytest.raises(EntryError):
            note()
    found = store.find(FIRST)
    assert found is not None
    assert (found.linked, found.damage) == (None, {})


@pytest.mark.parametrize("wrong", [5, "", "short", "Z" * 64, ["a"], "\ud800" * 64])
def test_a_commitment_that_is_none_is_damage(any_stand: Stand, wrong: object) -> None:
    finish(any_stand.init())
    mark = {**json.loads(any_stand.raw(Slot(FIRST, Kind.LINK))), "commitment": wrong}
    any_stand.plant(Slot(FIRST, Kind.LINK), json.dumps(mark).encode())
    found = any_stand.open().find(FIRST)
    assert found is not None
    assert found.receipt
    assert (found.linked, found.claimed) == (None, None)
    assert "no proper field 'commitment'" in found.damage["link"]


IMPOSSIBLE = [
    "9999-12-31T23:59:59.999999+00:00",
    "0001-01-01T00:00:00+14:00",
    "2013-12-31T23:59:59+00:00",
    "2026-05-04T03:02:01",
    "NaN",
]


@pytest.mark.parametrize("at", IMPOSSIBLE)
@pytest.mark.parametrize("kind", [*MARKS, Kind.DISCARDED], ids=str)
def test_a_mark_of_a_time_that_cannot_be_reckoned_with_is_damage(any_stand: Stand, kind: Kind, at: str) -> None:
    """Times are added to: a calendar that ends must not end a command."""
    store = any_stand.init()
    finish(store)
    store.discard(FIRST, NOW)
    mark = {**json.loads(any_stand.raw(Slot(FIRST, kind))), "at": at}
    any_stand.plant(Slot(FIRST, kind), json.dumps(mark).encode())
    found = any_stand.open().find(FIRST)
    assert found is not None
    assert found.receipt
    assert found.damage.keys() == {kind.label}
    assert "no proper field 'at'" in found.damage[kind.label]
    assert found.noted_at == NOW


@pytest.mark.parametrize("at", IMPOSSIBLE)
@pytest.mark.parametrize("kind", [Kind.WITHDRAWN, Kind.SWITCH], ids=str)
def test_a_note_of_a_time_that_cannot_be_reckoned_with_is_told_to_who_asks_for_it(
    any_stand: Stand, kind: Kind, at: str
) -> None:
    store = any_stand.init()
    store.withdraw(FIRST, MATERIAL_A)
    store.note_switch(KEY, US, NOW, off=True)
    mark = {**json.loads(any_stand.raw(Slot(FIRST, kind))), "at": at}
    any_stand.plant(Slot(FIRST, kind), json.dumps(mark).encode())
    again = any_stand.open()
    ask: Callable[[], object] = {
        Kind.WITHDRAWN: lambda: again.withdrawn(FIRST),
        Kind.SWITCH: lambda: again.switched_off(KEY),
    }[kind]
    with pytest.raises(EntryError, match="no proper field 'at'"):
        ask()


def test_the_newest_link_that_fits_counts(any_stand: Stand) -> None:
    finish(any_stand.init())
    mark = json.loads(any_stand.raw(Slot(FIRST, Kind.LINK)))
    later = {**mark, "turn": 2, "key_material_id": MATERIAL_B}
    any_stand.plant(Slot(FIRST, Kind.LINK, 2), json.dumps(later).encode())
    found = any_stand.open().find(FIRST)
    assert found is not None
    assert found.linked == MATERIAL_B
    with pytest.raises(EntryError, match=f"{MATERIAL_B} already, and not to {MATERIAL_A}"):
        any_stand.open().link(FIRST, MATERIAL_A)


def test_a_mark_that_was_taken_away_hides_none_behind_it(any_stand: Stand) -> None:
    """The way out of a damaged mark leaves a gap."""
    ours, theirs = any_stand, any_stand.other()
    finish(ours.init())
    theirs.init().deposit(FIRST)
    copied(ours, theirs)
    finish(theirs.open(), material=MATERIAL_B)
    for kind in MARKS:
        theirs.remove(Slot(FIRST, kind))
    found = plain(theirs.open().find(FIRST))
    assert found == Entry(FIRST, Receipt(FIRST, NOW), **{**FINISHED, "linked": MATERIAL_B})


# Damage, and the ways out of it, in every store.


@pytest.mark.parametrize("kind", [*MARKS, Kind.DISCARDED, Kind.REINSTATED])
def test_damage_holds_up_only_what_needs_it_and_the_original_mends_it(any_stand: Stand, kind: Kind) -> None:
    """I11: intact bytes can be sent to a Region that lost them, whatever became of a note."""
    store = any_stand.init()
    finish(store)
    store.discard(FIRST, NOW)
    store.reinstate(FIRST, NOW)
    whole = plain(any_stand.open().find(FIRST))
    original = any_stand.raw(Slot(FIRST, kind))
    any_stand.plant(Slot(FIRST, kind), b"{")

    found = any_stand.open().find(FIRST)

    assert found is not None
    assert (found.receipt, found.problem) == (Receipt(FIRST, NOW), "")
    assert found.damage.keys() == {kind.label}
    assert "to mend it: " in found.damage[kind.label]
    assert (found.linked, found.claimed) == ((None, None) if kind is Kind.LINK else (MATERIAL_A, None))
    any_stand.plant(Slot(FIRST, kind), original)
    assert plain(any_stand.open().find(FIRST)) == whole


@pytest.mark.parametrize("kind", [Kind.WITHDRAWN, Kind.SWITCH])
def test_a_damaged_note_of_the_key_is_told_to_who_asks_for_it_and_takes_nothing_from_an_entry(
    any_stand: Stand, kind: Kind
) -> None:
    store = any_stand.init()
    store.deposit(FIRST)
    store.withdraw(FIRST, MATERIAL_A)
    store.note_switch(KEY, US, NOW, off=True)
    any_stand.plant(Slot(FIRST, kind), b"{")
    later = any_stand.open()
    asked = {Kind.WITHDRAWN: lambda: later.withdrawn(FIRST), Kind.SWITCH: lambda: later.switched_off(KEY)}
    with pytest.raises(EntryError, match=f"is not a mark {kind.label!r}") as caught:
        asked[kind]()
    assert caught.value.hint
    assert plain(later.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    later.withdraw(FIRST, MATERIAL_A)
    later.note_switch(KEY, EU, NOW, off=True)
    any_stand.remove(Slot(FIRST, kind))
    mended = any_stand.open()
    assert mended.withdrawn(FIRST) == {MATERIAL_A: NOW}
    assert mended.switched_off(KEY).keys() >= {EU}


# How thoroughly.


@pytest.mark.parametrize(
    ("marks", "proofs", "turns"),
    [
        pytest.param([{"regions": [US]}], {US: Proof.OFF}, 1, id="it does not tell how"),
        pytest.param([{"regions": [US], "proof": "ids-only"}] * 2, {US: Proof.IDS_ONLY}, 1, id="the same twice"),
        pytest.param(
            [{"regions": [US], "proof": "off"}, {"regions": [EU, US], "proof": "off"}, {"regions": [EU]}],
            {US: Proof.OFF, EU: Proof.OFF},
            2,
            id="in a Region that came later, too",
        ),
        pytest.param(
            [{"regions": [US, EU], "proof": "off"}, {"regions": [US], "proof": "full"}],
            {US: Proof.FULL, EU: Proof.OFF},
            2,
            id="more thoroughly in one Region",
        ),
        pytest.param(
            [{"regions": [US, EU], "proof": "full"}, {"regions": [US, EU], "proof": "ids-only"}, {"regions": [US]}],
            {US: Proof.FULL, EU: Proof.FULL},
            1,
            id="less thoroughly later",
        ),
        pytest.param([{}, {"regions": []}], {}, 0, id="nowhere"),
    ],
)
def test_the_most_thorough_proof_of_each_region_counts_and_nothing_is_noted_that_adds_nothing(
    any_stand: Stand, marks: list[dict[str, Any]], proofs: dict[Region, Proof], turns: int
) -> None:
    """P14, I6: CURRENT that is marked proven is finished, as far as it was proven as is wanted now."""
    store = any_stand.init()
    store.deposit(FIRST)
    for evidence in marks:
        store.mark_proven(FIRST, {**evidence, "at": NOW})
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), proofs=proofs)
    assert there(any_stand, Kind.PROVEN) == list(range(1, turns + 1))


def there(stand: Stand, kind: Kind) -> list[int]:
    """Which of the first turns of a mark stand."""
    return [turn for turn in range(1, 5) if stand.has(Slot(FIRST, kind, turn))]


@pytest.mark.parametrize("evidence", [{"regions": "us-east-1"}, {"regions": [5]}, {"regions": [US], "proof": "most"}])
def test_evidence_that_is_none_is_not_noted(any_stand: Stand, evidence: dict[str, Any]) -> None:
    store = any_stand.init()
    store.deposit(FIRST)
    with pytest.raises((TypeError, ValueError)):
        store.mark_proven(FIRST, evidence)
    assert there(any_stand, Kind.PROVEN) == []


# Times, as a second witness.


def test_an_entry_tells_when_it_was_made_and_when_anything_was_last_noted_of_it(any_stand: Stand) -> None:
    any_stand.init().deposit(FIRST)
    hour = timedelta(hours=1)
    any_stand.open(clock_now=lambda: NOW + hour).link(FIRST, MATERIAL_A)
    any_stand.open(clock_now=lambda: NOW + 3 * hour).keep_probe(FIRST, b"probe")
    any_stand.open().discard(FIRST, NOW + 2 * hour)
    found = any_stand.open().find(FIRST)
    assert found is not None
    assert (found.made_at, found.noted_at) == (NOW, NOW + 3 * hour)


# Whose bytes a file has.


def test_a_file_is_told_by_the_entry_that_has_its_bytes(any_stand: Stand, tmp_path: Path) -> None:
    source = Bytes()
    store = any_stand.init(random_bytes=source)
    for name in (FIRST, NEXT, EntryName(OTHER_KEY, None)):
        store.deposit(name)
    file = tmp_path / "material.bin"
    told = []
    for content in (source.nth(0), source.nth(1), source.nth(2), bytes(32)):
        file.write_bytes(content)
        told.append(any_stand.open().identify(KEY, file))
    assert told == [FIRST, NEXT, None, None]


def test_of_several_entries_with_the_bytes_of_a_file_the_one_that_is_linked_is_told(
    any_stand: Stand, tmp_path: Path
) -> None:
    store = any_stand.init(random_bytes=lambda length: Bytes().nth(0, length))
    adopted = replace(FIRST, attempt=1001)
    store.deposit(FIRST)
    store.discard(FIRST, NOW)
    store.deposit(adopted)
    store.link(adopted, MATERIAL_A)
    file = tmp_path / "material.bin"
    file.write_bytes(Bytes().nth(0))
    assert store.identify(KEY, file) == adopted


def test_an_entry_that_does_not_open_has_no_files_bytes(any_stand: Stand, tmp_path: Path) -> None:
    source = Bytes()
    any_stand.init(random_bytes=source).deposit(FIRST)
    any_stand.plant(Slot(FIRST), b"torn")
    file = tmp_path / "material.bin"
    file.write_bytes(source.nth(0))
    assert any_stand.open().identify(KEY, file) is None


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33), b"4a" * 32])
def test_a_file_of_another_length_is_identified_as_nothing_and_refused(
    store: MaterialStore, tmp_path: Path, content: bytes
) -> None:
    store.deposit(FIRST)
    file = tmp_path / "material.bin"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="key material has exactly 32"):
        store.identify(KEY, file)


# The owner's switches.


def test_a_region_that_was_switched_off_is_remembered_until_it_is_seen_on(any_stand: Stand) -> None:
    """P10: PendingImport hides that the owner disabled it before."""
    store, hour = any_stand.init(), timedelta(hours=1)
    assert store.switched_off(KEY) == {}
    store.note_switch(KEY, US, NOW, off=True)
    store.note_switch(KEY, EU, NOW + hour, off=True)
    assert any_stand.open().switched_off(KEY) == {US: NOW, EU: NOW + hour}
    any_stand.open().note_switch(KEY, US, NOW + 2 * hour, off=False)
    assert store.switched_off(KEY) == {EU: NOW + hour}
    store.note_switch(KEY, US, NOW + 3 * hour, off=True)
    assert any_stand.open().switched_off(KEY) == {US: NOW + 3 * hour, EU: NOW + hour}
    assert any_stand.open().switched_off(OTHER_KEY) == {}


def test_what_is_noted_of_a_switch_already_is_not_noted_again(any_stand: Stand) -> None:
    """It is seen at every look."""
    store = any_stand.init()
    for minute in range(5):
        store.note_switch(KEY, EU, NOW + timedelta(minutes=minute), off=False)
    assert there(any_stand, Kind.SWITCH) == []
    for minute in range(5):
        store.note_switch(KEY, US, NOW + timedelta(minutes=minute), off=True)
    assert there(any_stand, Kind.SWITCH) == [1]
    assert any_stand.open().switched_off(KEY) == {US: NOW}


def test_a_note_of_a_switch_needs_no_entry_and_makes_none(any_stand: Stand) -> None:
    store = any_stand.init()
    store.note_switch(KEY, US, NOW, off=True)
    assert (store.find(FIRST), store.look([FIRST]), store.entries()) == (None, (), ())
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


# Looking at a key.


def test_a_look_finds_each_name_and_every_attempt_that_follows_without_a_gap(any_stand: Stand) -> None:
    """P3: by exact name, from every first name on."""
    store = any_stand.init()
    second, third, fifth = (replace(FIRST, attempt=number) for number in (2, 3, 5))
    adopted = replace(FIRST, attempt=1001)
    for name in (FIRST, second, third, fifth, adopted, NEXT):
        store.deposit(name)
    first = [FIRST, adopted, NEXT, replace(NEXT, attempt=1001)]
    found = any_stand.open().look(first)
    assert [entry.name for entry in found] == [FIRST, second, third, adopted, NEXT]
    assert all(entry.receipt for entry in found)
    assert any_stand.open().look([]) == ()


def test_a_store_is_named_as_the_config_names_it(any_stand: Stand) -> None:
    uri: str = any_stand.uri  # type: ignore[attr-defined]
    assert str(any_stand.init()) == uri
