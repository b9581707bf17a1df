"""Repair and adopt: the ways out that the messages name must lead out."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from core_building import (
    AP,
    EU,
    NOW,
    US,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    cannot_see,
    current,
    days,
    deciding,
    entry,
    first,
    judged_by,
    marked,
    material,
    name,
    past,
    pending,
    settled_everywhere,
    told,
)

from orchestrator.model import (
    ADOPTED,
    STORE,
    EntryName,
    Failed,
    Goal,
    Idle,
    ImportType,
    KeyArn,
    KeyState,
    LookFailure,
    MaterialId,
    MaterialRow,
    Policy,
    short,
)
from orchestrator.report import changed
from workflows.adopt import accepted, adopt, pinned, stages
from workflows.repair import REPAIR, restored, sound
from worlds import World

STANDING = a_goal("a")
BOTH = [past("a"), current("b")]
STORED = (first(), entry("a", "b", **marked()))
LACKS = {"key_state": KeyState.PENDING_IMPORT}

# ---- P10: what is missing, and what repair does of it -----------------------------------------------------------

BROKEN: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing is missing", {}, []),
    ("old material", {"rows": [past("a", imported=False), BOTH[1]]} | LACKS, ["import EXISTING a into eu-west-1"]),
    (
        "CURRENT material",
        {"rows": [BOTH[0], current("b", imported=False)], **LACKS},
        ["import EXISTING b into eu-west-1"],
    ),
    (
        "all of it",
        {"rows": [past("a", imported=False), current("b", imported=False)]} | LACKS,
        ["import EXISTING a into eu-west-1", "import EXISTING b into eu-west-1"],
    ),
    (
        "expired material",
        {"rows": [past("a", valid_to=days(-1)), BOTH[1]]},
        ["import EXISTING a into eu-west-1"],
    ),
    ("nothing yet: what expires tomorrow is there still", {"rows": [past("a", valid_to=days(1)), BOTH[1]]}, []),
    ("pending material is not repaired", {"rows": [*BOTH, pending("c", imported=False)]}, []),
    ("a row that is not listed yet", {"rows": [BOTH[1]]}, ["wait: inconsistent in eu-west-1"]),
    (
        "material of a Disabled key: an import would enable it",
        {"rows": [past("a", imported=False), BOTH[1]], "key_state": KeyState.DISABLED},
        ["block: disabled in eu-west-1"],
    ),
    (
        "material of a key that is to be deleted",
        {"rows": [past("a", imported=False), BOTH[1]], "key_state": KeyState.PENDING_DELETION},
        ["block: key-state in eu-west-1"],
    ),
]


@pytest.mark.parametrize(("lost", "eu", "says"), BROKEN, ids=[row[0] for row in BROKEN])
def test_repair_imports_what_a_region_lacks_and_nothing_else(lost: str, eu: dict[str, Any], says: list[str]) -> None:
    """P10, I3: missing is PENDING_IMPORT, or a ValidTo that is not in the future."""
    view, run = a_view(a_key(BOTH, eu=eu), *STORED), a_run(STANDING)
    done, blocks = told(judged_by(restored, view, run))[1:], told(judged_by(sound, view, run))[1:]

    assert [*done, *blocks] == says, lost


LOST = [
    ("the store never held it", (entry("a", "b", **marked()),), "store-lacks"),
    ("the store cannot read it back", (first(receipt=None, problem="torn"), STORED[1]), "store-unreadable"),
]


@pytest.mark.parametrize(("why", "stored", "reason"), LOST, ids=[row[0] for row in LOST])
def test_repair_without_the_bytes_asks_for_them_by_id(why: str, stored: tuple[Any, ...], reason: str) -> None:
    """I9: the whole id, as adopt wants it."""
    view = a_view(a_key(BOTH, eu={"rows": [past("a", imported=False), BOTH[1]]} | LACKS), *stored)

    [block] = judged_by(sound, view, a_run(STANDING)).blocks

    assert block.reason == reason, why
    assert f"mrk adopt NAME FILE --material-id {material('a')}" in block.way_out


def test_a_region_that_cannot_be_seen_holds_no_other_one_up() -> None:
    """I10."""
    key = a_key(BOTH, eu=None, ap={"rows": [past("a", imported=False), BOTH[1]]} | LACKS)
    denied = cannot_see(EU, transient=False)
    repairing = deciding(a_view(key, *STORED, failures=[denied]), a_run(STANDING), REPAIR)
    assert told(repairing) == ["restored: going", "import EXISTING a into ap-southeast-2"]


def test_repair_looks_everywhere_and_ends_settled_and_proven() -> None:
    """I8, P13: a Region that cannot be seen is not left out."""
    unseen = deciding(a_view(a_key(BOTH, eu=None), *STORED, failures=[cannot_see(EU)]), a_run(STANDING), REPAIR)
    assert told(unseen)[0] == "settled: going"
    rest = a_run(STANDING, settled=settled_everywhere(regions=[US, AP]))
    waits = deciding(a_view(a_key(BOTH, eu=None), *STORED, failures=[cannot_see(EU)]), rest, REPAIR)
    assert told(waits) == ["sound: going", "wait: cannot-look in eu-west-1"]

    done = deciding(a_view(a_key(BOTH), *STORED), a_run(STANDING, settled=settled_everywhere()), REPAIR)
    assert told(done) == ["done: finished"]


# ---- adopt: which material --------------------------------------------------------------------------------------


def chosen(rows: list[MaterialRow], *stored: Any, wanted: str | None = None, **how: Any) -> Any:
    """What adopt pins."""
    return pinned(a_view(a_key(rows), *stored, **how), Policy(), material(wanted) if wanted else None)


def test_adopt_takes_the_only_material_that_the_store_lacks() -> None:
    """P3: its entry is named after the material before it."""
    assert chosen([*BOTH, pending("c")], *STORED).entry == name("b", ADOPTED)
    assert chosen(BOTH, STORED[1]).entry == name(None, ADOPTED)
    assert chosen([*BOTH, pending("c")], *STORED, entry("b", discarded_at=NOW)).entry == name("b", ADOPTED)


OCCUPIED: list[tuple[str, tuple[Any, ...], int]] = [
    ("nothing is there", (), ADOPTED),
    ("a deposit of ours that KMS never saw", (entry("b"),), ADOPTED),
    ("our own material, which somebody deleted from KMS", (entry("b", "x"),), ADOPTED),
    ("an adoption that broke off", (entry("b", attempt=ADOPTED),), ADOPTED + 1),
    ("adopted bytes that KMS forgot", (entry("b", "x", attempt=ADOPTED),), ADOPTED + 1),
    ("a refused file, set aside", (entry("b", attempt=ADOPTED, discarded_at=NOW),), ADOPTED + 1),
    (
        "one of each",
        (
            entry("b", attempt=ADOPTED, discarded_at=NOW),
            entry("b", "x", attempt=ADOPTED + 1),
            entry("b", attempt=ADOPTED + 2),
        ),
        ADOPTED + 3,
    ),
]


@pytest.mark.parametrize(("there", "stored", "attempt"), OCCUPIED, ids=[row[0] for row in OCCUPIED])
def test_adopted_bytes_take_the_first_attempt_that_has_no_entry_at_all(
    there: str, stored: tuple[Any, ...], attempt: int
) -> None:
    """P3, P1: what an earlier attempt holds, the file's bytes may not be."""
    assert chosen([*BOTH, pending("c")], *STORED, *stored).entry == name("b", attempt), there


