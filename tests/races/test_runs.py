"""Runs race with runs: on one store they converge and rotate once (I7); with separate stores the second one blocks."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from race_kit import CALLS, Between, all_raced, at_call

from crash.crash_kit import Scene, Workflow, scene
from orchestrator.lanes import Lanes
from orchestrator.model import EntryName, KeyArn
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import MaterialStore, WrappingAlgorithm
from orchestrator.progress import Report
from orchestrator.runner import Runner
from sizes import EVERYTHING, every, some
from verdict import Count, Watch, before, broken, false_blocks, held
from worlds import World

pytestmark = pytest.mark.timeout(1800)


def runner(world: World, store: MaterialStore) -> Runner:
    """A runner with threads and a store handle of its own, as another process has them."""
    kms, retry = world.kms(), world.retry()
    parameters = Parameters(kms, retry, world.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    return Runner(
        Observe(kms, store, retry, world.clock.now),
        Perform(kms, store, parameters, retry),
        parameters,
        world.clock,
        Lanes.of_one(ThreadPoolExecutor(4)),
        world.events.append,
    )


def race(
    world: World, number: int, moment: str, *, shared: bool, interrupted: int = 0, ends: set[str] | None = None
) -> tuple[bool | None, list[str]]:
    """Hold one run at a call, and let another one begin and end meanwhile, or be interrupted; then go on.

    Say whether they met, and what is wrong; `ends` takes how the other one ended.
    """
    arn = world.make_key()
    other = world.open_store() if shared else second_store(world, arn)
    earlier = before(world.simulator, arn)
    watch = Watch(world.simulator, arn, earlier)
    reports: list[Report] = []
    wrong: list[str] = []
    policy = replace(world.policy, deadline=timedelta(minutes=10))
    inner = Between(came=not interrupted)

    def judged(store: MaterialStore, *, success: bool) -> list[str]:
        """Judge a run by its own store; what the other one has of the key is kept, too."""
        known = () if shared else held(world.store, other, key=arn.identity)
        return broken(world.simulator, arn, earlier, [store], success=success, known=known)

    def act() -> None:
        nonlocal inner
        second = runner(world, other)
        if interrupted:
            inner = at_call(world.simulator, interrupted, "before", second.stop)
        reports.extend(second.run([world.job(arn, policy=policy)]))
        world.simulator.hooks[:] = [watch]
        if not shared:  # what the first one sends after that, it cannot have seen
            wrong.extend(judged(other, success=reports[0].status == "finished"))

    between = at_call(world.simulator, number, moment, act)
    reports.append(world.rotate(arn, policy=policy))
    world.simulator.hooks[:] = [watch]
    success = any(report.status == "finished" for report in (reports if shared else reports[-1:]))
    wrong += judged(world.store, success=success)
    wrong += ended_badly(reports, shared=shared)
    blocks = [block for report in reports for block in report.blocks]
    wrong += false_blocks(world.simulator, arn, [world.store], blocks, alone=shared)
    if not any(report.status == "finished" for report in reports):
        world.clock.advance(minutes=20)
        third = world.rotate(arn)
        if third.status != "finished":
            wrong.append(f"nobody finished: {third.message}")
        wrong += judged(world.store, success=True)
    if shared and len(world.store.entries(arn.identity)) != 2:
        wrong.append("a material too many was made")
    world.simulator.hooks.clear()
    if ends is not None:
        ends.add(reports[0].status)
    came = between.came and (inner.came or None)
    return came, [f"{moment} call {number}: {one}" for one in (*between.broke, *inner.broke, *wrong, *watch.found)]


def ended_badly(reports: list[Report], *, shared: bool) -> list[str]:
    """Tell of every run that may not end like this."""
    allowed = {"finished", "blocked", "interrupted"}
    wrong = [f"{one.status}: {one.message}" for one in reports if one.status not in allowed]
    for one in reports:
        recently = {str(block.reason) for block in one.blocks} == {"recently-rotated"}
        if shared and one.status == "blocked" and not recently:
            wrong.append(f"blocked on a shared store: {one.message}")
    return wrong


def second_store(world: World, arn: KeyArn) -> MaterialStore:
    """A store of somebody else who has the key's first material, too."""
    other = world.open_store(f"file:{world.directory / 'other'}")
    first = EntryName(arn.identity, None)
    bytes_of_it = world.directory / "first.bin"
    bytes_of_it.write_bytes(world.store._vault.open(first).reveal())  # type: ignore[attr-defined]
    bytes_of_it.chmod(0o600)
    other.adopt(first, bytes_of_it)
    other.link(first, world.true(arn).current)
    other.mark_proven(first, {"regions": sorted(world.everywhere(arn)), "proof": "full"})
    return other


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("shared", [True, False], ids=["one store", "separate stores"])
def test_a_run_begins_and_ends_at_any_call_of_another(
    world: World, record_property: Count, moment: str, *, shared: bool
) -> None:
    numbers = every(CALLS, 5, 31, 62)
    all_raced(record_property, numbers, lambda number: race(world, number, moment, shared=shared))


