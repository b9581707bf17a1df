"""The real command obeys no config and no hook that others may write, and reads no journal that others planted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.machine import Machine
from e2e.test_cron import program, set_run

pytestmark = pytest.mark.e2e
STRANGER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to other users")

SPOILED: dict[str, Callable[[Machine], str]] = {
    "config": lambda machine: mode(machine.directory / "config.yaml", 0o666),
    "its directory": lambda machine: mode(machine.directory, 0o777),
    "hook": lambda machine: mode(machine.directory / "notify", 0o777),
}


def mode(path: Path, bits: int) -> str:
    path.chmod(bits)
    return f"{path.name} has mode {bits:04o}"


def ended(machine: Machine, *words: str) -> tuple[int, str, str]:
    process = machine.start(*words)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("words", [("config", "check"), ("plan",), ("run",), ("rotate", "payments", "--yes")])
def test_a_command_that_would_obey_others_is_refused_before_any_call(
    machine: Machine, spoil: Callable[[Machine], str], words: tuple[str, ...]
) -> None:
    """Exit 2 with path, mode and the command to type; nothing is looked at, made or told."""
    machine.make_key_quickly(("us-east-1",))
    machine.run("mrk", "store", "init")
    set_run(machine, after=program(machine, f"touch {machine.directory}/told"))
    before = len(machine.simulator.calls)
    said = spoil(machine)

    code, _, err = ended(machine, "mrk", *words)

    assert (code, len(machine.simulator.calls)) == (2, before)
    assert said in err
    assert "chmod go-w" in err
    assert not (machine.directory / "told").exists()
    assert not list(machine.directory.glob("runs/*.jsonl"))


@needs_root
def test_a_config_that_another_user_left_where_one_stands_is_refused_not_obeyed(
    adopted: tuple[Machine, str],
) -> None:
    """`./config.yaml` is found before $MRK_CONFIG: whoever plants one must not choose recipients and programs."""
    machine, _ = adopted
    own = machine.directory / "own.yaml"
    (machine.directory / "config.yaml").rename(own)
    machine.given = {"MRK_CONFIG": str(own)}
    assert machine.run("mrk", "verify")
    planted = machine.directory / "config.yaml"
    planted.write_text(own.read_text())
    os.chown(planted, STRANGER, STRANGER)

    code, _, err = ended(machine, "mrk", "verify")
    assert code == 2
    assert f"belongs to user id {STRANGER}, and this program runs as user id {os.geteuid()}" in err

    assert machine.run("mrk", "verify", "-c", str(own))


@needs_root
def test_the_last_run_is_none_that_another_user_planted(adopted: tuple[Machine, str]) -> None:
    """Neither by a link, nor by a file of his own in a directory that everybody may write to."""
    machine, _ = adopted
    kept = machine.json("mrk", "run", "--json")["journal"]
    folder = Path(kept["path"]).parent
    folder.chmod(0o1777)
    planted = folder / "20991231T000000Z-ffffff.jsonl"
    planted.write_text("{}\n")
    os.chown(planted, STRANGER, STRANGER)
    (folder / "20991231T000000Z-eeeeee.jsonl").symlink_to("/etc/passwd")

    told = machine.json("mrk", "report", "last", "--json", "--hash", kept["hash"])

    assert told["journal"]["hash"] == kept["hash"]
