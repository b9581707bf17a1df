"""Runs race with runs: on one store they converge and rotate once (I7); with separate stores the second one blocks."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Lock

import pytest
import yaml

from crash.crash_kit import Scene, Workflow, scene
from orchestrator.model import EntryName, KeyArn
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import MaterialStore, WrappingAlgorithm
from orchestrator.progress import Report
from orchestrator.runner import Runner
from orchestrator.simulator import Call
from sizes import EVERYTHING, every, some
from verdict import Count, before, broken, tell
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
        ThreadPoolExecutor(4),
        world.events.append,
    )


def race(world: World, number: int, moment: str, *, shared: bool, interrupted: int = 0) -> list[str]:
    """Hold one run at a call, and let another one begin and end meanwhile, or be interrupted; then go on."""
    arn = world.make_key()
    other = world.open_store() if shared else second_store(world, arn)
    earlier = before(world.simulator, arn)
    reports: list[Report] = []
    wrong: list[str] = []
    policy = replace(world.policy, deadline=timedelta(minutes=10))
    stores = [world.store] if shared else [world.store, other]

    def act() -> None:
        second = runner(world, other)
        if interrupted:
            at_call(world, interrupted, "before", second.stop)
        reports.extend(second.run([world.job(arn, policy=policy)]))
        world.simulator.hooks.clear()
        if not shared:  # what the first one sends after that, it cannot have seen
            success = reports[0].status == "finished"
            wrong.extend(broken(world.simulator, arn, earlier, stores, success=success))

    at_call(world, number, moment, act)
    reports.append(world.rotate(arn, policy=policy))
    world.simulator.hooks.clear()
    success = any(report.status == "finished" for report in (reports if shared else reports[-1:]))
    wrong += broken(world.simulator, arn, earlier, stores, success=success)
    allowed = {"finished", "blocked", "interrupted"}
    wrong += [f"{one.status}: {one.message}" for one in reports if one.status not in allowed]
    for one in reports:
        recently = {str(block.reason) for block in one.blocks} == {"recently-rotated"}
        if shared and one.status == "blocked" and not recently:
            wrong.append(f"blocked on a shared store: {one.message}")
    if not any(report.status == "finished" for report in reports):
        world.clock.advance(minutes=20)
        third = world.rotate(arn)
        if third.status != "finished":
            wrong.append(f"nobody finished: {third.message}")
        wrong += broken(world.simulator, arn, earlier, stores, success=True)
    if shared and len(world.store.entries(arn.identity)) != 2:
        wrong.append("a material too many was made")
    return [f"{moment} call {number}: {one}" for one in wrong]


def second_store(world: World, arn: KeyArn) -> MaterialStore:
    """A store of somebody else who has the key's first material, too."""
    other = world.open_store(f"file:{world.directory / 'other'}")
    first = EntryName(arn.identity, None)
    bytes_of_it = world.directory / "first.bin"
    bytes_of_it.write_bytes(world.store._vault.open(first).reveal())  # type: ignore[attr-defined]
    bytes_of_it.chmod(0o600)
    other.adopt(first, bytes_of_it)
    other.link(first, world.true(arn).current)
    other.mark_proven(first, {})
    return other


def at_call(world: World, number: int, moment: str, act: Callable[[], None]) -> None:
    lock, seen = Lock(), 0

    def hook(_: Call, when: str) -> None:
        nonlocal seen
        with lock:
            mine = when == moment and seen == number - 1
            seen += when == moment
        if mine:
            world.simulator.hooks.remove(hook)
            act()

    world.simulator.hooks.append(hook)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("shared", [True, False], ids=["one store", "separate stores"])
def test_a_run_begins_and_ends_at_any_call_of_another(
    world: World, record_property: Count, moment: str, *, shared: bool
) -> None:
    numbers = every(range(1, 111), 5, 31, 62)
    wrong = [one for number in numbers for one in race(world, number, moment, shared=shared)]
    record_property("races_run", len(numbers))
    assert not wrong, tell(wrong)


PAIRS = [(a, b) for a in range(3, 100, 9) for b in range(4, 100, 9)]


def test_a_run_is_interrupted_at_any_call_in_the_middle_of_another(world: World, record_property: Count) -> None:
    """Two halves of a rotation by one run, in the middle of another one."""
    pairs = some(PAIRS, 0) if EVERYTHING else [(31, 40), (8, 30)]
    wrong = [one for a, b in pairs for one in race(world, a, "before", shared=True, interrupted=b)]
    record_property("races_run", len(pairs))
    assert not wrong, tell(wrong)


ROTATE = Workflow("rotate", ("rotate", "payments", "--yes", "--json"), hurried=False)


def start_others(made: Scene, processes: int) -> list[str]:
    """Write a config for each process, so that each has its own lock."""
    config = yaml.safe_load((made.machine.directory / "config.yaml").read_text())
    names = [f"config{number}.yaml" for number in range(processes)]
    for name in names:
        (made.machine.directory / name).write_text(yaml.safe_dump(config))
    return names


PROCESSES = {2: (30,), 8: (20,)} | ({2: range(1, 100), 4: range(1, 100, 3), 8: range(1, 100, 9)} if EVERYTHING else {})
"""How many, and at which calls of the first one the others begin; all of them at all calls in this process, above."""


@pytest.mark.e2e
@pytest.mark.parametrize("processes", PROCESSES)
def test_processes_on_one_store_rotate_once(tmp_path: Path, record_property: Count, processes: int) -> None:
    """The others begin when the first one makes its so-manieth call, all at once."""
    calls = some(PROCESSES[processes], 1)
    assert calls
    wrong: list[str] = []
    for number in calls:
        with scene(tmp_path / str(number), ROTATE) as made:
            wrong += [f"{processes} at call {number}: {one}" for one in raced(made, processes, number)]
    record_property("races_run", len(calls))
    assert not wrong, tell(wrong)


def raced(made: Scene, processes: int, number: int) -> list[str]:
    """Start one process, the others at a call of it, and judge what came of them all."""
    names, begun, lock, seen = start_others(made, processes), [], Lock(), 0

    def begin(name: str) -> None:
        begun.append(made.start(replace(ROTATE, command=(*ROTATE.command, "--config", name))))

    def hook(_: Call, when: str) -> None:
        nonlocal seen
        with lock:
            seen += when == "before"
            mine = when == "before" and seen == number
        if mine:
            for name in names[1:]:
                begin(name)

    made.simulator.hooks.append(hook)
    begin(names[0])
    begun[0].communicate(timeout=100)
    ended = [(process.communicate(timeout=100)[0], process.returncode) for process in begun]
    made.simulator.hooks.clear()
    wrong = []
    for out, code in ended:
        reasons = {block["reason"] for run in json.loads(out)["keys"] for block in run["blocks"]} if code else set()
        if code and reasons != {"recently-rotated"}:
            wrong.append(f"exit {code}: {out[-500:]}")
    wrong += broken(made.simulator, made.arn, made.earlier, [made.store], success=True)
    if len(made.store.entries(made.arn.identity)) != 2:
        wrong.append("a material too many was made")
    return wrong
