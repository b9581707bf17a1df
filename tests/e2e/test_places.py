"""Where things lie: one config has one lock and one journal, from wherever it is run and however it is named."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.machine import Machine
from nursery import nursery
from orchestrator.lock import held

pytestmark = pytest.mark.e2e
ONE = ("us-east-1",)


@pytest.fixture
def folders(machine: Machine) -> tuple[Path, Path]:
    """Two directories to work in, beside the config's."""
    found = machine.directory / "one", machine.directory / "two"
    for folder in found:
        folder.mkdir()
    return found


def mrk(machine: Machine, folder: Path, *words: str, **given: str) -> tuple[int, str, str]:
    process = nursery().start(words, folder, machine.environment | given)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def names(folder: Path) -> set[str]:
    """What lies in a directory, but what the processes printed."""
    return {path.name for path in folder.iterdir() if path.suffix not in {".out", ".err"}}


def adopted(machine: Machine) -> None:
    _, material = machine.make_key_quickly(ONE)
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))


@pytest.mark.parametrize("name", ["../config.yaml", "mrk.yaml"])
def test_one_config_from_two_directories_has_one_lock_and_one_journal(
    machine: Machine, folders: tuple[Path, Path], name: str
) -> None:
    """Also by a link of another name."""
    adopted(machine)
    one, two = folders
    (two / "mrk.yaml").symlink_to("../config.yaml")
    before = len(list((machine.directory / "runs").glob("*.jsonl")))

    assert mrk(machine, one, "run", "-c", "../config.yaml")[0] == 0
    assert mrk(machine, two, "run", "-c", name)[0] == 0
    (lock,) = (machine.directory / "runs").glob("*.lock")
    with held(lock, "mrk rotate", datetime.now(UTC)):
        refused = [mrk(machine, folder, "run", "-c", str(machine.directory / "config.yaml")) for folder in folders]
        refused.append(mrk(machine, two, "run", "-c", name))

    assert [code for code, _, _ in refused] == [3, 3, 3]
    assert all(f"another run holds the lock {lock}: mrk rotate" in err for _, _, err in refused)
    assert len(list((machine.directory / "runs").glob("*.jsonl"))) == before + 2
    assert (names(one), names(two)) == (set(), {"mrk.yaml"})
    assert mrk(machine, two, "report", "last", "-c", name)[0] == 0


def at_home(machine: Machine, home: str) -> dict[str, Any]:
    """A config all of whose paths begin with a home."""
    identity = machine.directory / "identity.txt"
    (machine.directory / "home").mkdir()
    identity.rename(machine.directory / "home" / "identity.txt")
    hook = machine.directory / "home" / "notify"
    hook.write_text(f"#!/bin/sh\ncat >> {machine.directory}/home/told\n")
    hook.chmod(0o700)
    store = {"uri": f"file:{home}/store", "recipients": machine.identities, "identity": f"{home}/identity.txt"}
    run = {name: f"{home}/{name}" for name in ("journal", "lock")} | {"after": f"{home}/notify"}
    quick = {"poll": "200ms", "looks": 2, "deadline": "60s"}
    return {"store": {**store, "volatile": "allow"}, "run": {**quick, **run, "metrics": f"{home}/mrk.prom"}}


@pytest.mark.parametrize("home", ["~", "home", "./home"])
def test_every_path_is_found_from_another_directory(machine: Machine, folders: tuple[Path, Path], home: str) -> None:
    """Store, identity, journal, lock, metrics and hook: under HOME, or beside the config; no directory is named `~`."""
    given = {"HOME": str(machine.directory / "home")}
    machine.more = at_home(machine, home)
    _, material = machine.make_key_quickly(ONE)
    tried = ["store", "check", "--identity=~/identity.txt"]

    for words in (["store", "init"], ["adopt", "payments", str(material)], ["run"], tried):
        code, _, err = mrk(machine, folders[0], *words, "-c", "../config.yaml", **given)
        assert code == 0, err

    made = {"identity.txt", "notify", "store", "journal", "lock", "mrk.prom", "told"}
    assert names(machine.directory / "home") == made
    assert names(folders[0]) == set()
    assert not (machine.directory / "~").exists()


def test_a_variable_in_a_path_makes_nothing(machine: Machine, folders: tuple[Path, Path]) -> None:
    machine.make_key_quickly(ONE)
    machine.more = {"run": {"journal": "${HOME}/runs", "after": "$HOME/notify"}}
    machine.write_config()
    before = len(machine.simulator.calls)

    for words in (["config", "check"], ["run"], ["report", "last"]):
        code, out, err = mrk(machine, folders[0], *words, "-c", "../config.yaml")
        assert (code, out) == (2, "")
        assert "run.journal: a path holds no variables ($): write it out" in err
        assert "run.after: a path holds no variables" in err

    assert len(machine.simulator.calls) == before
    assert names(folders[0]) == set()
    assert not any("HOME" in path.name for path in machine.directory.rglob("*"))


def test_a_service_of_kubernetes_that_is_named_mrk_stops_no_command(machine: Machine) -> None:
    adopted(machine)
    machine.given = {
        "MRK_SERVICE_HOST": "10.96.0.10",
        "MRK_SERVICE_PORT": "4599",
        "MRK_PORT": "tcp://10.96.0.10:4599",
        "MRK_PORT_4599_TCP": "tcp://10.96.0.10:4599",
        "MRK_PORT_4599_TCP_ADDR": "10.96.0.10",
        "MRK_PORT_4599_TCP_PORT": "4599",
        "MRK_PORT_4599_TCP_PROTO": "tcp",
    }

    assert machine.json("mrk", "run", "--json")["exit_code"] == 0
