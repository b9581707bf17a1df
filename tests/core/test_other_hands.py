"""Other hands on the same key: wrong files, other stores, materials deleted or rotated in by hand, changed links.

Whatever they did, no wrong bytes become key material, and the way out that a message names leads out.
"""

import json
import os
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.model import (
    ADOPTED,
    EntryName,
    ImportType,
    KeyArn,
    MaterialId,
    Policy,
    Proof,
    Reason,
    Region,
    StoreView,
)
from orchestrator.ports import MaterialStore
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from orchestrator.stores.layout import Kind, path_of
from workflows import jobs
from workflows.adopt import adopt
from worlds import REGIONS, World

NOTHING_DUE = timedelta(days=9999)


def current(world: World, arn: KeyArn) -> MaterialId:
    return MaterialId(str(world.true(arn).current))


def a_file(world: World, content: bytes) -> Path:
    path = world.directory / f"{content.hex()[:8]}.bin"
    path.write_bytes(content)
    return path


def adopting(
    world: World, arn: KeyArn, content: bytes, material: MaterialId | None = None, store: MaterialStore | None = None
) -> Report:
    """`mrk adopt`."""
    job = adopt("payments", arn, world.policy, a_file(world, content), material)
    return world.runner(store=store).run([job])[0]


def run_from_cron(world: World, arn: KeyArn) -> Report:
    """`mrk run`, where nothing is due."""
    policy = replace(world.policy, rotate_every=NOTHING_DUE)
    return world.runner().run([jobs.run("payments", KeySettings(arn=str(arn)), policy)])[0]


def repairing(world: World, arn: KeyArn, policy: Policy) -> Report:
    """`mrk repair`."""
    return world.runner().run([jobs.repair("payments", KeySettings(arn=str(arn)), policy)])[0]


def up_to(world: World, arn: KeyArn, stage: str) -> Job:
    """`mrk rotate --until`."""
    return jobs.rotate("payments", KeySettings(arn=str(arn)), world.policy, until=stage)


def reasons(report: Report) -> list[str]:
    return [str(block.reason) for block in report.blocks]


def stored(report: Report) -> StoreView:
    assert report.view is not None
    assert report.view.store is not None
    return report.view.store


@dataclass
class Theirs:
    """Somebody else's store, for the same key; its next material is `content`."""

    world: World
    arn: KeyArn
    content: bytes

    def __post_init__(self) -> None:
        uri = f"file:{self.world.directory / 'theirs'}"
        self.store = self.world.open_store(uri, random_bytes=lambda _length: self.content)
        self.name = EntryName(self.arn.identity, current(self.world, self.arn))

    def import_new(self) -> MaterialId:
        self.store.deposit(self.name)
        return self.world.send(self.store, self.arn, self.name, ImportType.NEW)

    def import_everywhere_and_rotate(self) -> MaterialId:
        new = self.import_new()
        for region in REGIONS[1:]:
            self.world.send(self.store, self.arn.within(Region(region)), self.name, ImportType.EXISTING, new)
        self.world.client().rotate_key_on_demand(KeyId=str(self.arn))
        self.world.clock.advance(days=2)
        return new


# ---- wrong files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_id", [True, False], ids=["the whole id", "the id as messages shorten it"])
def test_current_material_is_adopted_and_proven_even_after_a_wrong_file(world: World, *, whole_id: bool) -> None:
    """P2, P3, P14: the wrong file's attempt is set aside; the right one takes the next, and is proven at once."""
    arn, right = world.make_key(), os.urandom(32)
    new = Theirs(world, arn, right).import_everywhere_and_rotate()
    assert reasons(world.rotate(arn)) == ["foreign-current"]
    wanted = new if whole_id else MaterialId(new[:8])

    refused = adopting(world, arn, os.urandom(32), wanted)
    adopted = adopting(world, arn, right, wanted)

    assert (refused.status, adopted.status) == ("blocked", "finished"), (refused, adopted)
    assert "nothing was changed in KMS" in refused.blocks[0].message
    held = stored(adopted).holding(new)
    assert held is not None
    assert (held.name.attempt, held.proven, held.probe) == (ADOPTED + 1, True, True)
    assert adopted.message == "adopted: KMS confirmed the bytes, and the store holds them now"


