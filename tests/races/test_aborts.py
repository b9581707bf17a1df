"""`mrk abort` races with a rotation, at every call of either: one of them wins, and no material is lost (P9)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from race_kit import CALLS, all_raced, at_call
from test_runs import runner

from orchestrator.model import EntryName, KeyArn
from orchestrator.ports import MaterialStore
from orchestrator.progress import Job, Report
from orchestrator.simulator import Call, Lag, Simulator, serve
from sizes import every
from verdict import Count, Watch, before, broken
from workflows.abort import abort
from worlds import ManualClock, World

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock) -> Iterator[World]:
    """A world whose rotations take half a minute, so that there is a time in which one is under way."""
    simulator = Simulator(clock.epoch, lag=Lag.instant().with_rotation(30))
    with serve(simulator) as served, ThreadPoolExecutor(8) as threads:
        yield World(simulator, served.endpoint_url, tmp_path, clock, threads)


def rotating(world: World, arn: KeyArn) -> Job:
    return world.job(arn, policy=replace(world.policy, deadline=timedelta(minutes=40)))


def aborting(world: World, arn: KeyArn) -> Job:
    return abort("payments", arn, replace(world.policy, deadline=timedelta(minutes=60), poll=timedelta(seconds=30)))


def begin(world: World, arn: KeyArn) -> None:
    """Begin a rotation, and leave it with its material pending."""
    first = runner(world, world.store)

    def stop(call: Call, when: str) -> None:
        if call.operation == "ImportKeyMaterial" and call.region != arn.region and when == "after":
            first.stop()

    world.simulator.hooks.append(stop)
    first.run([rotating(world, arn)])
    world.simulator.hooks.clear()
    assert world.true(arn).pending


def attempt(world: World, arn: KeyArn) -> EntryName | None:
    """Name the attempt that an abort finds."""
    current = world.true(arn).current
    return max((e.name for e in world.store.entries(arn.identity) if e.name.replaces == current), default=None, key=str)


def not_as_told(world: World, arn: KeyArn, report: Report, named: EntryName | None) -> list[str]:
    """Judge an abort that says that it finished, right then: nothing is pending, and the attempt is given up."""
    told = report.status == "finished"
    entries = {entry.name: entry for entry in world.store.entries(arn.identity)}
    true = world.true(arn)
    ours = named is not None and true.pending == entries[named].linked
    wrong = []
    if told and true.pending and (ours or true.pending not in {entry.linked for entry in entries.values()}):
        wrong.append("an abort left what was pending")
    if told and named is not None and entries[named].discarded_at is None:
        wrong.append("an abort did not give the attempt up")
    if told and named is not None and entries[named].linked == true.current:
        wrong.append("an abort gave up what was rotated in")
    return wrong


Jobs = Callable[[World, KeyArn], Job]


def race(world: World, number: int, moment: str, first: Jobs, second: Jobs, *, begun: bool) -> tuple[bool, list[str]]:
    """Hold a run at a call while another one begins and ends; then rotate until that ends well. Say whether they met.

    Only an import into the primary that is held for longer than one can be on its way comes after the abort; there, and
    nowhere else, the next rotation is blocked once, and names the way out.
    """
    arn = world.make_key()
    earlier = before(world.simulator, arn)
    reports: list[Report] = []
    wrong: list[str] = []
    if begun:
        begin(world, arn)

    held: list[Call] = []

    def run(store: MaterialStore, jobs: Jobs) -> None:
        named = attempt(world, arn)
        reports.extend(runner(world, store).run([jobs(world, arn)]))
        wrong.extend(not_as_told(world, arn, reports[-1], named) if jobs is aborting else [])

    def act() -> None:
        held.append(world.simulator.calls[-1])
        run(world.open_store(), second)

    watch = Watch(world.simulator, arn, earlier)
    between = at_call(world.simulator, number, moment, act)
    run(world.store, first)
    late = moment == "before" and any((c.operation, c.region) == ("ImportKeyMaterial", arn.region) for c in held)
    world.simulator.hooks[:] = [watch]  # where the run made fewer calls
    wrong += between.broke + broken(world.simulator, arn, earlier, [world.store], success=False)
    wrong += [f"{one.status}: {one.message}" for one in reports if one.status in {"error", "interrupted"}]
    for _ in range(3):
        world.clock.advance(minutes=20)
        reports.append(runner(world, world.store).run([rotating(world, arn)])[0])
        if reports[-1].status == "finished":
            break
        if late and any(block.way_out == "finish giving it up: mrk abort payments" for block in reports[-1].blocks):
            late = False
            reports.append(runner(world, world.store).run([aborting(world, arn)])[0])
    recently = {str(block.reason) for block in reports[-1].blocks} == {"recently-rotated"}
    if reports[-1].status != "finished" and not recently:
        wrong.append("in the end " + "; then ".join(f"{one.status}: {one.message}" for one in reports))
    world.simulator.hooks.clear()
    wrong += [*broken(world.simulator, arn, earlier, [world.store], success=True), *watch.found]
    return between.came, [f"{moment} call {number}: {one}" for one in wrong]


RACES = {
    "an abort in a rotation": (rotating, aborting, False),
    "an abort in a rotation that goes on": (rotating, aborting, True),
    "a rotation in an abort": (aborting, rotating, True),
    "an abort in an abort": (aborting, aborting, True),
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", RACES)
def test_one_of_them_wins_and_the_next_rotation_ends_well(
    world: World, record_property: Count, name: str, moment: str
) -> None:
    first, second, begun = RACES[name]
    numbers = every(CALLS, len(name) + 9)
    all_raced(record_property, numbers, lambda number: race(world, number, moment, first, second, begun=begun))


def interrupted(world: World, number: int, ends: set[str]) -> tuple[bool, list[str]]:
    """Stop an abort at a call, run it again, and rotate; say whether it came there, and what is wrong.

    `ends` takes how the one that was stopped ended.
    """
    arn = world.make_key()
    earlier = before(world.simulator, arn)
    begin(world, arn)
    watch, stopped = Watch(world.simulator, arn, earlier), runner(world, world.store)
    between = at_call(world.simulator, number, "after", stopped.stop)
    ends.add(stopped.run([aborting(world, arn)])[0].status)
    world.simulator.hooks[:] = [watch]
    again = runner(world, world.store).run([aborting(world, arn)])[0]
    wrong = broken(world.simulator, arn, earlier, [world.store], success=False)
    if again.status not in {"finished", "idle"} or world.true(arn).pending:
        wrong.append(f"{again.status}: {again.message}")
    world.clock.advance(minutes=20)
    after = runner(world, world.store).run([rotating(world, arn)])[0]
    wrong += broken(world.simulator, arn, earlier, [world.store], success=after.status == "finished")
    if after.status != "finished":
        wrong.append(f"the next rotation {after.status}: {after.message}")
    world.simulator.hooks.clear()
    return between.came, [f"call {number}: {one}" for one in (*wrong, *watch.found)]


def test_an_abort_interrupted_anywhere_goes_on_when_it_is_run_again(world: World, record_property: Count) -> None:
    """I6: stopped at any call, run again: nothing is pending, the bytes are kept, the next rotation is whole."""
    ends = set[str]()
    all_raced(record_property, every(CALLS, 9, 24), lambda number: interrupted(world, number, ends))
    assert "interrupted" in ends
