"""Who may read the identity: a file of this user's, or one that was handed to this process, such as a mounted secret.

Kubernetes, systemd and Docker give secrets to root, and let the process read them as a member of a group. That is as
safe as a file of mode 0600, where nobody else is in that group.
"""

import os
import shlex
import stat
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.mounts import is_read_only
from orchestrator.trusted import has_access_list, others_in, owner_problem

_MODE = 0o600
_NEW_GROUP = 10001


def check_handed(path: Path, handle: int) -> None:
    """Raise StoreError where an identity file is not a regular one, or others than root and this user may read it."""
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a regular file", "name the file that holds the identity")
    if handed_over(found):
        return
    problem = owner_problem(str(path), found, frozenset({os.geteuid(), 0})) or _open_to(path, handle, found)
    if problem:
        raise StoreError(problem, _set_right(path, handle, found))


def handed_over(found: os.stat_result) -> bool:
    """Whether this may be a credential from systemd: root's, with an access list that lets its service read, too.

    The mode shows such a list as a right of the group's, which here is root's.
    """
    return found.st_mode == stat.S_IFREG | 0o440 and found.st_uid == found.st_gid == 0


def _open_to(path: Path, handle: int, found: os.stat_result) -> str:
    """Say who else may use a file; nothing where nobody may."""
    mode = stat.S_IMODE(found.st_mode)
    has = f"{path} has mode {mode:04o}, wanted {_MODE:04o}"
    if mode & stat.S_IRWXO:
        return f"{has}: others than its owner could use it"
    if not mode & stat.S_IRWXG:
        return ""
    if found.st_uid != 0 or mode & stat.S_IRWXG != stat.S_IRGRP or has_access_list(handle):
        return f"{has}: others than its owner could use it, by their group ({found.st_gid})"
    if found.st_gid not in {os.getegid(), *os.getgroups()}:
        return f"{has}: group {found.st_gid} may read it, and this process is not of that group"
    if others := others_in(found.st_gid):
        return f"{has}: group {found.st_gid} may read it, and so may {', '.join(sorted(others)[:3])}"
    return ""


def no_right(path: Path) -> StoreError:
    """Say that this process may not read its identity, as where root alone may."""
    groups = ", ".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    message = f"user {os.geteuid()} (groups {groups}) may not read the identity file {path}"
    return StoreError(message, _set_right(path, None, None))


def _set_right(path: Path, handle: int | None, found: os.stat_result | None) -> str:
    """Tell how the file comes to be readable for this process alone."""
    user, file = os.geteuid(), shlex.quote(str(path))
    ours = found is not None and found.st_uid == user
    closing = f"chmod {_MODE:o} {file}" if ours else f"as root: chown {user} {file} && chmod {_MODE:o} {file}"
    asking = ", and ask who had access until now" if found is not None else ""
    if ours and handle is not None and not is_read_only(handle):
        return f"{closing}{asking}"
    mounted = (
        f"in a pod set `defaultMode: 0400` for the secret's volume and `fsGroup: {_group()}` in `securityContext`;"
        f' in Docker give the secret `mode: 0400` and `uid: "{user}"`'
    )
    if is_read_only(path.parent if handle is None else handle):
        return f"where it is mounted, set that right: {mounted}{asking}"
    return f"{closing}; or {mounted}{asking}"


def _group() -> int:
    """Choose a group that a secret may be given to: one of this process's, with nobody else in it, or a new one."""
    own = (os.getegid(), *os.getgroups(), os.geteuid())
    return next((group for group in own if group and not others_in(group)), _NEW_GROUP)
