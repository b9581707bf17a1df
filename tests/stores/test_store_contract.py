"""The contract of MaterialStore, run over every store there is: each joins by a line in STANDS (conftest.py)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from store_kit import (
    FIRST,
    KEY,
    MATERIAL_A,
    MATERIAL_B,
    NEXT,
    NOW,
    OAEP,
    OTHER_KEY,
    PLACE,
    Bytes,
    Stand,
    WrappingKey,
    plain,
    told,
)

from orchestrator.errors import EntryError, StoreError, UsageError
from orchestrator.model import Entry, EntryName, KeyIdentity, Receipt
from orchestrator.ports import MaterialStore, WrappingAlgorithm
from orchestrator.stores import Place


def test_a_deposit_returns_a_receipt_for_that_name_at_that_time(store: MaterialStore) -> None:
    """I1: the receipt is the store's word, and says nothing of the bytes."""
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)


def test_the_bytes_deposited_are_the_32_that_the_source_of_randomness_gave(
    any_stand: Stand, wrapping_key: WrappingKey
) -> None:
    source = Bytes()
    store = any_stand.init(random_bytes=source)
    store.deposit(FIRST)
    assert wrapping_key.material(store) == source.nth(0)


def test_whoever_deposits_second_gets_a_receipt_for_the_bytes_of_the_first(
    any_stand: Stand, wrapping_key: WrappingKey
) -> None:
    """I7: put-if-absent under (key id, replaced material id, attempt)."""
    first = any_stand.init()
    second = any_stand.open()
    first.deposit(FIRST)
    assert second.deposit(FIRST) == Receipt(FIRST, NOW)
    assert wrapping_key.material(second) == wrapping_key.material(first)


def test_threads_that_deposit_one_name_at_once_all_get_the_same_bytes(
    store: MaterialStore, wrapping_key: WrappingKey
) -> None:
    """I7: one winner, whoever it is."""
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(store.deposit, [FIRST] * 24))
        materials = set(pool.map(lambda _: wrapping_key.material(store), range(24)))
    assert set(receipts) == {Receipt(FIRST, NOW)}
    assert len(materials) == 1


def test_other_attempts_other_replaced_materials_and_other_keys_are_other_entries(
    store: MaterialStore, wrapping_key: WrappingKey
) -> None:
    """P3: the name is key, replaced material and attempt."""
    names = (FIRST, replace(FIRST, attempt=2), NEXT, EntryName(OTHER_KEY, None))
    for name in names:
        store.deposit(name)
    assert len({wrapping_key.material(store, name) for name in names}) == len(names)


def test_a_name_that_nothing_was_deposited_under_is_not_found(store: MaterialStore) -> None:
    """P3: an exact probe; a neighbour does not answer for it."""
    store.deposit(FIRST)
    assert store.find(NEXT) is None
    assert store.find(replace(FIRST, attempt=2)) is None


def test_an_entry_is_found_by_another_process_with_a_fresh_receipt(any_stand: Stand) -> None:
    """P1: the finder reads back, at its own time."""
    any_stand.init().deposit(FIRST)
    later = NOW + timedelta(hours=1)
    assert plain(any_stand.open(clock_now=lambda: later).find(FIRST)) == Entry(FIRST, Receipt(FIRST, later))


@pytest.mark.parametrize("algorithm", WrappingAlgorithm)
def test_what_is_wrapped_unwraps_to_what_was_deposited(
    any_stand: Stand, wrapping_key: WrappingKey, algorithm: WrappingAlgorithm
) -> None:
    """I2: the only way out, under every wrapping algorithm of KMS."""
    source = Bytes()
    store = any_stand.init(random_bytes=source)
    store.deposit(FIRST)
    wrapped = store.wrap(FIRST, wrapping_key.public, algorithm)
    assert wrapping_key.unwrap(wrapped, algorithm) == source.nth(0)


