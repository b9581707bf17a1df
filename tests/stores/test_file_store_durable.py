"""A store that is lost at a restart is no store: judged by the file system that it is on, as Linux tells it."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from store_kit import FIRST, NOW, FileStand

from orchestrator.errors import StoreError
from orchestrator.model import Receipt
from orchestrator.mounts import Mount, kind_at, parse
from orchestrator.stores.durable import check_durable

LINE = "36 35 98:0 / {point} rw,noatime master:1 - {kind} /dev/root rw,errors=continue"


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory in memory, as every Linux has one."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def mounts(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="not Linux: nothing is judged there")
def test_a_store_in_memory_is_neither_made_nor_opened_unless_that_is_wanted(stand: FileStand, in_memory: Path) -> None:
    stand.root = in_memory / "store"
    for ask in (stand.init, stand.open):
        with pytest.raises(StoreError, match=r"file system in memory \(tmpfs\)") as caught:
            ask(volatile=False)
        assert str(stand.root) in caught.value.message
        assert "store.volatile: allow" in caught.value.hint
    assert not stand.root.exists()
    assert stand.init(volatile=True).deposit(FIRST) == Receipt(FIRST, NOW)
    with pytest.raises(StoreError, match="tmpfs"):
        stand.open(volatile=False)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("tmpfs", "in memory"),
        ("ramfs", "in memory"),
        ("devtmpfs", "in memory"),
        ("rootfs", "in memory"),
        ("overlay", "a container's own layer"),
        ("aufs", "a container's own layer"),
        ("fuse.fuse-overlayfs", "a container's own layer"),
    ],
)
def test_what_is_gone_at_a_restart_or_with_its_container_is_refused(tmp_path: Path, kind: str, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        check_durable(tmp_path / "store", mounts(tmp_path, LINE.format(point="/", kind=kind)))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "nfs4", "9p", "fuse.sshfs", "apfs"])
def test_what_stays_is_taken(tmp_path: Path, kind: str) -> None:
    check_durable(tmp_path / "store", mounts(tmp_path, LINE.format(point="/", kind=kind)))


def test_a_volume_in_a_container_is_judged_and_not_the_layer_around_it(tmp_path: Path) -> None:
    volume = tmp_path / "a volume"
    volume.mkdir()
    escaped = str(volume).replace(" ", "\\040")
    found = mounts(tmp_path, LINE.format(point="/", kind="overlay"), LINE.format(point=escaped, kind="ext4"))
    check_durable(volume / "deep" / "store", found)
    with pytest.raises(StoreError, match="overlay"):
        check_durable(tmp_path / "store", found)


def test_memory_that_is_mounted_over_a_disk_is_seen(tmp_path: Path) -> None:
    """The last mount on a place hides those before it."""
    found = mounts(
        tmp_path,
        LINE.format(point="/", kind="ext4"),
        LINE.format(point=tmp_path, kind="ext4"),
        LINE.format(point=tmp_path, kind="tmpfs"),
    )
    with pytest.raises(StoreError, match="tmpfs"):
        check_durable(tmp_path / "store", found)


def test_the_device_counts_more_than_the_path(tmp_path: Path) -> None:
    """A directory that is bound elsewhere is where its device is."""
    device = tmp_path.stat().st_dev
    here = Mount(f"{os.major(device)}:{os.minor(device)}", "/", "ext4")
    other = Mount("0:99", str(tmp_path), "tmpfs")
    assert kind_at(tmp_path, [here, other]) == "ext4"
    assert kind_at(tmp_path, [other]) == "tmpfs"
    assert kind_at(tmp_path, []) == ""


def test_a_symbolic_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "memory")
    found = mounts(tmp_path, LINE.format(point="/", kind="ext4"), LINE.format(point=tmp_path / "memory", kind="tmpfs"))
    with pytest.raises(StoreError, match="tmpfs"):
        check_durable(tmp_path / "link" / "store", found)


@pytest.mark.parametrize("lines", [(), ("garbage",), ("1 2 3",), ("- - -",), ("",)])
def test_a_list_that_tells_nothing_refuses_nothing(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert parse(lines) == []
    check_durable(tmp_path / "store", mounts(tmp_path, *lines))


def test_where_there_is_no_such_list_nothing_is_judged(tmp_path: Path) -> None:
    """docs/store.md: on systems other than Linux."""
    check_durable(tmp_path / "store", tmp_path / "missing")
