"""Reads that lag and flap, slow rotations, start dates that vanish early: everything ends as without (I8, P6, P8)."""

import random
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from orchestrator.model import KeyArn, MissingOld, Proof, Repair
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from orchestrator.simulator import Call, Lag
from sizes import EVERYTHING, some
from verdict import Before, Count, before, broken, false_blocks, held, tell, told_of, untold
from workflows import jobs
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(1800)

SEEDS = range(20) if EVERYTHING else range(1)


@pytest.fixture(params=SEEDS)
def lagging(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> tuple[World, KeyArn, int]:
    world = make_world(lag="aws-like", seed=request.param)
    arn = world.make_key()
    world.clock.advance(days=100)
    return world, arn, request.param


def wanted(world: World, arn: KeyArn, kind: str) -> Job:
    policy = replace(world.policy, rotate_every=timedelta(days=90), repair=Repair.AUTO)
    return {"rotate": jobs.rotate, "run": jobs.run, "repair": jobs.repair}[kind](
        "payments", KeySettings(arn=str(arn)), policy
    )


def judge(
    world: World, arn: KeyArn, earlier: Before, count: Count, reports: list[Report], *, rotations: int = 1
) -> None:
    known = held(world.open_store(f"file:{world.directory / 'elsewhere'}"), key=arn.identity)
    wrong = broken(world.simulator, arn, earlier, [world.store], success=True, rotations=rotations, known=known)
    wrong += untold(world.simulator, arn, earlier, told_of(*reports))
    blocks = [block for report in reports for block in report.blocks]
    wrong += false_blocks(world.simulator, arn, [world.store], blocks, alone=True)
    wrong += [f"{one.status}: {one.message}" for one in reports[-1:] if one.status not in {"finished", "idle"}]
    count("lagging_runs", len(reports))
    assert not wrong, tell(wrong)


@pytest.mark.parametrize("kind", ["rotate", "run"])
def test_a_rotation(lagging: tuple[World, KeyArn, int], record_property: Count, kind: str) -> None:
    world, arn, _ = lagging
    earlier = before(world.simulator, arn)

    report = world.runner().run([wanted(world, arn, kind)])[0]

    judge(world, arn, earlier, record_property, [report])


def test_a_rotation_interrupted_anywhere_and_resumed(
    lagging: tuple[World, KeyArn, int], record_property: Count
) -> None:
    """The run is stopped at some call, which differs with the seed, and another one goes on at once."""
    world, arn, seed = lagging
    earlier = before(world.simulator, arn)
    runner, stop_at = world.runner(), len(world.simulator.calls) + 7 + seed * 13

    def stop(call: Call, when: str) -> None:
        if call.number >= stop_at and when == "after":
            runner.stop()

    world.simulator.hooks.append(stop)
    reports = [runner.run([wanted(world, arn, "rotate")])[0]]
    world.simulator.hooks.clear()
    if reports[0].status != "finished":
        reports.append(world.runner().run([wanted(world, arn, "rotate")])[0])

    judge(world, arn, earlier, record_property, reports)


def test_a_repair_and_then_a_rotation(lagging: tuple[World, KeyArn, int], record_property: Count) -> None:
    """What a replica lost comes back; reads that say otherwise for a while cause no storm of imports."""
    world, arn, _ = lagging
    earlier = before(world.simulator, arn)
    world.client(REGIONS[2]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=earlier.current)
    imports = len(world.calls("ImportKeyMaterial"))

    reports = [world.runner().run([wanted(world, arn, kind)])[0] for kind in ("repair", "rotate")]

    judge(world, arn, earlier, record_property, reports)
    assert len(world.calls("ImportKeyMaterial")) - imports < 20


def test_replies_are_lost_as_well(lagging: tuple[World, KeyArn, int], record_property: Count) -> None:
    """A lost reply of each changing call, under lag: looked into, never blindly sent again."""
    world, arn, _ = lagging
    earlier = before(world.simulator, arn)
    for region in REGIONS:
        world.simulator.faults.add(operation="ImportKeyMaterial", region=region, times=1, drop="after")
    world.simulator.faults.add(operation="RotateKeyOnDemand", times=1, drop="after")

    report = world.runner().run([wanted(world, arn, "rotate")])[0]

    judge(world, arn, earlier, record_property, [report])


LOOKS = ("DescribeKey", "ListKeyRotations", "GetKeyRotationStatus")
_called = threading.local()


class Behind(Lag):
    """Every look at one Region shows what was there a while ago; the others show what is there."""

    seconds = 45.0

    def age(self, rng: random.Random, operation: str) -> float:  # noqa: ARG002 - nothing is drawn
        return self.seconds if operation in LOOKS and _called.region == REGIONS[0] else 0.0

    @property
    def oldest(self) -> float:
        return self.seconds


def remember_where(call: Call, when: str) -> None:
    """Note, for the thread that serves a call, in which Region it is made."""
    if when == "before":
        _called.region = call.region


VALUES = list(product(MissingOld, Proof, Repair))
WORKFLOWS = {"rotate": jobs.rotate, "run": jobs.run}


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize(("missing_old", "proof", "repair"), some(VALUES, 6), ids=str)
def test_a_primary_that_lags_behind_its_replicas(
    make_world: Callable[..., World],
    record_property: Count,
    missing_old: MissingOld,
    proof: Proof,
    repair: Repair,
    workflow: str,
) -> None:
    """I15: a replica shows the rotation while the primary does not; that the store lacks old material blames nobody."""
    profile: dict[str, Any] = asdict(Lag.instant().with_rotation(30))
    world = make_world(lag=Behind(**profile))
    world.simulator.hooks.append(remember_where)
    arn = world.make_key(deposited=missing_old is MissingOld.BLOCK)
    world.clock.advance(days=100)
    earlier = before(world.simulator, arn)
    policy = replace(world.policy, rotate_every=timedelta(days=90), missing_old=missing_old, proof=proof, repair=repair)

    report = world.runner().run([WORKFLOWS[workflow]("payments", KeySettings(arn=str(arn)), policy)])[0]

    world.simulator.hooks.remove(remember_where)
    judge(world, arn, earlier, record_property, [report])
