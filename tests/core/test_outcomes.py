"""What comes of an action: which failures another run may mend, and which need a person."""

from collections.abc import Callable
from pathlib import Path

import pytest
from core_building import A as OTHER

from orchestrator.model import (
    Action,
    AdoptMaterial,
    EntryName,
    ImportMaterial,
    ImportType,
    KeepProbe,
    KeyArn,
    MarkProven,
    MaterialId,
    Outcome,
    ProveRegion,
    Region,
    Result,
)
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import WrappingAlgorithm
from worlds import REGIONS, World


def performed(world: World, action: Action) -> Outcome:
    """Carry out one action, over HTTP."""
    kms, retry = world.kms(), world.retry()
    parameters = Parameters(kms, retry, world.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    return Perform(kms, world.store, parameters, retry)(action)


def current(world: World, arn: KeyArn) -> MaterialId:
    return MaterialId(str(world.true(arn).current))


def probed(world: World) -> tuple[KeyArn, EntryName, MaterialId]:
    """A key whose first material has its probe."""
    arn = world.make_key()
    name, material = EntryName(arn.identity, None), current(world, arn)
    assert performed(world, KeepProbe(arn, name, material)).result is Result.DONE
    return arn, name, material


# ---- P14: each probe, by the material that its entry is linked to -------------------------------------------------


@pytest.mark.parametrize("region", REGIONS)
def test_a_probe_that_its_own_material_opens_is_told_with_its_id(world: World, region: str) -> None:
    """P14: by KMS's word in that Region."""
    arn, name, material = probed(world)

    outcome = performed(world, ProveRegion(arn.within(Region(region)), material, (name,), (material,), (OTHER,)))

    assert (outcome.result, outcome.material_id) == (Result.DONE, material)
    assert (outcome.opened, outcome.skipped) == ((material,), (OTHER,))


def test_a_probe_that_another_material_opens_is_refused_for_a_person(world: World) -> None:
    """P12, P2, P14: the store's links were changed; nothing may be imported by them."""
    arn, name, material = probed(world)

    outcome = performed(world, ProveRegion(arn, material, (name,), (OTHER,)))

    assert (outcome.result, outcome.final, outcome.person) == (Result.FAILED, True, True)
    assert "is linked to aaaaaaaa" in outcome.message
    assert f"made under {material[:8]}" in outcome.message
    assert "restore them from its copy" in outcome.hint
    assert outcome.opened == ()


def test_a_probe_that_holds_another_text_is_refused_for_a_person(world: World) -> None:
    """P14: a ciphertext that KMS opens is no proof unless it says what ours says."""
    arn = world.make_key()
    name, material = EntryName(arn.identity, None), current(world, arn)
    strange = world.client().encrypt(KeyId=str(arn), Plaintext=b"something else", EncryptionContext={"mrk": "proof"})
    world.store.keep_probe(name, strange["CiphertextBlob"])

    outcome = performed(world, ProveRegion(arn, material, (name,), (material,)))

    assert (outcome.result, outcome.final, outcome.person) == (Result.FAILED, True, True)
    assert "opened another text" in outcome.message


def test_every_probe_needs_the_material_that_it_must_be_opened_by(world: World) -> None:
    """P14: an action that leaves one out is a defect, not a shorter proof."""
    arn, name, material = probed(world)

    with pytest.raises(ValueError, match="zip"):
        performed(world, ProveRegion(arn, material, (name,), ()))


# ---- I9: exit 4 or exit 3 -----------------------------------------------------------------------------------------


def a_short_file(world: World, arn: KeyArn) -> Action:
    path = world.directory / "short.bin"
    path.write_bytes(b"31 bytes are no key material..."[:31])
    return AdoptMaterial(EntryName(arn.identity, current(world, arn)), str(path))


def an_entry_that_is_missing(_world: World, arn: KeyArn) -> Action:
    return MarkProven(EntryName(arn.identity, OTHER), OTHER, ())


def a_store_that_is_gone(world: World, arn: KeyArn) -> Action:
    store = Path(world.store_uri.removeprefix("file:"))
    store.rename(world.directory / "moved")
    return KeepProbe(arn, EntryName(arn.identity, None), current(world, arn))


def an_import_with(error: str) -> Callable[[World, KeyArn], Action]:
    def action(world: World, arn: KeyArn) -> Action:
        world.simulator.faults.add(operation="ImportKeyMaterial", region=arn.region, error=error)
        name = EntryName(arn.identity, None)
        return ImportMaterial(arn, name, ImportType.EXISTING, current(world, arn), None)

    return action


FAILURES: list[tuple[str, Callable[[World, KeyArn], Action], bool, bool]] = [
    ("a file that holds no key material", a_short_file, True, True),
    ("an entry that the store lacks", an_entry_that_is_missing, True, True),
    ("a store that is not where it was", a_store_that_is_gone, True, True),
    ("a limit of KMS that is reached", an_import_with("LimitExceededException"), True, True),
    ("a permission that lacks: whoever grants it need not be asked", an_import_with("AccessDenied"), True, False),
    ("a passing error", an_import_with("KMSInternalException"), False, False),
]


@pytest.mark.parametrize(("claim", "failing", "final", "person"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_tells_whether_running_again_can_mend_it(
    world: World, claim: str, failing: Callable[[World, KeyArn], Action], *, final: bool, person: bool
) -> None:
    """I9: the store's and the user's own troubles, and limits for life, end in exit 4; the others in exit 3."""
    arn = world.make_key()

    outcome = performed(world, failing(world, arn))

    assert outcome.result is Result.FAILED, claim
    assert (outcome.final, outcome.person) == (final, person)
    assert outcome.message
