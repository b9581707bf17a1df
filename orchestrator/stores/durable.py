"""Whether a directory outlives a restart: by the file system that it is on, as Linux tells it."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import StoreError

MOUNTS = Path("/proc/self/mountinfo")
_GONE_WITH_THE_MACHINE = ("tmpfs", "ramfs", "devtmpfs", "rootfs")
_GONE_WITH_THE_CONTAINER = ("overlay", "overlayfs", "aufs", "fuse.fuse-overlayfs", "fuse-overlayfs")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_FEWEST_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    device: str
    point: str
    kind: str


def check_durable(root: Path, mounts: Path = MOUNTS) -> None:
    """Raise StoreError where what is stored at `root` would be lost at a restart.

    Where the system has no list of mounts, nothing is judged.
    """
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    kind = kind_at(there, parse(lines))
    if kind in _GONE_WITH_THE_MACHINE:
        why = f"a file system in memory ({kind}): it is empty after the next restart"
    elif kind in _GONE_WITH_THE_CONTAINER:
        why = f"a container's own layer ({kind}): it is gone with the container"
    else:
        return
    raise StoreError(
        f"the store {root} is on {why}, and key material in it would be lost",
        "put it on a disk or a volume that is backed up (store.uri); for a trial alone set store.volatile: allow",
    )


def parse(lines: Iterable[str]) -> list[Mount]:
    """Read the lines of /proc/self/mountinfo, in their order; passes over what is none."""
    found = []
    for line in lines:
        about, dash, rest = line.partition(" - ")
        words = about.split(" ")
        if dash and len(words) >= _FEWEST_FIELDS:
            point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), words[4])
            found.append(Mount(words[2], point, rest.split(" ")[0]))
    return found


def kind_at(folder: Path, mounts: Iterable[Mount]) -> str:
    """Tell the kind of the file system that a directory is on: by its device, or else by its path.

    Some file systems, such as btrfs, have devices that the list does not name.
    """
    device, path = folder.stat().st_dev, folder.resolve()
    number = f"{os.major(device)}:{os.minor(device)}"
    above = [mount for mount in mounts if path.is_relative_to(mount.point)]
    ranked = sorted(above, key=lambda mount: (mount.device == number, len(mount.point)))
    return ranked[-1].kind if ranked else ""
