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
from orchestrator.looks import wrong_clock
from orchestrator.model import (
    Action,
    Block,
    DepositMaterial,
    Failed,
    Goal,
    Idle,
    Memory,
    Reason,
    RotateOnDemand,
    Run,
    Turn,
    View,
    name_of,
)
from orchestrator.progress import Job, Progress, Report, named, told
from orchestrator.report import documents
from workflows.step_functions import history, seeing, unanswered
from workflows.step_functions.machine import EVERYWHERE
from workflows.step_functions.retriers import most_retries
from workflows.step_functions.travel import Json, State, merged, place_of, read_memory, sentences, shared

_MESSAGE = 1_000
_BLOCKS = 6_000


def look(
    engine: Engine, job: Job, state: State, executor: Executor, retried: int = 0, *, knows_makers: bool = True
) -> tuple[State, Report | None]:
    """Take one turn; where it is the last one, the report of the key comes with it.

    `knows_makers` tells that the store says who made an entry: the act that imports one is another call's than the act
    that made it.
    """
    begun = state.begun or engine.clock.now()
    state = _counted(_renewed(state, engine.clock.now()), retried)
    progress = Progress(job, begun, patience=state.memory)
    if state.goal is not None:
        progress.run = _told(Run(state.goal, state.memory), state, engine.clock.now())
    seeing.everything(engine, progress, executor)
    now = engine.clock.now()
    view = progress.view(now)
    pinned = progress.run.goal if progress.run else (wrong_clock(view) or job.pin(view))
    if isinstance(pinned, Idle):
        report = Report(job, "idle", "located", pinned.message, view=view)
        return replace(state, begun=begun, turn=_last(report)), report
    if isinstance(pinned, Goal):
        run = _confirmed(progress.run or Run(pinned), view)
        turn, goal = _judged(decide(job.stages, view, run, now), state, run, now), pinned
        turn = turn if knows_makers else _making_nothing(turn, run)
    else:
        run, goal = progress.located(now), None
        turn = judge(pinned, run, now)
    turn = _in_time(turn, state)
    run = memory.waited(run, turn, now)
    kept = replace(state, begun=begun, goal=goal, memory=run.memory, acted=())
    if turn.status != "going":
        report = final_report(job, turn, run, view)
        return replace(kept, turn=_last(report)), report
    died = any("Error" in note for note in state.acted)
    return replace(kept, turn=_next(kept, turn, view, now, hold=died)), None


def _renewed(state: State, now: datetime) -> State:
    """After waiting for an answer: the same goal (P4) with a new deadline, and looks that are not old ones (P8)."""
    if not state.renew or state.goal is None:
        return replace(state, renew=False)
    goal = replace(state.goal, deadline=now + state.goal.policy.deadline)
    fresh = replace(state.memory, waiting={}, settled={}, quiet=None)
    return replace(state, goal=goal, memory=fresh, renew=False, turn={}, events=state.events + history.APPROVAL)


def _counted(state: State, retried: int) -> State:
    """Count the events of the execution up to this look's end."""
    status, everywhere = str(state.turn.get("status")), state.turn.get("stage") in EVERYWHERE
    since = history.since_the_last_look(status, state.acted, everywhere=everywhere, most_retries=most_retries())
    return replace(state, events=state.events + since + history.of_look(retried))


def _judged(turn: Turn, state: State, run: Run, now: datetime) -> Turn:
    turn = _held(turn, run.memory, now)
    asks = any(isinstance(action, RotateOnDemand) for action in turn.act)
    if not asks or state.approved == str(run.goal.entry) or state.unapproved != str(run.goal.entry):
        return turn
    way = "start it again: it asks again, and goes on where the key stands"
    block = Block(Reason.NOT_APPROVED, "nobody approved this rotation in time", way, run.goal.primary)
    return replace(turn, act=(), status="blocked", blocks=(*turn.blocks, block))