def test_every_hybrid_wrap_takes_a_fresh_aes_key(any_stand: Stand, wrapping_key: WrappingKey) -> None:
    store = any_stand.init()
    store.deposit(FIRST)
    hybrid = WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256
    blobs = {store.wrap(FIRST, wrapping_key.public, hybrid)[256:] for _ in range(3)}
    assert len(blobs) == 3


def test_a_wrap_without_an_aes_key_takes_nothing_from_the_source_of_randomness(
    any_stand: Stand, wrapping_key: WrappingKey
) -> None:
    source = Bytes()
    store = any_stand.init(random_bytes=source)
    store.deposit(FIRST)
    store.wrap(FIRST, wrapping_key.public, OAEP)
    assert source.calls == 1


def test_a_wrap_of_what_is_not_there_is_refused_with_a_hint(store: MaterialStore, wrapping_key: WrappingKey) -> None:
    """I9."""
    with pytest.raises(EntryError, match="there is no entry") as caught:
        store.wrap(FIRST, wrapping_key.public, OAEP)
    assert caught.value.hint


def test_a_wrapping_key_that_is_no_rsa_key_is_refused(store: MaterialStore) -> None:
    store.deposit(FIRST)
    with pytest.raises(StoreError, match="wrapping key"):
        store.wrap(FIRST, b"not a key", OAEP)


def test_a_link_is_kept_and_noting_the_same_id_again_is_fine(any_stand: Stand) -> None:
    """P2."""
    store = any_stand.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    store.link(FIRST, MATERIAL_A)
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), linked=MATERIAL_A)


def test_another_id_for_linked_bytes_is_refused_and_the_first_stays(store: MaterialStore) -> None:
    """P2: one entry's bytes have one id."""
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    with pytest.raises(EntryError, match=f"{MATERIAL_A} already, and not to {MATERIAL_B}") as caught:
        store.link(FIRST, MATERIAL_B)
    assert caught.value.hint.startswith("one entry's bytes have one id: CloudTrail tells")
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), linked=MATERIAL_A)


def test_the_first_probe_stays(any_stand: Stand) -> None:
    """P14."""
    store = any_stand.init()
    store.deposit(FIRST)
    assert store.probe(FIRST) is None
    store.keep_probe(FIRST, b"\x00first\xff")
    store.keep_probe(FIRST, b"second")
    assert any_stand.open().probe(FIRST) == b"\x00first\xff"
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), probe=True)


def test_a_discarded_attempt_keeps_its_bytes_and_its_first_mark(any_stand: Stand, wrapping_key: WrappingKey) -> None:
    """P9: discard is a mark; bytes are never destroyed."""
    store = any_stand.init()
    store.deposit(FIRST)
    material = wrapping_key.material(store)
    store.discard(FIRST, NOW)
    store.discard(FIRST, NOW + timedelta(days=1))
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), discarded_at=NOW)
    assert wrapping_key.material(store) == material


def test_nothing_is_deposited_into_a_discarded_attempt_and_the_next_one_is_named(
    store: MaterialStore, tmp_path: Path
) -> None:
    """P3, P9."""
    source = tmp_path / "material.bin"
    source.write_bytes(Bytes().nth(0))
    store.deposit(FIRST)
    store.discard(FIRST, NOW)
    with pytest.raises(StoreError, match="was discarded") as caught:
        store.deposit(FIRST)
    assert "the next attempt is 2" in caught.value.hint
    with pytest.raises(StoreError, match="was discarded"):
        store.adopt(FIRST, source)
    assert store.deposit(replace(FIRST, attempt=2)) == Receipt(replace(FIRST, attempt=2), NOW)


def test_a_discarded_attempt_is_reinstated_discarded_again_and_reinstated_again(
    any_stand: Stand, wrapping_key: WrappingKey
) -> None:
    """P9: KMS rotated after all; then the same attempt can be given up anew, each time with its own time."""
    store = any_stand.init()
    store.deposit(FIRST)
    material = wrapping_key.material(store)
    for hour in range(0, 6, 2):
        given_up, taken_back = NOW + timedelta(hours=hour), NOW + timedelta(hours=hour + 1)
        store.discard(FIRST, given_up)
        assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), discarded_at=given_up)
        any_stand.open().reinstate(FIRST, taken_back)
        any_stand.open().reinstate(FIRST, taken_back + timedelta(minutes=1))
        assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)
    assert wrapping_key.material(store) == material
    assert {entry.name for entry in store.entries()} == {FIRST}