def test_adopt_asks_which_where_the_store_lacks_several() -> None:
    """I9: with the whole ids."""
    [block] = chosen(BOTH, entry("x"))
    assert material("a") in block.way_out
    assert material("b") in block.way_out

    assert chosen(BOTH, entry("x"), wanted="b").entry == name("a", ADOPTED)


def test_adopt_of_what_the_store_holds_is_nothing_to_do() -> None:
    """I6, I12: a rerun after success says so: the file's bytes were compared with the entry's."""
    idle = pinned(a_view(a_key(BOTH), *STORED), Policy(), None, name("a"))

    assert isinstance(idle, Idle)
    assert "opened and compared" in idle.message


OTHERS: list[tuple[str, tuple[Any, ...], EntryName | None, str | None]] = [
    ("no entry has its bytes", STORED, None, None),
    ("it is of other material than was named", STORED, name("a"), "a"),
    ("what was named is held, and the file is of nothing", STORED, None, "b"),
    ("an entry that KMS refused has its bytes", (*STORED, entry("a", attempt=ADOPTED)), name("a", ADOPTED), None),
    ("it is of material that KMS has forgotten", (*STORED, entry("b", "x")), name("b"), None),
]


@pytest.mark.parametrize(("file", "stored", "same_as", "wanted"), OTHERS, ids=[row[0] for row in OTHERS])
def test_a_file_that_is_none_of_the_keys_is_never_called_held(
    file: str, stored: tuple[Any, ...], same_as: EntryName | None, wanted: str | None
) -> None:
    """I12: somebody would destroy it. The store holds all of this key's material, and nothing is to be adopted."""
    named = material(wanted) if wanted else None

    [block] = pinned(a_view(a_key(BOTH), *stored), Policy(), named, same_as)

    assert (block.reason, block.person) == ("other-bytes", True), file
    assert block.way_out.startswith("keep the file")


