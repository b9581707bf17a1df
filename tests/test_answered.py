"""An answer holds for what was shown: whatever became of the key meanwhile is not in it (P4)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.model import KeyArn, Region
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from workflows import jobs
from workflows.cli.asking import as_shown
from worlds import World


def rotation(world: World, arn: KeyArn) -> Job:
    policy = replace(world.policy, regions=frozenset(map(Region, world.everywhere(arn))))
    return jobs.rotate("payments", KeySettings(arn=str(arn)), policy)


def shown(world: World, job: Job) -> Report:
    """Look at a key as a plan does."""
    (report,) = world.runner().run([replace(job, stages=(), done="")])
    return report


def rotated(world: World, arn: KeyArn) -> None:
    assert world.rotate(arn).status == "finished"
    world.clock.advance(days=2)


def waited(world: World, _arn: KeyArn) -> None:
    world.clock.advance(hours=5)


def rotated_twice(world: World, arn: KeyArn) -> None:
    rotated(world, arn)
    rotated(world, arn)


@pytest.mark.parametrize(
    ("meanwhile", "status", "rotations"),
    [(waited, "finished", 1), (rotated, "blocked", 1), (rotated_twice, "blocked", 2)],
)
def test_the_material_that_was_shown_is_replaced_or_none_is(
    world: World, meanwhile: Callable[[World, KeyArn], None], status: str, rotations: int
) -> None:
    arn = world.make_key()
    world.policy = replace(world.policy, min_interval=timedelta(days=1))
    job = rotation(world, arn)
    seen = shown(world, job)
    meanwhile(world, arn)
    (report,) = world.runner().run(as_shown([job], [seen]))
    assert report.status == status, report.message
    assert ("not as it was shown" in report.message) is (status == "blocked")
    assert len(world.calls("RotateKeyOnDemand")) == rotations


def test_a_key_that_could_not_be_shown_is_left_as_it_is(world: World) -> None:
    """Whoever said yes did not see what would be done to it."""
    arn = world.make_key()
    job = rotation(world, arn)
    seen = replace(shown(world, job), run=None, view=None)
    (report,) = world.runner().run(as_shown([job], [seen]))
    assert report.status == "blocked"
    assert not world.calls("RotateKeyOnDemand")
