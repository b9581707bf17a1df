"""The function as it is packaged: with the packages of requirements-lambda.lock, and no others.

The package that `make lambda` builds is for Python 3.13. Here the same packages, at the same versions, are put into a
folder for the Python of the tests, which runs the function from there with nothing else on its path.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from sfn_cloud import Cloud
from sfn_runtimes import Runtime

from leaks import found_in

ROOT = Path(__file__).parents[2]
RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")
"""What Lambda itself brings."""


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock names."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def copied(names: tuple[str, ...], folder: Path) -> None:
    """Copy installed distributions, file by file; of our own, which is installed in place, what says its version."""
    for name in names:
        for file in distribution(name).files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts and file.suffix != ".pth":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), folder / file)


@pytest.fixture
def packaged(cloud: Cloud, tmp_path: Path) -> Iterator[Runtime]:
    """The function in a runtime whose Python has the package, and nothing of this environment."""
    package, runtime = tmp_path / "package", tmp_path / "runtime"
    copied((*locked("requirements-lambda.lock"), "mrk-orchestrator"), package)
    copied(RUNTIME, runtime)
    for ours in ("orchestrator", "workflows"):
        shutil.copytree(ROOT / ours, package / ours, ignore=shutil.ignore_patterns("__pycache__", "simulator", "cli"))
    base = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    environment = {name: value for name, value in cloud.environment.items() if not name.startswith("COV")}
    environment["PYTHONPATH"] = f"{package}:{runtime}"
    started = Runtime(environment, 300, tmp_path / "log", python=base)
    started.start()
    try:
        yield started
    finally:
        started.stop()


@pytest.mark.timeout(240)
def test_the_packaged_function_rotates_a_key(cloud: Cloud, packaged: Runtime) -> None:
    """All that a whole run imports is in the package, though the command line and the simulator are not."""
    arn = cloud.make_key()
    key = {"name": "payments", "arn": str(arn), "regions": sorted(cloud.true(arn).regions)}
    event = {"op": "run", "workflow": "rotate", "key": key}

    answer = packaged.ask(event)

    assert answer.get("status") == "finished", answer
    assert {cloud.true(arn, region).rotations for region in cloud.true(arn).regions} == {1}
    materials = {cloud.simulator.material(arn.region, str(arn), row.material_id) for row in cloud.true(arn).rows}
    assert len(materials) == 2
    assert not found_in(packaged.log.read_bytes(), materials)
    assert packaged.limit("Max core file size") == ("0", "0")


def test_the_package_has_the_versions_of_the_other_locks_and_nothing_that_only_a_terminal_needs() -> None:
    every, ours = locked("requirements.lock"), locked("requirements-lambda.lock")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    asked = {re.split(r"[\[>=]", line)[0] for line in (ROOT / "requirements.lambda.in").read_text().split("\n") if line}

    assert ours.items() <= every.items()
    assert {name for name in asked if not name.startswith("#")} <= {re.split(r"[\[>=]", one)[0] for one in wanted}
    assert not {"rich", "typer", "pygments", "werkzeug", "waitress", "hatchling", "prometheus-client"} & set(ours)


def test_make_lambda_installs_that_lock() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nlambda:")[2].partition("\n\n")[0]

    assert "-r requirements-lambda.lock" in recipe
    assert "-r requirements.lock" not in recipe
