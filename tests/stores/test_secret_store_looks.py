"""What a look at a store in Secrets Manager costs: it must not grow with the age of the key, or it is never fresh."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from store_kit import FIRST, KEY, MATERIAL_A, NOW, SecretStand, plain, told

from orchestrator.errors import KmsError, Trouble
from orchestrator.model import ADOPTED, Entry, EntryName, MaterialId, Receipt, Region
from orchestrator.ports import MaterialStore
from orchestrator.stores.layout import Kind
from orchestrator.stores.shelf import Slot

US = Region("us-east-1")
LATER_LOOK = 6
"""So many calls a later look makes at the most: batches of names and marks, DescribeSecret of what may change."""


def material(number: int) -> MaterialId:
    return MaterialId(f"{number:064x}")


def names(generations: int) -> list[EntryName]:
    """Name the first attempts at replacing each material, as a run does: CURRENT's last."""
    materials = [None, *(material(number) for number in range(1, generations + 1))]
    return [EntryName(KEY, replaced, attempt) for replaced in materials for attempt in (1, ADOPTED)]


def grown(store: MaterialStore, generations: int) -> None:
    """A key that was rotated so often: every material is linked, proven, and has its probe."""
    for number in range(1, generations + 1):
        name = EntryName(KEY, material(number - 1) if number > 1 else None)
        store.deposit(name)
        store.link(name, material(number))
        store.keep_probe(name, b"probe")
        store.mark_proven(name, {"regions": [US], "proof": "full"})


def asked(secrets: SecretStand, store: MaterialStore, first: list[EntryName]) -> tuple[Counter[str], tuple[Entry, ...]]:
    """Look once, and count the calls by their operation."""
    secrets.server.faults()
    found = store.look(first)
    return Counter(call.partition(" ")[0] for call in secrets.server.calls()), found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("ages", "begun"), [((1, 12, 25), False), ((1, 12), True)], ids=["nothing pending", "a rotation begun"]
)
def test_a_later_look_costs_the_same_however_old_the_key_is(
    secrets: SecretStand, ages: tuple[int, ...], begun: bool
) -> None:
    """Seen: 151 calls for 12 generations. The first look grows by less than a call for each thing that stands."""
    costs = {}
    for generations in ages:
        secrets.server.reset()
        writer = secrets.init()
        grown(writer, generations)
        if begun:
            writer.deposit(EntryName(KEY, material(generations)))
        store, first = secrets.open(), names(generations)
        looks = [asked(secrets, store, first) for _ in range(3)]
        assert looks[0][1] == looks[1][1] == looks[2][1]
        assert len(looks[0][1]) == generations + begun
        costs[generations] = tuple(calls.total() for calls, _ in looks)
        assert not any(calls["ListSecrets"] for calls, _ in looks), "P3"
        assert not any(calls["GetSecretValue"] for calls, _ in looks), "one by one"
    assert len({cost[1:] for cost in costs.values()}) == 1, costs
    assert max(max(cost[1:]) for cost in costs.values()) <= LATER_LOOK, costs
    assert all(cost[0] <= 6 + 2 * generations for generations, cost in costs.items()), costs


@pytest.mark.timeout(120)
def test_a_look_at_25_generations_over_a_slow_line_is_done_while_it_is_fresh(secrets: SecretStand) -> None:
    """With 90 ms for each call: a view that is older than 10 s is none."""
    grown(secrets.init(), 25)
    store = secrets.open()
    secrets.server.faults({"operation": "*", "kind": "slow"})
    took = []
    for _ in range(2):
        begun = time.monotonic()
        assert len(store.look(names(25))) == 25
        took.append(time.monotonic() - begun)
    assert took[0] < 5
    assert took[1] < 2


