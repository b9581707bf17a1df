"""An identity that was handed to this process, as Kubernetes, systemd and Docker mount secrets: read as who runs there.

Files of other users, and processes of theirs, need root.
"""

import ctypes
import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyrage
import pytest

from orchestrator.errors import MrkError
from orchestrator.stores.identity import identities

POD, NOBODYS = 1000, 54321
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")


@pytest.fixture
def mount() -> Iterator[Path]:
    """A directory that everybody may look into, as pytest's own is not."""
    with TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def mounted(mount: Path, mode: int, owner: int, group: int) -> Path:
    """Mount a secret as kubelet does: a link to a link to a directory with a time, in one that is open to all."""
    folder = mount / "..2026_05_04_03_02_01.123456789"
    folder.mkdir(mode=0o755)
    file = folder / "identity.txt"
    file.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    os.chown(file, owner, group)
    file.chmod(mode)
    (mount / "..data").symlink_to(folder.name)
    link = mount / "identity.txt"
    link.symlink_to("..data/identity.txt")
    os.chown(mount, 0, group)
    mount.chmod(0o3777)
    return link


@dataclass(frozen=True)
class User:
    """Who runs: a user, his group, and the groups that `fsGroup` or `supplementalGroups` add."""

    uid: int = POD
    gid: int = POD
    groups: tuple[int, ...] = (POD,)


def read_as(user: User, path: Path, sealed: Path | None = None) -> str:
    """Read an identity in a process of somebody's, and return what is said: nothing where it is read.

    `sealed` is a directory that is mounted read-only for that process.
    """
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if sealed:
                seal(sealed)
            os.setgroups(user.groups)
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
            identities(path)
            said = ""
        except MrkError as error:
            said = f"{error.message} -> {error.hint}"
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to show it
            said = repr(error)
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def seal(folder: Path) -> None:
    """Mount a directory over itself, read-only, for this process alone."""
    if ctypes.CDLL(None).unshare(_NEW_MOUNTS):
        raise OSError("no mounts of its own")
    bound = (["mount", "--bind", folder, folder], ["mount", "-o", "remount,bind,ro", folder])
    for command in (["mount", "--make-rprivate", "/"], *bound):
        subprocess.run(command, check=True)


_NEW_MOUNTS = 0x20000
"""CLONE_NEWNS."""

SOUND: dict[str, tuple[int, int, int, User]] = {
    "in a pod, by fsGroup": (0o440, 0, POD, User()),
    "in a pod, by fsGroup, with the mode 0600 that was asked for": (0o640, 0, POD, User()),
    "in a pod whose user is of the root group, by another fsGroup": (0o440, 0, 2000, User(gid=0, groups=(0, 2000))),
    "in a pod of a user whom nobody chose": (0o440, 0, 0, User(uid=1000650000, gid=0, groups=(0,))),
    "in a pod of root, by fsGroup": (0o440, 0, NOBODYS, User(uid=0, gid=0, groups=(0, NOBODYS))),
    "of this user": (0o400, POD, POD, User()),
    "of root alone, for root": (0o400, 0, 0, User(uid=0, gid=0, groups=(0,))),
    "of Docker's, for the user that it names": (0o400, POD, POD, User(groups=())),
}


@pytest.mark.parametrize(("mode", "owner", "group", "user"), SOUND.values(), ids=SOUND)
def test_what_nobody_else_may_read_is_read(mount: Path, mode: int, owner: int, group: int, user: User) -> None:
    assert read_as(user, mounted(mount, mode, owner, group)) == ""


IN_A_POD = f"in a pod set `defaultMode: 0400` for the secret's volume and `fsGroup: {POD}` in `securityContext`"
IN_DOCKER = f'in Docker give the secret `mode: 0400` and `uid: "{POD}"`'
REFUSED: dict[str, tuple[int, int, int, User, str]] = {
    "mounted with the usual mode": (0o644, 0, POD, User(), "has mode 0644, wanted 0600: others than its owner"),
    "as Docker mounts a secret": (0o444, 0, 0, User(), "has mode 0444, wanted 0600: others than its owner"),
    "writable for the group": (0o660, 0, POD, User(), "by their group (1000)"),
    "of another user, by the group": (0o440, 2000, POD, User(), "belongs to user id 2000"),
    "of this user, by the group": (0o440, POD, POD, User(), "by their group (1000)"),
    "of a group that root is not of": (0o440, 0, 2000, User(0, 0, (0,)), "group 2000 may read it, and this process is"),
    "of root alone": (0o400, 0, 0, User(), "user 1000 (groups 1000) may not read the identity file"),
    "of a group of others, without fsGroup": (0o440, 0, 2000, User(), "may not read the identity file"),
}


@pytest.mark.parametrize(("mode", "owner", "group", "user", "said"), REFUSED.values(), ids=REFUSED)
def test_what_others_may_read_or_this_process_may_not_is_refused_with_what_sets_it_right(
    mount: Path, mode: int, owner: int, group: int, user: User, said: str
) -> None:
    """The impossible is not asked for: only root changes what is root's."""
    path = mounted(mount, mode, owner, group)

    told = read_as(user, path)

    assert said in told
    assert str(path) in told
    if owner == user.uid:
        assert f"chmod 600 {path}, and ask who had access" in told
    else:
        assert IN_A_POD in told
        assert IN_DOCKER.replace(str(POD), str(user.uid)) in told
        assert f"as root: chown {user.uid} {path} && chmod 600 {path}" in told


def test_a_group_with_other_members_is_named(mount: Path) -> None:
    """On a machine that is no pod, a group is often of several: they could read it, too."""
    group, member = _group_of_others()
    path = mounted(mount, 0o440, 0, group)

    told = read_as(User(gid=group, groups=(group,)), path)

    assert f"group {group} may read it, and so may " in told
    assert member in told


def _group_of_others() -> tuple[int, str]:
    return next((user.pw_gid, user.pw_name) for user in pwd.getpwall() if user.pw_uid and user.pw_gid)


@pytest.mark.parametrize("name", ["mounted with the usual mode", "of root alone", "of this user, by the group"])
def test_on_a_read_only_mount_nobody_is_told_to_change_a_mode(mount: Path, name: str) -> None:
    """As every secret of a pod is mounted."""
    mode, owner, group, user, said = REFUSED[name]
    path = mounted(mount, mode, owner, group)

    told = read_as(user, path, sealed=mount)

    assert said in told
    assert f"where it is mounted, set that right: {IN_A_POD}" in told
    assert "chmod" not in told
    assert "chown" not in told
