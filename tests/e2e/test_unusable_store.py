"""A store that is open to others, closed to this user, or on a disk that cannot: told once, and nothing is "lacking".

Real processes; of what was not looked at nothing is said, and the command that is told sets it right (I9, I12).
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.machine import Machine
from nursery import nursery

pytestmark = pytest.mark.e2e
STRANGER = 12345


def store(machine: Machine, depth: int = 0) -> Path:
    """The store, or a directory so deep in it: of a partition, an account, a key."""
    path = machine.directory / "store"
    for _ in range(depth):
        (path,) = (one for one in path.iterdir() if one.is_dir())
    return path


def opened(depth: int, mode: int) -> Callable[[Machine], str]:
    """Give a directory another mode, and return what is to be said of it."""

    def spoil(machine: Machine) -> str:
        store(machine, depth).chmod(mode)
        return f"{store(machine, depth)} has mode {mode:04o}, wanted 0700: others than its owner could use it"

    return spoil


def copied_without_modes(machine: Machine) -> str:
    """As `cp -r`, or a backup, brings it back."""
    for path in (store(machine), *store(machine).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return f"{store(machine)} has mode 0755, wanted 0700"


def all_but_the_root(machine: Machine) -> str:
    said = copied_without_modes(machine)
    store(machine).chmod(0o700)
    (store(machine) / "store.json").chmod(0o600)
    return said.replace(str(store(machine)), str(store(machine, 1)))


def its_files(machine: Machine) -> str:
    """As a backup of single files brings them back."""
    first, *_ = files = sorted(store(machine, 3).iterdir())
    for path in files:
        path.chmod(0o644)
    return f"{first} has mode 0644, wanted 0600"


def two_of_its_files(machine: Machine) -> str:
    first, second = (next(store(machine, 3).glob(f"*.{kind}")) for kind in ("age", "link.json"))
    first.chmod(0o640)
    second.chmod(0o604)
    return f"{first} has mode 0640, wanted 0600: others than its owner could use it; one more file beside it is not"


def given_away(machine: Machine) -> str:
    os.chown(store(machine, 2), STRANGER, -1)
    return f"{store(machine, 2)} belongs to user id {STRANGER}, and this program runs as user id {os.geteuid()}"


def all_given_away(machine: Machine) -> str:
    for path in store(machine, 1).rglob("*"):
        os.chown(path, STRANGER, -1)
    return given_away(machine)


SPOILED: dict[str, tuple[Callable[[Machine], str], str]] = {
    "the store is open to all": (opened(0, 0o755), "chmod 700 "),
    "a partition is open to all": (opened(1, 0o755), "chmod 700 "),
    "an account is open to a group": (opened(2, 0o770), "chmod 700 "),
    "a key may be listed by all": (opened(3, 0o711), "chmod 700 "),
    "everything is open to all": (copied_without_modes, "chmod -R go= "),
    "everything in it is open to all": (all_but_the_root, "chmod -R go= "),
    "every file of a key is open to all": (its_files, "chmod -R go= "),
    "two files of a key are open": (two_of_its_files, "chmod -R go= "),
    "a directory is another user's": (given_away, "chown "),
    "everything is another user's": (all_given_away, "chown -R "),
}
COMMANDS = (("status", "payments"), ("verify",), ("run",), ("store", "check"))


def told(machine: Machine, *words: str, codes: tuple[int, ...] = (4,)) -> str:
    """Run a command, and return all that it says, however it is folded."""
    process = nursery().start([*words, "--quiet"], machine.directory, machine.environment)
    out, err = process.communicate(timeout=100)
    assert process.returncode in codes, out + err
    return " ".join((out + err).split())


@pytest.mark.parametrize(("spoil", "command"), SPOILED.values(), ids=SPOILED)
def test_what_is_not_private_is_told_once_by_every_command_with_what_sets_it_right(
    adopted: tuple[Machine, str], spoil: Callable[[Machine], str], command: str
) -> None:
    machine, _ = adopted
    if "chown" in command and os.geteuid() != 0:
        pytest.skip("only root may give files to other users")
    said = spoil(machine)

    for words in COMMANDS:
        everything = told(machine, *words, codes=(3, 4) if words[0] == "status" else (4,))
        assert everything.count(said) == 1, everything
        for untrue in ("LACKING", "UNREADABLE", "does not hold", "lacks key material", "does not open"):
            assert untrue not in everything
        (typed,) = re.findall(rf"{command}(?:\d+ )?[^\s,]+", everything)

    subprocess.run(["sh", "-c", typed], check=True)
    assert "healthy" in machine.run("mrk", "verify")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_status_says_of_key_material_that_nobody_looked(adopted: tuple[Machine, str], depth: int) -> None:
    machine, _ = adopted
    opened(depth, 0o755)(machine)

    assert "3 of 3 Regions not looked at" in told(machine, "status", "payments", codes=(3,))


def test_a_link_in_the_place_of_a_directory_is_told_once(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    partition = store(machine, 1)
    partition.rename(machine.directory / "elsewhere")
    partition.symlink_to(machine.directory / "elsewhere")

    for words in (("verify",), ("run",), ("store", "check")):
        everything = told(machine, *words)
        assert everything.count(f"{partition} is not a directory, but a symbolic link") == 1
        assert "does not hold" not in everything
        assert "holds nothing" not in everything


def test_a_disk_that_is_not_mounted_is_told_once(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    store(machine).rename(machine.directory / "elsewhere")
    store(machine).mkdir(mode=0o700)

    for words in (("verify",), ("run",), ("store", "check"), ("store", "list")):
        everything = told(machine, *words)
        assert everything.count("there is no store in") == 1
        assert "mount its disk" in everything


def test_a_note_that_others_may_read_does_not_make_key_material_lacking(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    (link,) = store(machine).rglob("*.link.json")
    link.chmod(0o644)

    everything = told(machine, "status", "payments", codes=(0,))

    assert everything.count(f"{link} has mode 0644, wanted 0600") == 1
    assert f"chmod 600 {link}" in everything
    assert "LACKING" not in everything
    assert "not known, see below" in everything


DISK = """
import errno, fcntl, os, stat, sys
def refuses(real, code, when=lambda *_: True):
    def call(*words, **more):
        if when(*words):
            raise OSError(code, os.strerror(code))
        return real(*words, **more)
    return call
