"""A simulator on loopback HTTP for every test that asks for one."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from sim_cloud import Cloud, Hand

from orchestrator.simulator import Lag, Simulator, serve


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def make_cloud(clock: Hand, session: boto3.Session) -> Iterator[Callable[..., Cloud]]:
    """Return a maker of served simulators with whatever lag and switches."""
    served = []

    def make(**given: Any) -> Cloud:
        sim = Simulator(now=clock, **{"lag": Lag.instant(), **given})
        served.append(serve(sim))
        return Cloud(sim, clock, served[-1].endpoint_url, session)

    yield make
    for server in served:
        server.close()


@pytest.fixture
def cloud(make_cloud: Callable[..., Cloud]) -> Cloud:
    """Return a simulator without lag whose rotations complete at the next call."""
    return make_cloud()
