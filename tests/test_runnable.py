"""A hook that cannot run is found without running it, and the system agrees: it does not run it either."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from orchestrator.places import unmakable, unwritable
from orchestrator.runnable import why_not

PATH = {"PATH": "/usr/bin:/bin"}


def script(first: str, mode: int = 0o755) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(f"{first}\nexit 0\n".encode())
        path.chmod(mode)

    return make


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


CANNOT: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda _: None, "there is no such file"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "there is no such file"),
    "a link to itself": (link_to_itself, "it cannot be looked at: Too many levels of symbolic links"),
    "below a file": (below_a_file, "it cannot be looked at: Not a directory"),
    "a directory": (Path.mkdir, "it is a directory, not a program"),
    "a pipe": (os.mkfifo, "it is not a file"),
    "not executable": (script("#!/bin/sh", 0o644), "chmod +x "),
    "an interpreter that is not there": (script("#!/no/python"), "the interpreter /no/python, which is not there"),
    "an interpreter that is no program": (script("#!/etc/passwd"), "the interpreter /etc/passwd, which is not there"),
    "an interpreter that is a directory": (script("#!/usr"), "the interpreter /usr, which is not there"),
    "line ends of Windows": (script("#!/bin/sh\r"), "ends with a carriage return"),
    "no interpreter": (script("#!  "), "is to name an interpreter, and names none"),
    "a first line of another kind": (script("import sys"), "it is text whose first line is not #!"),
    "an empty file": (lambda path: (path.touch(), path.chmod(0o755))[0], "it is text whose first line is not #!"),
    "env, and nothing of that name": (script("#!/usr/bin/env no-such-python"), "asks env for no-such-python, which is"),
    "env with an option": (script("#!/usr/bin/env -S no-such-python -u"), "asks env for no-such-python, which is"),
}


@pytest.mark.parametrize(("make", "said"), CANNOT.values(), ids=CANNOT)
def test_what_cannot_be_run_is_told(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "notify"
    make(path)

    assert said in why_not(path, PATH)
    assert not ran(path)


@pytest.mark.parametrize("first", ["#!/bin/sh", "#! /bin/sh -e", "#!/usr/bin/env sh", "#!/usr/bin/env -S sh -e"])
def test_what_can_be_run_is_not_complained_of(tmp_path: Path, first: str) -> None:
    path = tmp_path / "notify"
    script(first)(path)

    assert why_not(path, PATH) == ""
    assert ran(path)


def test_a_program_is_one_and_so_is_one_that_may_only_be_run(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    path.write_bytes(Path("/bin/true").read_bytes())
    path.chmod(0o111)

    assert why_not(path, PATH) == ""
    assert ran(path)


@pytest.fixture
def noexec() -> Iterator[Path]:
    """A place on a file system from which nothing is run; most machines have one."""
    folder = next((Path(one) for one in ("/dev/shm", "/run/lock", "/proc") if _noexec(one)), None)  # noqa: S108
    if folder is None:
        pytest.skip("no file system here is mounted noexec")
    path = folder / f"mrk-notify-{os.getpid()}"
    yield path
    path.unlink(missing_ok=True)


def _noexec(folder: str) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC) and os.access(folder, os.W_OK) and folder != "/proc"


def test_a_file_system_that_runs_nothing_is_named(noexec: Path) -> None:
    script("#!/bin/sh")(noexec)

    assert "noexec" in why_not(noexec, PATH)
    assert not ran(noexec)


def ran(path: Path) -> bool:
    """Whether the system starts it, and it ends with 0."""
    try:
        return subprocess.run([path], env=PATH, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert unwritable(tmp_path) == unmakable(tmp_path) == unmakable(tmp_path / "a" / "b") == ""
    assert unwritable(tmp_path / "a") == f"there is no directory {tmp_path / 'a'}"
    assert unmakable(tmp_path / "file" / "a") == f"{tmp_path / 'file'} is not a directory"


def test_a_place_where_this_user_may_not_write_is_told() -> None:
    """Judged by the user that the process runs as."""
    with nobody_special(), TemporaryDirectory(prefix="mrk-places-") as name:
        folder = Path(name)
        folder.chmod(0o555)

        assert unwritable(folder) == unmakable(folder / "runs") == f"user id {os.geteuid()} may not write to {folder}"

        folder.chmod(0o755)


@contextmanager
def nobody_special() -> Iterator[None]:
    """Be another user than root, who may write everywhere."""
    before = os.geteuid()
    os.seteuid(before or 4242)
    try:
        yield
    finally:
        os.seteuid(before)