lack = sys.argv.pop(1)
if lack == "fsync":
    os.fsync = refuses(os.fsync, errno.EINVAL, lambda handle: stat.S_ISDIR(os.fstat(handle).st_mode))
if lack == "link":
    os.link = refuses(os.link, errno.EPERM)
if lack == "flock":
    fcntl.flock = refuses(fcntl.flock, errno.ENOLCK)
from workflows.cli import main
sys.argv[0] = "mrk"
main()
"""
"""mrk on a file system that cannot do one thing, as SMB, FUSE and NFS are at times."""
CANNOT = {
    "fsync": (4, "cannot keep the name of a new file through a power cut (fsync of a directory: Invalid argument"),
    "link": (4, "has no hard links (link: Operation not permitted (EPERM))"),
    "flock": (2, "cannot lock a file (flock: No locks available, ENOLCK)"),
}


def on_disk(machine: Machine, lack: str, *words: str) -> tuple[int, str]:
    process = machine.start(sys.executable, "-c", DISK, lack, *words, "--quiet")
    out, err = process.communicate(timeout=100)
    return process.returncode, " ".join((out + err).split())


@pytest.mark.parametrize("lack", CANNOT)
def test_a_disk_that_cannot_do_what_a_store_needs_is_named_and_looked_at_all_the_same(
    adopted: tuple[Machine, str], lack: str
) -> None:
    """The file system, what it cannot do, and what to do: where something is to be written, and only there."""
    machine, arn = adopted
    code, said = CANNOT[lack]

    assert on_disk(machine, lack, "verify")[0] == 0
    ended, everything = on_disk(machine, lack, "rotate", "payments", "--yes")

    assert ended == code
    assert "the file system of " in everything
    assert everything.count(said) == 1
    true = machine.simulator.key("us-east-1", arn)
    assert true is not None
    assert true.rotations == 0
    assert not list(machine.directory.rglob("*.tmp"))


@pytest.mark.parametrize("lack", ["fsync", "link"])
def test_no_store_is_made_on_such_a_disk(machine: Machine, lack: str) -> None:
    machine.make_key_quickly(("us-east-1",))

    ended, everything = on_disk(machine, lack, "store", "init")

    assert ended == 4
    assert CANNOT[lack][1] in everything
    assert not list(machine.directory.rglob("store.json"))
