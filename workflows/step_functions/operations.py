"""The operations of the function: `look`, `act` and `run`. Each joins its threads before it returns.

Lambda stops a process between two invocations: a thread that still ran would go on at the next one, or never.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.compose import Engine, assemble, kms_factory, new_run_id
from orchestrator.errors import KmsError, MrkError, Trouble, UsageError
from orchestrator.hardening import offer_no_core_dump
from orchestrator.kms import KmsFactory
from orchestrator.lanes import Lanes
from orchestrator.model import Reason, is_alias, region_of
from orchestrator.ports import Clock, Event, Listener
from orchestrator.progress import Job, Report
from orchestrator.redaction import redacted
from orchestrator.settings import AwsSettings, Settings
from orchestrator.written import to_json
from workflows import jobs
from workflows.step_functions import asked_settings, ending, metrics, narrowing
from workflows.step_functions.act import LONGEST, act, in_time
from workflows.step_functions.errors import CallFailed, KeyBlocked, KeyFailed, KeyUnfinished, TooLittleTime
from workflows.step_functions.look import brief_report, look
from workflows.step_functions.machine import ONCE
from workflows.step_functions.narrowing import Asked, Deployed
from workflows.step_functions.travel import State

Context = Any
_ENVELOPE = ("op", "execution", "retried")
"""What stands beside the input where the event of one whole run is both."""

_SHUTDOWN = timedelta(seconds=60)
"""What is left of the function's time for calls that are in flight when a whole run ends."""


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation: the one key that it is about, and the parts around it."""

    engine: Engine
    executor: ThreadPoolExecutor
    job: Job
    listener: Listener
    stack: Deployed
    knows_makers: bool


def _look(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    try:
        return _seen(event, context)
    except MrkError as error:
        if _may_pass(error):
            raise
        return _stopped(event, context, error)


def _seen(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    state = _state(event)
    with _call(event, context, state) as call:
        retried = _retried(event)
        after, report = look(
            call.engine,
            call.job,
            _by_policy(state, call.job),
            call.executor,
            retried,
            knows_makers=call.knows_makers,
        )
        _tell(call, "turn", **{name: after.turn.get(name) for name in ("stage", "status", "act", "message")})
        if report is not None:
            _ended(call, report)
    return after.write()


def _stopped(event: Mapping[str, Any], context: Context, error: MrkError) -> dict[str, Any]:
    """Make of an error the last turn of the execution: with a report, as of any other end (I9)."""
    report = ending.report_of(error, ending.asked_in(event))
    about = {name: report[name] for name in ("stage", "status", "message")}
    now = SystemClock().now()
    _log(_execution(event, context), Event(now, "run.ended", str(report["name"]), data=about))
    _write(metrics.unwell(str(report["name"]), str(report["status"]), now))
    return {"turn": {"stage": report["stage"], "status": report["status"], "act": [], "wait": 0, "report": report}}


def _act(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    state, target = _state(event), event.get("target")
    with _call(event, context, state) as call:
        stage, remaining = str(event.get("stage")), partial(_remaining, context)
        if stage == ONCE:
            _approved(call, state)
        note = act(call.engine, call.job, _by_policy(state, call.job), stage, target, call.executor, remaining)
        _tell(call, "acted", stage=stage, target=target, failed=note["memory"].get("failed"))
    return note | {"retried": _retried(event)}


def _approved(call: Call, state: State) -> None:
    """Refuse a rotation that the stack wants approved, and nobody did, whatever machine brings it here."""
    if call.stack.approval == "required" and state.goal and state.approved != str(state.goal.entry):
        raise UsageError("the stack wants each rotation approved, and this one is not", "start its machine, which asks")


def _run(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    left = timedelta(seconds=_remaining(context)) - _SHUTDOWN
    if left.total_seconds() < LONGEST:
        raise TooLittleTime("a whole run wants more time than this function has", "give it a timeout of 15 min")
    try:
        with _call(event, context, longest=left) as call:
            report = call.engine.runner.run([call.job])[0]
            _ended(call, report)
    except MrkError as error:
        if not _may_pass(error):
            _write(
                metrics.unwell(str(ending.asked_in({"state": {"asked": event}})["name"]), "failed", SystemClock().now())
            )
        raise
    if report.status in {"finished", "idle"}:
        return brief_report(report)
    raise _error(report)


OPERATIONS: Mapping[str, Callable[[Mapping[str, Any], Context], dict[str, Any]]] = {
    "look": _look,
    "act": _act,
    "run": _run,
}


def told(error: MrkError, event: Mapping[str, Any], context: Context) -> MrkError:
    """Log an error, and return it as a state machine is to know it. The log is the journal here: it has every end."""
    about = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    _log(_execution(event, context), Event(SystemClock().now(), "failed", data={"op": event.get("op"), **about}))
    return named(error)


def named(error: MrkError) -> MrkError:
    """Return an error as a state machine is to know it: by its class's name, with the hint in its message."""
    if _may_pass(error):
        error = CallFailed(error.message, error.hint)
    error.args = (redacted("; ".join(part for part in (error.message, error.hint) if part)),)
    return error


