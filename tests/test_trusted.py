"""Whatever names a program, a recipient or an endpoint is obeyed only where nobody else could have written it."""

import grp
import os
import pwd
import stat
import struct
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.errors import Exit, UsageError
from orchestrator.hook import Hook, check_hook
from orchestrator.settings import load

STRANGER = 12345
SOUND = """
store: {uri: "file:/var/lib/mrk/store"}
keys:
  payments: {arn: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"}
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to other users")


def obeyed_as_config(path: Path) -> None:
    assert list(load(path, {}).keys) == ["payments"]


def obeyed_as_hook(path: Path) -> None:
    """Checked when a command begins, and again when it is to run."""
    check_hook(path)
    assert Hook(path, timedelta(seconds=20), {"PATH": "/usr/bin:/bin"})({}) == ""


KINDS = {"config": (obeyed_as_config, SOUND, 0o644), "hook": (obeyed_as_hook, "#!/bin/sh\nexit 0\n", 0o755)}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path, kind: str) -> Path:
    """A file that is well: ours, in directories of ours, two deep."""
    folder = tmp_path / "above" / "folder"
    folder.mkdir(parents=True, mode=0o755)
    path = folder / "obeyed"
    path.write_text(KINDS[kind][1])
    path.chmod(KINDS[kind][2])
    return path


def link(path: Path, target: Path | str, owner: int = -1) -> Path:
    path.symlink_to(target)
    os.lchown(path, owner, -1)
    return path


def in_shared(file: Path, mode: int, owner: int = -1) -> Path:
    """Make a directory that everybody may write to, with a link to the file in it."""
    shared = file.parents[1] / "shared"
    shared.mkdir()
    found = link(shared / "found", file, owner)
    shared.chmod(mode)
    return found


def give(path: Path, user: int, group: int = -1) -> None:
    os.chown(path, user, group)


def behind_a_linked_folder(file: Path) -> Path:
    """A path that is all ours, but for the directory that a link on it leads through."""
    shared = file.parents[1] / "shared"
    file.parent.rename(shared)
    link(file.parent, shared)
    shared.chmod(0o777)
    return file


def out_of_a_shared_folder(file: Path) -> Path:
    shared = file.parents[1] / "shared"
    (shared / "in").mkdir(parents=True)
    shared.chmod(0o777)
    return shared / "in" / ".." / ".." / file.parent.name / file.name


BY_MODE: dict[str, Callable[[Path], Path | None]] = {
    "everybody may write": lambda file: file.chmod(0o666 | stat.S_IMODE(file.stat().st_mode)),
    "everybody may write to it, and nobody read": lambda file: file.chmod(0o702),
    "in a directory that everybody may write to": lambda file: file.parent.chmod(0o777),
    "two directories below such a one": lambda file: file.parents[1].chmod(0o777),
    "by a link in such a directory": lambda file: in_shared(file, 0o777),
    "by a link to such a directory": behind_a_linked_folder,
    "by a way in and out of such a directory": out_of_a_shared_folder,
}


def from_two_hands(file: Path) -> Path:
    """In /tmp others may put files, but not change ours: what they put there is theirs."""
    give(file, STRANGER)
    file.parent.chmod(0o1777)
    return file


def group_of_others() -> int:
    """The group of a system user."""
    return next(user.pw_gid for user in pwd.getpwall() if user.pw_uid != 0 and user.pw_gid != 0)


def with_access_list(file: Path) -> None:
    """Let another user write by an access list; the mode tells that as a right of the group's."""
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody), (2, 6, STRANGER), (4, 4, nobody), (16, 6, nobody), (32, 4, nobody)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(file, "system.posix_acl_access", acl)
    except OSError as error:
        pytest.skip(f"the file system of the tests has no access lists: {error}")


BY_OWNER: dict[str, Callable[[Path], Path | None]] = {
    "another user's": lambda file: give(file, STRANGER),
    "nobody's, as root's files are on a disk that squashes root": lambda file: give(file, 65534),
    "in another user's directory": lambda file: give(file.parent, STRANGER),
    "below another user's directory": lambda file: give(file.parents[1], STRANGER),
    "another user's in a directory with the sticky bit": from_two_hands,
    "by another user's link in a directory with the sticky bit": lambda file: in_shared(file, 0o1777, STRANGER),
    "writable for a group of others": lambda file: (give(file, 0, group_of_others()), file.chmod(0o775))[1],
    "writable for a group that nobody knows": lambda file: (give(file, 0, STRANGER), file.chmod(0o775))[1],
    "in a directory of a group of others": lambda file: (
        give(file.parent, 0, group_of_others()),
        file.parent.chmod(0o775),
    )[1],
    "writable by an access list": with_access_list,
}