def test_the_old_material_that_a_store_lacks_is_adopted_into_the_entry_before(world: World) -> None:
    """P3, P12: after a wrong file, too; then the key is repaired from it."""
    first = os.urandom(32)
    world.store = world.open_store(f"file:{world.directory / 'elsewhere'}", random_bytes=lambda _length: first)
    arn = world.make_key()
    old = current(world, arn)
    world.store = world.open_store()

    refused, adopted = (adopting(world, arn, content, old) for content in (os.urandom(32), first))

    assert (refused.status, adopted.status) == ("blocked", "finished"), (refused, adopted)
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=old)
    assert repairing(world, arn, world.policy).status == "finished"
    assert world.true(arn, REGIONS[1]).key_state == "Enabled"


def test_a_wrong_file_for_foreign_pending_material_never_becomes_key_material(world: World) -> None:
    """P2, P9: neither by the next rotation nor by cron, though the foreign material is gone and its place free."""
    arn, wrong = world.make_key(), os.urandom(32)
    theirs = Theirs(world, arn, os.urandom(32))
    foreign = theirs.import_new()
    assert adopting(world, arn, wrong).status == "blocked"
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=foreign)

    cron = run_from_cron(world, arn)
    rotated = world.rotate(arn)

    assert cron.status == "idle", cron
    assert rotated.status == "finished", rotated
    aside = world.store.find(replace(theirs.name, attempt=ADOPTED))
    used = stored(rotated).holding(current(world, arn))
    assert aside is not None
    assert used is not None
    assert (aside.linked, aside.discarded_at is None) == (None, False)
    assert used.name == theirs.name
    assert world.simulator.material(arn.region, str(arn), current(world, arn)) not in {None, wrong}


def test_a_rotation_takes_no_wrong_file_for_pending_material_that_is_still_there(world: World) -> None:
    """P2: an adoption that ended before KMS was asked leaves the file's bytes unproven; KMS refuses them."""
    arn, right = world.make_key(), os.urandom(32)
    theirs = Theirs(world, arn, right)
    foreign = theirs.import_new()
    world.store.adopt(replace(theirs.name, attempt=ADOPTED), a_file(world, os.urandom(32)))

    blocked = world.rotate(arn)
    adopted = adopting(world, arn, right)
    rotated = world.rotate(arn)

    assert reasons(blocked) == ["foreign-pending"]
    assert (adopted.status, rotated.status) == ("finished", "finished"), (adopted, rotated)
    held = stored(rotated).holding(current(world, arn))
    assert held is not None
    assert (held.linked, held.name.attempt) == (foreign, ADOPTED + 1)


def test_a_wrong_file_that_kms_was_never_asked_about_is_never_sent_as_new(world: World) -> None:
    """P2, I6: the adoption was killed before KMS was asked, and the foreign material it was for is gone."""
    arn, wrong = world.make_key(), os.urandom(32)
    theirs = Theirs(world, arn, os.urandom(32))
    foreign = theirs.import_new()
    world.store.adopt(replace(theirs.name, attempt=ADOPTED), a_file(world, wrong))
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=foreign)

    assert world.rotate(arn).status == "finished"

    for region in REGIONS:
        assert world.simulator.material(region, str(arn), current(world, arn)) not in {None, wrong}


@pytest.mark.parametrize("operation", ["GetParametersForImport", "ImportKeyMaterial"])
def test_a_wrong_file_whose_adoption_broke_off_is_never_sent_as_new(world: World, operation: str) -> None:
    """P2, I6: `mrk adopt` itself kept the bytes, and KMS never judged them; neither cron nor a rotation takes them."""
    arn, wrong = world.make_key(), os.urandom(32)
    old = current(world, arn)
    foreign = Theirs(world, arn, os.urandom(32)).import_new()
    denied = world.simulator.faults.add(operation=operation, error="AccessDeniedException")
    broken = adopting(world, arn, wrong)
    world.simulator.faults.remove(denied)
    kept = [entry for entry in stored(broken).entries if entry.name.replaces == old]
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=foreign)

    cron = run_from_cron(world, arn)
    rotated = world.rotate(arn)

    assert broken.status == "failed", broken
    assert [(entry.linked, entry.discarded_at) for entry in kept] == [(None, None)], "else nothing is tried here"
    assert (cron.status, rotated.status) == ("idle", "finished"), (cron, rotated)
    assert world.true(arn).rotations == 1
    for region in REGIONS:
        assert world.simulator.material(region, str(arn), current(world, arn)) not in {None, wrong}
    left = stored(rotated).get(kept[0].name)
    assert left is not None
    assert (left.linked, left.proven) == (None, False)


