"""Nobody waits for a Region in which he has no member: many keys, one Region that hangs, and few workers (I10)."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import pytest

from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.lanes import Lanes
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import Event as Told
from orchestrator.ports import WrappingAlgorithm
from orchestrator.progress import Report
from orchestrator.runner import Runner
from orchestrator.simulator import Simulator, serve
from verdict import before, broken
from worlds import REGIONS, ManualClock, World

HANGS = "eu-west-1"
KEYS_THERE, KEYS_ELSEWHERE, WORKERS = 4, 2, 2
LONG = 60.0
"""Seconds of real time after which a test of this kind gives up; it takes a few."""


class Flowing(ManualClock):
    """A clock that goes on while calls are in flight, a second of ours for a moment of real time."""

    def receive(self, inbox: "SimpleQueue[Any]", until: Any, *, busy: bool) -> Any | None:
        try:
            return inbox.get(timeout=0.05 if busy else 0)
        except Empty:
            time = until - self._set
            self._now = max(self._now, min(time, self._now + timedelta(seconds=1)) if busy else time)
            return None


class Hanging(World):
    """A world whose hanging Region answers once `released` is set; `ended` is, when so many keys came to their end."""

    released: Event
    ended: Event

    def beginning(self, first: int) -> Runner:
        ends: list[str] = []

        def listen(event: Told) -> None:
            if event.kind == "run.ended":
                ends.append(event.key or "")
                if len(ends) == first:
                    self.ended.set()

        kms = KmsFactory(KmsOptions(self.endpoint_url, run_id="test"), self.clock.now, listen)
        parameters = Parameters(kms, self.retry(), self.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        return Runner(
            Observe(kms, self.store, self.retry(), self.clock.now),
            Perform(kms, self.store, parameters, self.retry()),
            parameters,
            self.clock,
            Lanes.of_threads(WORKERS),
            listen,
        )


@pytest.fixture
def hanging(tmp_path: Path, executor: Executor) -> Iterator[Hanging]:
    clock, released = Flowing(), Event()
    simulator = Simulator(clock.epoch, lag="instant", sleep=lambda _: released.wait(LONG))
    with serve(simulator) as served:
        world = Hanging(simulator, served.endpoint_url, tmp_path, clock, executor)
        world.released, world.ended = released, Event()
        yield world
        released.set()


@pytest.mark.parametrize("operation", [None, "DescribeKey", "GetParametersForImport", "ImportKeyMaterial"])
def test_keys_without_a_member_where_a_region_hangs_end_as_if_it_did_not(
    hanging: Hanging, operation: str | None
) -> None:
    """A6: while every such call hangs, the other keys rotate to their end; once they are answered, all the rest do."""
    there = [hanging.make_key((REGIONS[0], HANGS)) for _ in range(KEYS_THERE)]
    elsewhere = [hanging.make_key((REGIONS[0], REGIONS[2])) for _ in range(KEYS_ELSEWHERE)]
    earlier = {arn: before(hanging.simulator, arn) for arn in (*there, *elsewhere)}
    hanging.simulator.faults.add(region=HANGS, operation=operation, delay=LONG)
    jobs = [replace(hanging.job(arn), name=arn.key_id) for arn in (*there, *elsewhere)]

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(hanging.beginning(KEYS_ELSEWHERE).run, jobs)
        ended = hanging.ended.wait(LONG)
        rotated = {arn: hanging.true(arn).rotations for arn in earlier}
        hanging.simulator.faults.clear()
        hanging.released.set()
        reports: tuple[Report, ...] = running.result(LONG)

    assert ended, "the keys that have no member there waited for it"
    assert {arn: rotated[arn] for arn in elsewhere} == dict.fromkeys(elsewhere, 1)
    assert {arn: rotated[arn] for arn in there} == dict.fromkeys(there, 0)
    assert [report.status for report in reports[-KEYS_ELSEWHERE:]] == ["finished"] * KEYS_ELSEWHERE
    for report, arn in zip(reports, earlier, strict=True):
        found = broken(hanging.simulator, arn, earlier[arn], [hanging.store], success=report.status == "finished")
        assert not found, (report.status, report.message, found)
