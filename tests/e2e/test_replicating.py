"""The real command makes the member that the config lists and KMS lacks, and tells of it: plan, run, report, script."""

import json
import subprocess

import pytest

from e2e.machine import BIN, REGIONS, Machine

pytestmark = pytest.mark.e2e

NEW = "sa-east-1"


def want(machine: Machine, **more: str) -> None:
    machine.write_config(payments=machine.keys["payments"] | {"regions": [*REGIONS, NEW]} | more)


def states(machine: Machine, arn: str) -> dict[str, str]:
    known = {region: machine.simulator.key(region, arn) for region in (*REGIONS, NEW)}
    return {region: key.key_state for region, key in known.items() if key}


def test_a_region_is_added_to_the_config(adopted: tuple[Machine, str]) -> None:
    """P11: asked first (4); with `replicate: auto` planned, made, filled, proven (0); then nothing is due (0)."""
    machine, arn = adopted
    machine.aws(
        "put-key-policy",
        "--key-id",
        arn,
        "--policy",
        json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                        "Action": "kms:*",
                        "Resource": "*",
                    }
                ],
            }
        ),
    )
    want(machine)
    asked = machine.run("mrk", "run", "payments", code=4)
    assert f"the config lists {NEW}, but the key has no member there" in asked
    assert "replicate: auto" in asked
    assert "aws kms replicate-key" in asked

    want(machine, replicate="auto")
    planned = machine.run("mrk", "plan", "payments")
    assert planned.index("GetKeyPolicy") < planned.index(f"ReplicateKey {NEW}") < planned.index("EXISTING_KEY_MATERIAL")
    assert machine.json("mrk", "plan", "--exit-code", "--json", code=10)
    assert NEW not in states(machine, arn)

    assert "finished" in machine.run("mrk", "run", "payments")
    assert states(machine, arn) == dict.fromkeys((*REGIONS, NEW), "Enabled")
    there = machine.aws("get-key-policy", "--key-id", arn.rpartition("/")[2], "--policy-name", "default", region=NEW)
    assert there == machine.aws("get-key-policy", "--key-id", arn, "--policy-name", "default")
    told = machine.run("mrk", "report", "last")
    assert "replicate" in told
    assert "ReplicateKey" in told
    assert "idle" in machine.run("mrk", "run", "payments")
    assert machine.run("mrk", "verify", "payments")
    used = machine.simulator.key(NEW, arn)
    assert used is not None
    assert used.rotations == 0


def test_repair_replicates_and_the_script_does_the_same_by_hand(adopted: tuple[Machine, str]) -> None:
    """The plan as plain commands ends in the same key."""
    machine, arn = adopted
    want(machine, replicate="auto")
    script = machine.directory / "plan.sh"
    script.write_text(machine.run("mrk", "plan", "payments", "--script"))
    by_hand = subprocess.run(
        ["sh", "-c", f"PATH={BIN}:$PATH; . ./plan.sh"],
        cwd=machine.directory,
        env=machine.environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert by_hand.returncode == 0, by_hand.stderr
    assert states(machine, arn) == dict.fromkeys((*REGIONS, NEW), "Enabled")
    assert "finished" in machine.run("mrk", "repair", "payments")
