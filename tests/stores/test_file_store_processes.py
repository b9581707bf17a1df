"""The file: store under several processes, kill -9, and a full disk: real processes, real signals, real limits."""

import base64
import errno
import itertools
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import FIRST, KEY, MATERIAL_A, NOW, FileStand, WrappingKey, plain, told

from orchestrator.errors import EntryError, StoreError
from orchestrator.model import Entry, Receipt, Region
from orchestrator.stores.layout import Kind
from orchestrator.stores.publish import STEPS, TEMPORARY
from orchestrator.stores.store import Store

PROCESSES = 8
NAMES = 50
# Every step of depositing the first entry of a key; three directories are made for it.
DEATHS = [("folder", 1), ("folder", 2), ("folder", 3), *((step, 1) for step in STEPS if step != "folder")]
BEFORE_LINK = ("folder", "created", "written", "synced")


@pytest.mark.timeout(300)
def test_of_8_processes_that_deposit_50_names_at_once_one_wins_each_and_all_get_its_bytes(
    stand: FileStand, wrapping_key: WrappingKey
) -> None:
    """I7, P1: put-if-absent between processes; told by unwrapping what each process wrapped."""
    stand.init()
    public_key = base64.b64encode(wrapping_key.public).decode()
    workers = [stand.worker(names=NAMES, public_key=public_key) for _ in range(PROCESSES)]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert sum(answer["won"] for answer in answers) == 2 * NAMES, "each time the bytes, and the note to whom they are"
    assert sum(answer["won"] > 0 for answer in answers) > 1, "no two processes met"
    materials = [
        {name: wrapping_key.unwrap(base64.b64decode(blob)) for name, blob in answer["wrapped"].items()}
        for answer in answers
    ]
    assert len(materials[0]) == NAMES
    assert len(set(materials[0].values())) == NAMES
    assert all(material == materials[0] for material in materials)
    assert len([path for path in stand.files() if path.suffix == ".age"]) == NAMES
    assert not [path for path in stand.files() if TEMPORARY.fullmatch(path.name)]


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: f"{death[0]}-{death[1]}")
def test_a_process_killed_at_any_step_of_a_deposit_leaves_the_entry_whole_or_absent(
    stand: FileStand, wrapping_key: WrappingKey, death: tuple[str, int]
) -> None:
    """I6, P1: kill -9, then the next run deposits, or finds, one whole entry."""
    stand.init()
    worker = stand.worker(names=1, die_at=death)
    worker.communicate("\n")
    assert worker.returncode == -signal.SIGKILL

    store = stand.open()
    left = store.find(FIRST)
    assert plain(left) == (None if death[0] in BEFORE_LINK else Entry(FIRST, Receipt(FIRST, NOW)))
    found = wrapping_key.material(store) if left else None
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)
    assert found in {None, wrapping_key.material(store)}
    assert tuple(map(plain, store.entries())) == (Entry(FIRST, Receipt(FIRST, NOW)),)


@pytest.mark.parametrize("step", [step for step in STEPS if step != "folder"])
def test_a_process_killed_at_any_step_of_a_mark_leaves_it_whole_or_absent(stand: FileStand, step: str) -> None:
    """I6, P2: the rerun notes the id again, and that is fine."""
    store = stand.init()
    store.deposit(FIRST)
    worker = stand.worker(names=1, link=MATERIAL_A, die_at=(step, 1))
    worker.communicate("\n")
    assert worker.returncode == -signal.SIGKILL

    left = store.find(FIRST)
    linked = None if step in BEFORE_LINK else MATERIAL_A
    assert plain(left) == Entry(FIRST, Receipt(FIRST, NOW), linked=linked)
    store.link(FIRST, MATERIAL_A)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), linked=MATERIAL_A)