def test_what_another_process_notes_of_current_pending_or_unlinked_material_shows_at_once(
    secrets: SecretStand,
) -> None:
    """Only entries of older materials are remembered."""
    grown(secrets.init(), 3)
    pending, adopted = EntryName(KEY, material(3)), EntryName(KEY, material(3), ADOPTED)
    store, other, first = secrets.open(), secrets.open(), names(3)
    store.look(first)
    other.deposit(pending)
    other.deposit(adopted)
    assert {entry.name for entry in store.look(first)} >= {pending, adopted}
    other.link(pending, MATERIAL_A)
    other.discard(adopted, NOW)
    other.deposit(replace(adopted, attempt=ADOPTED + 1))
    current = EntryName(KEY, material(2))
    other.mark_proven(current, {"regions": ["eu-west-1"], "proof": "full"})
    found = {entry.name: entry for entry in store.look(first)}
    assert found[pending].linked == MATERIAL_A
    assert found[adopted].discarded_at == NOW
    assert replace(adopted, attempt=ADOPTED + 1) in found
    assert found[current].proofs.keys() == {US, "eu-west-1"}


def test_what_this_process_adds_or_notes_of_older_materials_shows_at_once(secrets: SecretStand, tmp_path: Path) -> None:
    grown(secrets.init(), 3)
    file = tmp_path / "material.bin"
    file.write_bytes(bytes(range(32)))
    store, first = secrets.open(), names(3)
    store.look(first)
    adopted, second = replace(FIRST, attempt=ADOPTED), replace(FIRST, attempt=2)
    store.adopt(adopted, file)
    store.deposit(second)
    assert {entry.name for entry in store.look(first)} >= {adopted, second}
    store.discard(FIRST, NOW)
    store.mark_proven(EntryName(KEY, material(1)), {"regions": ["eu-west-1"]})
    found = {entry.name: entry for entry in store.look(first)}
    assert found[FIRST].discarded_at == NOW
    assert found[EntryName(KEY, material(1))].proofs.keys() == {US, "eu-west-1"}


@pytest.mark.parametrize("step", [timedelta(minutes=5), timedelta(minutes=-1)], ids=["5 minutes later", "set back"])
def test_an_older_entry_is_opened_anew_after_some_minutes_and_tells_when_it_was(
    secrets: SecretStand, step: timedelta
) -> None:
    """I12: what was not opened lately is not said to be held; a clock that was set back makes nothing young."""
    clock = [NOW]
    grown(secrets.init(), 3)
    store, first = secrets.open(clock_now=lambda: clock[0]), names(3)
    store.look(first)
    clock[0] = NOW + timedelta(minutes=4)
    assert store.look(first)[0].receipt == Receipt(FIRST, NOW)
    secrets.plant(Slot(FIRST), b"torn")
    clock[0] = NOW + step
    found = store.look(first)[0]
    assert (found.name, found.receipt) == (FIRST, None)


def test_an_older_entry_that_is_damaged_or_does_not_open_is_looked_at_every_time(secrets: SecretStand) -> None:
    """Whoever mends it need not wait."""
    grown(secrets.init(), 4)
    first, original = names(4), secrets.raw(Slot(FIRST))
    link = Slot(EntryName(KEY, material(1)), Kind.LINK)
    whole = secrets.raw(link)
    secrets.plant(Slot(FIRST), b"torn")
    secrets.plant(link, b"{")
    store = secrets.open()
    before = {entry.name: entry for entry in store.look(first)}
    assert before[FIRST].receipt is None
    assert before[link.name].damage
    secrets.plant(Slot(FIRST), original)
    assert {entry.name: entry for entry in store.look(first)}[FIRST].receipt
    secrets.plant(link, whole)
    assert not {entry.name: entry for entry in store.look(first)}[link.name].damage


def test_find_and_entries_remember_nothing(secrets: SecretStand) -> None:
    grown(secrets.init(), 3)
    store = secrets.open()
    store.look(names(3))
    secrets.plant(Slot(FIRST), b"torn")
    assert plain(store.find(FIRST)).receipt is None  # type: ignore[union-attr]
    assert [bool(entry.receipt) for entry in store.entries()].count(False) == 1


# The answers of a batch.


