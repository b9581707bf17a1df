"""`mrk store check` opens every entry and says what is wrong: real processes, on a store that has a past."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from e2e.machine import Machine
from orchestrator.model import EntryName, KeyArn, MaterialId, Region
from orchestrator.ports import MaterialStore
from orchestrator.stores import Place, Wanted, open_store
from orchestrator.stores.layout import Kind, path_of

ARN = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
OTHER = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-0000abcd12ab34cd56ef1234567890ab")
FIRST, ELSE = EntryName(ARN.identity, None), EntryName(OTHER.identity, None)
MATERIAL = MaterialId("a1" * 32)
NEXT = EntryName(ARN.identity, MATERIAL)


def opened(machine: Machine, name: str = "store") -> MaterialStore:
    wanted = Wanted(
        lambda: datetime.now(UTC),
        recipients=tuple(machine.identities),
        identity=machine.directory / "identity.txt",
        volatile=True,
    )
    return open_store(f"file:{machine.directory / name}", Place("aws", "other"), wanted)


@pytest.fixture
def kept(machine: Machine) -> Machine:
    """A machine whose store holds two entries of a key in the config, and one of another."""
    machine.write_config(payments={"arn": str(ARN)})
    machine.run("mrk", "store", "init")
    store = opened(machine)
    for name in (FIRST, NEXT, ELSE):
        store.deposit(name)
    store.link(FIRST, MATERIAL)
    store.keep_probe(FIRST, b"probe")
    store.mark_proven(FIRST, {"regions": ["us-east-1"], "proof": "full"})
    store.withdraw(NEXT, MATERIAL)
    store.note_switch(ARN.identity, Region("eu-west-1"), datetime.now(UTC), off=True)
    return machine


def path(machine: Machine, name: EntryName = FIRST, kind: Kind = Kind.ENTRY) -> Path:
    return path_of(machine.directory / "store", name, kind)


def checked(machine: Machine, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = machine.json("mrk", "store", "check", *words, "--json", code=code)
    assert found["exit_code"] == code
    return found


def wrong(found: dict[str, Any]) -> dict[str, str]:
    """What is said of each entry that is not as it should be."""
    return {one["entry"]: "; ".join(one["wrong"]) for one in found["findings"]}


@pytest.mark.e2e
@pytest.mark.parametrize("identity", [None, "identity.txt", "recovery.txt"])
def test_each_identity_is_tried_once_and_opens_every_entry(kept: Machine, identity: str | None) -> None:
    """The recovery identity, brought from its safe, opens all of it: else it is no backup."""
    words = ("--identity", str(kept.directory / identity)) if identity else ()
    found = checked(kept, *words)
    assert len(found["entries"]) == 3
    assert all(entry["readable"] for entry in found["entries"])
    assert (found["findings"], found["store"]["problem"]) == ([], None)
    assert "sound: 3 of 3 entries open" in kept.run("mrk", "store", "check", *words)


@pytest.mark.e2e
def test_an_identity_that_opens_nothing_is_told_entry_by_entry(kept: Machine) -> None:
    """A recovery recipient whose identity nobody has, or another's, was typed in: told before it is needed."""
    stranger = kept.directory / "stranger.txt"
    stranger.touch(mode=0o600)
    stranger.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    found = checked(kept, "--identity", str(stranger), code=4)
    assert "belongs to none of them" in found["store"]["problem"]
    assert wrong(found).keys() == {str(name) for name in (FIRST, NEXT, ELSE)}
    assert all("does not open" in what for what in wrong(found).values())
    out = kept.run("mrk", "store", "check", "--identity", str(stranger), code=4)
    assert "NOT sound: 0 of 3 entries open" in out
    assert f"payments  {ARN.identity} first.1" in out


@pytest.mark.e2e
def test_an_identity_that_belongs_to_nobody_is_told_of_an_empty_store_as_well(machine: Machine) -> None:
    machine.write_config(payments={"arn": str(ARN)})
    machine.run("mrk", "store", "init")
    stranger = machine.directory / "stranger.txt"
    stranger.touch(mode=0o600)
    stranger.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    assert "belongs to none of them" in checked(machine, "--identity", str(stranger), code=4)["store"]["problem"]
    assert checked(machine, code=4)["entries"] == []


