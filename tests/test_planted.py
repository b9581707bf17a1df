"""What mrk writes goes through nothing, and into nothing, that somebody else put in its place."""

import io
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator import metrics
from orchestrator.errors import Exit, UsageError
from orchestrator.journal import Header, Journal
from orchestrator.lock import held
from orchestrator.report.journal import Chain
from orchestrator.report.story import Story

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
RUN = "20260302T080000Z-a1b2c3"
STRANGER = 12345
SECRET = "not to be touched\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to other users")


def journal(folder: Path) -> Path:
    kept = Journal(folder, Header(RUN, NOW))
    kept.seal(NOW)
    return kept.path


def lock(folder: Path) -> Path:
    with held(folder / "mrk.lock", "mrk run", NOW):
        return folder / "mrk.lock"


WRITERS: dict[str, Callable[[Path], Path]] = {"journal": journal, "lock": lock}


@pytest.fixture(params=WRITERS.values(), ids=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    found: Callable[[Path], Path] = request.param
    return found


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text(SECRET)
    return path


def refused(write: Callable[[Path], Path], folder: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        write(folder)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint
    return caught.value


def test_directories_that_are_missing_are_made_for_this_user_alone(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    """All of them, whatever the umask."""
    before = os.umask(0)
    try:
        path = write(tmp_path / "deep" / "down" / "runs")
    finally:
        os.umask(before)

    made = [path, *path.parents[:3]]
    assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [0o600, 0o700, 0o700, 0o700]


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775, 0o1777])
def test_a_directory_of_ours_is_taken(tmp_path: Path, write: Callable[[Path], Path], mode: int) -> None:
    """Also one that a group shares, and one like /run/lock; a link of our own leads there as well."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(mode)
    (tmp_path / "link").symlink_to("runs")

    assert write(tmp_path / "link").exists()


def test_a_directory_that_everybody_may_write_to_is_refused(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    folder.chmod(0o777)

    said = refused(write, folder)

    assert f"{folder} has mode 0777" in said.message
    assert f"chmod o-w {folder}" in said.hint
    assert list(folder.iterdir()) == []
    assert write(folder / "below").exists()


@needs_root
@pytest.mark.parametrize("planted", ["the directory", "a link in its place", "a link above it"])
def test_a_directory_that_another_user_chose_is_refused(
    tmp_path: Path, write: Callable[[Path], Path], planted: str
) -> None:
    """A link of his leads where he likes, also to a directory of ours."""
    ours, folder = tmp_path / "ours", tmp_path / "runs"
    (ours / "below").mkdir(parents=True)
    if planted == "the directory":
        folder.mkdir()
        os.chown(folder, STRANGER, STRANGER)
    else:
        folder.symlink_to(ours)
        os.lchown(folder, STRANGER, STRANGER)

    said = refused(write, folder / "below" if planted == "a link above it" else folder)

    assert f"{folder} belongs to user id {STRANGER}" in said.message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def linked(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard_linked(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def of_another_user(path: Path, _victim: Path) -> None:
    path.write_text(SECRET)
    path.chmod(0o666)
    os.chown(path, STRANGER, STRANGER)


def pipe(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


PLANTED = {
    "a link": linked,
    "another name of our own file": hard_linked,
    "a pipe": pipe,
    "another user's file": pytest.param(of_another_user, marks=needs_root),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_nothing_is_written_into_what_stands_in_the_place_of_a_file(
    tmp_path: Path, write: Callable[[Path], Path], victim: Path, plant: Callable[[Path, Path], None]
) -> None:
    """Neither emptied nor added to; whoever reads the message knows which file it is."""
    folder = tmp_path / "runs"
    name = write(tmp_path / "elsewhere").name
    folder.mkdir(mode=0o700)
    plant(folder / name, victim)

    said = refused(write, folder)

    assert str(folder / name) in said.message
    assert victim.read_text() == SECRET
    if (folder / name).is_file():
        assert (folder / name).read_text() == SECRET


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_metrics_take_the_place_of_what_was_planted_and_learn_nothing_from_it(
    tmp_path: Path, victim: Path, plant: Callable[[Path, Path], None]
) -> None:
    """The directory of node_exporter is shared: what is there is replaced, never read or written."""
    folder = tmp_path / "textfile"
    folder.mkdir()
    folder.chmod(0o777)
    victim.write_text('mrk_rotations_left{key="payments"} 3.0\n')
    before, path = victim.read_text(), folder / "mrk.prom"
    plant(path, victim)
    for name in (f"mrk.prom.{os.getpid()}.new", f"mrk.prom.{os.getpid()}.{os.getpid()}"):
        (folder / name).symlink_to(victim)

    assert metrics.write(path, ["payments"], [], 0, NOW) == ""

    assert victim.read_text() == before
    assert not path.is_symlink()
    assert "mrk_last_exit_code 0.0" in path.read_text()
    assert "rotations_left" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_journal_is_whole_where_its_directory_is_a_link_of_ours(tmp_path: Path) -> None:
    """Opened by the directory that was judged, told by the path that was asked for."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to("runs")

    path = journal(tmp_path / "link")

    chain = Chain(RUN)
    Story().told(chain.read(io.BytesIO(path.read_bytes())))
    assert (chain.intact, chain.ended) == (True, True)
    assert path == tmp_path / "link" / f"{RUN}.jsonl"
