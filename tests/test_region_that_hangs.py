"""A Region whose calls do not come back, or bring a byte now and then: the others are kept alive beside it (I11).

The SDK's timeout is one of each read, so that an answer that trickles in never times out.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import pytest

from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.kms.calls import Kms
from orchestrator.lanes import Lanes
from orchestrator.model import KeyArn, Policy, Region, Stage
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import WrappingAlgorithm
from orchestrator.progress import Asked, Job, Progress, Report
from orchestrator.runner import Runner
from orchestrator.settings import KeySettings
from orchestrator.simulator import Simulator, serve
from workflows import jobs
from workflows.run import RUN
from worlds import REGIONS, ManualClock, World

LONG = 60.0
"""Seconds of real time that a call hangs at the most; a test takes a few."""

KEY = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
WANTED = Policy(frozenset(map(Region, REGIONS)), rotate_every=timedelta(days=3000), expires=timedelta(days=60), looks=1)


class Flowing(ManualClock):
    """A clock that goes on while calls are in flight: a second of ours for `pace` seconds of real time."""

    pace = 0.05

    def receive(self, inbox: "SimpleQueue[Any]", until: datetime, *, busy: bool) -> Any | None:
        try:
            return inbox.get(timeout=self.pace if busy else 0)
        except Empty:
            self._now = max(self._now, min(until, self._now + timedelta(seconds=1)) if busy else until)
            return None


@dataclass
class Trickling:
    """A world whose clock flows, and a server that answers with a byte now and then, until `released` is set."""

    world: World
    clock: Flowing
    url: str
    released: Event

    def run(self, arn: KeyArn, policy: Policy, clients: Callable[[Region], Kms]) -> Report:
        world, retry = self.world, self.world.retry()
        parameters = Parameters(clients, retry, world.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        runner = Runner(
            Observe(clients, world.store, retry, world.clock.now),
            Perform(clients, world.store, parameters, retry),
            parameters,
            world.clock,
            Lanes.of_threads(2),
            world.events.append,
        )
        (report,) = runner.run([jobs.run("payments", KeySettings(arn=str(arn)), policy)])
        return report


def trickle(server: socket.socket, released: Event) -> None:
    """Answer every connection for ever, a byte at a time."""

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not released.wait(0.1):
                connection.sendall(b" ")

    with suppress(OSError):
        while True:
            threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()


@pytest.fixture
def trickling(tmp_path: Path, executor: Executor) -> Iterator[Trickling]:
    clock, released = Flowing(), Event()
    simulator = Simulator(clock.epoch, lag="instant", sleep=lambda _: released.wait(LONG))
    with serve(simulator) as served, socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        threading.Thread(target=trickle, args=(server, released), daemon=True).start()
        world = World(simulator, served.endpoint_url, tmp_path, clock, executor)
        yield Trickling(world, clock, f"http://127.0.0.1:{server.getsockname()[1]}", released)
        released.set()
        server.shutdown(socket.SHUT_RDWR)


def renewed(world: World, arn: KeyArn) -> set[str]:
    """The Regions whose key material lasts for more than a month."""
    month = (world.clock.now() + timedelta(days=31)).timestamp()
    return {region for region, one in world.everywhere(arn).items() if all((r.valid_to or 0) > month for r in one.rows)}


def made(world: World) -> KeyArn:
    """Make a key whose material ends within three weeks in every Region."""
    return world.make_key(valid_to=(world.clock.now() + timedelta(days=20)).replace(microsecond=0))


@pytest.mark.parametrize("deadline", [timedelta(seconds=40), timedelta(minutes=30)], ids=["40s", "30m"])
@pytest.mark.parametrize("where", REGIONS[:2], ids=["the primary's", "a replica's"])
@pytest.mark.parametrize("operation", [None, "ListKeyRotations", "a byte now and then"])
def test_the_others_are_renewed_beside_it(
    trickling: Trickling, where: str, operation: str | None, deadline: timedelta
) -> None:
    """However short the run: it ends by its deadline, and says which Region did not answer."""
    world = trickling.world
    arn = made(world)
    trickling.clock.pace = 0.3 if deadline < timedelta(minutes=1) else 0.05
    policy, begun = replace(WANTED, deadline=deadline), world.clock.now()
    clients: Callable[[Region], Kms] = world.kms()
    if operation == "a byte now and then":
        options = KmsOptions(trickling.url, read_timeout=1)
        nowhere, everywhere = KmsFactory(options, world.clock.now, world.events.append), world.kms()
        clients = lambda region: (nowhere if region == where else everywhere)(region)  # noqa: E731
    else:
        world.simulator.faults.add(region=where, operation=operation, delay=LONG)

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(trickling.run, arn, policy, clients)
        report = running.result(LONG)
    world.simulator.faults.clear()
    trickling.released.set()

    assert renewed(world, arn) == {*REGIONS} - {where}
    assert report.status == "failed"
    assert f"{where} cannot be looked at: no answer came within" in report.message
    assert world.clock.now() - begun < deadline + timedelta(seconds=15)


@pytest.mark.parametrize(
    ("stages", "deadline", "begun", "answered", "since"),
    [
        (RUN, 1800, 0, None, 30),
        (RUN, 40, 0, None, 10),
        ((), 20, 0, None, 20),
        (RUN, 1800, 50, None, 80),
        (RUN, 1800, None, None, 30),
        (RUN, 1800, None, 45, 75),
        (RUN, 1800, 0, 45, 30),
    ],
    ids=[
        "a look is waited for 30 s",
        "a short run waits a quarter of its time",
        "a command that only looks has nobody to help meanwhile",
        "time in a queue does not count",
        "nothing comes back from there",
        "the queue moves",
        "others come back, and this one does not",
    ],
)
def test_how_long_a_look_is_waited_for(
    stages: Sequence[Stage], deadline: int, begun: int | None, answered: int | None, since: int
) -> None:
    clock = ManualClock()
    asked, region = clock.now(), Region(REGIONS[0])
    policy = replace(WANTED, deadline=timedelta(seconds=deadline))
    progress = Progress(Job("payments", KEY, policy, stages, lambda _: []), asked, looking={region})
    after = None if begun is None else asked + timedelta(seconds=begun)
    progress.asked[region] = Asked(asked, after)
    came = {} if answered is None else {region: asked + timedelta(seconds=answered)}

    assert progress.overdue(asked + timedelta(seconds=since), came) == set()
    assert progress.overdue(asked + timedelta(seconds=since + 1), came) == {region}


def test_what_comes_late_is_taken_in(trickling: Trickling) -> None:
    """A Region that was given up answers at last: it is renewed like the others, and all is well."""
    world = trickling.world
    arn = made(world)
    world.simulator.faults.add(region=REGIONS[0], operation="DescribeKey", delay=LONG, times=1)

    def listening() -> None:
        while not any(event.kind == "action.ended" for event in list(world.events)):
            trickling.released.wait(0.05)
        trickling.released.set()

    threading.Thread(target=listening, daemon=True).start()
    report = trickling.run(arn, replace(WANTED, deadline=timedelta(minutes=30)), world.kms())

    assert [event.data["failed"] for event in world.events if event.kind == "look" and "failed" in event.data] == [
        "no answer came within 30 s"
    ]
    assert renewed(world, arn) == {*REGIONS}
    assert report.status == "finished"
