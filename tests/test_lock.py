"""The lock: one changing command at a time for each config; a dead holder holds nothing."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.errors import Exit, HeldError, UsageError
from orchestrator.lock import default_path, held

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from orchestrator.lock import held

with held(Path(sys.argv[1]), "mrk run", datetime(2026, 3, 1, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> "subprocess.Popen[str]":
    """Hold the lock in another process, until that is killed or its standard input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_another_holder_is_named_by_pid_host_time_and_command(tmp_path: Path) -> None:
    """Exit 3, and whoever is refused knows whom to ask."""
    path = tmp_path / "runs" / "one.lock"
    with hold(path) as holder:
        with pytest.raises(HeldError) as refused, held(path, "mrk rotate", NOW):
            pass
        holder.communicate("")

    message = str(refused.value)
    assert f"mrk run, pid {holder.pid} on {os.uname().nodename}, since 2026-03-01T00:00:00+00:00" in message
    assert str(path) in message
    assert (refused.value.exit_code, refused.value.hint) == (Exit.FAILED, "run again later")


def test_the_lock_of_a_dead_process_is_free_at_once(tmp_path: Path) -> None:
    """After kill -9 the file is there, and no lock."""
    path = tmp_path / "one.lock"
    with hold(path) as holder:
        holder.kill()

    with held(path, "mrk run", NOW):
        assert f'"pid": {os.getpid()}' in path.read_text()


def test_a_lock_is_free_again_after_success_and_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with pytest.raises(ZeroDivisionError), held(path, "mrk run", NOW):
        raise ZeroDivisionError

    for _ in range(2):
        with held(path, "mrk run", NOW):
            pass


def test_a_child_of_the_holder_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """A hook that outlives its run keeps nobody out."""
    path = tmp_path / "one.lock"
    with held(path, "mrk run", NOW):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    with held(path, "mrk run", NOW):
        pass
    child.communicate(b"")


@pytest.mark.parametrize("note", ["", "not JSON", "[]", "{}"])
def test_a_holder_that_has_not_said_who_it_is_is_a_holder_all_the_same(tmp_path: Path, note: str) -> None:
    path = tmp_path / "one.lock"
    with hold(path) as holder:
        path.write_text(note)
        with pytest.raises(HeldError, match="it has not said yet who it is"), held(path, "mrk rotate", NOW):
            pass
        holder.communicate("")


@pytest.mark.parametrize("content", ["AGE-SECRET-KEY-1...", "store:\n  uri: file:/var/lib/mrk/store\n", "[]", "{}"])
def test_a_file_that_holds_something_else_is_not_wiped_out(tmp_path: Path, content: str) -> None:
    """`run.lock` may name the identity by mistake: without it the store is closed to this machine."""
    path = tmp_path / "identity.txt"
    path.touch(mode=0o600)
    path.write_text(content)

    with pytest.raises(UsageError) as refused, held(path, "mrk run", NOW):
        pass

    assert path.read_text() == content
    assert str(path) in refused.value.message
    assert "run.lock" in refused.value.hint


@pytest.mark.parametrize("left", [b"", b"\n", b"\0" * 80, b'{"pid": 7, "ho'])
def test_what_a_holder_that_was_cut_short_left_behind_holds_nobody_up(tmp_path: Path, left: bytes) -> None:
    """A full disk and a power cut may leave the file empty, torn, or of zeros."""
    path = tmp_path / "one.lock"
    path.touch(mode=0o600)
    path.write_bytes(left)

    with held(path, "mrk run", NOW):
        assert f'"pid": {os.getpid()}' in path.read_text()


KEYS = ("arn:aws:kms:us-east-1:111122223333:key/mrk-1", "arn:aws:kms:us-east-1:111122223333:key/mrk-2")


def test_each_config_has_its_own_lock_beside_the_journals(tmp_path: Path) -> None:
    """The same file by another path, and under another name, is the same config."""
    one, other = tmp_path / "a" / "config.yaml", tmp_path / "b" / "config.yaml"
    one.parent.mkdir()
    one.touch()
    links = [tmp_path / "config.yaml", tmp_path / "mrk.yaml", tmp_path / "b"]
    for link in links[:2]:
        link.symlink_to(one)
    links[2].symlink_to("a")
    journal, own = tmp_path / "runs", default_path(one, KEYS, tmp_path / "runs")

    assert [default_path(link, KEYS, journal) for link in (*links[:2], other)] == [own] * 3
    assert default_path(tmp_path / "a" / "other.yaml", KEYS, journal) != own
    assert own.parent == journal
    assert own.name.startswith("config-")


def test_a_config_from_a_pipe_is_known_by_its_keys(tmp_path: Path) -> None:
    """Its path is another one in every run, and would leave another file behind."""
    piped = Path("/dev/fd/63"), Path("/proc/self/fd/12"), Path("/dev/stdin")
    found = {default_path(path, keys, tmp_path) for path in piped for keys in (KEYS, KEYS[::-1])}

    assert len(found) == 1
    assert found != {default_path(piped[0], KEYS[:1], tmp_path)}


@pytest.mark.parametrize("place", ["file/below.lock", "directory", "link"])
def test_a_place_where_no_lock_can_be_is_told_with_the_setting_to_change(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")

    with pytest.raises(UsageError) as refused, held(tmp_path / place, "mrk run", NOW):
        pass

    assert str(tmp_path / place) in str(refused.value)
    assert "run.lock" in refused.value.hint
    assert refused.value.exit_code == Exit.USAGE
