"""Publishing a file, step by step: each step is told when it is done, and names what failed where it fails (P1)."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from orchestrator.errors import StoreError
from orchestrator.stores.publish import STEPS, PublishedFiles

HOURS = 3600


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir(0o700)
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_publication_tells_each_step_as_it_is_done(root: Path) -> None:
    steps: list[str] = []

    published = PublishedFiles(root, steps.append).publish(root / "key" / "entry", b"first")

    assert published
    assert steps == list(STEPS)
    assert files_of(root / "key") == {"entry"}


def test_a_second_publication_under_the_same_name_changes_nothing(root: Path) -> None:
    files = PublishedFiles(root)
    files.publish(root / "key" / "entry", b"first")
    steps: list[str] = []

    published = PublishedFiles(root, steps.append).publish(root / "key" / "entry", b"second")

    assert not published
    assert steps == ["created", "written", "synced", "cleaned"]
    assert files.read(root / "key" / "entry") == b"first"
    assert files_of(root / "key") == {"entry"}


@pytest.mark.parametrize("step", STEPS)
def test_a_file_system_that_fails_at_a_step_is_told_with_what_was_done_to_which_path(root: Path, step: str) -> None:
    path = root / "key" / "entry"

    def fails(name: str) -> None:
        if name == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreError) as caught:
        PublishedFiles(root, fails).publish(path, b"first")

    doing = f"make the directory {path.parent}" if step == "folder" else f"publish {path}"
    assert str(caught.value).startswith(f"cannot {doing}: No space left on device (ENOSPC)")
    assert not [name for name in files_of(path.parent) if name.startswith(".")], "the temporary file is removed"


def test_a_read_makes_durable_once_what_another_process_may_have_died_over(root: Path) -> None:
    path, synced = root / "key" / "entry", []
    PublishedFiles(root).publish(path, b"first")
    files = PublishedFiles(root, sync=synced.append)

    assert files.read(path) == b"first"
    once = len(synced)
    assert files.read(path) == b"first"

    assert once == len(("the file", "its directory", "the root"))
    assert len(synced) == once


def test_a_file_that_cannot_be_made_durable_is_not_read(root: Path) -> None:
    path = root / "key" / "entry"
    PublishedFiles(root).publish(path, b"first")

    def fails(_handle: int) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(StoreError) as caught:
        PublishedFiles(root, sync=fails).read(path)

    assert str(caught.value).startswith(f"cannot make durable {path}: Input/output error (EIO)")


def test_the_next_publication_removes_what_killed_processes_left_an_hour_ago(root: Path) -> None:
    files, folder = PublishedFiles(root), root / "key"
    files.publish(folder / "first", b"first")
    stale, young, other = (folder / name for name in (f".{'a' * 32}.tmp", f".{'b' * 32}.tmp", ".notes.tmp"))
    for path in (stale, young, other):
        path.write_bytes(b"")
    an_hour_ago = (folder / "first").stat().st_mtime - HOURS - 60
    for path in (stale, other):
        os.utime(path, (an_hour_ago, an_hour_ago))

    assert files.publish(folder / "second", b"second")

    assert files_of(folder) == {"first", "second", young.name, other.name}


def test_what_cannot_be_removed_hides_no_publication(root: Path) -> None:
    """A directory in the place of a temporary file, and a temporary file that is gone already."""
    folder = root / "key"
    PublishedFiles(root).publish(folder / "first", b"first")
    odd = folder / f".{'a' * 32}.tmp"
    odd.mkdir()
    os.utime(odd, (0, 0))

    def cleans(step: str) -> None:
        if step == "durable":
            for path in folder.glob(".*.tmp"):
                if path != odd:
                    path.unlink()

    assert PublishedFiles(root, cleans).publish(folder / "second", b"second")
    assert PublishedFiles(root).read(folder / "second") == b"second"
