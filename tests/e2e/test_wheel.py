"""mrk is installed from a clone, or from a wheel that was built from one; nothing says to take it from an index.

The wheel alone, in an environment of its own, takes a person through the first steps of the README.
"""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.test_readme import readme_script

ROOT = Path(__file__).parents[2]
BASE = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
SHOWN = sorted(
    path
    for pattern in ("*", "docs/**/*", "orchestrator/**/*", "workflows/**/*", "bench/**/*")
    for path in ROOT.glob(pattern)
    if path.is_file()
    and not path.name.startswith(".")
    and path.suffix in {"", ".md", ".py", ".toml", ".yaml", ".service", ".timer", ".cron", ".in"}
)
FROM_AN_INDEX = re.compile(
    r"(?:pip3?|pipx|uv|uvx|poetry)\b[^\n`\"]*?\s(?:install|add|run|tool)\b[^\n`\"]*?[\s'\"]mrk\b(?!\.lock)"
)
UNPINNED = re.compile(r"pip3? install (?!-)[^\s`]+|pip3? install --upgrade")


def test_there_is_much_to_read() -> None:
    assert len(SHOWN) > 150
    assert {"README.md", "Makefile", "schedule.md", "simulator.py", "mrk.service"} <= {path.name for path in SHOWN}
    assert FROM_AN_INDEX.search("sudo /opt/mrk/bin/pip install mrk-orchestrator")
    assert FROM_AN_INDEX.search("pip install 'mrk-orchestrator[simulator]'")


def test_no_page_and_no_hint_tells_to_install_mrk_from_an_index() -> None:
    """No index has that name: whoever registers it would run with everybody's credentials."""
    for path in SHOWN:
        assert not FROM_AN_INDEX.search(path.read_text()), path


def test_nothing_that_is_told_to_install_is_unpinned_but_the_one_way_that_says_so() -> None:
    found = {str(path.relative_to(ROOT)): UNPINNED.findall(path.read_text()) for path in SHOWN}

    assert {name: ways for name, ways in found.items() if ways} == {"README.md": ["pip install '.[simulator]'"]}
    assert "pins nothing" in " ".join((ROOT / "README.md").read_text().split())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the wheel is built from, and nothing else."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "README.md", "LICENSE", "config.example.yaml"):
        shutil.copy(ROOT / name, folder)
    for package in ("orchestrator", "workflows"):
        shutil.copytree(ROOT / package, folder / package, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def well(command: list[str], folder: Path, **more: str) -> str:
    surroundings = {"PATH": "/usr/bin:/bin", **more}
    ran = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    assert ran.returncode in {0, -signal.SIGTERM}, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_the_wheel_alone_takes_a_person_through_the_first_steps(clone: Path, tmp_path: Path) -> None:
    """Built and installed as docs/schedule.md says, with every hash compared."""
    made = f"{sys.prefix}/.run"
    well(["make", "wheel", f"VENV={sys.prefix}", "-o", made], clone)
    well([BASE, "-m", "venv", "opt"], tmp_path)
    (install,) = re.findall(r"^\(cd dist && sudo /opt/mrk(/bin/python .*)\)$", schedule(), re.MULTILINE)
    well(["sh", "-c", f"{tmp_path}/opt{install} --quiet"], clone / "dist")
    shutil.rmtree(clone)
    programs, here = tmp_path / "opt" / "bin", tmp_path / "here"
    here.mkdir()
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws" / "aws").symlink_to(Path(sys.executable).parent / "aws")

    missing = subprocess.run(
        [programs / "mrk", "config", "check"], cwd=here, capture_output=True, text=True, check=False
    )
    (told,) = re.findall(r"mrk config example > config.yaml", missing.stderr)
    path = f"{programs}:{tmp_path / 'aws'}:/usr/bin:/bin"
    well(["sh", "-c", told], here, PATH=path)
    assert (here / "config.yaml").read_text() == (ROOT / "config.example.yaml").read_text()

    shown = well(
        ["bash", "-c", readme_script()], here, PATH=path, HOME=str(here), TMPDIR=str(here), MRK_RUN__POLL="500ms"
    )
    assert "finished" in shown
    assert "nothing is due" in shown
    installed = well([str(programs / "python"), "-c", "import orchestrator; print(orchestrator.__file__)"], here)
    assert installed.startswith(str(tmp_path / "opt"))


def schedule() -> str:
    return (ROOT / "docs" / "schedule.md").read_text()
