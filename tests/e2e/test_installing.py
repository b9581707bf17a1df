"""`make install` works on the next try, whatever the last one left; a Python that will not do is told in one sentence.

The Makefile as it stands, in a directory whose package needs nothing, so that nothing is fetched.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
BASE = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import zipfile

FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: mrk\\nVersion: 1\\n",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "entry_points.txt": "[console_scripts]\\nmrk = json.tool:main\\n",
    "RECORD": "",
}


def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/mrk-1-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(f"mrk-1.dist-info/{name}", text)
    return "mrk-1-py3-none-any.whl"
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.lock").touch()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def make(clone: Path, python: str = BASE, **more: str) -> subprocess.CompletedProcess[str]:
    words = ["make", "install", f"PYTHON={python}", *(f"{name}={value}" for name, value in more.items())]
    ran = subprocess.run(words, cwd=clone, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert "Traceback" not in ran.stderr
    return ran


def program(clone: Path, *lines: str) -> str:
    path = clone.parent / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def too_old(clone: Path) -> str:
    """Python 3.9, as far as this goes: it says so, and a venv of it would be made."""
    made = f'[ "$1 $2" = "-m venv" ] && exec {BASE} "$@"'
    return program(clone, made, '[ "$1" = -V ] && echo Python 3.9.18 && exit', "exit 1")


def without_venv(clone: Path) -> str:
    """As Debian's without python3-venv: it says why, and leaves an environment that has no pip."""
    made = f'[ "$1 $2" = "-m venv" ] && {BASE} -m venv --without-pip "$3" && echo ensurepip is not available && exit 1'
    return program(clone, made, f'exec {BASE} "$@"')


WILL_NOT_DO: dict[str, tuple[Callable[[Path], str], list[str]]] = {
    "too old": (too_old, ["needs Python 3.11 or newer", "(Python 3.9.18)", "make install PYTHON=python3.11"]),
    "not there": (lambda _: "python3.99", ["needs Python 3.11 or newer", "python3.99", "not found"]),
    "without venv": (without_venv, ["lacks its part venv", "apt-get install python3-venv", "type again: make install"]),
}


@pytest.mark.parametrize(("python", "said"), WILL_NOT_DO.values(), ids=WILL_NOT_DO)
def test_a_python_that_will_not_do_is_told_and_leaves_nothing(
    clone: Path, python: Callable[[Path], str], said: list[str]
) -> None:
    ran = make(clone, python(clone))

    assert ran.returncode == 2
    assert all(part in ran.stderr for part in said), ran.stderr
    assert not (clone / ".venv").exists()


def works(clone: Path) -> None:
    ran = make(clone)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    subprocess.run([clone / ".venv" / "bin" / "mrk", "--help"], check=True, stdout=subprocess.DEVNULL)
    assert make(clone).stdout == "make: Nothing to be done for 'install'.\n"


def old_environment(clone: Path) -> None:
    """Replace its Python by an old one, as whoever first tried with that had it."""
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(too_old(clone))


def without_pip(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    subprocess.run([BASE, "-m", "venv", "--without-pip", ".venv"], cwd=clone, check=True)


def pip_was_interrupted(clone: Path) -> None:
    """Half of the package is there: pip itself can neither remove nor replace it."""
    (clone / ".venv" / ".run").unlink()
    (record,) = (clone / ".venv").rglob("mrk-1.dist-info/RECORD")
    record.unlink()


def moved(clone: Path) -> None:
    """The programs in it name the Python that was where it stood."""
    (clone / ".venv" / ".run").write_text("/somewhere/else")
    (clone / ".venv" / "bin" / "mrk").write_text("#!/somewhere/else/.venv/bin/python\n")


def python_is_gone(clone: Path) -> None:
    """As after an upgrade of the system."""
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/python3.3")


@pytest.mark.timeout(900)
def test_whatever_the_last_try_left_the_next_one_works(clone: Path) -> None:
    """One after the other, as each environment takes seconds."""
    works(clone)
    for leave in (old_environment, without_pip, pip_was_interrupted, moved, python_is_gone):
        leave(clone)
        works(clone)


def test_a_directory_that_is_no_environment_is_not_removed(clone: Path) -> None:
    """Whoever types VENV=... wrongly loses nothing."""
    (clone / "work").mkdir()
    (clone / "work" / "thesis.txt").write_text("years of work")

    ran = make(clone, VENV="work")

    assert "work is there, and is no environment of Python: name another directory" in ran.stderr
    assert [path.name for path in (clone / "work").iterdir()] == ["thesis.txt"]
