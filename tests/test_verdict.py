"""The judge of the promises can find each of them broken, and counts what it judged."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import verdict
from orchestrator.model import Block, Entry, EntryName, ImportType, KeyArn, Proof, Reason, Receipt, Region
from orchestrator.settings import KeySettings
from verdict import ALWAYS, TALLY, Watch, before, broken, false_blocks, held, let_die, told_of, untold, untrue
from workflows import jobs
from worlds import REGIONS, World


@pytest.fixture
def arn(world: World) -> KeyArn:
    return world.make_key()


def forgets(world: World, arn: KeyArn) -> None:
    """The store's directory of the key is gone."""
    for path in (world.directory / "store").rglob("*.age"):
        if arn.key_id in str(path):
            path.unlink()


def deletes_everywhere(world: World, arn: KeyArn) -> None:
    for region in REGIONS:
        world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)


def rotates_twice(world: World, arn: KeyArn) -> None:
    for _ in range(2):
        world.rotate(arn, replaces=world.true(arn).current)


def claims_other_bytes(world: World, _: KeyArn) -> None:
    """The store says of each entry that it holds what is linked, whatever it opens; as one of before commitments."""
    world.store = Claiming(world.store, lambda entry: replace(entry, linked="0" * 64))


class Claiming:
    """A store that says something of its own of each entry."""

    def __init__(self, store: Any, said: Callable[[Entry], Entry]) -> None:
        self._store = store
        self._said = said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def find(self, name: EntryName) -> Entry:
        return self._said(self._store.find(name))


BREAKING: dict[str, Callable[[World, KeyArn], None]] = {
    "lost": forgets,
    "double": rotates_twice,
    "unusable": deletes_everywhere,
    "false_success": lambda *_: None,
    "false_held": claims_other_bytes,
}


@pytest.mark.parametrize("promise", [*ALWAYS, "false_success"])
def test_each_promise_is_found_broken_and_counted_once(world: World, arn: KeyArn, promise: str) -> None:
    earlier = before(world.simulator, arn)
    BREAKING[promise](world, arn)

    for _ in range(2):
        found = broken(world.simulator, arn, earlier, [world.store], success=True)

    assert any(one.startswith(f"{promise}:") for one in found), found
    numbers = TALLY.numbers()
    assert numbers[promise] == len([one for one in found if one.startswith(f"{promise}:")])
    assert numbers[f"{promise}_judged"] == 2


def test_material_that_no_region_and_no_store_has_is_lost(world: World, arn: KeyArn) -> None:
    """Also where the key was unusable before, and nobody asks about that any more."""
    deletes_everywhere(world, arn)
    earlier = before(world.simulator, arn)
    known = held(world.store, key=arn.identity)
    forgets(world, arn)

    assert broken(world.simulator, arn, earlier, [world.store], success=False)[0].startswith("lost:")
    assert not broken(world.simulator, arn, earlier, [world.store], success=False, known=known)


def test_pending_material_that_no_store_has_is_lost(world: World, arn: KeyArn) -> None:
    earlier, name = before(world.simulator, arn), EntryName(arn.identity, world.true(arn).current)
    world.store.deposit(name)
    world.send(world.store, arn, name, ImportType.NEW)
    assert not broken(world.simulator, arn, earlier, [world.store], success=False)
    shutil.rmtree(world.directory / "store")
    world.store = world.open_store()

    assert len(broken(world.simulator, arn, earlier, [world.store], success=False)) == 2


def test_a_success_that_others_undid_is_true_and_one_that_never_was_is_not(world: World, arn: KeyArn) -> None:
    earlier = before(world.simulator, arn)
    assert untrue(world.simulator, arn, earlier, [world.store])
    world.rotate(arn)
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)

    assert not untrue(world.simulator, arn, earlier, [world.store])
    assert TALLY.numbers() == {"false_success": 1, "false_success_judged": 2}


def test_a_region_that_is_gone_is_unusable(world: World, arn: KeyArn) -> None:
    earlier = before(world.simulator, arn)
    world.client(REGIONS[1]).schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=7)
    world.clock.advance(days=8)

    assert broken(world.simulator, arn, earlier, [world.store], success=False) == [f"unusable: {REGIONS[1]} gone"]


def test_a_region_that_was_unusable_for_a_while_is_told_once(world: World, arn: KeyArn) -> None:
    earlier = before(world.simulator, arn)
    watch = Watch(world.simulator, arn, earlier)
    for _ in range(2):
        world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
        world.client(REGIONS[1]).enable_key(KeyId=arn.key_id)

    assert not broken(world.simulator, arn, earlier, [world.store], success=False)
    (told,) = watch.found
    assert told.startswith(f"unusable: {REGIONS[1]} Disabled after call ")
    assert TALLY.numbers()["unusable"] == 1