def test_an_attempt_that_was_never_discarded_is_reinstated_without_a_trace(any_stand: Stand) -> None:
    """P9: a discard after it counts."""
    store = any_stand.init()
    store.deposit(FIRST)
    store.reinstate(FIRST, NOW)
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    store.discard(FIRST, NOW)
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), discarded_at=NOW)


def test_threads_that_discard_and_reinstate_at_once_leave_an_attempt_that_is_one_of_both(store: MaterialStore) -> None:
    """P9: no mark is written past another, so the last word is told alike to all, and can be changed."""
    store.deposit(FIRST)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit([store.discard, store.reinstate][number % 2], FIRST, NOW) for number in range(40)]
    assert [call.result() for call in calls] == [None] * 40
    found = [plain(store.find(FIRST)) for _ in range(3)]
    assert found[0] in (Entry(FIRST, Receipt(FIRST, NOW)), Entry(FIRST, Receipt(FIRST, NOW), discarded_at=NOW))
    assert found == found[:1] * 3
    store.discard(FIRST, NOW)
    store.reinstate(FIRST, NOW)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_what_was_withdrawn_from_kms_is_noted_each_time_with_or_without_an_entry(any_stand: Stand) -> None:
    """P6: foreign material has no entry here; the note makes none, and the latest counts."""
    store = any_stand.init()
    assert store.withdrawn(FIRST) == {}
    store.withdraw(FIRST, MATERIAL_A)
    store.withdraw(FIRST, MATERIAL_A)
    assert any_stand.open().withdrawn(FIRST) == {MATERIAL_A: NOW}
    assert (store.find(FIRST), store.entries(), store.withdrawn(NEXT)) == (None, (), {})
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)
    assert plain(any_stand.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_the_latest_withdrawal_counts(any_stand: Stand) -> None:
    """P6: new material waits from then on."""
    any_stand.init().withdraw(FIRST, MATERIAL_A)
    later = NOW + timedelta(hours=1)
    any_stand.open(clock_now=lambda: later).withdraw(FIRST, MATERIAL_A)
    assert any_stand.open().withdrawn(FIRST) == {MATERIAL_A: later}


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(lambda store: store.link(FIRST, MATERIAL_A), id="link"),
        pytest.param(lambda store: store.keep_probe(FIRST, b"probe"), id="probe"),
        pytest.param(lambda store: store.mark_proven(FIRST, {"regions": ["us-east-1"]}), id="proven"),
        pytest.param(lambda store: store.discard(FIRST, NOW), id="discard"),
        pytest.param(lambda store: store.reinstate(FIRST, NOW), id="reinstate"),
    ],
)
def test_nothing_is_marked_that_is_not_there(store: MaterialStore, mark: Callable[[MaterialStore], None]) -> None:
    with pytest.raises(EntryError, match=f"^there is no entry {FIRST}: "):
        mark(store)
    assert store.find(FIRST) is None


def test_adopted_bytes_are_the_ones_that_are_wrapped(
    store: MaterialStore, wrapping_key: WrappingKey, tmp_path: Path
) -> None:
    source = tmp_path / "material.bin"
    source.write_bytes(Bytes().nth(5))
    assert store.adopt(FIRST, source) == Receipt(FIRST, NOW)
    assert store.adopt(FIRST, source) == Receipt(FIRST, NOW)
    assert wrapping_key.material(store) == Bytes().nth(5)


