"""A pod, as far as files go: who runs there, what Kubernetes mounts, and what a process of it says."""

import ctypes
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import MrkError

POD = 1000
_NEW_MOUNTS = 0x20000
"""CLONE_NEWNS."""


@dataclass(frozen=True)
class User:
    """Who runs: a user, his group, and the groups that `fsGroup` or `supplementalGroups` add."""

    uid: int = POD
    gid: int = POD
    groups: tuple[int, ...] = (POD,)


def mounted(mount: Path, contents: Mapping[str, str], mode: int, owner: int, group: int, above: int = 0o3777) -> None:
    """Mount files as kubelet does: links to a link to a directory with a time, in one that is open to all."""
    folder = mount / "..2026_05_04_03_02_01.123456789"
    folder.mkdir(mode=0o755)
    (mount / "..data").symlink_to(folder.name)
    for name, content in contents.items():
        file = folder / name
        file.write_text(content)
        os.chown(file, owner, group)
        file.chmod(mode)
        (mount / name).symlink_to(f"..data/{name}")
    os.chown(mount, 0, group)
    mount.chmod(above)


def said_by(user: User, does: Callable[[], object], *sealed: Path) -> str:
    """Do something in a process of somebody's, and return what is said: nothing where it is done.

    `sealed` are directories that are mounted read-only for that process.
    """
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        os.write(theirs, _outcome(user, does, sealed).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def _outcome(user: User, does: Callable[[], object], sealed: tuple[Path, ...]) -> str:
    try:
        _seal(sealed)
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        does()
    except MrkError as error:
        return f"{error.message} -> {error.hint}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to show it
        return repr(error)
    return ""


def _seal(folders: tuple[Path, ...]) -> None:
    """Mount directories over themselves, read-only, for this process alone."""
    if folders and ctypes.CDLL(None).unshare(_NEW_MOUNTS):
        raise OSError("this process may have no mounts of its own")
    commands: list[list[str | Path]] = [["mount", "--make-rprivate", "/"]] if folders else []
    for folder in folders:
        commands += [["mount", "--bind", folder, folder], ["mount", "-o", "remount,bind,ro", folder]]
    for command in commands:
        subprocess.run(command, check=True)
