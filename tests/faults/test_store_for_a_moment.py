"""The store does not answer for a moment, at any of its calls: every workflow goes on and ends as without (I10).

Nobody is asked for what the next look mends: of a store that was not seen, nothing is known to be lost.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from strikes import Met, Strikes, surely
from trial import Trial

from kinds import ADDED, KINDS, RENEWED, Kind
from orchestrator.errors import KmsError, Trouble
from orchestrator.model import KeyArn, Policy, Region, Repair, Replicate
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from sizes import some
from verdict import Count
from workflows import jobs
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(1800)


class Faltering:
    """A store that does not answer one call, the so-manieth of its kind."""

    def __init__(self, store: Any, fails: tuple[str, int] | None = None) -> None:
        self._store = store
        self._fails = fails
        self.calls: Counter[str] = Counter()
        self.struck = False
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        return self._around(name, real) if callable(real) else real

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            with self._lock:
                self.calls[name] += 1
                mine = (name, self.calls[name]) == self._fails
            if mine:
                self.struck = True
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


def met(world: World, name: str, call: tuple[str, int]) -> Met:
    """One run meets it, and another follows, which says that it is done."""
    trial, store = Trial(world, EVERY[name]), Faltering(world.store, call)
    first = trial.run(store)
    trial.judge()
    wrong = [f"a person is asked: {block.message}" for block in first.blocks if block.person]
    if first.status != "failed" and not trial.done:
        wrong.append(f"another run is not asked for, and it is not done: {trial.told}")
    trial.finish(times=2)
    return store.struck, [*wrong, *trial.wrong]


@pytest.mark.parametrize("name", EVERY)
def test_any_one_call_of_the_store_may_fail(world: World, record_property: Count, name: str) -> None:
    """Calls are found in a clean run; each fails once."""
    clean, trial, strikes = Faltering(world.store), Trial(world, EVERY[name]), Strikes()
    assert trial.run(clean).status == "finished"
    assert trial.done
    calls = [(call, number) for call, often in sorted(clean.calls.items()) for number in range(1, often + 1)]
    for call, number in some(calls, 12):
        found = met(world, name, (call, number))
        strikes.note(f"{name}, {call} {number}", found, sure=surely(number, clean.calls[call]))
    strikes.conclude(record_property)