def test_what_the_store_cannot_read_is_adopted_anew() -> None:
    """I12: a link beside bytes that do not open holds nothing; of several entries any good one counts."""
    torn = entry("a", "b", receipt=None, problem="torn")

    assert chosen(BOTH, first(), torn, wanted="b").entry == name("a", ADOPTED)
    assert chosen(BOTH, first(), torn).entry == name("a", ADOPTED)
    good = entry("a", "b", attempt=ADOPTED)
    assert pinned(a_view(a_key(BOTH), first(), torn, good), Policy(), None, good.name).entry == good.name


def test_an_adoption_that_broke_off_goes_on_in_its_own_attempt() -> None:
    """I6: the file's bytes are in the store, and no link says of what they are."""
    kept = entry("a", attempt=ADOPTED)

    assert pinned(a_view(a_key(BOTH), first(), kept), Policy(), None, kept.name).entry == kept.name


def test_adopt_completes_a_shortened_id() -> None:
    """I9: as messages show it."""
    view = a_view(a_key(BOTH), entry("x"))

    assert _goal(pinned(view, Policy(), MaterialId("b" * 8))).entry == name("a", ADOPTED)


def test_adopt_for_a_key_without_material_says_that_there_is_none() -> None:
    """I9: not that an id is unknown."""
    [block] = chosen([])
    assert (block.reason, block.region) == ("never-imported", US)


def _goal(found: Any) -> Goal:
    assert isinstance(found, Goal)
    return found


EXPIRES: list[tuple[timedelta | None, datetime | None]] = [(None, None), (timedelta(days=90), days(90))]


@pytest.mark.parametrize(("expires", "valid_to"), EXPIRES, ids=["never", "90d"])
def test_adopt_pins_the_expiry_of_the_config(expires: timedelta | None, valid_to: datetime | None) -> None:
    """P4: whole seconds; it stands in only where the row's own is past."""
    moment = NOW + timedelta(microseconds=5)
    view = a_view(a_key([*BOTH, pending("c")]), *STORED, at=moment)

    assert _goal(pinned(view, Policy(expires=expires), None)).valid_to == valid_to


def test_adopt_of_what_the_key_does_not_have_blocks() -> None:
    """I9: ids are to be seen with mrk status."""
    [block] = chosen(BOTH, *STORED, wanted="f")
    assert (block.reason, block.region) == ("inconsistent", US)


def test_adopt_waits_for_the_store() -> None:
    """P2: whether it is lacking there must be seen."""
    [wait] = chosen(BOTH, failures=[cannot_see(STORE)])
    assert wait.look == (STORE,)


# ---- adopt: by the word of KMS ------------------------------------------------------------------------------------

FILE = Path("/somewhere/material.bin")
REFUSED = Failed(1, "the bytes are others", "", NOW, final=True, refusals=2)
FOREIGN = [current("a"), pending("b", valid_to=days(30))]


def adopting(rows: list[MaterialRow], *stored: Any, goal: Goal | None = None, **memory: Any) -> list[str]:
    """What the workflow says."""
    return told(deciding(a_view(a_key(rows), *stored), a_run(goal or a_goal(), **memory), stages(FILE)))