@pytest.mark.e2e
def test_the_machines_own_identity_need_not_be_there_to_try_another(kept: Machine) -> None:
    """That is when the recovery identity is fetched."""
    (kept.directory / "identity.txt").unlink()
    assert checked(kept, "--identity", str(kept.directory / "recovery.txt"))["findings"] == []


def sealed_to_one(machine: Machine) -> None:
    line = (machine.directory / "identity.txt").read_text().splitlines()[-1]
    opened = pyrage.decrypt(path(machine).read_bytes(), [pyrage.x25519.Identity.from_str(line)])
    path(machine).write_bytes(pyrage.encrypt(opened, [pyrage.x25519.Recipient.from_str(machine.identities[0])]))


def merged(machine: Machine) -> None:
    """Another host's store was completed from this one's copy."""
    config = machine.directory / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("/store", "/other"))
    machine.run("mrk", "store", "init")
    config.write_text(text)
    opened(machine, "other").deposit(FIRST)
    shutil.copy2(path_of(machine.directory / "other", FIRST, Kind.ENTRY), path(machine))


def torn(name: EntryName, kind: Kind) -> Callable[[Machine], None]:
    return lambda machine: path(machine, name, kind).write_text("{") and None


WRONG: dict[str, tuple[Callable[[Machine], None], EntryName, str]] = {
    "bytes that do not open": (torn(NEXT, Kind.ENTRY), NEXT, "does not open"),
    "bytes that are gone": (lambda machine: path(machine).unlink(), FIRST, "is missing"),
    "an entry for one recipient": (sealed_to_one, FIRST, "it is not sealed to 1 of"),
    "the bytes of another host": (merged, FIRST, "only KMS can say whose these bytes are"),
    "a link that cannot be read": (torn(FIRST, Kind.LINK), FIRST, "the mark link"),
    "a probe that cannot be read": (torn(FIRST, Kind.PROBE), FIRST, "the mark probe"),
    "a proof that cannot be read": (torn(FIRST, Kind.PROVEN), FIRST, "the mark proven"),
    "a withdrawal that cannot be read": (torn(NEXT, Kind.WITHDRAWN), NEXT, "is not a mark 'withdrawn'"),
    "a switch that cannot be read": (torn(FIRST, Kind.SWITCH), FIRST, "is not a mark 'switch'"),
    "a file that others may read": (lambda machine: path(machine).chmod(0o644), FIRST, "chmod 600"),
}


@pytest.mark.e2e
@pytest.mark.parametrize(("spoil", "name", "said"), WRONG.values(), ids=WRONG)
def test_whatever_is_wrong_is_told_with_its_key_and_the_exit_code_is_4(
    kept: Machine, spoil: Callable[[Machine], None], name: EntryName, said: str
) -> None:
    spoil(kept)
    found = checked(kept, code=4)
    assert wrong(found).keys() == {str(name)}
    assert said in wrong(found)[str(name)]
    assert [one["name"] for one in found["findings"]] == ["payments"]
    out = kept.run("mrk", "store", "check", code=4)
    assert said in out
    assert "NOT sound" in out


def without_folder(machine: Machine) -> None:
    shutil.rmtree(path(machine).parent)


def without_any(machine: Machine) -> None:
    shutil.rmtree(machine.directory / "store" / "aws")


def without_first(machine: Machine) -> None:
    for file in path(machine).parent.glob("first.*"):
        file.unlink()


LOST: dict[str, tuple[Callable[[Machine], None], EntryName, str]] = {
    "a key's directory": (without_folder, FIRST, "the store holds nothing of this key"),
    "everything but the stamp": (without_any, FIRST, "the store holds nothing of this key"),
    "an entry with its marks": (
        without_first,
        NEXT,
        f"it replaces key material {MATERIAL}, of which no entry is there",
    ),
}


@pytest.mark.e2e
@pytest.mark.parametrize("identity", ["identity.txt", "recovery.txt"])
@pytest.mark.parametrize(("lose", "name", "said"), LOST.values(), ids=LOST)
def test_what_is_gone_is_told_and_a_store_that_lacks_it_is_not_sound(
    kept: Machine, lose: Callable[[Machine], None], name: EntryName, said: str, identity: str
) -> None:
    """I12: of nothing, nothing is sound; the config and the entries that are left say what there was."""
    lose(kept)
    found = checked(kept, "--identity", identity, code=4)
    assert wrong(found).keys() == {str(name)}
    assert said in wrong(found)[str(name)]
    assert "mrk adopt payments FILE" in wrong(found)[str(name)]
    assert "NOT sound" in kept.run("mrk", "store", "check", "--identity", identity, code=4)