def refusal(kind: str, path: Path) -> UsageError:
    with pytest.raises(UsageError) as refused:
        KINDS[kind][0](path)
    assert refused.value.exit_code == Exit.USAGE
    return refused.value


@pytest.mark.parametrize("spoil", BY_MODE.values(), ids=BY_MODE)
def test_what_others_may_write_is_not_obeyed(kind: str, file: Path, spoil: Callable[[Path], Path | None]) -> None:
    """The path, which part of it, its mode, and the command that ends it."""
    path = spoil(file) or file

    refused = refusal(kind, path)

    assert str(path) in refused.message
    named = next(
        step for step in (file, *file.parents, file.parents[1] / "shared") if f"{step} has mode" in str(refused)
    )
    assert f"has mode {stat.S_IMODE(named.stat().st_mode):04o}" in refused.message
    assert f"chmod go-w {named}" in refused.hint


@needs_root
@pytest.mark.parametrize("spoil", BY_OWNER.values(), ids=BY_OWNER)
def test_what_another_user_owns_is_not_obeyed(kind: str, file: Path, spoil: Callable[[Path], Path | None]) -> None:
    path = spoil(file) or file

    refused = refusal(kind, path)

    assert str(path) in refused.message
    assert "belongs to user id" in refused.message or "has mode" in refused.message
    assert any(word in refused.hint for word in (f"chown {os.geteuid()}", "chmod go-w", "move it to a directory"))


def test_a_hook_that_others_may_write_does_not_run_whatever_was_checked_before(tmp_path: Path) -> None:
    """A run takes half an hour: the hook is judged again when it is its turn."""
    program = tmp_path / "notify"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    check_hook(program)
    program.chmod(0o777)

    said = Hook(program, timedelta(seconds=20), {"PATH": "/usr/bin:/bin"})({})

    assert "has mode 0777" in said
    assert f"chmod go-w {program}" in said
    assert not (tmp_path / "ran").exists()


def in_sticky(file: Path) -> None:
    file.parent.chmod(0o1777)


def mounted_by_kubernetes(file: Path) -> Path:
    """A ConfigMap: a directory that everybody may write to, with the sticky bit, and links of root's."""
    mount = file.parents[1] / "mount"
    (mount / "..2026_05_04").mkdir(parents=True)
    file.rename(mount / "..2026_05_04" / file.name)
    link(mount / "..data", "..2026_05_04")
    mount.chmod(0o1777)
    return link(mount / file.name, f"..data/{file.name}")


SOUND_WAYS: dict[str, Callable[[Path], Path | None]] = {
    "others may read it": lambda _file: None,
    "by a link": lambda file: link(file.parents[1] / "found", file),
    "by a link that is relative": lambda file: link(file.parent / "found", f"../{file.parent.name}/{file.name}"),
    "in a directory with the sticky bit": in_sticky,
    "as Kubernetes mounts it": mounted_by_kubernetes,
}


@pytest.mark.parametrize("arrange", SOUND_WAYS.values(), ids=SOUND_WAYS)
def test_what_only_we_and_root_may_write_is_obeyed(
    kind: str, file: Path, arrange: Callable[[Path], Path | None]
) -> None:
    KINDS[kind][0](arrange(file) or file)


@needs_root
def test_a_group_that_holds_nobody_else_may_write(kind: str, file: Path) -> None:
    """Where each user has a group of his own (umask 002), or the group has no member."""
    taken = {user.pw_gid for user in pwd.getpwall()}
    empty = next(group.gr_gid for group in grp.getgrall() if not group.gr_mem and group.gr_gid not in taken)
    for group in (0, empty):
        give(file, 0, group)
        file.chmod(0o775)
        give(file.parent, 0, group)
        file.parent.chmod(0o775)

        KINDS[kind][0](file)


def test_a_config_that_whoever_starts_mrk_hands_over_is_his() -> None:
    """`-c <(sops -d config.yaml)`: no path leads there."""
    ours, theirs = os.pipe()
    writing = threading.Thread(target=lambda: (os.write(theirs, SOUND.encode()), os.close(theirs)))
    writing.start()

    obeyed_as_config(Path(f"/dev/fd/{ours}"))

    writing.join()
    os.close(ours)


def test_a_pipe_of_another_user_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "config.yaml"
    os.mkfifo(pipe)
    pipe.chmod(0o666)

    assert "has mode 0666" in refusal("config", pipe).message


@pytest.mark.parametrize("loop", [True, False])
def test_links_that_lead_nowhere_are_told(tmp_path: Path, loop: bool) -> None:
    path = link(tmp_path / "config.yaml", "config.yaml" if loop else "none.yaml")

    refused = refusal("config", path)

    assert str(path) in refused.message
