"""A store that its own user cannot use: closed by a mode, below a directory of others, or on a read-only mount.

Root may do anything, so a process of another user tries it.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from store_kit import FIRST, PLACE, FileStand

from orchestrator.stores import open_store
from pods import POD, User, said_by

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")


@pytest.fixture
def pod() -> Iterator[FileStand]:
    """A store of another user, with an entry, where he comes to it."""
    with TemporaryDirectory() as folder:
        stand = FileStand(Path(folder))
        stand.init().deposit(FIRST)
        for path in (stand.folder, *stand.folder.rglob("*")):
            os.chown(path, POD, POD)
        yield stand


def found(pod: FileStand) -> None:
    assert open_store(pod.uri, PLACE, pod.settings()).find(FIRST).receipt  # type: ignore[union-attr]


def said_of_entry(pod: FileStand) -> None:
    entry = open_store(pod.uri, PLACE, pod.settings()).find(FIRST)
    raise AssertionError(entry.told if entry else "there is no entry")


def test_the_store_is_its_users(pod: FileStand) -> None:
    assert said_by(User(), lambda: found(pod)) == ""


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o600])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_directory_that_is_closed_is_named_with_the_command_that_opens_it(
    pod: FileStand, depth: int, mode: int
) -> None:
    folder = pod.path().parents[depth]
    folder.chmod(mode)

    told = said_by(User(), lambda: found(pod))

    assert told.endswith(f"{folder} has mode {mode:04o}: chmod 700 {folder}")
    folder.chmod(0o700)
    assert said_by(User(), lambda: found(pod)) == ""


def test_a_file_that_is_closed_is_named_with_the_command_that_opens_it(pod: FileStand) -> None:
    pod.path().chmod(0)

    assert f"{pod.path()} has mode 0000: chmod 600 {pod.path()}" in said_by(User(), lambda: said_of_entry(pod))


def test_a_store_below_a_directory_of_others_is_told_and_not_called_absent(pod: FileStand) -> None:
    os.chown(pod.folder, 0, 0)
    pod.folder.chmod(0o700)
    identity = said_by(User(), lambda: found(pod))
    assert f"user {POD} (groups {POD}) may not read the identity file {pod.identity}" in identity
    with TemporaryDirectory() as elsewhere:
        copy = Path(elsewhere, "identity.txt")
        copy.write_bytes(pod.identity.read_bytes())
        copy.chmod(0o600)
        for path in (Path(elsewhere), copy):
            os.chown(path, POD, POD)

        told = said_by(User(), lambda: open_store(pod.uri, PLACE, pod.settings(identity=copy, volatile=False)))

    assert f"cannot look at {pod.root}: Permission denied (EACCES)" in told
    assert "run as the user who owns the store" in told


def test_a_store_that_is_mounted_read_only_is_looked_at_and_takes_nothing(pod: FileStand) -> None:
    """As a backup is mounted, to see whether it is one."""
    assert said_by(User(), lambda: found(pod), pod.root) == ""

    def deposit() -> None:
        open_store(pod.uri, PLACE, pod.settings()).deposit(replace(FIRST, attempt=2))

    told = said_by(User(), deposit, pod.root)

    assert "Read-only file system (EROFS)" in told
    assert "mount the file system read-write" in told
    pod.path().parent.chmod(0o755)
    told = said_by(User(), lambda: found(pod), pod.root)
    assert f"chmod 700 {pod.path().parent}" in told
    assert "before that, mount the file system read-write" in told
