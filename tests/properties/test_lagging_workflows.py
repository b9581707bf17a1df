"""Every other workflow under reads that lag and flap, and with replies lost: it ends as without (I8, P8)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from kinds import KINDS, Kind
from orchestrator.model import KeyArn
from orchestrator.progress import Report
from orchestrator.simulator import Call
from sizes import some
from verdict import Before, Count, before, broken, false_blocks, let_die, tell, told_of, untold
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(1800)

SEEDS = range(20)
OTHERS = [name for name in KINDS if name not in {"rotate", "run"}]
CHANGING = ("ImportKeyMaterial", "DeleteImportedKeyMaterial", "ReplicateKey")


def nothing(_: World) -> None:
    """Lag alone."""


def loses_replies(world: World) -> None:
    """The first reply of each changing call is lost, in each Region."""
    for operation in CHANGING:
        world.simulator.faults.add(operation=operation, times=1, drop="after")


def until_it_ends(world: World, arn: KeyArn, kind: Kind) -> list[Report]:
    """Run it, and again where it asks for that."""
    policy = replace(world.policy, deadline=timedelta(minutes=60))
    reports: list[Report] = []
    while not reports or (reports[-1].status == "failed" and len(reports) < 3):
        world.clock.advance(minutes=10 * bool(reports))
        reports += world.runner().run([kind.job(world, arn, policy)])
    return reports


def judged(world: World, arn: KeyArn, earlier: Before, kind: Kind, reports: list[Report]) -> list[str]:
    """Judge what came of it all, and what was told of it."""
    success, stores = reports[-1].status in {"finished", "idle"}, [world.store]
    wrong = broken(world.simulator, arn, earlier, stores, success=success, rotations=kind.rotations)
    wrong += untold(world.simulator, arn, earlier, told_of(*reports))
    blocks = [block for report in reports for block in report.blocks]
    wrong += false_blocks(world.simulator, arn, stores, blocks, alone=True)
    if kind.restores or kind.renews:
        until = (world.clock.now() + kind.renews).timestamp() if kind.renews else None
        wrong += let_die(world.simulator, arn, earlier, stores, REGIONS, restore=kind.restores, until=until)
    wrong += [] if success else [f"{one.status}: {one.message}" for one in reports]
    return wrong + ([] if kind.done(world, arn) else ["not everything is done"])


LAGGING = some([(name, also, seed) for name in OTHERS for also in (nothing, loses_replies) for seed in SEEDS], 6)
INTERRUPTED = some([(name, seed) for name in OTHERS for seed in SEEDS], 4)


@pytest.mark.parametrize(("name", "also", "seed"), LAGGING)
def test_it_ends_as_without(
    make_world: Callable[..., World], record_property: Count, name: str, also: Callable[[World], None], seed: int
) -> None:
    world, kind = make_world(lag="aws-like", seed=seed), KINDS[name]
    arn = kind.make(world)
    world.clock.advance(minutes=10)
    also(world)
    earlier, imports = before(world.simulator, arn), len(world.calls("ImportKeyMaterial"))

    reports = until_it_ends(world, arn, kind)

    world.clock.advance(minutes=10)
    wrong = judged(world, arn, earlier, kind, reports)
    record_property("lagging_runs", len(reports))
    assert not wrong, tell(wrong)
    assert len(world.calls("ImportKeyMaterial")) - imports < 20, "a storm of imports"


@pytest.mark.parametrize(("name", "seed"), INTERRUPTED)
def test_it_is_interrupted_anywhere_and_run_again(
    make_world: Callable[..., World], record_property: Count, name: str, seed: int
) -> None:
    """I6: stopped at a call that differs with the seed, and another run goes on at once."""
    world, kind = make_world(lag="aws-like", seed=seed), KINDS[name]
    arn = kind.make(world)
    world.clock.advance(minutes=10)
    earlier, runner, stop_at = before(world.simulator, arn), world.runner(), len(world.simulator.calls) + 5 + seed * 7

    def stop(call: Call, when: str) -> None:
        if call.number >= stop_at and when == "after":
            runner.stop()

    world.simulator.hooks.append(stop)
    stopped = runner.run([kind.job(world, arn, replace(world.policy, deadline=timedelta(minutes=60)))])[0]
    world.simulator.hooks.clear()
    reports = [stopped, *until_it_ends(world, arn, kind)]

    world.clock.advance(minutes=10)
    wrong = judged(world, arn, earlier, kind, reports)
    record_property("lagging_runs", len(reports))
    assert not wrong, tell(wrong)