@pytest.mark.parametrize("step", [step for step in STEPS if step != "folder"])
def test_a_process_killed_at_any_step_of_a_reinstatement_leaves_it_whole_or_absent(stand: FileStand, step: str) -> None:
    """I6, P9: the worker's second mark is the reinstatement; the rerun takes the discard back, or finds it so."""
    store = stand.init()
    store.deposit(FIRST)
    worker = stand.worker(names=1, turns=1, die_at=(step, 2))
    worker.communicate("\n")
    assert worker.returncode == -signal.SIGKILL

    left = store.find(FIRST)
    assert left
    assert (left.discarded_at is not None) == (step in BEFORE_LINK)
    store.reinstate(FIRST, NOW)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_processes_that_discard_and_reinstate_at_once_end_alike(stand: FileStand) -> None:
    """P9: each process ends on a reinstatement, so that is how it ends."""
    store = stand.init()
    store.deposit(FIRST)
    workers = [stand.worker(names=0, turns=20) for _ in range(2)]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert not any("error" in answer for answer in answers)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_processes_that_note_switches_at_once_lose_none_of_them(stand: FileStand) -> None:
    """P10: whoever loses a turn to another takes the next one; each process ends on off, and so does each Region."""
    store, regions = stand.init(), [f"eu-west-{number}" for number in range(4)]
    workers = [stand.worker(names=0, switches=9, region=region) for region in regions]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert not any("error" in answer for answer in answers)
    assert store.switched_off(KEY).keys() == set(regions)
    assert len([path for path in stand.files() if ".switch." in path.name]) == 9 * len(regions)


@pytest.mark.parametrize("step", [step for step in STEPS if step != "folder"])
@pytest.mark.parametrize("time", [1, 2])
def test_a_process_killed_at_any_step_of_a_note_of_a_switch_leaves_it_whole_or_absent(
    stand: FileStand, step: str, time: int
) -> None:
    """I6: of the first note, and of one in a further turn."""
    store = stand.init()
    store.deposit(FIRST)
    worker = stand.worker(names=0, switches=3, region="eu-west-1", die_at=(step, time))
    worker.communicate("\n")
    assert worker.returncode == -signal.SIGKILL

    noted = time - (step in BEFORE_LINK)
    assert bool(stand.open().switched_off(KEY)) is (noted == 1)
    store.note_switch(KEY, Region("eu-west-1"), NOW, off=True)
    assert stand.open().switched_off(KEY).keys() == {"eu-west-1"}


def test_what_a_killed_process_left_is_removed_once_it_is_an_hour_old_and_not_before(stand: FileStand) -> None:
    """P1: a temporary file may belong to a living process; by the file system's clock, not the program's."""
    store = stand.init()
    for step in ("created", "synced"):
        worker = stand.worker(names=1, die_at=(step, 1))
        worker.communicate("\n")
        assert worker.returncode == -signal.SIGKILL
    old, young = (path for path in stand.files() if TEMPORARY.fullmatch(path.name))
    an_hour_ago = time.time() - 3601
    os.utime(old, (an_hour_ago, an_hour_ago))
    store.deposit(FIRST)
    assert not old.exists()
    assert young.exists()


def test_a_full_disk_is_told_and_leaves_nothing_half_written(stand: FileStand, wrapping_key: WrappingKey) -> None:
    """I9, P1: the limit on file size stands in for the full disk: write(2) itself fails."""
    stand.init()
    worker = stand.worker(names=1, file_size=300)
    answer = json.loads(worker.communicate("\n")[0])
    assert answer["error"] == "StoreError"
    assert str(stand.path()) in answer["message"]
    assert "EFBIG" in answer["message"]
    assert "make room" in answer["hint"]
    assert [path.name for path in stand.files()] == ["store.json"]

    store = stand.open()
    assert store.find(FIRST) is None
    store.deposit(FIRST)
    assert len(wrapping_key.material(store)) == 32


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_an_error_of_the_file_system_at_any_step_is_told_and_the_next_try_ends_well(
    stand: FileStand, step: str, code: int
) -> None:
    """I9, P1: whole or absent, no temporary file, and a message with path, reason and way out."""
    stand.init()
    with pytest.raises(StoreError) as caught:
        stand.stepping(failing_at(step, code)).deposit(FIRST)
    assert str(stand.root) in caught.value.message
    assert errno.errorcode[code] in caught.value.message
    assert caught.value.hint
    assert not [path for path in stand.files() if TEMPORARY.fullmatch(path.name)]

    store = stand.open()
    present = step not in BEFORE_LINK
    assert plain(store.find(FIRST)) == (Entry(FIRST, Receipt(FIRST, NOW)) if present else None)
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)


def test_a_directory_that_cannot_be_made_is_told(stand: FileStand) -> None:
    """I9."""
    stand.root.write_text("a file in the place of the store")
    with pytest.raises(StoreError, match="is not a directory") as caught:
        stand.init()
    assert str(stand.root) in told(caught.value)