def test_other_bytes_are_not_adopted_over_an_entry(
    store: MaterialStore, wrapping_key: WrappingKey, tmp_path: Path
) -> None:
    """P1: nothing is ever overwritten."""
    source = tmp_path / "material.bin"
    source.write_bytes(Bytes().nth(5))
    store.deposit(FIRST)
    material = wrapping_key.material(store)
    with pytest.raises(EntryError, match="other key material") as caught:
        store.adopt(FIRST, source)
    assert caught.value.hint.startswith("nothing was changed; check which material the file is")
    assert wrapping_key.material(store) == material


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        pytest.param(b"", "raw bytes", id="empty"),
        pytest.param(b"x" * 31, "raw bytes", id="31 bytes"),
        pytest.param(b"x" * 32 + b"\n", "newline", id="a newline behind"),
        pytest.param(b"4a" * 32 + b"\n", "xxd -r -p", id="hexadecimal"),
        pytest.param(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=\n", "base64 -d", id="base64"),
        pytest.param(b"x" * 5000, "raw bytes", id="far too long"),
    ],
)
def test_a_file_of_another_length_is_not_adopted_and_what_it_looks_like_is_told(
    store: MaterialStore, tmp_path: Path, content: bytes, advice: str
) -> None:
    """I9, I2: its length is told, its content is not."""
    source = tmp_path / "material.bin"
    source.write_bytes(content)
    with pytest.raises(UsageError, match="key material has exactly 32") as caught:
        store.adopt(FIRST, source)
    assert advice in caught.value.hint
    assert not content or content.decode()[:16] not in told(caught.value)
    assert store.find(FIRST) is None


def test_a_file_that_cannot_be_read_is_not_adopted(store: MaterialStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        store.adopt(FIRST, tmp_path / "missing")


def test_people_are_shown_every_entry_or_those_of_one_key(store: MaterialStore) -> None:
    names = (EntryName(OTHER_KEY, None), FIRST, replace(FIRST, attempt=2), NEXT)
    for name in names:
        store.deposit(name)
    assert {entry.name for entry in store.entries()} == set(names)
    assert {entry.name for entry in store.entries(OTHER_KEY)} == {EntryName(OTHER_KEY, None)}
    assert store.entries(KeyIdentity("aws", "111122223333", "unknown")) == ()


@pytest.mark.parametrize("other", [Place("aws", "aws"), Place("aws-cn", "other")])
def test_a_store_stamped_for_another_place_does_not_open(any_stand: Stand, other: Place) -> None:
    """P12: bytes go only where they belong; the refusal names both places and the way out."""
    any_stand.init(PLACE)
    for ask in (any_stand.open, any_stand.init):
        with pytest.raises(StoreError, match="stamped for") as caught:
            ask(other)
        assert str(PLACE) in caught.value.message
        assert str(other) in caught.value.message
        assert "mrk store init" in caught.value.hint


def test_a_key_of_another_partition_gets_nothing_from_a_store(store: MaterialStore, wrapping_key: WrappingKey) -> None:
    """P12."""
    name = EntryName(KeyIdentity("aws-cn", KEY.account, KEY.key_id), None)
    with pytest.raises(StoreError, match="aws-cn") as caught:
        store.deposit(name)
    assert caught.value.hint.startswith("each partition has its own store: make one with mrk store init")
    with pytest.raises(StoreError, match="aws-cn"):
        store.wrap(name, wrapping_key.public, OAEP)


def test_a_store_that_was_never_made_does_not_open(any_stand: Stand) -> None:
    with pytest.raises(StoreError, match="there is no store") as caught:
        any_stand.open()
    assert "mrk store init" in caught.value.hint


def test_making_a_store_twice_leaves_what_is_in_it(any_stand: Stand, wrapping_key: WrappingKey) -> None:
    store = any_stand.init()
    store.deposit(FIRST)
    assert wrapping_key.material(any_stand.init()) == wrapping_key.material(store)


def test_a_store_tells_nothing_of_the_bytes_it_holds(any_stand: Stand) -> None:
    """I2."""
    source = Bytes()
    store = any_stand.init(random_bytes=source)
    store.deposit(FIRST)
    for text in (repr(store), str(store), repr(store.find(FIRST)), repr(store.entries())):
        assert source.nth(0).hex() not in text
        assert repr(source.nth(0))[2:-1] not in text
