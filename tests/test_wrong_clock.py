"""Time (I3, ADR 9): nothing is done by a clock that KMS's answers contradict, and nothing rests on an old look."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.model import KeyArn, Reason, Run, Turn
from orchestrator.progress import Job
from workflows.abort import abort
from workflows.renew import RENEW, whatever_expires
from workflows.repair import REPAIR, whatever_is_broken
from worlds import REGIONS, World

WORKFLOWS = ("rotate", "abort", "repair", "renew")
"""Whatever writes to KMS or to the store."""


def job_of(world: World, arn: KeyArn, workflow: str) -> Job:
    if workflow == "repair":
        return Job("payments", arn, world.policy, REPAIR, lambda view: whatever_is_broken(view, world.policy))
    if workflow == "renew":
        return Job("payments", arn, world.policy, RENEW, lambda view: whatever_expires(view, world.policy))
    if workflow == "abort":
        return abort("payments", arn, world.policy)
    return world.job(arn)


def with_work(world: World, workflow: str) -> KeyArn:
    """Make a key in which each of the workflows has something to do."""
    arn = world.make_key(valid_to=world.clock.now() + timedelta(days=10) if workflow == "renew" else None)
    if workflow == "abort":
        world.simulator.faults.add(operation="RotateKeyOnDemand", error="AccessDeniedException")
        world.rotate(arn)
        world.simulator.faults.clear()
    if workflow == "repair":
        current = world.true(arn).current
        world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    return arn


def written(world: World) -> list[str]:
    reads = ("Describe", "List", "Get", "Encrypt", "Decrypt", "Generate")
    return [call.operation for call in world.simulator.calls if not call.operation.startswith(reads)]


def entries(world: World) -> dict[str, bytes]:
    root = world.directory / "store"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("hours", [-30, -0.1, 0.1, 400])
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_by_a_wrong_clock_nothing_is_sent_and_nothing_is_kept(world: World, workflow: str, hours: float) -> None:
    """I3: KMS's answers tell another time than this machine, in either direction."""
    arn = with_work(world, workflow)
    world.clock.set_ahead(hours=hours)
    sent, kept = written(world), entries(world)

    report = world.runner().run([job_of(world, arn, workflow)])[0]

    assert report.status == "failed"
    assert {block.reason for block in report.blocks} == {Reason.CLOCK}
    assert written(world) == sent
    assert entries(world) == kept


def test_a_clock_that_is_a_little_off_holds_nothing_up(world: World) -> None:
    arn = world.make_key()
    world.clock.set_ahead(minutes=4)

    assert world.rotate(arn).status == "finished"
    assert world.true(arn).rotations == 1


class Setting:
    """Set the clock once, right before something that a test names is carried out."""

    def __init__(self, world: World, change: Callable[[], None], at: str) -> None:
        self._world, self._change, self._at = world, change, at

    def carry(self, run: Run, turn: Turn) -> tuple[Run, Turn]:
        if turn.stage == self._at and self._change is not None:
            change, self._change = self._change, None  # type: ignore[assignment]
            change()
        return run, turn


@pytest.mark.parametrize("hours", [-3, 3])
@pytest.mark.parametrize("stage", ["deposited", "replicas_imported", "rotated", "settled", "proven"])
def test_a_clock_set_in_the_midst_of_a_run_ends_it_and_the_next_run_goes_on(
    world: World, stage: str, hours: float
) -> None:
    """I3: after the step nothing is sent any more; put right, the same bytes are rotated in, once."""
    arn = world.make_key()
    sent: list[str] = []

    def set_it() -> None:
        world.clock.set_ahead(hours=hours)
        sent.extend(written(world))

    report = world.runner(Setting(world, set_it, stage).carry).run([world.job(arn)])[0]

    assert report.status == "failed"
    assert "clock" in report.message
    assert len(written(world)) <= len(sent) + 1, "what was in flight is finished, and nothing follows it"
    assert world.true(arn).rotations <= 1

    world.clock.set_ahead(hours=-hours)
    again = world.rotate(arn)

    assert (again.status, world.true(arn).rotations) == ("finished", 1)
    assert len(world.true(arn).rows) == 2


class Late(Executor):
    """A worker that comes to its work late: the machine stood still, or its clock was set meanwhile."""

    def __init__(self, executor: Executor, late: Callable[[], None]) -> None:
        self._executor, self._late, self._times = executor, late, 3

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        if self._times:
            self._times -= 1
            self._late()
        return self._executor.submit(fn, *args, **kwargs)


@pytest.mark.parametrize("paused", [timedelta(seconds=15), timedelta(hours=9)])
def test_what_was_decided_before_a_machine_stood_still_is_not_sent_after_it(world: World, paused: timedelta) -> None:
    """I3: an owner's Disable meanwhile is seen, and stands: the import that was decided before would undo it."""
    arn = world.make_key()
    current = world.true(arn).current
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)

    def owner_gives_the_key_up() -> None:
        world.clock.sleep(paused.total_seconds())
        if world.true(arn, REGIONS[1]).key_state != "PendingDeletion":
            world.client(REGIONS[1]).schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=30)

    late = Late(world.executor, owner_gives_the_key_up)
    report = world.runner(acting=late).run([job_of(world, arn, "repair")])[0]

    assert report.status in {"blocked", "failed"}, "after 9 h, the deadline of the run is over"
    assert written(world)[-1] == "ScheduleKeyDeletion"
    assert "PENDING_IMPORT" in {row.import_state for row in world.true(arn, REGIONS[1]).rows}