def other_bytes(world: World, arn: KeyArn) -> None:
    """Put another store's bytes beside the marks of ours, as whoever completes a copy may do."""
    theirs, name = world.open_store(f"file:{world.directory / 'theirs'}"), EntryName(arn.identity, None)
    theirs.deposit(name)
    (sealed,) = (path for path in (world.directory / "theirs").rglob("*.age") if arn.key_id in str(path))
    kept = world.directory / "store" / sealed.relative_to(world.directory / "theirs")
    kept.unlink()
    shutil.copy2(sealed, kept)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"linked": "current"}, "is said to hold"),
        ({"proofs": {Region(REGIONS[0]): Proof.FULL}}, "is said to be proven"),
    ],
)
def test_marks_of_other_bytes_are_found_where_the_store_believes_them(
    world: World, arn: KeyArn, claim: dict[str, Any], said: str
) -> None:
    """I12: beside other bytes they are no receipt, and a store that says so is believed."""
    earlier, known = before(world.simulator, arn), held(world.store)
    other_bytes(world, arn)
    assert not broken(world.simulator, arn, earlier, [world.store], success=False, known=known)

    linked = {"linked": world.true(arn).current} if "linked" in claim else claim
    believing = Claiming(world.store, lambda entry: replace(entry, **linked))

    (found,) = broken(world.simulator, arn, earlier, [believing], success=False, known=known)
    assert found.startswith("false_held:")
    assert said in found


def test_a_receipt_for_what_does_not_open_is_found(world: World, arn: KeyArn) -> None:
    earlier, known = before(world.simulator, arn), held(world.store)
    for path in (world.directory / "store").rglob("*.age"):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-40])
    assert not broken(world.simulator, arn, earlier, [world.store], success=False, known=known)

    believing = Claiming(world.store, lambda e: replace(e, receipt=Receipt(e.name, world.clock.now())))
    found = broken(world.simulator, arn, earlier, [believing], success=False, known=known)

    assert all(one.startswith("false_held:") for one in found)
    assert "does not open" in found[0]


def test_a_probe_of_other_bytes_is_found(world: World, arn: KeyArn) -> None:
    world.rotate(arn)
    earlier, current = before(world.simulator, arn), world.true(arn).current
    first, second = sorted(world.store.entries(arn.identity), key=lambda entry: entry.linked == current)
    assert not broken(world.simulator, arn, earlier, [world.store], success=False)

    class Swapped(Claiming):
        def probe(self, _: EntryName) -> bytes | None:
            return world.store.probe(second.name)

    swapped = Swapped(world.store, lambda entry: replace(entry, probe=True))
    found = broken(world.simulator, arn, earlier, [swapped], success=False)

    assert found == [f"false_held: {first.name} has a probe of other bytes"]


def repair(world: World, arn: KeyArn, **policy: Any) -> Any:
    job = jobs.repair("payments", KeySettings(arn=str(arn)), replace(world.policy, **policy))
    return world.runner().run([job])[0]


def test_a_region_that_is_not_kept_alive_is_found(world: World, arn: KeyArn) -> None:
    """I11: what is missing, and what ends soon; where it is done, nothing is found."""
    world.client(REGIONS[2]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)
    earlier = before(world.simulator, arn)
    assert let_die(world.simulator, arn, earlier, [world.store], REGIONS) == [
        f"let_die: {REGIONS[2]} still lacks {world.true(arn).current}"
    ]
    assert not let_die(world.simulator, arn, earlier, [world.store], REGIONS[:2])
    repair(world, arn)
    assert not let_die(world.simulator, arn, earlier, [world.store], REGIONS)

    until = (world.clock.now() + timedelta(days=20)).replace(microsecond=0)
    there = arn.within(Region(REGIONS[1]))
    name, current = EntryName(arn.identity, None), world.true(arn).current
    world.send(world.store, there, name, ImportType.EXISTING, current, until)
    ends = until.timestamp()
    assert not let_die(world.simulator, arn, earlier, [world.store], REGIONS, until=ends - 1)
    assert len(let_die(world.simulator, arn, earlier, [world.store], REGIONS, until=ends + 1)) == 1
    assert TALLY.numbers() == {"let_die": 2, "let_die_judged": 5}


@pytest.mark.parametrize("why", ["disabled", "to be deleted", "not held"])
def test_what_cannot_or_must_not_be_brought_back_was_not_let_die(world: World, arn: KeyArn, why: str) -> None:
    there = world.client(REGIONS[2])
    there.delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)
    if why == "to be deleted":
        there.schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=7)
    earlier = before(world.simulator, arn)
    if why == "disabled":
        earlier = replace(earlier, states={**earlier.states, REGIONS[2]: "Disabled"})
    if why == "not held":
        forgets(world, arn)

    assert not let_die(world.simulator, arn, earlier, [world.store], REGIONS)


