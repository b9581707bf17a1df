"""Publishing a file, step by step: each step is told when it is done, and names what failed where it fails (P1)."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest
from store_kit import FIRST, PLACE, FileStand, now

from orchestrator.errors import StoreError
from orchestrator.stores.file import FileShelf
from orchestrator.stores.guard import READ_LIMIT, check_folder, read_all
from orchestrator.stores.layout import Kind
from orchestrator.stores.publish import STEPS, PublishedFiles
from orchestrator.stores.shelf import Slot

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


def test_a_deposit_under_a_name_that_is_taken_publishes_nothing(stand: FileStand) -> None:
    """P1: nothing is written beside an entry that is there."""
    stand.init().deposit(FIRST)
    steps: list[str] = []

    stand.stepping(steps.append).deposit(FIRST)

    assert steps == []


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(root: Path, tmp_path: Path) -> None:
    """What stands elsewhere gets no name in the store."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"other")

    def exchanges(step: str) -> None:
        if step == "synced":
            temporary = next(root.glob(".*.tmp"))
            temporary.unlink()
            temporary.symlink_to(elsewhere)

    PublishedFiles(root, exchanges).publish(root / "entry", b"first")

    assert elsewhere.stat().st_nlink == 1
    with pytest.raises(StoreError, match="cannot open"):
        PublishedFiles(root).read(root / "entry")


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


def test_every_file_that_is_read_is_made_durable(root: Path) -> None:
    """P1: one that was is no word for another."""
    PublishedFiles(root).publish(root / "first", b"first")
    PublishedFiles(root).publish(root / "second", b"second")
    synced: list[int] = []
    files = PublishedFiles(root, sync=lambda handle: synced.append(os.fstat(handle).st_ino))

    files.read(root / "first")
    files.read(root / "second")

    assert {(root / "first").stat().st_ino, (root / "second").stat().st_ino} <= set(synced)


def test_a_file_is_read_up_to_the_length_that_one_of_ours_may_have(root: Path) -> None:
    path = root / "entry"
    PublishedFiles(root).publish(path, bytes(READ_LIMIT))
    assert PublishedFiles(root).read(path) == bytes(READ_LIMIT)

    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(StoreError, match=f"^{path} is longer than {READ_LIMIT} bytes") as caught:
        PublishedFiles(root).read(path)
    assert caught.value.hint.startswith("this is no file of a store")


def test_an_open_file_that_cannot_be_read_is_told_with_its_path(root: Path) -> None:
    handle = os.open(root / "entry", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(StoreError, match=f"^cannot read {root / 'entry'}: Bad file descriptor"):
            read_all(handle, root / "entry")
    finally:
        os.close(handle)


def test_a_directory_of_the_store_is_there_or_is_not(root: Path) -> None:
    assert check_folder(root)
    assert not check_folder(root / "key")


def test_a_shelf_tells_the_turns_of_a_mark_apart(root: Path) -> None:
    shelf = FileShelf(PublishedFiles(root), PLACE, frozenset(), now)
    shelf.publish(Slot(FIRST, Kind.WITHDRAWN, 2), b"{}")

    assert [shelf.holds(Slot(FIRST, Kind.WITHDRAWN, turn)) for turn in (1, 2, 3)] == [False, True, False]


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


def test_an_old_link_among_temporary_files_is_removed_whatever_it_leads_to(root: Path, tmp_path: Path) -> None:
    """The age of the link itself counts; where it leads is nobody's business."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"other")
    link = root / f".{'a' * 32}.tmp"
    link.symlink_to(elsewhere)
    os.utime(link, (0, 0), follow_symlinks=False)

    PublishedFiles(root).publish(root / "entry", b"first")

    assert files_of(root) == {"entry"}
    assert elsewhere.read_bytes() == b"other"


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
