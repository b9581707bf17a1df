"""kill -9 in the middle, then a rerun: same material, one rotation, finished (I6). Two at once: one rotation (I7)."""

import os
import signal
import subprocess

import pytest

from e2e.machine import REGIONS, Machine
from orchestrator.simulator import Call

pytestmark = pytest.mark.e2e

MOMENTS = {
    "deposited, but the new material not sent": ("ImportKeyMaterial", REGIONS[0], "before"),
    "the new material imported, but the reply not read": ("ImportKeyMaterial", REGIONS[0], "after"),
    "one replica imported, but the reply not read": ("ImportKeyMaterial", REGIONS[1], "after"),
    "the rotation not sent": ("RotateKeyOnDemand", REGIONS[0], "before"),
    "the rotation accepted, but the reply not read": ("RotateKeyOnDemand", REGIONS[0], "after"),
    "the proof under way": ("GenerateDataKeyWithoutPlaintext", REGIONS[2], "before"),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_killed_and_run_again_it_finishes_with_the_same_material_and_one_rotation(
    adopted: tuple[Machine, str], moment: tuple[str, str, str]
) -> None:
    """I6: crash anywhere, rerun, same end; nothing orphaned, nothing lost."""
    machine, arn = adopted
    victims: list[subprocess.Popen[str]] = []

    def kill(call: Call, when: str) -> None:
        if victims and (call.operation, call.region, when) == moment:
            os.kill(victims.pop().pid, signal.SIGKILL)

    machine.simulator.hooks.append(kill)
    killed = machine.start("mrk", "rotate", "payments", "--yes")
    victims.append(killed)
    killed.communicate(timeout=100)
    assert killed.returncode == -signal.SIGKILL

    machine.run("mrk", "rotate", "payments", "--yes")

    assert_rotated_once(machine, arn)


def test_two_runs_at_once_on_one_store_rotate_once(adopted: tuple[Machine, str]) -> None:
    """I7: whoever comes second uses the first one's bytes; both end well. Each has its own config, so its own lock."""
    machine, arn = adopted
    (machine.directory / "other.yaml").write_text((machine.directory / "config.yaml").read_text())

    both = [machine.start("mrk", "rotate", "payments", "--yes", "-c", f"{name}.yaml") for name in ("config", "other")]
    ended = [(process.communicate(timeout=100), process.returncode) for process in both]

    assert [code for _, code in ended] == [0, 0], ended
    assert_rotated_once(machine, arn)


def assert_rotated_once(machine: Machine, arn: str) -> None:
    """One new material, one rotation, every Region whole, the entry linked and proven."""
    for region in REGIONS:
        true = machine.simulator.key(region, arn)
        assert true is not None
        assert (true.key_state, true.rotations, true.pending) == ("Enabled", 1, None)
        assert [row.state for row in true.rows] == ["NON_CURRENT", "CURRENT"]
        assert all(row.usable for row in true.rows)
    entries = machine.json("mrk", "store", "list", "--json")["entries"]
    assert len(entries) == 2
    assert {entry["material_id"] for entry in entries} == {row.material_id for row in true.rows}
    assert all(entry["proven"] for entry in entries)
