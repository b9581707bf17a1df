"""Networks that give no answer: no such host, no connection in time, no reply in time; at any operation (I9, I10)."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event, Lock
from typing import Any

import pytest
from fault_table import TIMES, Case, network_cases
from strikes import Met, Strikes

from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.lanes import Lanes
from orchestrator.model import KeyArn, Region
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import WrappingAlgorithm
from orchestrator.progress import Report
from orchestrator.runner import Runner
from sizes import EVERYTHING, some
from verdict import Count, before, broken
from worlds import World

pytestmark = pytest.mark.timeout(1800)

CHUNKS = 4 if EVERYTHING else 2
METHODS = {
    "DescribeKey": "describe_key",
    "ListKeyRotations": "list_key_rotations",
    "GetKeyRotationStatus": "rotation_started_at",
    "GetParametersForImport": "get_parameters_for_import",
    "ImportKeyMaterial": "import_key_material",
    "RotateKeyOnDemand": "rotate_key_on_demand",
    "Encrypt": "encrypt",
    "Decrypt": "decrypt",
    "GenerateDataKeyWithoutPlaintext": "data_key_material",
}


class Rerouted:
    """KMS of one Region, some of whose calls go where no answer comes from: by the real adapter, over real sockets."""

    def __init__(self, real: Any, nowhere: Any, method: str, times: int | None, struck: Event) -> None:
        self._real = real
        self._nowhere = nowhere
        self._method = method
        self._times = times
        self._struck = struck
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        if name != self._method:
            return getattr(self._real, name)
        with self._lock:
            self._seen[name] += 1
            away = self._times is None or self._seen[name] <= self._times
        if away:
            self._struck.set()
        return getattr(self._nowhere if away else self._real, name)


@pytest.fixture(scope="module")
def unreachable() -> Iterator[dict[str, str]]:
    """Places that give no answer: a name without an address, a full queue of connections, a silent server."""
    silent, full = (
        socket.create_server(("127.0.0.1", 0), backlog=1000),
        socket.create_server(("127.0.0.1", 0), backlog=0),
    )
    waiting = []
    for _ in range(3):
        filling = socket.socket()
        filling.settimeout(0)
        with suppress(BlockingIOError):
            filling.connect(full.getsockname())
        waiting.append(filling)
    yield {
        "no such host": "https://kms.nowhere.invalid",
        "no connection in time": f"http://127.0.0.1:{full.getsockname()[1]}",
        "no answer in time": f"http://127.0.0.1:{silent.getsockname()[1]}",
    }
    for one in (*waiting, silent, full):
        one.close()


def rotate(world: World, arn: KeyArn, clients: Callable[[Region], Any]) -> Report:
    retry, policy = world.retry(), replace(world.policy, deadline=timedelta(minutes=8), poll=timedelta(seconds=30))
    parameters = Parameters(clients, retry, world.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    runner = Runner(
        Observe(clients, world.store, retry, world.clock.now),
        Perform(clients, world.store, parameters, retry),
        parameters,
        world.clock,
        Lanes.of_one(world.executor),
        world.events.append,
    )
    return runner.run([world.job(arn, policy=policy)])[0]


def rerouting(world: World, case: Case, nowhere_url: str, struck: Event) -> Callable[[Region], Any]:
    """Make clients of which those of one Region lose some calls, and tell when one was lost."""
    options = KmsOptions(nowhere_url, connect_timeout=0.05, read_timeout=0.05)
    real, nowhere = world.kms(), KmsFactory(options, world.clock.now, world.events.append)
    made: dict[Region, Any] = {}

    def client(region: Region) -> Any:
        if region != case.region:
            return real(region)
        if region not in made:
            method, times = METHODS[case.operation], TIMES[case.often]
            made[region] = Rerouted(real(region), nowhere(region), method, times, struck)
        return made[region]

    return client


def met(world: World, case: Case, nowhere_url: str) -> Met:
    """Let one run lose calls, and another one go on that loses none."""
    arn, struck = world.make_key(), Event()
    earlier = before(world.simulator, arn)
    report = rotate(world, arn, rerouting(world, case, nowhere_url, struck))
    found = partial(broken, world.simulator, arn, earlier, [world.store])
    wrong = found(success=report.status == "finished")
    if report.status != case.expected:
        wrong.append(f"expected {case.expected}, ended {report.status}: {report.message}")
    if report.status != "finished":
        world.clock.advance(minutes=20)
        after = world.rotate(arn)
        wrong += [f"after it: {one}" for one in found(success=after.status == "finished")]
        if after.status != "finished":
            wrong.append(f"the run after it ended {after.status}: {after.message}")
    return struck.is_set(), wrong


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_answer_costs_time_and_never_for_ever(
    world: World, unreachable: dict[str, str], record_property: Count, chunk: int
) -> None:
    strikes = Strikes()
    for case in some(list(network_cases()), 6)[chunk::CHUNKS]:
        strikes.note(str(case), met(world, case, unreachable[case.fault]))
    strikes.conclude(record_property)
