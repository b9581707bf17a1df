"""Actions that had to wait for a worker: what was decided on a look that is old by now is not done (I3, P7).

One worker carries out everything, and looks at one key's Region take 45 s each, as where a network drops packets.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model import KeyArn, Proof
from orchestrator.progress import Report
from orchestrator.simulator import Call, Simulator, serve
from worlds import REGIONS, ManualClock, World

SLOW = REGIONS[2]


@dataclass
class Queue:
    """A key in good order, and beside it one with a Region that hardly answers."""

    world: World
    good: KeyArn
    slow: KeyArn
    looked: dict[str, datetime] = field(default_factory=dict)
    ages: list[timedelta] = field(default_factory=list)

    def watch(self, call: Call, moment: str) -> None:
        """Note how old the looks at the good key are when its rotation reaches KMS."""
        key, now = str(call.parameters.get("KeyId")), self.world.clock.now()
        if moment != "before":
            return
        if call.operation == "DescribeKey" and self.slow.key_id in key and call.region == SLOW:
            self.world.clock.advance(seconds=45)
        elif call.operation == "DescribeKey" and self.good.key_id in key:
            self.looked[call.region] = now
        elif call.operation == "RotateKeyOnDemand" and self.good.key_id in key:
            self.ages += [now - at for at in self.looked.values()]

    def run(self, deadline: timedelta) -> Report:
        """Rotate both; return how the good one ended."""
        patient = replace(self.world.policy, deadline=timedelta(hours=2))
        mine = replace(self.world.policy, deadline=deadline)
        jobs = [self.world.job(self.slow, policy=patient), self.world.job(self.good, policy=mine)]
        return self.world.runner().run([replace(job, name=str(job.key)) for job in jobs])[1]


@pytest.fixture
def queue(tmp_path: Path, clock: ManualClock) -> Iterator[Queue]:
    """One worker for both keys."""
    simulator = Simulator(clock.epoch, lag="instant")
    with serve(simulator) as served, ThreadPoolExecutor(1) as one:
        world = World(simulator, served.endpoint_url, tmp_path, clock, one)
        made = Queue(world, world.make_key(), world.make_key())
        simulator.hooks.append(made.watch)
        yield made


def test_a_rotation_is_sent_only_while_every_look_is_fresh(queue: Queue) -> None:
    """I3: within the last 10 s; one that had to wait longer is decided anew, or left to another run."""
    report = queue.run(timedelta(hours=1))

    assert max(queue.ages, default=timedelta()) <= timedelta(seconds=10)
    assert queue.world.true(queue.good).rotations == (report.status == "finished")


class Held(Executor):
    """Workers that are all busy: what they are given is kept, and done only when somebody says so."""

    def __init__(self) -> None:
        self.tasks: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *_: Any, **__: Any) -> Future[Any]:
        self.tasks.append(fn)
        return Future()


def test_nothing_is_done_for_a_run_that_has_ended(world: World) -> None:
    """I8: what was reported is what was done; a worker that is free at last finds that its run is over."""
    arn, held = world.make_key(), Held()
    waiting = world.clock.receive
    world.clock.receive = lambda inbox, until, *, busy: waiting(inbox, until, busy=busy and not held.tasks)  # type: ignore[method-assign]

    report = world.runner(acting=held).run([world.job(arn, policy=replace(world.policy, proof=Proof.OFF))])[0]
    for task in held.tasks:
        task()

    assert report.status == "failed"
    assert "did not come back" in report.message
    assert held.tasks
    assert len(world.store.entries(arn.identity)) == 1, "nothing was deposited"


def test_the_deadline_counts_from_the_start_of_a_run_not_from_its_first_good_look(world: World) -> None:
    """Minutes in which the primary could not be looked at are minutes of the run."""
    arn, begun = world.make_key(REGIONS[:1]), world.clock.now()
    world.simulator.faults.add(operation="DescribeKey", error="KMSInternalException", times=90)
    world.simulator.faults.add(operation="ImportKeyMaterial", error="ThrottlingException")

    report = world.rotate(arn, policy=replace(world.policy, deadline=timedelta(minutes=8)))

    pinned = [event.at for event in world.events if event.kind == "run.pinned"]
    assert pinned[0] - begun > timedelta(minutes=2)
    assert report.status == "failed"
    assert "the deadline of 8 min passed in stage primary_imported" in report.message
    assert world.clock.now() - begun < timedelta(minutes=8, seconds=30)