@pytest.mark.e2e
def test_old_material_that_may_be_missing_is_not_missed(kept: Machine) -> None:
    """Whoever allows it by `missing_old` has said so; a key of which nothing is there is told all the same."""
    kept.write_config(payments={"arn": str(ARN), "missing_old": "allow"})
    without_first(kept)
    assert checked(kept)["findings"] == []
    without_folder(kept)
    assert wrong(checked(kept, code=4)).keys() == {str(FIRST)}


@pytest.mark.e2e
def test_a_key_whose_alias_leads_nowhere_was_not_compared(kept: Machine) -> None:
    kept.write_config(gone={"arn": "arn:aws:kms:us-east-1:111122223333:alias/gone"})
    found = checked(kept, code=3)
    assert (found["findings"], found["store"]["not_compared"]) == ([], ["gone"])
    assert "NOT all compared: 3 of 3 entries open" in kept.run("mrk", "store", "check", code=3)


@pytest.mark.e2e
def test_the_list_names_the_keys_and_says_what_is_wrong(kept: Machine) -> None:
    torn(FIRST, Kind.PROBE)(kept)
    out = kept.run("mrk", "store", "list", code=4)
    assert f"payments  {ARN.identity}" in out
    (wrong,) = [line for line in out.splitlines() if line.startswith("first.1: the mark probe: ")]
    assert len(wrong) > 160, "one line, however long: a command in it is there to be copied"
    assert re.search(r"mv \S+first\.1\.probe\.json \S+\.damaged", wrong)
    listed = {one["entry"]: one for one in kept.json("mrk", "store", "list", "--json", code=4)["entries"]}
    assert [listed[str(name)]["name"] for name in (FIRST, ELSE)] == ["payments", None]
    assert listed[str(FIRST)]["proofs"] == {"us-east-1": "full"}
    assert listed[str(FIRST)]["damage"].keys() == {"probe"}
    assert listed[str(FIRST)]["ours"] is True


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"identity": "/nobody.txt"}, 2, "there is no identity file"),
        ({"uri": "file:/nowhere/store"}, 4, "there is no store"),
        ({"recipients": []}, 2, "needs at least 2"),
    ],
)
def test_a_store_that_cannot_be_opened_is_never_called_sound(
    kept: Machine, change: dict[str, Any], code: int, said: str
) -> None:
    store = {"uri": f"file:{kept.directory / 'store'}", "recipients": kept.identities, "volatile": "allow"}
    kept.more["store"] = {**store, "identity": str(kept.directory / "identity.txt"), **change}
    kept.write_config()
    found = json.loads(kept.run("mrk", "store", "check", "--json", code=code))
    assert said in found["error"]["message"]


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="not Linux: nothing is judged there")
@pytest.mark.parametrize("command", [("store", "init"), ("store", "check"), ("config", "check"), ("status",)])
def test_a_store_in_memory_is_refused_by_every_command(machine: Machine, command: tuple[str, ...]) -> None:
    """What it holds is gone after a restart: exit 4, and the setting that allows it for a trial."""
    store = {"uri": f"file:/dev/shm/mrk-{machine.directory.name}-{command[0]}", "recipients": machine.identities}
    machine.more["store"] = {**store, "identity": str(machine.directory / "identity.txt")}
    machine.write_config(payments={"arn": str(ARN)})
    process = machine.start("mrk", *command)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "a file system in memory (tmpfs)" in err
    assert "store.volatile: allow" in err
    assert not Path(store["uri"].removeprefix("file:")).exists()


TRIED: dict[str, Callable[[Path], object]] = {
    "none": lambda _path: None,
    "a directory": lambda path: path.mkdir(),
    "empty": lambda path: path.touch(mode=0o600),
}


@pytest.mark.e2e
@pytest.mark.parametrize("make", TRIED.values(), ids=TRIED)
def test_what_is_said_of_an_identity_to_try_is_said_of_that_and_not_of_a_setting(
    kept: Machine, make: Callable[[Path], object]
) -> None:
    """Nobody who brings the recovery identity under a wrong name is told to make a new one for a new store."""
    make(kept.directory / "tried")
    error = checked(kept, "--identity", "tried", code=2)["error"]
    assert "tried" in error["message"]
    assert "store.identity" not in error["message"] + error["hint"]
    assert "age-keygen" not in error["hint"]
