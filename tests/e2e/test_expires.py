"""A stranger's key whose material expires by policy, the real commands, and a config without `expires`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.machine import REGIONS, Machine
from orchestrator.ports import WrappingAlgorithm
from orchestrator.wrapping import wrap

pytestmark = pytest.mark.e2e


def expiring(machine: Machine, days: int) -> tuple[str, Any]:
    """Make a key in two Regions, and import its material again so that it ends in so many days."""
    arn, file = machine.make_key_quickly(REGIONS[:2])
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    for region in REGIONS[:2]:
        client, there = machine.client(region), arn.replace(REGIONS[0], region)
        asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_4096"}
        parameters = client.get_parameters_for_import(KeyId=there, **asked)
        wrapped = wrap(file.read_bytes(), parameters["PublicKey"], WrappingAlgorithm.RSAES_OAEP_SHA_256)
        client.import_key_material(
            KeyId=there,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial=wrapped,
            ImportType="EXISTING_KEY_MATERIAL",
            ExpirationModel="KEY_MATERIAL_EXPIRES",
            ValidTo=until,
        )
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(file))
    return arn, until


def ends(machine: Machine, arn: str) -> set[Any]:
    """Until when each material is valid, in each Region, as the stock client tells it."""
    told = {}
    for region in REGIONS[:2]:
        asked = {"KeyId": arn.replace(REGIONS[0], region), "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
        for row in machine.client(region).list_key_rotations(**asked)["Rotations"]:
            told[region, row["KeyMaterialId"]] = row.get("ValidTo")
    return set(told.values())


def test_what_was_to_expire_still_does_after_a_rotation_and_a_repair(machine: Machine) -> None:
    arn, until = expiring(machine, days=100)

    machine.run("mrk", "rotate", "payments", "--yes", "-q")
    current = machine.json("mrk", "status", "--json")["keys"][0]["current"]
    replica = machine.client(REGIONS[1])
    replica.delete_imported_key_material(KeyId=arn.replace(REGIONS[0], REGIONS[1]), KeyMaterialId=current)
    machine.run("mrk", "repair", "payments", "-q")
    (key,) = machine.json("mrk", "run", "--json")["keys"]

    assert ends(machine, arn) == {until}
    assert (key["status"], len(key["notes"])) == ("idle", 1)
    assert "`expires` is not set" in key["notes"][0]


def test_what_soon_expires_waits_for_the_owners_word(machine: Machine) -> None:
    arn, until = expiring(machine, days=20)

    (blocked,) = machine.json("mrk", "run", "--json", code=4)["keys"]
    assert {block["reason"] for block in blocked["blocks"]} == {"expires-soon"}
    assert ends(machine, arn) == {until}

    machine.write_config(payments={**machine.keys["payments"], "expires": "never"})
    (renewed,) = machine.json("mrk", "run", "--json")["keys"]
    assert {one["valid_to"] for one in renewed["changed"]} == {"never"}
    assert ends(machine, arn) == {None}
