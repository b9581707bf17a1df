"""A Region that its owner switched off stays off, whatever becomes of its material, till a person says otherwise."""

from collections.abc import Callable

import pytest
from machine import REGIONS, Machine

pytestmark = pytest.mark.e2e

OFF = REGIONS[1]


def disabled(machine: Machine, key: str) -> None:
    machine.client(OFF).disable_key(KeyId=key)


def to_be_deleted(machine: Machine, key: str) -> None:
    machine.client(OFF).schedule_key_deletion(KeyId=key)


def kept_after_all(machine: Machine, key: str) -> None:
    if state(machine) == "PendingDeletion":
        machine.client(OFF).cancel_key_deletion(KeyId=key)


def switched_off(machine: Machine, seen_by: tuple[str, ...], how: Callable[[Machine, str], None] = disabled) -> Machine:
    """Let the owner switch a key off in one Region, and one command see it; its key material there goes after that."""
    arn, material = machine.make_key_quickly()
    machine.more["defaults"] = {"repair": "auto"}
    machine.write_config()
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    how(machine, arn.split("/")[-1])
    machine.start("mrk", *seen_by).communicate(timeout=100)
    kept_after_all(machine, arn.split("/")[-1])
    assert state(machine) == "Disabled"
    machine.client(OFF).delete_imported_key_material(KeyId=arn.split("/")[-1])
    assert state(machine) == "PendingImport"
    return machine


@pytest.fixture
def off(machine: Machine) -> Machine:
    """A key whose owner disabled it in one Region, which `mrk rotate` saw; its key material there is gone since."""
    return switched_off(machine, ("rotate", "payments", "-y"))


def state(machine: Machine) -> str:
    key = machine.simulator.key(OFF, machine.keys["payments"]["arn"])
    assert key is not None
    return str(key.key_state)


@pytest.mark.parametrize(
    "command", [("run",), ("repair", "payments"), ("renew", "payments"), ("rotate", "payments", "-y")]
)
def test_what_the_owner_switched_off_no_import_switches_on(off: Machine, command: tuple[str, ...]) -> None:
    """A5: KMS says PendingImport, and no more that it was Disabled; the store noted it."""
    process = off.start("mrk", *command)
    said = " ".join("".join(process.communicate(timeout=60)).split())

    assert process.returncode == 4
    assert state(off) == "PendingImport"
    assert command[0] == "renew" or f"mrk repair payments --enable {OFF}" in said


@pytest.mark.parametrize(
    ("seen_by", "how"),
    [
        (("rotate", "payments", "-y"), to_be_deleted),
        (("repair", "payments"), disabled),
        (("renew", "payments"), to_be_deleted),
        (("run",), to_be_deleted),
    ],
    ids=["rotate", "repair", "renew", "run"],
)
def test_whatever_command_saw_it_off_it_is_remembered(
    machine: Machine, seen_by: tuple[str, ...], how: Callable[[Machine, str], None]
) -> None:
    """A5: Disabled, and to be deleted, which leaves a key Disabled where it is cancelled."""
    switched_off(machine, seen_by, how)

    machine.run("mrk", "run", code=4)

    assert state(machine) == "PendingImport"


def test_a_person_switches_it_on_by_name(off: Machine) -> None:
    off.run("mrk", "repair", "payments", "--enable", OFF)

    assert state(off) == "Enabled"
    off.run("mrk", "verify")


@pytest.mark.parametrize(("region", "code"), [("nowhere", 2), ("eu-wset-1", 2), ("ap-northeast-3", 4)])
def test_a_region_that_the_key_does_not_have_is_refused_by_name(off: Machine, region: str, code: int) -> None:
    process = off.start("mrk", "repair", "payments", "--enable", region)
    said = "".join(process.communicate(timeout=60))

    assert process.returncode == code, said
    assert region in said
    assert state(off) == "PendingImport"