def test_adopted_bytes_are_kept_first_then_proven_then_linked() -> None:
    """P2, I1: EXISTING under the row's own id; pending material needs no more than its link."""
    assert adopting(FOREIGN, first()) == ["adopted: going", f"adopt {FILE} as a.1"]
    assert adopting(FOREIGN, first(), entry("a")) == ["accepted: going", "import EXISTING b into us-east-1"]
    assert adopting(FOREIGN, first(), entry("a", "b")) == ["done: finished"]


@pytest.mark.parametrize("failure", [cannot_see(US), cannot_see(US, transient=False)])
def test_nothing_is_called_adopted_while_the_primary_cannot_be_seen(failure: LookFailure) -> None:
    """I8: only the primary's word says whose bytes they are, and whether they are CURRENT."""
    view = a_view(a_key(BOTH, us=None), first(), entry("a", "b"), failures=[failure])

    turn = deciding(view, a_run(), stages(FILE))

    assert turn.stage == "accepted"
    assert turn.status == ("going" if failure.transient else "failed")


def test_nothing_is_called_adopted_that_the_primary_does_not_list() -> None:
    """I8: a look may be late; and what was deleted in the meantime was never confirmed."""
    assert adopting([current("a")], first(), entry("a")) == ["accepted: going", "wait: inconsistent in us-east-1"]


def test_adopted_bytes_that_kms_refuses_are_set_aside_before_anything_is_told() -> None:
    """P2, P9: else the next rotation would take a wrong file for its new key material."""
    failed = {f"import:us-east-1:EXISTING_KEY_MATERIAL:{B}.1": REFUSED}

    assert adopting(FOREIGN, first(), entry("a"), failed=failed) == ["accepted: going", "discard a.1"]
    assert adopting(FOREIGN, first(), entry("a", discarded_at=NOW), failed=failed) == [
        "accepted: blocked",
        "block: other-bytes in us-east-1",
    ]


def test_adopted_current_material_is_settled_and_proven_too() -> None:
    """P14, I8."""
    rows = [past("a"), current("b")]

    assert adopting(rows, first(), entry("a", "b"))[0] == "current_settled: going"
    assert adopting(rows, first(), entry("a", "b"), settled=settled_everywhere())[0] == "current_proven: going"
    proven = entry("a", "b", **marked())
    assert adopting(rows, first(), proven, settled=settled_everywhere()) == ["done: finished"]


def test_adopt_into_a_disabled_primary_is_refused() -> None:
    """I3: the proof is an import, and an import enables."""
    view = a_view(a_key(FOREIGN, us={"key_state": KeyState.DISABLED}), first(), entry("a"))

    assert told(judged_by(accepted, view)) == ["accepted: blocked", "block: disabled in us-east-1"]


def test_an_unsettled_region_blocks_an_adoption_as_it_does_a_rotation() -> None:
    """I9: a Region that lacks material after the lag needs a person, whatever the stage is called."""
    view = a_view(a_key(BOTH, eu={"rows": [past("a", imported=False), BOTH[1]]}), first(), entry("a", "b"))
    waiting = {"current_settled:eu-west-1:inconsistent": days(-1)}
    settled = {region: streak for region, streak in settled_everywhere().items() if region != EU}

    turn = deciding(view, a_run(settled=settled, waiting=waiting), stages(FILE))

    assert told(turn) == ["current_settled: blocked", "block: material-missing in eu-west-1"]


# ---- the ways out, walked to their end ----------------------------------------------------------------------------


def foreign_pending(world: World, arn: KeyArn, content: bytes) -> MaterialId:
    """Somebody else, with another store, imports new material of theirs."""
    other = world.open_store(f"file:{world.directory / 'theirs'}", random_bytes=lambda _length: content)
    named = EntryName(arn.identity, MaterialId(str(world.true(arn).current)))
    other.deposit(named)
    return world.send(other, arn, named, ImportType.NEW)


def a_file(world: World, content: bytes) -> Path:
    path = world.directory / f"{content.hex()[:8]}.bin"
    path.write_bytes(content)
    return path