def _may_pass(error: MrkError) -> bool:
    return isinstance(error, KmsError) and error.trouble is Trouble.TRANSIENT


def _execution(event: Mapping[str, Any], context: Context) -> str:
    return str(event.get("execution") or context.aws_request_id)


def _retried(event: Mapping[str, Any]) -> int:
    found = event.get("retried")
    return found if isinstance(found, int) else 0


def unknown(event: Any) -> MrkError:
    """Say which operations there are."""
    if not isinstance(event, Mapping):
        return UsageError("the event is no JSON object", 'write {"op": "run", "key": "payments"}')
    return UsageError(f"there is no operation {event.get('op')!r}", f"op is one of {', '.join(OPERATIONS)}")


def _error(report: Report) -> MrkError:
    """Name the end of a run that a state machine must not take for success."""
    cause = json.dumps(brief_report(report), separators=(",", ":"))
    if report.status == "blocked":
        return KeyBlocked(cause)
    late = any(block.reason is Reason.TOO_LATE for block in report.blocks)
    return KeyUnfinished(cause) if late else KeyFailed(cause)


def _state(event: Mapping[str, Any]) -> State:
    try:
        state = State.read(event["state"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError("the state is not one of this machine", "start the execution anew") from error
    if not isinstance(state.asked, Mapping):
        raise UsageError("the execution's input is no JSON object", 'write {"key": "payments"}')
    return state


def _by_policy(state: State, job: Job) -> State:
    """Judge by the owner's policy as the settings have it, whatever a state says of it."""
    return replace(state, goal=replace(state.goal, policy=job.policy)) if state.goal else state


@contextmanager
def _call(
    event: Mapping[str, Any], context: Context, state: State | None = None, longest: timedelta = timedelta.max
) -> Iterator[Call]:
    """Put the parts together for one invocation, of a machine where there is a state; join every thread at its end."""
    execution = _execution(event, context)
    clock = SystemClock()
    stack = asked_settings.deployed(os.environ)
    if state is None:
        given = {name: value for name, value in event.items() if name not in _ENVELOPE}
        settings, asked = asked_settings.read(given, None, stack)
    else:
        settings, asked = asked_settings.read(state.asked, event.get("workflow"), stack)
        asked_settings.within_a_history(settings.run)
    narrowing.approvable(asked.workflow, stack, state.approval if state else "none")
    listener = partial(_log, execution)
    kms = _clients(settings, execution, listener, clock)
    job = _job(asked, settings, kms, longest)
    offer_no_core_dump()
    with ThreadPoolExecutor(settings.run.workers, thread_name_prefix="mrk") as executor:
        guard = partial(in_time, remaining=partial(_remaining, context))
        engine = assemble(settings, kms, listener, clock, Lanes.of_one(executor), guard=guard)
        yield Call(engine, executor, job, listener, stack, settings.store.mac_key is not None)


def _job(asked: Asked, settings: Settings, kms: KmsFactory, longest: timedelta) -> Job:
    """Make the job of the one key that the settings hold; an alias is resolved first."""
    ((name, key),) = settings.keys.items()
    policy = settings.policy(key)
    policy = replace(policy, deadline=min(policy.deadline, longest))
    if is_alias(key.arn):
        key = key.model_copy(update={"arn": str(kms(region_of(key.arn)).resolve(key.arn))})
    return jobs.of(asked.workflow, name, key, policy, asked.replaces)


_kept: dict[tuple[str, AwsSettings, int], KmsFactory] = {}
"""The KMS clients of the last execution: making one for each Region takes longer than the calls do."""


def _clients(settings: Settings, execution: str, listener: Listener, clock: Clock) -> KmsFactory:
    """Return the clients that an earlier call of the same execution made in this process, or new ones."""
    about = (execution, settings.aws, settings.run.workers)
    if about not in _kept:
        _kept.clear()
        _kept[about] = kms_factory(settings, _run_id(execution) or new_run_id(clock.now()), listener, clock)
    return _kept[about]


def _remaining(context: Context) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000


def _run_id(execution: str) -> str:
    """Shorten the ARN of an execution to its name, which the user agent of every call carries into CloudTrail."""
    return "".join(letter for letter in execution.rpartition(":")[2] if letter.isalnum() or letter in "-_.")[:80]


def _log(execution: str, event: Event) -> None:
    """Log every event as one JSON line, with the execution that it belongs to: the log is the journal here."""
    about = {"event": event.kind, "at": event.at.isoformat(timespec="milliseconds"), "execution": execution}
    told = {"key": event.key, "region": event.region, **event.data}
    line = {**about, **{name: value for name, value in told.items() if value not in (None, "", [], {})}}
    _write(line)


def _write(line: Mapping[str, Any]) -> None:
    sys.stdout.write(to_json(line) + "\n")


def _tell(call: Call, kind: str, **data: Any) -> None:
    call.listener(Event(call.engine.clock.now(), kind, call.job.name, data=data))


def _ended(call: Call, report: Report) -> None:
    _tell(call, "run.ended", status=report.status, stage=report.stage, message=report.message)
    _write(metrics.embedded(report, call.engine.clock.now()))
