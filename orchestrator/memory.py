"""How a run's memory grows. Pure. It serves patience only: losing it costs time, never correctness."""

from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.model import (
    Action,
    DeletePendingMaterial,
    Failed,
    Goal,
    ImportMaterial,
    Memory,
    Outcome,
    ProveRegion,
    Purpose,
    Region,
    RegionView,
    ReplicateKey,
    Result,
    RotateOnDemand,
    Run,
    Streak,
    Turn,
    View,
    Wait,
    name_of,
)
from orchestrator.settling import unconfirmed

_LONGEST_BACKOFF = timedelta(minutes=1)
_ROTATION_DOUBT = timedelta(minutes=1)


def begin(goal: Goal, view: View) -> Run:
    """Begin a run with what the first looks showed: a sign of a rotation may be gone at the next one (P6)."""
    signs = [seen.seen_at for seen in view.regions.values() if seen.rotation_started_at is not None]
    return Run(goal, Memory(rotation_seen=max(signs, default=None)))


def saw(run: Run, view: View, region: Region) -> Run:
    """Count a look at one Region: looks that confirm, and are spaced, make a streak; any other reading ends it (P8)."""
    seen, memory = view.regions.get(region), run.memory
    if seen is None:
        quiet = None if region == run.goal.primary else memory.quiet
        return replace(run, memory=replace(memory, settled=_without(memory, region), quiet=quiet))
    memory = _shown(memory, seen)
    confirmed = not unconfirmed(view, seen, run)
    streak = _longer(memory.settled.get(region), run, seen.seen_at) if confirmed else None
    settled = {**_without(memory, region), **({region: streak} if streak else {})}
    memory = replace(memory, settled=settled)
    if seen.is_primary:
        if seen.rotation_started_at is None:
            memory = replace(memory, quiet=_longer(memory.quiet, run, seen.seen_at))
        else:
            memory = replace(memory, quiet=None, rotation_seen=seen.seen_at)
    return replace(run, memory=memory)


def _shown(memory: Memory, seen: RegionView) -> Memory:
    """Note as brought back what was imported without an answer, and shows now: that is told of all the same (I13)."""
    row = seen.row(memory.doubted[seen.region]) if seen.region in memory.doubted else None
    if row is None or not row.usable(seen.seen_at):
        return memory
    doubted = {other: material for other, material in memory.doubted.items() if other != seen.region}
    return _restored(replace(memory, doubted=doubted), seen.region)


def _without(memory: Memory, region: Region) -> dict[Region, Streak]:
    return {other: streak for other, streak in memory.settled.items() if other != region}


def _longer(streak: Streak | None, run: Run, seen_at: datetime) -> Streak:
    if streak is None:
        return Streak(1, seen_at)
    spaced = seen_at - streak.last >= run.goal.policy.poll / 2
    return Streak(streak.count + 1, seen_at) if spaced else streak


def waited(run: Run, turn: Turn, now: datetime) -> Run:
    """Note since when the run waits for each thing, so that patience has an end."""
    waiting = {wait_name(turn.stage, wait): now for wait in turn.waits}
    kept = {name: run.memory.waiting.get(name, since) for name, since in waiting.items()}
    return replace(run, memory=replace(run.memory, waiting=kept))


def wait_name(stage: str, wait: Wait) -> str:
    """Name a wait: the same thing waited for has the same name in every turn."""
    return f"{stage}:{wait.region or ''}:{wait.reason}"


def sending(run: Run, action: Action, now: datetime) -> Run:
    """Note that a rotation (P6), or a deletion (P9), is about to be sent: from now on it may be under way."""
    if isinstance(action, RotateOnDemand):
        return replace(run, memory=replace(run.memory, rotation_sent=now))
    if isinstance(action, DeletePendingMaterial):
        return replace(run, memory=replace(run.memory, deletion_sent=now))
    return run


def not_begun(run: Run, action: Action) -> Run:
    """Take back that an action is about to be sent: it was not."""
    return replace(run, memory=_not_sent(run.memory, action, Outcome(Result.SKIPPED)))


def learned(run: Run, action: Action, outcome: Outcome, now: datetime) -> Run:
    """Note what came of an action."""
    memory = run.memory
    if outcome.unsent:
        return not_begun(run, action)
    failed = {name: failure for name, failure in memory.failed.items() if name != name_of(action)}
    if outcome.result is Result.FAILED:
        failed[name_of(action)] = _failure(run, action, outcome, now)
        memory = _in_doubt(replace(memory, failed=failed), action, outcome)
        return replace(run, memory=_not_sent(memory, action, outcome))
    memory = replace(memory, failed=failed)
    if isinstance(action, ImportMaterial):
        memory = _imported(memory, action)
    if isinstance(action, ReplicateKey):
        memory = replace(memory, replicated=memory.replicated | {action.region})
    if isinstance(action, ProveRegion):
        proofs = {**memory.proofs, action.arn.region: action.material_id}
        unopened = tuple(dict.fromkeys((*memory.unopened, *outcome.skipped)))
        memory = replace(memory, proofs=proofs, unopened=unopened)
    return replace(run, memory=memory)


def _imported(memory: Memory, action: ImportMaterial) -> Memory:
    """Note where something was brought back: it is to be proven there again, whatever was proven before."""
    region = Region(action.target)
    if action.purpose is Purpose.FILL:
        return replace(memory, filled=memory.filled | {region})
    return _restored(memory, region) if action.purpose is Purpose.RESTORE else memory


def _restored(memory: Memory, region: Region) -> Memory:
    proofs = {other: material for other, material in memory.proofs.items() if other != region}
    return replace(memory, restored=memory.restored | {region}, proofs=proofs)


def _in_doubt(memory: Memory, action: Action, outcome: Outcome) -> Memory:
    """Note what may have been brought back all the same: a look at the Region tells."""
    if not (isinstance(action, ImportMaterial) and action.purpose is Purpose.RESTORE and outcome.doubt):
        return memory
    material = {Region(action.target): action.material_id} if action.material_id else {}
    return replace(memory, doubted={**memory.doubted, **material})


def _not_sent(memory: Memory, action: Action, outcome: Outcome) -> Memory:
    """Forget what was refused. A deletion in doubt stays sent; a rotation waits out its doubt otherwise."""
    if isinstance(action, RotateOnDemand):
        return replace(memory, rotation_sent=None)
    if isinstance(action, DeletePendingMaterial) and not outcome.doubt:
        return replace(memory, deletion_sent=None)
    return memory


def _failure(run: Run, action: Action, outcome: Outcome, now: datetime) -> Failed:
    """Say when an action may be tried again; a rotation in doubt gets the time to show itself first (I4)."""
    before = run.memory.failed.get(name_of(action))
    count = before.count + 1 if before else 1
    pause = min(run.goal.policy.poll * 2 ** min(count - 1, 10), _LONGEST_BACKOFF)
    if outcome.doubt and isinstance(action, RotateOnDemand):
        pause = _ROTATION_DOUBT
    refusals = (before.refusals if before else 0) + 1 if outcome.refused else 0
    failed = Failed(count, outcome.message, outcome.hint, now + pause, outcome.final, refusals, outcome.person)
    return replace(failed, final=outcome.final and failed.refused == outcome.refused)
