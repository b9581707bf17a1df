"""The plan: `decide` over predicted effects, so that what is shown is what would be done. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator import effects, memory
from orchestrator.decide import decide
from orchestrator.model import Action, ImportMaterial, Reason, Region, RotateOnDemand, Run, Stage, Turn, View

_MOST_TURNS = 500
_STEP = timedelta(seconds=5)
"""Nothing is polled in a plan: a short `run.poll` must not use up the turns before the longest wait is over."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One action of a plan, in the stage that decides it."""

    stage: str
    action: Action

    @property
    def point_of_no_return(self) -> bool:
        """Whether nothing after this can be undone."""
        return isinstance(self.action, RotateOnDemand)


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions in order, and the turn that they end in: finished, or blocked with the way out."""

    steps: tuple[Planned, ...]
    end: Turn

    @property
    def imports(self) -> tuple[Region, ...]:
        """The Regions that will import, once each: the ones worth prefetching import parameters for."""
        regions = (step.action.arn.region for step in self.steps if isinstance(step.action, ImportMaterial))
        return tuple(dict.fromkeys(regions))


def predict(stages: Sequence[Stage], view: View, run: Run, now: datetime) -> Plan:
    """Run the stages over predicted effects until they finish or stop."""
    steps: list[Planned] = []
    world = _seen_at(view, now)
    for _ in range(_MOST_TURNS):
        turn = decide(stages, world, run, now)
        if turn.status != "going" or _only_looking(turn):
            return Plan(tuple(steps), turn)
        for action in turn.act:
            steps.append(Planned(turn.stage, action))
            world = effects.after(world, action)
            run = memory.learned(run, action, effects.outcome(action), now)
        if not turn.act:
            run = memory.waited(run, turn, now)
            now = max(turn.wake or now, now + _STEP)
            world, run = _looked_again(world, run, now)
    return Plan(tuple(steps), turn)


def _only_looking(turn: Turn) -> bool:
    """Whether the plan cannot go on: what could not be seen cannot be predicted."""
    return not turn.act and all(wait.reason is Reason.ACCESS for wait in turn.waits)


def _looked_again(world: View, run: Run, now: datetime) -> tuple[View, Run]:
    """Predict that a look confirms what the actions brought about."""
    world = _seen_at(world, now)
    for region in world.regions:
        run = memory.saw(run, world, region)
    return world, run


def _seen_at(world: View, now: datetime) -> View:
    """Take everything for seen at this moment."""
    regions = {
        region: replace(seen, seen_at=now, told_at=None, described_at=None) for region, seen in world.regions.items()
    }
    store = replace(world.store, seen_at=now) if world.store else None
    return replace(world, at=now, regions=regions, store=store)
