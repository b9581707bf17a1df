"""Look at every target of one key, side by side, within one call of the function."""

from collections.abc import Iterable
from concurrent.futures import Executor

from orchestrator.compose import Engine
from orchestrator.looks import FRESH
from orchestrator.model import STORE, LookFailure, Region, RegionView, StoreView
from orchestrator.progress import Progress

_OLD = FRESH / 2
_MOST_ROUNDS = 8
"""Rounds in which members name further members, and the store is asked for what these list; more mean a defect."""


def everything(engine: Engine, progress: Progress, executor: Executor) -> None:
    """Look at every member that the goal, the config or a member itself names, and then at the store.

    Reading a store of many entries back takes seconds: what was seen long before its end is looked at again, as a
    rotation wants every Region as it was moments ago (I3).
    """
    known = progress.run.goal.members if progress.run else ()
    some(engine, progress, executor, {*known, progress.job.key.region})
    for _ in range(_MOST_ROUNDS):
        if not (unseen := progress.unseen(engine.clock.now())):
            break
        some(engine, progress, executor, unseen)
    now = engine.clock.now()
    some(engine, progress, executor, [region for region, seen in progress.seen.items() if now - seen.seen_at > _OLD])


def some(engine: Engine, progress: Progress, executor: Executor, targets: Iterable[str]) -> None:
    """Look at some targets."""
    materials = progress.view(engine.clock.now()).permanent_ids()

    def look(target: str) -> RegionView | StoreView | LookFailure:
        key = progress.job.key
        if target == STORE:
            return engine.observe.store(key, materials)
        return engine.observe.region(key.within(Region(target)))

    wanted = sorted(set(targets))
    for target, found in zip(wanted, executor.map(look, wanted), strict=True):
        progress.fold_look(target, found)