def test_an_entry_is_published_by_write_sync_link_and_sync_in_this_order(stand: FileStand) -> None:
    """P1: the name appears only after the bytes are durable, and is durable before the receipt."""
    stand.init()
    reached: list[tuple[str, bool]] = []
    store = stand.stepping(lambda step: reached.append((step, stand.path().exists())))
    store.deposit(FIRST)
    assert reached == [
        ("folder", False),
        ("folder", False),
        ("folder", False),
        ("created", False),
        ("written", False),
        ("synced", False),
        ("linked", True),
        ("durable", True),
        ("cleaned", True),
        *((step, True) for step in ("created", "written", "synced", "linked", "durable", "cleaned")),  # the note
    ]


class Record:
    """What was synced, and which steps were reached, in order; temporary files under one name."""

    def __init__(self, stand: FileStand) -> None:
        self.root = stand.root
        self.events: list[str] = []

    def step(self, name: str) -> None:
        self.events.append(name)

    def sync(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        self.events.append(f"sync {'temporary file' if TEMPORARY.fullmatch(path.name) else self.name(path)}")
        os.fsync(handle)

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


def test_the_bytes_are_durable_before_the_name_and_every_name_before_the_receipt(stand: FileStand) -> None:
    """P1: fsync of file and directory, seen at the file descriptors themselves."""
    stand.init()
    record = Record(stand)
    stand.stepping(record.step, record.sync).deposit(FIRST)
    folder, file = record.name(stand.path().parent), record.name(stand.path())
    note = record.name(stand.path(kind=Kind.SEALED))
    account = record.name(stand.path().parents[1])
    chain = [f"sync {folder}", f"sync {account}", "sync aws", "sync ."]
    stamp = ["sync store.json", "sync ."]
    making = ["sync .", "folder", "sync aws", "folder", f"sync {account}", "folder"]
    writing = ["created", "written", "sync temporary file", "synced", "linked", f"sync {folder}", "durable", "cleaned"]
    assert record.events == [*stamp, *making, *writing, *writing, f"sync {file}", *chain, f"sync {note}", *chain]


def test_whoever_finds_an_entry_makes_it_and_every_name_that_leads_to_it_durable(stand: FileStand) -> None:
    """P1: its writer may have died between link and fsync."""
    stand.init().deposit(FIRST)
    for ask in (Store.find, Store.deposit):
        record = Record(stand)
        ask(stand.stepping(record.step, record.sync), FIRST)
        folders = [path for path in stand.path().parents if path.is_relative_to(stand.root)]
        files = (stand.path(), *folders, stand.path(kind=Kind.SEALED), *folders)
        assert record.events[-10:] == [f"sync {record.name(path)}" for path in files]


@pytest.mark.parametrize("failing", range(12))
def test_a_sync_that_fails_gives_no_receipt(stand: FileStand, failing: int) -> None:
    """I1, P1: whichever of them it is; the next try ends well."""
    stand.init()
    calls = itertools.count()

    def sync(handle: int) -> None:
        if next(calls) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(handle)

    with pytest.raises(StoreError, match="EIO"):
        stand.stepping(sync=sync).deposit(FIRST)
    assert stand.open().deposit(FIRST) == Receipt(FIRST, NOW)


def test_what_reads_back_as_other_bytes_gets_no_receipt(stand: FileStand, tmp_path: Path) -> None:
    """I1: read back and compared, not only found readable."""
    stand.init()
    (tmp_path / "other").mkdir()
    other = FileStand(tmp_path / "other", stand.recipients)
    other.init(identity=stand.identity).deposit(FIRST)

    def exchange(step: str) -> None:
        if step == "linked":
            stand.path().write_bytes(other.path().read_bytes())

    with pytest.raises(EntryError, match="reads back as other key material"):
        stand.stepping(exchange).deposit(FIRST)


def test_a_published_file_is_never_changed_by_what_follows(stand: FileStand) -> None:
    """P1: never overwritten, never renamed: same inode, same time, same bytes after everything else was done."""
    store = stand.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in stand.files()}
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    store.keep_probe(FIRST, b"probe")
    store.mark_proven(FIRST, {"regions": ["us-east-1"], "proof": "full"})
    store.discard(FIRST, NOW)
    store.deposit(replace(FIRST, attempt=2))
    stand.init()
    after = {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in before}
    assert after == before
    assert stand.path(FIRST, Kind.LINK) in before


def failing_at(step: str, code: int) -> Callable[[str], None]:
    def fail(name: str) -> None:
        if name == step:
            raise OSError(code, os.strerror(code))

    return fail
