"""Fixtures: a world of simulated Regions, a store, and a runner whose clock is ours."""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

import verdict
from orchestrator.simulator import Lag, Simulator, Switches, serve
from worlds import ManualClock, World


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own AWS or mrk settings reaches a test."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MRK_")) or "_proxy" in name.lower()]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111122223333")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secrets.token_hex(8))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True, scope="session")
def _signals_as_they_come() -> None:
    """Whoever runs the tests by `nohup`, or in the background, has them begin with signals that are ignored."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _counted(record_property: verdict.Count) -> Iterator[None]:
    """What a test judges of the promises is counted, however it ends; `make prove` sums it up."""
    verdict.TALLY.clear()
    yield
    for name, number in verdict.TALLY.numbers().items():
        record_property(name, number)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when a run waits."""
    return ManualClock()


@pytest.fixture
def executor() -> Iterator[Executor]:
    """Threads for the calls of one test."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.fixture
def make_world(tmp_path: Path, clock: ManualClock, executor: Executor) -> Iterator[Callable[..., World]]:
    """Make a simulated world over HTTP; `lag` and `switches` as the simulator has them."""
    opened = []

    def make(lag: Lag | str = "instant", switches: Switches | None = None, seed: int = 0) -> World:
        simulator = Simulator(clock.epoch, lag=lag, switches=switches, seed=seed)
        served = serve(simulator)
        opened.append(served)
        return World(simulator, served.endpoint_url, tmp_path, clock, executor)

    yield make
    for served in opened:
        served.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world without lag."""
    return make_world()