@pytest.mark.parametrize("kind", ["throttled", "internal", "cut", "garbage", "lost"])
def test_a_batch_without_an_answer_is_asked_for_again(secrets: SecretStand, kind: str) -> None:
    grown(secrets.init(), 1)
    secrets.server.faults({"operation": "BatchGetSecretValue", "kind": kind, "times": 2})
    assert [entry.linked for entry in secrets.open().look(names(1))] == [material(1)]


def test_what_a_batch_does_not_answer_is_asked_for_by_itself(secrets: SecretStand) -> None:
    """An answer that leaves a secret out does not say that there is none."""
    grown(secrets.init(), 3)
    secrets.server.faults({"operation": "BatchGetSecretValue", "kind": "forgetful"})
    found = secrets.open().look(names(3))
    assert [entry.linked for entry in found] == [material(1), material(2), material(3)]


def test_a_batch_that_lags_behind_what_this_process_made_is_not_believed(secrets: SecretStand) -> None:
    """P1: not seen right after it was created is not gone."""
    store = secrets.init()
    store.deposit(FIRST)
    secrets.server.faults({"operation": "BatchGetSecretValue", "kind": "lag"})
    assert [entry.name for entry in store.look(names(1))] == [FIRST]


@pytest.mark.parametrize(
    ("kind", "granted"),
    [
        ("denied", "secretsmanager:BatchGetSecretValue on *"),
        ("denied one", "secretsmanager:GetSecretValue on arn:"),
    ],
)
def test_what_is_denied_is_told_and_not_taken_for_absent(secrets: SecretStand, kind: str, granted: str) -> None:
    """I9: the batch itself, or one of its secrets."""
    grown(secrets.init(), 1)
    store = secrets.open()
    secrets.server.faults({"operation": "BatchGetSecretValue", "kind": kind})
    with pytest.raises(KmsError) as caught:
        store.look(names(1))
    assert caught.value.trouble is Trouble.PERMANENT
    assert f"grant {granted}" in told(caught.value)


def test_what_cannot_be_decrypted_is_told_of_each_entry(secrets: SecretStand) -> None:
    grown(secrets.init(), 2)
    store = secrets.open()
    secrets.server.faults({"operation": "BatchGetSecretValue", "kind": "decryption"})
    found = store.look(names(2))
    assert [entry.receipt for entry in found] == [None] * len(found)
    assert all("KMS key of this secret" in entry.told for entry in found)


def test_a_batch_never_asks_for_more_than_aws_allows(secrets: SecretStand) -> None:
    """The server refuses more than 20, as AWS does."""
    grown(secrets.init(), 25)
    assert len(secrets.open().entries()) == 25
    assert "BatchGetSecretValue 400" not in secrets.server.calls()


def test_who_made_an_entry_is_asked_of_kms_once(owned: SecretStand) -> None:
    """A tag that was verified cannot change."""
    verified: list[bytes] = []

    class Counting:
        def __init__(self, macs: Any) -> None:
            self._macs = macs

        def __getattr__(self, name: str) -> Any:
            return getattr(self._macs, name)

        def verify_mac(self, key: str, message: bytes, mac: bytes) -> bool:
            verified.append(message)
            return bool(self._macs.verify_mac(key, message, mac))

    grown(owned.init(), 3)
    cloud = owned.cloud()
    store = owned.open(cloud=replace(cloud, macs=lambda region: Counting(cloud.macs(region))))
    for _ in range(3):
        assert all(entry.ours for entry in store.look(names(3)))
    assert len(verified) == 3


def test_notes_of_the_key_are_read_many_at_once(secrets: SecretStand) -> None:
    """60 of them: 30 of either kind."""
    store = secrets.init()
    for minute in range(30):
        store.note_switch(KEY, US, NOW + timedelta(minutes=minute), off=minute % 2 == 0)
        store.withdraw(FIRST, MATERIAL_A)
    costs: list[int] = []
    later: list[Mapping[MaterialId, datetime]] = []
    for _ in range(2):
        secrets.server.faults()
        later.append(store.withdrawn(FIRST))
        assert store.switched_off(KEY) == {}
        costs.append(len(secrets.server.calls()))
    assert later == [{MATERIAL_A: NOW}] * 2
    assert max(costs) <= 2 * 4