INTERRUPTED = range(4, 90, 9)


@pytest.mark.parametrize("call", INTERRUPTED if EVERYTHING else [30, 40])
def test_a_run_is_interrupted_in_the_middle_of_another(world: World, record_property: Count, call: int) -> None:
    """Two halves of a rotation by one run, in the middle of another one."""
    numbers, ends = every(range(3, 301, 9), 8, 31), set[str]()
    all_raced(
        record_property,
        numbers,
        lambda number: race(world, number, "before", shared=True, interrupted=call, ends=ends),
    )
    assert "interrupted" in ends


ROTATE = Workflow("rotate", ("rotate", "payments", "--yes", "--json"), hurried=False)


def start_others(made: Scene, processes: int) -> list[str]:
    """Write a config for each process, so that each has its own lock."""
    config = yaml.safe_load((made.machine.directory / "config.yaml").read_text())
    names = [f"config{number}.yaml" for number in range(processes)]
    for name in names:
        (made.machine.directory / name).write_text(yaml.safe_dump(config))
    return names


PROCESSES = {2: (30,), 8: (20,)} | ({2: CALLS, 4: CALLS[::3], 8: CALLS[::9]} if EVERYTHING else {})
"""How many, and at which calls of the first one the others begin; all of them at all calls in this process, above."""


@pytest.mark.e2e
@pytest.mark.parametrize("processes", PROCESSES)
def test_processes_on_one_store_rotate_once(tmp_path: Path, record_property: Count, processes: int) -> None:
    """The others begin when the first one makes its so-manieth call, all at once."""

    def race(number: int) -> tuple[bool, list[str]]:
        with scene(tmp_path / str(number), ROTATE) as made:
            met, wrong = raced(made, processes, number)
            return met, [f"{processes} at call {number}: {one}" for one in wrong]

    all_raced(record_property, some(PROCESSES[processes], 1), race)


def raced(made: Scene, processes: int, number: int) -> tuple[bool, list[str]]:
    """Start one process, the others at a call of it; say whether they began, and judge what came of them all."""
    names, begun = start_others(made, processes), []
    watch = Watch(made.simulator, made.arn, made.earlier)

    def begin(name: str) -> None:
        begun.append(made.start(replace(ROTATE, command=(*ROTATE.command, "--config", name))))

    def others() -> None:
        for name in names[1:]:
            begin(name)

    between = at_call(made.simulator, number, "before", others)
    begin(names[0])
    begun[0].communicate(timeout=100)
    ended = [(process.communicate(timeout=100)[0], process.returncode) for process in begun]
    made.simulator.hooks.clear()
    wrong = [*between.broke, *watch.found]
    for out, code in ended:
        reasons = {block["reason"] for run in json.loads(out)["keys"] for block in run["blocks"]} if code else set()
        if code and reasons != {"recently-rotated"}:
            wrong.append(f"exit {code}: {out[-500:]}")
    wrong += broken(made.simulator, made.arn, made.earlier, [made.store], success=True)
    if len(made.store.entries(made.arn.identity)) != 2:
        wrong.append("a material too many was made")
    return between.came, wrong
