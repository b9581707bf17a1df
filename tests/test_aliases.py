"""Aliases are resolved side by side: one in a Region that does not answer holds up nothing else (I10)."""

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from orchestrator.aliases import BY_ARN, resolve
from orchestrator.errors import KmsError, Trouble
from orchestrator.model import KeyArn
from orchestrator.simulator import Simulator, serve
from test_looking import Made, called
from workflows import jobs
from workflows.cli.common import each
from workflows.cli.results import exit_code
from worlds import REGIONS, ManualClock, World

__all__ = ["called"]

DOWN, WELL = REGIONS[0], REGIONS[1]
FAULTS: dict[str, dict[str, Any]] = {
    "does not answer": {"delay": 3600},
    "resets connections": {"drop": "before"},
    "fails": {"error": "KMSInternalException"},
}


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock, executor: Executor) -> Iterator[World]:
    """A world in which whoever is delayed waits until the test is over."""
    released = Event()
    simulator = Simulator(clock.epoch, lag="instant", sleep=lambda _: released.wait(60))
    with serve(simulator) as served:
        yield World(simulator, served.endpoint_url, tmp_path, clock, executor)
        released.set()


def alias_of(arn: KeyArn, name: str) -> str:
    return f"arn:aws:kms:{arn.region}:{arn.account}:alias/{name}"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dead", [1, 6, 40])
def test_those_of_a_region_that_is_down_hold_up_no_others(world: World, dead: int, fault: str) -> None:
    arn = world.make_key((WELL, DOWN))
    world.client(WELL).create_alias(AliasName="alias/well", TargetKeyId=arn.key_id)
    world.simulator.faults.add(region=DOWN, **FAULTS[fault])
    there = [alias_of(arn.within(DOWN), f"k{number}") for number in range(dead)]
    well, nobody = alias_of(arn, "well"), alias_of(arn, "nobody")

    found = resolve(world.kms(), world.clock.now, [*there, well, nobody], longest=2.0)

    assert found[well] == arn
    unknown = found[nobody]
    assert isinstance(unknown, KmsError)
    assert (unknown.code, unknown.hint != BY_ARN) == ("NotFoundException", True)
    for alias in there:
        error = found[alias]
        assert isinstance(error, KmsError), alias
        assert (error.trouble, error.hint) == (Trouble.TRANSIENT, BY_ARN)


@pytest.mark.parametrize("fault", ["resets connections", "fails"])
def test_a_key_whose_alias_cannot_be_resolved_is_told_with_what_to_do(world: World, called: Made, fault: str) -> None:
    """I9: its other Regions cannot be known by the alias; by its ARN they are."""
    arn = world.make_key((WELL, DOWN))
    command = called(alias_of(arn.within(DOWN), "payments"), str(arn))
    world.simulator.faults.add(region=DOWN, operation="DescribeKey", **FAULTS[fault])

    todo = each(command, None, lambda name, key: jobs.run(name, key, command.settings.policy(key)))
    (unresolved,) = command.unresolved

    assert [job.name for job in todo] == ["key1"]
    assert (unresolved.status, exit_code([unresolved])) == ("failed", 3)
    assert [block.way_out for block in unresolved.blocks] == [BY_ARN]
