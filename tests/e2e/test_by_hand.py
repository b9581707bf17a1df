"""By hand, from the shell: the stock aws command, openssl and age beside mrk."""

import base64
import json
from pathlib import Path

import pytest

from e2e.machine import BIN, REGIONS, Machine

pytestmark = pytest.mark.e2e


def test_a_key_made_with_the_aws_command_is_adopted_planned_rotated_and_then_nothing_is_due(machine: Machine) -> None:
    """The main job from the shell, over real HTTP."""
    arn, material = machine.make_key()
    machine.run("mrk", "store", "init")

    blocked = machine.json("mrk", "plan", "payments", "--json", code=4)["keys"][0]
    assert [block["reason"] for block in blocked["blocks"]] == ["store-lacks"]

    machine.run("mrk", "adopt", "payments", str(material))
    plan = machine.json("mrk", "rotate", "payments", "--dry-run", "--json")["keys"][0]
    operations = [call["operation"] for step in plan["steps"] for call in step["calls"]]
    assert operations.count("ImportKeyMaterial") == len(REGIONS)
    assert operations.count("RotateKeyOnDemand") == 1

    machine.run("mrk", "rotate", "payments", "--yes")
    status = machine.json("mrk", "status", "--json")["keys"][0]
    assert status["rotations_left"] == 24
    assert {region["key_state"] for region in status["regions"].values()} == {"Enabled"}
    told = {key["KeyId"]: key for key in machine.aws("list-key-rotations", "--key-id", arn)["Rotations"]}
    assert list(told) == [arn]

    idle = machine.json("mrk", "run", "--json")["keys"][0]
    assert idle["status"] == "idle"
    assert "nothing is due" in idle["message"]


def test_rotating_by_the_aws_command_works_on_the_same_simulator(machine: Machine) -> None:
    """The simulator is no friend of mrk alone: the stock client rotates a key, too."""
    arn, _ = machine.make_key()
    second = machine.directory / "second.bin"
    machine.run("openssl", "rand", "-out", str(second), "32")
    new = machine.import_by_hand(arn, second, "NEW_KEY_MATERIAL")
    for region in REGIONS[1:]:
        machine.import_by_hand(arn.replace(REGIONS[0], region), second, "EXISTING_KEY_MATERIAL", region)

    machine.aws("rotate-key-on-demand", "--key-id", arn)

    true = machine.simulator.key(REGIONS[0], arn)
    assert true is not None
    assert new in {true.pending, true.current}


def test_the_stock_age_command_restores_an_entry_with_no_code_of_ours(adopted: tuple[Machine, str]) -> None:
    """What a person finds after decrypting, with the offline identity alone, is what was adopted."""
    machine, _ = adopted
    (entry,) = (machine.directory / "store").rglob("*.age")

    payload = json.loads(machine.run("age", "-d", "-i", "recovery.txt", str(entry)))

    assert base64.b64decode(payload["key_material"]) == Path(machine.directory / "payments.bin").read_bytes()
    assert payload["replaces"] is None


def test_without_a_terminal_a_rotation_needs_yes(adopted: tuple[Machine, str]) -> None:
    """A rotation cannot be undone: it is never begun by accident."""
    machine, arn = adopted

    machine.run("mrk", "rotate", "payments", code=2)

    true = machine.simulator.key(REGIONS[0], arn)
    assert true is not None
    assert true.rotations == 0
    assert true.pending is None


def test_the_plan_as_a_script_of_plain_commands_comes_to_the_same_end(machine: Machine) -> None:
    """By `plan --script`, aws, openssl and age alone do what was planned for a key that is due (see test_script.py)."""
    machine.past.days = 100
    arn, material = machine.make_key_quickly(REGIONS[:2])
    machine.past.days = 0
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    script = machine.directory / "plan.sh"
    script.write_text(machine.run("mrk", "plan", "payments", "--script"))

    printed = machine.run("sh", "-c", f"PATH={BIN}:$PATH; . {script}")

    assert "mrk run payments" in printed
    for region in REGIONS[:2]:
        true = machine.simulator.key(region, arn)
        assert true is not None
        assert (true.key_state, true.rotations, true.pending) == ("Enabled", 1, None)
        assert all(row.usable for row in true.rows)
    machine.run("mrk", "run", "payments")
    assert machine.json("mrk", "verify", "--json")["keys"][0]["status"] == "idle"


def test_an_attempt_that_was_not_finished_is_given_up_and_a_finished_one_is_not(adopted: tuple[Machine, str]) -> None:
    """The mark, never the bytes; and first of all. Then it waits 3 min for an import that may be on its way."""
    machine, _ = adopted
    machine.run("mrk", "rotate", "payments", "--until", "deposited", "--quiet")
    entries = {entry["proven"]: entry["entry"] for entry in machine.json("mrk", "store", "list", "--json")["entries"]}

    machine.run("mrk", "abort", "payments", code=2)
    machine.run("mrk", "abort", "--yes", code=2)
    machine.given = {"MRK_RUN__DEADLINE": "5s"}
    machine.run("mrk", "abort", "payments", "--yes", code=3)

    marks = {
        entry["entry"]: entry["discarded_at"] for entry in machine.json("mrk", "store", "list", "--json")["entries"]
    }
    assert [entry for entry, discarded in marks.items() if discarded] == [entries[False]]
    assert "would wait until no import" in machine.run("mrk", "abort", "payments", "--dry-run", code=3)


def test_adopted_material_that_the_key_needs_is_never_given_up(adopted: tuple[Machine, str]) -> None:
    """Linked, and CURRENT: KMS says so, whatever marks the store holds."""
    machine, _ = adopted
    for mark in (machine.directory / "store").rglob("*.proven.json"):
        mark.unlink()
    (entry,) = machine.json("mrk", "store", "list", "--json")["entries"]
    assert not entry["proven"]

    machine.run("mrk", "abort", "payments", "--yes")
    machine.run("mrk", "abort", "payments", "--yes", "--material-id", entry["material_id"], code=4)

    assert [one["discarded_at"] for one in machine.json("mrk", "store", "list", "--json")["entries"]] == [None]