# ---- separate stores ----------------------------------------------------------------------------------------------


def test_with_separate_stores_the_loser_adopts_the_winners_bytes_and_goes_on(world: World) -> None:
    """I7, P2: both deposited; KMS took the winner's; the loser's rotation goes on with the attempt that is linked."""
    first, new = os.urandom(32), os.urandom(32)
    contents = iter((first, new))
    world.store = world.open_store(random_bytes=lambda _length: next(contents))
    arn = world.make_key()
    old = current(world, arn)
    loser = world.open_store(f"file:{world.directory / 'loser'}")
    assert adopting(world, arn, first, old, loser).status == "finished"
    loser.deposit(EntryName(arn.identity, old))
    won = world.runner().run([up_to(world, arn, "replicas_imported")])[0]
    assert won.message.startswith("stopped after stage replicas_imported, as asked")

    lost = world.runner(store=loser).run([world.job(arn)])[0]
    adopted = adopting(world, arn, new, store=loser)
    rotated = world.runner(store=loser).run([world.job(arn)])[0]
    caught_up = world.rotate(arn)

    assert reasons(lost) == ["foreign-pending"]
    assert (adopted.status, rotated.status, caught_up.status) == ("finished", "finished", "finished"), rotated
    assert world.true(arn).rotations == 1
    attempts = [stored(report).holding(current(world, arn)) for report in (rotated, caught_up)]
    assert [(entry.name.attempt, entry.proven) for entry in attempts if entry] == [(ADOPTED, True), (1, True)]


# ---- deleted and rotated by hand ----------------------------------------------------------------------------------


def test_after_ours_was_deleted_and_another_rotated_in_current_is_adopted_and_cron_is_idle(world: World) -> None:
    """P2, P5, P6: our linked entry is of material that KMS forgot; the adopted bytes take an attempt of their own."""
    arn, right = world.make_key(), os.urandom(32)
    world.runner().run([up_to(world, arn, "replicas_imported")])
    theirs = Theirs(world, arn, right)
    pending = world.view(arn).pending
    assert pending is not None
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=pending.material_id)
    new = theirs.import_everywhere_and_rotate()

    told = run_from_cron(world, arn)
    adopted = adopting(world, arn, right)
    idle = run_from_cron(world, arn)

    assert reasons(told) == ["foreign-current"]
    assert (adopted.status, idle.status) == ("finished", "idle"), (adopted, idle)
    ours, held = world.store.find(theirs.name), stored(adopted).holding(new)
    assert ours is not None
    assert held is not None
    assert (ours.linked, held.name, held.proven) == (pending.material_id, replace(theirs.name, attempt=ADOPTED), True)


# ---- changed links ------------------------------------------------------------------------------------------------


def link_of(world: World, name: EntryName) -> Path:
    return path_of(Path(world.store_uri.removeprefix("file:")), name, Kind.LINK)


def exchange_files(one: Path, other: Path) -> None:
    """Put each link in the place of the other."""
    told = one.read_text(), other.read_text()
    other.write_text(told[0])
    one.write_text(told[1])


def exchange_ids(one: Path, other: Path) -> None:
    """Let each link name the other's material, and nothing else differ."""
    first, second = json.loads(one.read_text()), json.loads(other.read_text())
    one.write_text(json.dumps(first | {"key_material_id": second["key_material_id"]}))
    other.write_text(json.dumps(second | {"key_material_id": first["key_material_id"]}))


def two_generations(world: World) -> tuple[KeyArn, EntryName, EntryName]:
    """A key that was rotated long ago, and its two entries."""
    arn = world.make_key()
    first, second = EntryName(arn.identity, None), EntryName(arn.identity, current(world, arn))
    assert world.rotate(arn).status == "finished"
    world.clock.advance(days=100)
    return arn, first, second


