"""`look`: see everything, take in what was done, decide. The next state is chosen by the turn that this returns."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from orchestrator import goals, memory
from orchestrator.compose import Engine
from orchestrator.decide import decide, judge
from orchestrator.model import (
    Failed,
    Goal,
    Idle,
    MaterialId,
    Memory,
    Outcome,
    Result,
    RotateOnDemand,
    Run,
    Turn,
    View,
    name_of,
)
from orchestrator.progress import Job, Progress, Report, in_good_order, named
from orchestrator.report import documents
from workflows.step_functions import seeing
from workflows.step_functions.travel import Json, State, merged, place_of, read_memory, sentences, shared

_MESSAGE = 1_000
_BLOCKS = 6_000
_SUPPOSED = "the answer to the rotation did not come back"


def look(engine: Engine, job: Job, state: State, executor: Executor) -> tuple[State, Report | None]:
    """Take one turn; where it is the last one, the report of the key comes with it."""
    begun = state.begun or engine.clock.now()
    progress = Progress(job, begun, patience=state.memory)
    if state.goal is not None:
        progress.run = _told(Run(state.goal, state.memory), state, engine.clock.now())
    seeing.everything(engine, progress, executor)
    now = engine.clock.now()
    view = progress.view(now)
    pinned = progress.run.goal if progress.run else job.pin(view)
    if isinstance(pinned, Idle):
        report = Report(job, "idle", "located", pinned.message, view=view)
        return replace(state, begun=begun, turn=_last(report)), report
    if isinstance(pinned, Goal):
        run = _confirmed(progress.run or Run(pinned), view)
        turn, goal = _held(decide(job.stages, view, run, now), run.memory.failed, now), pinned
    else:
        run, goal = progress.located(now), None
        turn = judge(pinned, run, now)
    run = memory.waited(run, turn, now)
    kept = replace(state, begun=begun, goal=goal, memory=run.memory, acted=())
    if turn.status != "going":
        report = final_report(job, turn, run, view)
        return replace(kept, turn=_last(report)), report
    return replace(kept, turn=_next(kept, turn, view, now, hold=_died(state))), None


def _told(run: Run, state: State, now: datetime) -> Run:
    """Take in what the acts noted. A rotation whose act did not answer may have been sent: it is in doubt (I4)."""
    if _died(state) and (material := state.turn.get("rotating")):
        sent = RotateOnDemand(run.goal.key.within(run.goal.primary), MaterialId(material))
        return memory.learned(run, sent, Outcome(Result.FAILED, _SUPPOSED, doubt=True), now)
    for note in state.acted:
        run = replace(run, memory=_with(run.memory, note)) if "memory" in note else run
    return run


def _with(kept: Memory, note: Mapping[str, Any]) -> Memory:
    left = {name: one for name, one in kept.failed.items() if name not in note["mended"]}
    return merged(replace(kept, failed=left), read_memory(note["memory"]))


def _died(state: State) -> bool:
    """Whether an act ended without an answer."""
    return any("Error" in note for note in state.acted)


def _confirmed(run: Run, view: View) -> Run:
    """Count what this look confirms of every Region (P8)."""
    for region in sorted(view.members | run.goal.members):
        run = memory.saw(run, view, region)
    return run


def _held(turn: Turn, failed: Mapping[str, Failed], now: datetime) -> Turn:
    """Let one failure stand for its like in a Region: nothing of that kind is begun there before its time, if ever.

    So a payload need carry one failure for each Region, however many materials could not be imported there.
    """
    later = {place_of(name) for name, one in failed.items() if one.final or one.not_before > now}
    final = {place_of(name) for name, one in failed.items() if one.final}
    act = tuple(action for action in turn.act if place_of(name_of(action)) not in later)
    given_up = all(place_of(name_of(action)) in final for action in turn.act)
    ended = turn.blocks and not act and not turn.waits and given_up
    if turn.status != "going" or not ended:
        return replace(turn, act=act)
    return replace(turn, act=(), status="blocked" if any(block.person for block in turn.blocks) else "failed")


def _next(state: State, turn: Turn, view: View, now: datetime, *, hold: bool) -> Json:
    """Say what the machine does next: act on these targets, or wait; after an act that died, it waits first."""
    goal = state.goal
    actions = () if hold else turn.act
    wake = turn.wake or now + (goal.policy.poll if goal else timedelta(seconds=1))
    said = [wait.message for wait in turn.waits] or [f"{action.kind} in {action.target}" for action in actions]
    about: Json = {
        "stage": turn.stage,
        "status": "acting" if actions else "waiting",
        "act": sorted({action.target for action in actions}),
        "wait": max(1, ceil((wake - now).total_seconds())),
        "message": sentences(said, _MESSAGE),
        "approved": False,
    }
    rotating = next((action.material_id for action in actions if isinstance(action, RotateOnDemand)), None)
    if rotating is None or goal is None:
        return about
    entry = str(goal.entry)
    asked = f"rotate {goal.key}: {goals.due_sentence(view, goal.policy)}; it cannot be undone"
    return about | {"rotating": rotating, "entry": entry, "approved": state.approved == entry, "message": asked}


def final_report(job: Job, turn: Turn, run: Run, view: View) -> Report:
    """Tell how the run of a key ended, with the key's name in the ways out."""
    status = turn.status
    assert status != "going"  # noqa: S101 - the caller asks at the end only
    blocks = named(turn.blocks, job.name) if status != "finished" else ()
    message = "; ".join(block.message for block in turn.blocks) or in_good_order(job, run)
    return Report(job, status, turn.stage, message, blocks, view, run)


def _last(report: Report) -> Json:
    return {"stage": report.stage, "status": report.status, "act": [], "wait": 0, "report": brief_report(report)}


def brief_report(report: Report) -> Json:
    """Return the report as JSON that fits a payload, and an error's cause."""
    about = documents.report(report)
    del about["actions"]
    about["message"] = sentences([about["message"]], _MESSAGE)
    return about | {"blocks": shared(about["blocks"], _BLOCKS)}
