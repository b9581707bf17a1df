"""Whom a file or a directory is open to, beside the user who runs this program and root.

A config names programs, recipients and endpoints, and a hook is a program: whoever can change one, or put another in
its place, commands whoever runs mrk. So they are judged as ssh and sudo judge theirs: the file, every directory above
it and every symbolic link on the way must be root's or this user's, and nobody else may write there. Others may read.
What this program writes goes through no symbolic link of somebody else, and into no file of theirs.
"""

import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import UsageError
from orchestrator.mounts import is_sealed

_MOST_LINKS = 40
_HANDED_OVER = tuple(map(Path, ("/dev/fd", "/proc/self/fd")))
"""What is named so was opened by whoever started this program, such as `-c <(sops -d config.yaml)`."""


def owners() -> frozenset[int]:
    """Return the user ids that are trusted: root, and who runs this program."""
    return frozenset({0, os.geteuid()})


def owner_problem(name: str, found: os.stat_result, trusted: frozenset[int]) -> str:
    """Say that something belongs to none of `trusted`; nothing where it belongs to one of them."""
    if found.st_uid in trusted:
        return ""
    return f"{name} belongs to user id {found.st_uid}, and this program runs as user id {os.geteuid()}"


def check_obeyed(path: Path, what: str) -> None:
    """Raise UsageError where somebody else could change a file that is obeyed, or put another in its place.

    `what` names it for people: "the config". OSError where it is not there, or cannot be looked at.
    """
    if handed_over(path):
        return
    for step, found in way_to(path):
        if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            raise UsageError(f"{what} {path} is not used: {step} is a device, not a file", "name a file")
        if problem := _writers(step, found):
            hint = f"read what {what} says, then: {_mended(step, found)}"
            raise UsageError(f"{what} {path} is not used: {problem}", hint)


def handed_over(path: Path) -> bool:
    """Whether a path names what whoever started this program had opened."""
    return path == Path("/dev/stdin") or path.parent in _HANDED_OVER


def way_to(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all that leads to a path, and then that itself: each directory, and each symbolic link with its target's.

    Raises OSError where there is none.
    """
    here, links = Path("/"), 0
    left = list(reversed(path.absolute().parts[1:]))
    yield here, os.lstat(here)
    while left:
        step = here / left.pop()
        found = os.lstat(step)
        yield step, found
        if not stat.S_ISLNK(found.st_mode):
            here = step.parent.parent if step.name == ".." else step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = step.readlink()
        here = Path("/") if target.is_absolute() else here
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _writers(step: Path, found: os.stat_result) -> str:
    """Say who else may write to one step of a way; nothing where nobody may."""
    if owner := owner_problem(str(step), found, owners()):
        return owner
    mode = stat.S_IMODE(found.st_mode)
    # In a directory with the sticky bit, such as /tmp, nobody moves or removes what is another's. On a mount that is
    # read-only, as Kubernetes mounts a ConfigMap of mode 0777, nobody but who mounted it does.
    kept = stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX)
    if kept or not mode & (stat.S_IWGRP | stat.S_IWOTH) or is_sealed(step):
        return ""
    if not mode & stat.S_IWOTH and _nobody_else(step, found.st_gid):
        return ""
    return f"{step} has mode {mode:04o}: others than its owner could change it"


def _mended(step: Path, found: os.stat_result) -> str:
    """Tell the command that keeps others out."""
    quoted = shlex.quote(str(step))
    if found.st_uid in owners():
        return f"chmod go-w {quoted}"
    if stat.S_ISREG(found.st_mode):
        return f"chown {os.geteuid()} {quoted}"
    return "move it to a directory that only you, or root, may write to"


def _nobody_else(step: Path, group: int) -> bool:
    """Whether a group is root's, or holds nobody but root and this user, as where each user has a group of his own.

    Where there is an access list, the group's rights are the most that anybody on it has.
    """
    return not has_access_list(step) and others_in(group) == frozenset()


def has_access_list(file: Path | int) -> bool:
    """Whether a file has an access list; no where the system has none, or does not tell."""
    with suppress(OSError, AttributeError):
        return "system.posix_acl_access" in os.listxattr(file)
    return False


def others_in(group: int) -> frozenset[str] | None:
    """Name who is in a group beside root and this user; None where this machine does not know the group."""
    if group == 0:
        return frozenset()
    users = pwd.getpwall()
    ours = {user.pw_name for user in users if user.pw_uid in owners()}
    others = {user.pw_name for user in users if user.pw_gid == group} - ours
    try:
        return frozenset(others | set(grp.getgrgid(group).gr_mem) - ours)
    except KeyError:
        return frozenset(others) or None


@contextmanager
def own_folder(folder: Path, what: str) -> Iterator[int]:
    """Open a directory to write in, made with mode 0700 where it is missing, as those above it; yield its descriptor.

    Raises UsageError where somebody else chose it, by a symbolic link, owns it, or lets everybody write to it; OSError
    where it cannot be made or opened. `what` names it for people, and the setting: "the journal (run.journal)".
    """
    for one in reversed([one for one in (folder, *folder.parents) if not os.path.lexists(one)]):
        with suppress(FileExistsError):
            one.mkdir(0o700)
    links = [(step, found) for step, found in way_to(folder) if stat.S_ISLNK(found.st_mode)]
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step, found in [*links, (folder, os.fstat(handle))]:
            _check_ours(step, found, f"{what} is not written to {folder}")
        yield handle
    finally:
        os.close(handle)


def _check_ours(step: Path, found: os.stat_result, refused: str) -> None:
    if owner := owner_problem(str(step), found, owners()):
        raise UsageError(f"{refused}: {owner}", "run as its owner, or name a directory of your own")
    mode, folder = stat.S_IMODE(found.st_mode), stat.S_ISDIR(found.st_mode)
    if folder and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        hint = f"chmod o-w {shlex.quote(str(step))}, or name a directory below it, which is then made for you alone"
        raise UsageError(f"{refused}: {step} has mode {mode:04o}, so that everybody could change what is there", hint)


def is_own_file(found: os.stat_result) -> bool:
    """Whether an open file is a plain one of ours, with no other name by which somebody could have planted it."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid in owners()