def test_exchanged_links_are_found_by_a_full_proof_before_anything_is_made(world: World) -> None:
    """P12, P2, P7: no import could be trusted any more; nothing is deposited, and a person is told."""
    arn, first, second = two_generations(world)
    exchange_ids(link_of(world, first), link_of(world, second))
    before, imports = world.everywhere(arn), len(world.calls("ImportKeyMaterial"))

    report = world.rotate(arn)

    assert (report.status, report.stage) == ("blocked", "deposited"), report
    assert {block.region for block in report.blocks} == set(map(Region, REGIONS))
    for block in report.blocks:
        assert "is linked to" in block.message
        assert "restore them from its copy" in block.way_out
    assert world.store.find(EntryName(arn.identity, current(world, arn))) is None
    assert len(world.calls("ImportKeyMaterial")) == imports
    assert world.everywhere(arn) == before


def test_exchanged_link_files_are_found_by_the_names_in_them(world: World) -> None:
    """P12, P2, I12: KMS says whose the bytes are, and nothing is rotated; that files were exchanged is told."""
    arn, first, second = two_generations(world)
    exchange_files(link_of(world, first), link_of(world, second))

    before = world.view(arn).store.entries
    reports = [world.runner().run([jobs.run("payments", KeySettings(arn=str(arn)), world.policy)])[0] for _ in range(2)]

    assert [(entry.linked, bool(entry.damage)) for entry in before] == [(None, True)] * 2
    assert [report.status for report in reports] == ["blocked", "blocked"], reports
    assert {block.reason for report in reports for block in report.blocks} == {Reason.STORE_UNREADABLE}
    held = {entry.linked for entry in world.view(arn).store.entries if entry.held}
    assert held == {row.material_id for row in world.true(arn).rows}
    assert (world.true(arn).rotations, len(world.true(arn).rows)) == (1, 2)


# ---- permissions --------------------------------------------------------------------------------------------------

LACKING: list[tuple[Proof, str, str]] = [
    (Proof.IDS_ONLY, "GenerateDataKeyWithoutPlaintext", REGIONS[2]),
    (Proof.FULL, "GenerateDataKeyWithoutPlaintext", REGIONS[1]),
    (Proof.FULL, "Decrypt", REGIONS[1]),
    (Proof.FULL, "Encrypt", REGIONS[0]),
]


@pytest.mark.parametrize(("proof", "operation", "region"), LACKING)
def test_a_permission_that_the_proof_lacks_shows_before_anything_is_made(
    world: World, proof: Proof, operation: str, region: str
) -> None:
    """P7, I9: nothing is deposited, nothing imported; once it is granted, the same command goes through."""
    arn = world.make_key()
    policy = replace(world.policy, proof=proof)
    denied = world.simulator.faults.add(operation=operation, region=region, error="AccessDeniedException")
    imports = len(world.calls("ImportKeyMaterial"))

    report = world.rotate(arn, policy=policy)

    assert (report.status, report.stage) == ("failed", "deposited"), report
    assert operation in report.blocks[0].message
    assert region in report.blocks[0].message
    assert world.store.find(EntryName(arn.identity, current(world, arn))) is None
    assert len(world.calls("ImportKeyMaterial")) == imports

    world.simulator.faults.remove(denied)
    assert world.rotate(arn, policy=policy).status == "finished"


def test_without_proof_no_permission_of_the_proof_is_needed(world: World) -> None:
    """P14: `proof: off` asks for nothing that it will not use."""
    arn = world.make_key()
    for operation in ("GenerateDataKeyWithoutPlaintext", "Decrypt", "Encrypt"):
        world.simulator.faults.add(operation=operation, error="AccessDeniedException")

    assert world.rotate(arn, policy=replace(world.policy, proof=Proof.OFF)).status == "finished"


# ---- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires", [None, timedelta(days=90)], ids=["never", "90d"])
def test_pending_material_that_lost_its_link_and_then_expired_is_proven_all_the_same(
    world: World, expires: timedelta | None
) -> None:
    """P2, I6: a crash before the link, and a rerun after its ValidTo: asked with the goal's expiry, then rotated."""
    arn = world.make_key()
    name = EntryName(arn.identity, current(world, arn))
    world.store.deposit(name)
    soon = world.clock.now() + timedelta(days=1)
    new = world.send(world.store, arn, name, ImportType.NEW, valid_to=soon)
    world.clock.advance(days=2)
    policy = replace(world.policy, expires=expires)

    report = world.rotate(arn, policy=policy)

    assert report.status == "finished", report
    assert current(world, arn) == new
    entry = stored(report).get(name)
    assert entry is not None
    assert (entry.linked, entry.proven) == (new, True)