def test_a_repair_that_nothing_tells_of_is_found(world: World, arn: KeyArn) -> None:
    """I13: by the documents of the reports."""
    world.client(REGIONS[2]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)
    earlier = before(world.simulator, arn)
    assert not untold(world.simulator, arn, earlier, [])
    assert TALLY.numbers() == {}

    report = repair(world, arn)

    assert not untold(world.simulator, arn, earlier, told_of(report))
    silent = replace(report, done=(), run=None)
    assert untold(world.simulator, arn, earlier, told_of(silent)) == [
        f"untold: {REGIONS[2]} has {world.true(arn).current} again"
    ]
    assert TALLY.numbers() == {"untold": 1, "untold_judged": 2}


def import_again(world: World, arn: KeyArn, region: str) -> None:
    there, current = arn.within(Region(region)), world.true(arn).current
    world.send(world.store, there, EntryName(arn.identity, None), ImportType.EXISTING, current)


def switched_on(watch: Watch) -> list[str]:
    return [one.split(", and")[0] for one in watch.found if one.startswith("switched_on")]


@pytest.mark.parametrize("known", ["from the start", "by a look", "after a while"])
def test_an_import_that_switches_on_what_the_owner_switched_off_is_found(world: World, arn: KeyArn, known: str) -> None:
    """P10: where a look has told of it, and where one must have."""
    client = world.client(REGIONS[1])
    watch = None if known == "from the start" else Watch(world.simulator, arn, before(world.simulator, arn))
    client.disable_key(KeyId=arn.key_id)
    watch = watch or Watch(world.simulator, arn, before(world.simulator, arn))
    if known == "by a look":
        client.describe_key(KeyId=arn.key_id)
    if known == "after a while":
        world.clock.advance(seconds=11)

    import_again(world, arn, REGIONS[1])

    assert switched_on(watch) == [f"switched_on: {REGIONS[1]} was Disabled"]
    assert (TALLY.numbers()["switched_on"], TALLY.numbers()["switched_on_judged"]) == (1, 1)


@pytest.mark.parametrize(
    "why", ["nobody could know", "switched on by the owner", "never switched off", "by somebody else", "another key"]
)
def test_an_import_that_switches_nothing_on_is_not_found(world: World, arn: KeyArn, why: str) -> None:
    client, judged = world.client(REGIONS[1]), world.make_key() if why == "another key" else arn
    watch = Watch(world.simulator, judged, replace(before(world.simulator, judged), enabled=frozenset()))
    if why != "never switched off":
        client.disable_key(KeyId=arn.key_id)
    if why == "switched on by the owner":
        client.enable_key(KeyId=arn.key_id)
    if why != "nobody could know":
        world.clock.advance(seconds=11)
    watch.judging = why != "by somebody else"

    import_again(world, arn, REGIONS[1])

    assert not watch.found


@pytest.mark.parametrize("noted", [True, False])
def test_what_was_noted_as_off_before_its_material_was_lost_is_judged_as_off(
    world: World, arn: KeyArn, *, noted: bool
) -> None:
    """P10: KMS tells of no Disabled any more; where nobody has noted it, nobody can know."""
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)
    watch = Watch(world.simulator, arn, before(world.simulator, arn), noted=[REGIONS[1]] if noted else [])

    import_again(world, arn, REGIONS[1])

    assert switched_on(watch) == [f"switched_on: {REGIONS[1]} was PendingImport"] * noted


def test_others_are_blamed_falsely_where_nobody_else_was_there(world: World, arn: KeyArn) -> None:
    """I15: and that CURRENT is somebody else's is false wherever the store can give its bytes."""
    blocks = [Block(Reason(reason), "", "") for reason in Reason]
    others = {Reason.FOREIGN_CURRENT, Reason.FOREIGN_PENDING, Reason.MADE_ELSEWHERE, Reason.PENDING_VANISHED}

    alone = false_blocks(world.simulator, arn, [world.store], blocks, alone=True)
    among = false_blocks(world.simulator, arn, [world.store], blocks, alone=False)

    assert others <= {one.split(": ")[1] for one in alone}
    assert not {Reason.MATERIAL_MISSING, Reason.RECENTLY_ROTATED, Reason.CALL_FAILED} & {
        o.split(": ")[1] for o in alone
    }
    assert among == ["false_block: foreign-current: "]
    forgets(world, arn)
    assert not false_blocks(world.simulator, arn, [world.store], blocks, alone=False)
    assert not false_blocks(world.simulator, arn, [world.store], [], alone=True)
    assert TALLY.numbers() == {"false_block": len(alone), "false_block_judged": 4}


def test_nothing_is_told_of_what_nobody_judged() -> None:
    assert verdict.Tally().numbers() == {}
