"""The file systems that are mounted, as Linux lists them: what kind a path is on, and whether it may be written."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
_SHARED = ("nfs", "cifs", "smb", "ceph", "gluster", "afs", "fuse")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_FEWEST_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    device: str
    point: str
    kind: str


def kind_of(path: Path, mounts: Path = MOUNTS) -> str:
    """Name the kind of file system that a path is on, or would be; nothing where the system does not tell."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
        return kind_at(next(folder for folder in (path, *path.parents) if os.path.exists(folder)), parse(lines))  # noqa: PTH110 - where it may not be looked, it is not there
    except OSError:
        return ""


def named(path: Path) -> str:
    """Name the file system that a path is on, for people."""
    kind = kind_of(path)
    return f"the file system of {path} ({kind})" if kind else f"the file system of {path}"


def is_read_only(where: Path | int) -> bool:
    """Whether a path, or an open file, is where nobody may write through this mount; no where that cannot be told."""
    try:
        return bool(os.statvfs(where).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def is_sealed(path: Path) -> bool:
    """Whether nobody but who mounted it changes what is there: read-only, and no disk that other machines write to."""
    return is_read_only(path) and not kind_of(path).startswith(_SHARED)


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