def _making_nothing(turn: Turn, run: Run) -> Turn:
    """Stop before new key material is made that the next act could not know as mrk's own."""
    if not any(isinstance(action, DepositMaterial) for action in turn.act):
        return turn
    message = "the store has no store.mac_key, so that no call of the function knows new key material another call made"
    way = "set the stack's parameter StoreMacKey and the store's own setting: mrk store init --change (docs/store.md)"
    block = Block(Reason.MADE_ELSEWHERE, message, way, run.goal.primary)
    return replace(turn, act=(), status="blocked", blocks=(*turn.blocks, block))


def _in_time(turn: Turn, state: State) -> Turn:
    """End before Step Functions ends the execution itself, with no report."""
    if turn.status != "going" or state.events < history.ENOUGH:
        return turn
    message = f"this execution has used {state.events} of the {history.LIMIT} events that its history may have"
    block = Block(Reason.TOO_LATE, message, "start it again: it goes on where the key stands", person=False)
    return replace(turn, act=(), status="failed", blocks=(*turn.blocks, block))


def _told(run: Run, state: State, now: datetime) -> Run:
    """Take in what the acts noted, and which did not answer."""
    for note in state.acted:
        run = replace(run, memory=_with(run.memory, note)) if "memory" in note else run
    return unanswered.noted(run, state.turn, tuple(state.acted), now)


def _with(kept: Memory, note: Mapping[str, Any]) -> Memory:
    left = {name: one for name, one in kept.failed.items() if name not in note["mended"]}
    return merged(replace(kept, failed=left), read_memory(note["memory"]))


def _confirmed(run: Run, view: View) -> Run:
    """Count what this look confirms of every Region (P8)."""
    for region in sorted(view.members | run.goal.members):
        run = memory.saw(run, view, region)
    return run


def _held(turn: Turn, kept: Memory, now: datetime) -> Turn:
    """Let one failure stand for its like in a Region: nothing of that kind is begun there before its time, if ever.

    So a payload need carry one failure for each Region, however many materials could not be imported there. An act
    that did not answer stands for everything there.
    """
    held = {action: found for action in turn.act if (found := _standing(kept, action, now))}
    act = tuple(action for action in turn.act if action not in held)
    given_up = all(action in held and held[action].final for action in turn.act)
    turn = replace(turn, act=act, blocks=(*turn.blocks, *unanswered.blocks(kept, held)))
    if turn.status != "going" or act or turn.waits:
        return turn
    if turn.blocks and given_up:
        return replace(turn, status="blocked" if any(block.person for block in turn.blocks) else "failed")
    wakes = [one.not_before for one in held.values() if not one.final]
    return replace(turn, wake=min(wakes, default=turn.wake))


def _standing(kept: Memory, action: Action, now: datetime) -> Failed | None:
    """Return the failure that holds an action up: a final one, or the one that does so for longest."""
    place = place_of(name_of(action))
    like = [failure for name, failure in kept.failed.items() if place_of(name) == place]
    all_of_it = [*like, *filter(None, [unanswered.of(kept, action)])]
    holding = [one for one in all_of_it if one.final or one.not_before > now]
    return max(holding, key=lambda one: (one.final, one.not_before), default=None)


def _next(state: State, turn: Turn, view: View, now: datetime, *, hold: bool) -> Json:
    """Say what the machine does next: act on these targets, or wait; first of all where an act did not answer."""
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
    return Report(job, status, turn.stage, told(job, run, turn.blocks), blocks, view, run)


def _last(report: Report) -> Json:
    return {"stage": report.stage, "status": report.status, "act": [], "wait": 0, "report": brief_report(report)}


def brief_report(report: Report) -> Json:
    """Return the report as JSON that fits a payload, and an error's cause."""
    about = documents.report(report)
    del about["actions"]
    about["message"] = sentences([about["message"]], _MESSAGE)
    return about | {"blocks": shared(about["blocks"], _BLOCKS)}