def test_foreign_pending_material_is_adopted_even_after_a_wrong_file(world: World) -> None:
    """P2, I9: the way out that the block names leads out; then the key rotates onto the adopted material."""
    arn, theirs, wrong = world.make_key(), os.urandom(32), os.urandom(32)
    pending_id = foreign_pending(world, arn, theirs)
    assert [block.reason for block in world.rotate(arn).blocks] == ["foreign-pending"]

    refused, adopted = (
        world.runner().run([adopt("payments", arn, world.policy, a_file(world, content), None)])[0]
        for content in (wrong, theirs)
    )

    assert (refused.status, adopted.status) == ("blocked", "finished"), (refused, adopted)
    assert world.rotate(arn).status == "finished"
    assert world.true(arn).current == pending_id
    assert world.true(arn).rotations == 1


@pytest.mark.parametrize(
    ("meanwhile", "right", "changed_"),
    [
        ("nothing", True, ["put the bytes of the file into the store"]),
        ("nothing", False, ["kept the bytes of the file in the store, set aside: no run takes them"]),
        (
            "lost",
            True,
            [
                "brought back key material {id} that was missing in us-east-1: find out why it was",
                "put the bytes of the file into the store",
            ],
        ),
        ("lost", False, ["kept the bytes of the file in the store, set aside: no run takes them"]),
    ],
)
def test_what_an_adoption_changed_is_told_as_it_was(
    world: World, meanwhile: str, right: bool, changed_: list[str]
) -> None:
    """I13: nothing new was imported; what was refused is kept, and is no material of the key's."""
    arn = world.make_key(deposited=False)
    current_id = MaterialId(str(world.true(arn).current))
    content = world.simulator.material(arn.region, str(arn), current_id)
    assert content is not None
    if meanwhile == "lost":
        world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=current_id)
    file = a_file(world, content if right else bytes(32))
    (report,) = world.runner().run([adopt("payments", arn, world.policy, file, None)])
    assert changed.sentences(changed.of(report)) == [line.format(id=short(current_id)) for line in changed_]
    assert (world.view(arn).store.holding(current_id) is not None) is right


def test_a_file_that_was_refused_never_becomes_key_material(world: World) -> None:
    """P2, P9: the foreign material is deleted, and the next rotation makes its own."""
    arn, wrong = world.make_key(), os.urandom(32)
    pending_id = foreign_pending(world, arn, os.urandom(32))
    world.runner().run([adopt("payments", arn, world.policy, a_file(world, wrong), None)])
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=pending_id)

    report = world.rotate(arn)

    assert report.status == "finished", report
    used = world.view(arn).store.holding(MaterialId(str(world.true(arn).current)))
    assert used is not None
    assert used.name.attempt == 1
    assert world.simulator.material(arn.region, str(arn), used.linked or "") not in {None, wrong}
    assert report.run is not None
    assert report.run.goal.entry == used.name


def test_a_deposit_that_somebody_elses_rotation_overtook_is_told_and_the_way_out_leads_out(world: World) -> None:
    """P2, I6, I9: our bytes were never imported, theirs are CURRENT: blocked, not failed for ever; adopt ends it."""
    arn, theirs = world.make_key(), os.urandom(32)
    ours = EntryName(arn.identity, MaterialId(str(world.true(arn).current)))
    world.store.deposit(ours)
    other = world.open_store(f"file:{world.directory / 'theirs'}", random_bytes=lambda _length: theirs)
    other.deposit(ours)
    new = world.send(other, arn, ours, ImportType.NEW)
    for region in world.true(arn).regions:
        if region != arn.region:
            world.send(other, arn.within(region), ours, ImportType.EXISTING, new)
    world.client().rotate_key_on_demand(KeyId=str(arn))

    told_so = world.rotate(arn)
    assert (told_so.status, [block.reason for block in told_so.blocks]) == ("blocked", ["foreign-current"])

    file = a_file(world, theirs)
    adopted, again = (
        world.runner().run(
            [adopt("payments", arn, world.policy, file, None, world.store.identify(arn.identity, file))]
        )[0]
        for _ in range(2)
    )

    # Our deposit stays as it is; the adopted bytes take an attempt of their own.
    assert (adopted.status, again.status) == ("finished", "idle"), (adopted, again)
    kept = world.store.find(ours)
    assert kept is not None
    assert (kept.linked, kept.discarded_at) == (None, None)
    held = world.view(arn).store.holding(new)
    assert held is not None
    assert held.proven
    assert held.name == replace(ours, attempt=ADOPTED)
    assert world.true(arn).rotations == 1
