"""A config without `regions`, and the Region that the ARN names does not answer: the others are kept alive (I11)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.model import ImportType, KeyArn, Region
from test_odd_regions import GOOD, OTHER, PRIMARY, WANTED, WORKFLOWS, Odd, failing, lacks, lasts, run, silent
from worlds import REGIONS, World

UNLISTED = replace(WANTED, regions=frozenset())
DOWN: dict[str, Odd] = {
    "does not answer": silent,
    "throttles everything": failing("ThrottlingException"),
    "allows nothing": failing("AccessDeniedException"),
}


def untouched(_world: World, _arn: KeyArn) -> None:
    """The key as it was made."""


def rotated(world: World, arn: KeyArn) -> None:
    """The key has several generations."""
    assert world.rotate(arn).status == "finished"
    world.clock.advance(days=2)


def ends(world: World, arn: KeyArn) -> None:
    """What the good Region has ends within three weeks."""
    until = (world.clock.now() + timedelta(days=20)).replace(microsecond=0)
    there, current = arn.within(Region(GOOD)), world.true(arn).current
    (entry,) = (entry for entry in world.store.entries(arn.identity) if entry.linked == current)
    world.send(world.store, there, entry.name, ImportType.EXISTING, entry.linked, until)


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize("down", DOWN)
@pytest.mark.parametrize("before", [untouched, rotated])
def test_the_store_knows_where_else_the_key_is(
    world: World, before: Callable[[World, KeyArn], None], down: str, workflow: str
) -> None:
    """By the marks of its proofs: what those Regions say of themselves is believed, and nothing else."""
    make, needs = WORKFLOWS[workflow]
    arn = world.make_key()
    before(world, arn)
    (lacks if needs is lacks else ends)(world, arn)
    DOWN[down](world, arn, PRIMARY)
    world.clock.advance(minutes=1)

    report = run(world, arn, make, UNLISTED)

    good = world.true(arn, GOOD)
    assert good.key_state == "Enabled", report
    assert all(row.usable and lasts(world, row.valid_to) for row in good.rows), report
    assert report.status in {"failed", "blocked"}, report
    assert report.view is not None
    assert set(report.view.regions) == {OTHER, GOOD}


@pytest.mark.parametrize("regions", [REGIONS[:1], REGIONS[:2]])
def test_a_region_that_the_key_has_left_is_no_member(world: World, regions: Any) -> None:
    """Marks of the past are looked up, and what is not there is left alone."""
    arn = world.make_key(regions)
    (first,) = world.store.entries(arn.identity)
    world.store.mark_proven(first.name, {"regions": [*regions, GOOD], "proof": "full"})
    silent(world, arn, PRIMARY)

    report = run(world, arn, WORKFLOWS["renew"][0], UNLISTED)

    assert report.status in {"failed", "blocked"}
    assert report.view is not None
    assert set(report.view.regions) == {*regions} - {PRIMARY}
    assert not world.simulator.key(GOOD, str(arn))
