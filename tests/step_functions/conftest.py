"""Fixtures: one engine, one simulator and one pool of Lambda runtimes for all tests of a worker."""

from collections.abc import Iterator

import pytest
import sfn_engine
from sfn_cloud import Cloud
from sfn_engine import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """moto, with our function behind its Lambda."""
    with sfn_engine.serving() as serving:
        yield serving


@pytest.fixture(scope="session")
def shared_cloud(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A simulator, a store and a pool of runtimes."""
    with Cloud(engine, tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    """The same, without what an earlier test left behind."""
    shared_cloud.clear()
    yield shared_cloud
    shared_cloud.clear()
