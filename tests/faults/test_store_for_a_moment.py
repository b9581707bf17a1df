"""The store does not answer for a moment, at any of its calls: every workflow goes on and ends as without (I10).

Nobody is asked for what the next look mends: of a store that was not seen, nothing is known to be lost.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kinds import ADDED, KINDS, RENEWED, Kind
from orchestrator.errors import KmsError, Trouble
from orchestrator.model import KeyArn, Policy, Region, Repair, Replicate
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from sizes import some
from verdict import Count, before, broken, tell
from workflows import jobs
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(1800)


class Faltering:
    """A store that does not answer one call, the so-manieth of its kind."""

    def __init__(self, store: Any, fails: tuple[str, int] | None = None) -> None:
        self._store = store
        self._fails = fails
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        return self._around(name, real) if callable(real) else real

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.calls[name] += 1
            if (name, self.calls[name]) == self._fails:
                raise KmsError("the store does not answer", "wait", trouble=Trouble.TRANSIENT)
            return real(*given, **named)

        return call


def unattended(**wanted: Any) -> Callable[[World, KeyArn, Policy], Job]:
    """What cron calls, with what the owner allows."""
    return lambda _, arn, policy: jobs.run("payments", KeySettings(arn=str(arn)), replace(policy, **wanted))


REPLICATED = {"regions": frozenset(map(Region, (*REGIONS, ADDED))), "replicate": Replicate.AUTO}
RENEWING = {"expires": RENEWED, "renew_before": timedelta(days=30)}
EVERY: dict[str, Kind] = {
    **KINDS,
    "run: repair": replace(KINDS["repair"], job=unattended(repair=Repair.AUTO)),
    "run: replicate": replace(KINDS["replicate"], job=unattended(**REPLICATED)),
    "run: renew": replace(KINDS["renew"], job=unattended(**RENEWING)),
}


def ran(world: World, arn: KeyArn, kind: Kind, store: Any) -> Report:
    policy = replace(world.policy, deadline=timedelta(minutes=25), poll=timedelta(seconds=30))
    return world.runner(store=store).run([kind.job(world, arn, policy)])[0]


def met(world: World, name: str, call: tuple[str, int]) -> list[str]:
    """One run meets it, and another follows where that asks for one."""
    kind = EVERY[name]
    arn = kind.make(world)
    known = [path.read_bytes() for path in world.directory.glob(f"{arn.key_id}.bin")]
    earlier = before(world.simulator, arn)
    reports = [ran(world, arn, kind, Faltering(world.store, call))]
    wrong = [f"a person is asked: {block.message}" for block in reports[0].blocks if block.person]
    while reports[-1].status == "failed" and len(reports) < 3:
        world.clock.advance(minutes=20)
        reports.append(ran(world, arn, kind, world.store))
    success = reports[-1].status == "finished"
    wrong += broken(
        world.simulator, arn, earlier, [world.store], success=success, rotations=kind.rotations, known=known
    )
    told = "; then ".join(f"{one.status}: {one.message}" for one in reports)
    wrong += [] if kind.done(world, arn) else [f"not done in the end: {told}"]
    return [f"{name}, {call[0]} {call[1]}: {one}" for one in dict.fromkeys(wrong)]


@pytest.mark.parametrize("name", EVERY)
def test_any_one_call_of_the_store_may_fail(world: World, record_property: Count, name: str) -> None:
    """Calls are found in a clean run; each fails once."""
    kind, clean = EVERY[name], Faltering(world.store)
    arn = kind.make(world)
    assert ran(world, arn, kind, clean).status == "finished"
    assert kind.done(world, arn)
    calls = [(call, number) for call, often in sorted(clean.calls.items()) for number in range(1, often + 1)]
    mine = some(calls, 12)
    wrong = [one for call in mine for one in met(world, name, call)]
    record_property("faults_tried", len(mine))
    assert not wrong, tell(wrong)
