"""`mrk verify` from the shell: what is well, what the next run finishes, and what needs a person."""

import json
from typing import Any

import pytest
from machine import REGIONS, Machine

pytestmark = pytest.mark.e2e


def judged(machine: Machine, code: int) -> list[tuple[str, bool]]:
    """Judge the one key: what is said of it, and whether that needs a person."""
    (key,) = machine.json("mrk", "verify", "payments", "--json", code=code)["keys"]
    return [(block["message"], block["needs_a_person"]) for block in key["blocks"]]


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("deposited", "the store holds new key material, and the next run imports it and rotates"),
        ("replicas_imported", "is pending"),
        ("settled", "is not proven yet"),
    ],
)
def test_what_the_next_run_finishes_is_a_failure_and_needs_nobody(
    adopted: tuple[Machine, str], until: str, said: str
) -> None:
    machine, _ = adopted
    machine.run("mrk", "rotate", "payments", "--yes", "--until", until, "-q")

    ((message, person),) = judged(machine, 3)
    table = machine.run("mrk", "verify", code=3)
    machine.run("mrk", "run", "-q")

    assert said in message
    assert not person
    assert "\nunfinished" in table
    assert "mrk run payments" in table
    assert judged(machine, 0) == []


def test_a_region_that_lost_old_material_after_the_rotation_is_dead_and_current_is_unproven(
    adopted: tuple[Machine, str],
) -> None:
    """Both are told: what is lost needs a person, what is unproven does not."""
    machine, arn = adopted
    client = machine.client(REGIONS[1])
    first: Any = client.list_key_rotations(
        KeyId=arn.replace(REGIONS[0], REGIONS[1]), IncludeKeyMaterial="ALL_KEY_MATERIAL"
    )["Rotations"][0]
    machine.run("mrk", "rotate", "payments", "--yes", "--until", "settled", "-q")
    lost = first["KeyMaterialId"]
    client.delete_imported_key_material(KeyId=arn.replace(REGIONS[0], REGIONS[1]), KeyMaterialId=lost)

    told = judged(machine, 4)

    dead = f"{REGIONS[1]} lacks key material {lost[:8]}: the key encrypts and decrypts nothing there"
    assert told[0] == (dead, True)
    assert "is not proven yet" in told[1][0]
    assert not told[1][1]
    assert len(told) == 2
    assert "rotating now" not in json.dumps(told)


def test_what_stands_against_the_next_run_is_never_left_to_it(adopted: tuple[Machine, str]) -> None:
    """Foreign material: no run finishes that. A rotation of ours, in a key that somebody disabled: later."""
    machine, arn = adopted
    foreign = machine.directory / "foreign.bin"
    foreign.write_bytes(bytes(range(32)))
    material = machine.import_quickly(arn, foreign, "NEW_KEY_MATERIAL")

    told = judged(machine, 4)
    machine.client().delete_imported_key_material(KeyId=arn, KeyMaterialId=material)
    machine.run("mrk", "rotate", "payments", "--yes", "--until", "deposited", "-q")
    machine.client(REGIONS[1]).disable_key(KeyId=arn.replace(REGIONS[0], REGIONS[1]))
    table = machine.run("mrk", "verify", code=4)

    assert [("which is not in this store" in message, person) for message, person in told] == [(True, True)]
    assert "once that is mended, the next run finishes it: mrk run payments" in table
