"""The state machine of one key, rendered from the stages of a workflow. Pure: stages in, Amazon States Language out.

Hub and spoke: Look, then the state of the first stage that misses something, then Look again. Each state that acts
derives what is missing anew, so any of them may be retried, redriven or run twice.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from orchestrator.decide import name_of_stage
from orchestrator.model import Stage
from workflows.step_functions.errors import KeyBlocked, KeyFailed
from workflows.step_functions.history import BEGUN
from workflows.step_functions.retriers import MAY_PASS, NOT_BEGUN, retriers

Json = dict[str, Any]

JUDGE_ONLY = ("ready", "settled", "sound", "clean")
"""Stages that never act: their states are waits."""

EVERYWHERE = ("healthy", "replicas_imported", "proven", "kept_alive", "restored", "renewed")
"""Stages that act on each Region alone: their states are maps over Regions."""

ONCE = "rotated"
"""The stage that is never sent again before a look (I4)."""

FUNCTION_SECONDS = 900
"""The function's timeout that the machine reckons with: a state outlives the call that it waits for."""

REGIONS_AT_ONCE = 10

APPROVAL = timedelta(hours=23)
"""How long an execution waits for an approval: it is over when a daily schedule starts the next one."""

LONGEST_DEADLINE = timedelta(hours=12)
"""The longest `run.deadline` of an execution: before an approval, and again after it."""

_LONGEST = 2 * LONGEST_DEADLINE + APPROVAL + timedelta(hours=1)


def machine(workflow: str, stages: Sequence[Stage]) -> Json:
    """Render the machine of one key. ${FunctionArn}, ${Approval} and ${ApprovalTopicArn} are left to be filled in."""
    comment = (
        f"mrk {workflow}: rendered by `mrk workflow render {workflow}`; position is derived from KMS and the store"
    )
    longest = round(_LONGEST.total_seconds())
    return {"Comment": comment, "StartAt": "Begin", "TimeoutSeconds": longest, "States": states(workflow, stages)}


def states(workflow: str, stages: Sequence[Stage]) -> Json:
    """Return the states of one key's machine."""
    names = [name_of_stage(stage) for stage in stages]
    return {
        "Begin": _begin(),
        "Look": _look(workflow),
        "Turn": _turn(names),
        **{state_name(stage): state for stage in names for state in [_state(workflow, stage)]},
        **(_unanswered() if any(name not in (*JUDGE_ONLY, *EVERYWHERE, ONCE) for name in names) else {}),
        **(_rotation() if ONCE in names else {}),
        "Waiting": _wait("Something was begun, and only time or another look can show what came of it"),
        "Done": {"Type": "Pass", "InputPath": "$.turn.report", "End": True},
        "Blocked": _fail(KeyBlocked, "A person must look: the cause says why, and the way out"),
        "Failed": _fail(KeyFailed, "The run failed; a new execution goes on where the key stands"),
        "NoAnswer": {
            "Comment": "The function could not look, however often it was tried; a new execution goes on",
            "Type": "Fail",
            "Error": KeyFailed.__name__,
            "CausePath": f"States.Format('{_NO_ANSWER}', $.lost.Error)",
        },
        "OtherWorkflow": {
            "Type": "Fail",
            "Error": "UsageError",
            "Cause": "this machine has no state for that stage: render it again from the workflow",
        },
    }


def state_name(stage: str) -> str:
    """Name the state of a stage."""
    return "".join(word.capitalize() for word in stage.split("_"))


def _state(workflow: str, stage: str) -> Json:
    if stage in JUDGE_ONLY:
        return _wait(f"Stage {stage} misses something that only time brings")
    if stage in EVERYWHERE:
        return _everywhere(workflow, stage)
    if stage == ONCE:
        return _act(workflow, stage, NOT_BEGUN) | {"Catch": _catch("$.acted", "RotationInDoubt"), "Next": "Look"}
    return _act(workflow, stage, MAY_PASS) | {"Catch": _catch("$.acted", "Unanswered"), "Next": "Look"}


def _catch(path: str, then: str, error: str = "States.ALL") -> list[Json]:
    return [{"ErrorEquals": [error], "ResultPath": path, "Next": then}]


_NO_ANSWER = "The function did not answer ({}): its log says why. A new execution goes on where the key stands."


def _begin() -> Json:
    """Take nothing from the input but what is asked: an approval cannot be claimed by whoever starts an execution."""
    return {
        "Type": "Pass",
        "Parameters": {"asked.$": "$", "approval": "${Approval}", "events": BEGUN},
        "Next": "Look",
    }


def _look(workflow: str) -> Json:
    return {
        "Comment": "See every Region and the store, and decide",
        **_invoke({"op": "look", "workflow": workflow, "state.$": "$"}),
        "OutputPath": "$.Payload",
        "Retry": retriers(MAY_PASS),
        "Catch": _catch("$.lost", "NoAnswer"),
        "Next": "Turn",
    }


def _invoke(payload: Json) -> Json:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": "${FunctionArn}",
            "Payload": {**payload, "retried.$": "$$.State.RetryCount", "execution.$": "$$.Execution.Id"},
        },
        "TimeoutSeconds": FUNCTION_SECONDS + 30,
    }


def _turn(names: Sequence[str]) -> Json:
    ends = [_when("status", status, state) for status, state in _ENDS.items()]
    waits = [_both(("status", "waiting"), ("stage", name), state_name(name)) for name in names if name in JUDGE_ONLY]
    acts = [_when("stage", name, state_name(name)) for name in names if name not in JUDGE_ONLY]
    asks = [_needs_approval()] if ONCE in names else []
    return {
        "Comment": "The first stage that misses something",
        "Type": "Choice",
        "Choices": [*ends, *waits, _when("status", "waiting", "Waiting"), *asks, *acts],
        "Default": "OtherWorkflow",
    }


_ENDS = {"finished": "Done", "idle": "Done", "blocked": "Blocked", "failed": "Failed"}


def _is(name: str, value: str) -> Json:
    return {"Variable": f"$.turn.{name}", "StringEquals": value}


def _when(name: str, value: str, state: str) -> Json:
    return {**_is(name, value), "Next": state}


def _both(one: tuple[str, str], other: tuple[str, str], state: str) -> Json:
    return {"And": [_is(*one), _is(*other)], "Next": state}


def _needs_approval() -> Json:
    required = {"Variable": "$.approval", "StringEquals": "required"}
    not_yet = {"Variable": "$.turn.approved", "BooleanEquals": False}
    return {"And": [_is("stage", ONCE), required, not_yet], "Next": "Approve"}


def _act(workflow: str, stage: str, errors: Iterable[str]) -> Json:
    return {
        "Comment": f"Derive anew what stage {stage} misses, and do that",
        **_invoke({"op": "act", "workflow": workflow, "stage": stage, "state.$": "$"}),
        "ResultSelector": _NOTE,
        "ResultPath": "$.acted",
        "Retry": retriers(errors),
    }


_NOTE = {name: f"$.Payload.{name[:-2]}" for name in ("mended.$", "memory.$", "retried.$")}


def _everywhere(workflow: str, stage: str) -> Json:
    """Map over the Regions that miss something: one that fails never stops the others (I10)."""
    one, lost = f"{state_name(stage)}InOneRegion", f"{state_name(stage)}Unanswered"
    payload = {"op": "act", "workflow": workflow, "stage": stage, "target.$": "$.target", "state.$": "$.state"}
    return {
        "Comment": f"In each Region, derive anew what stage {stage} misses there, and do that",
        "Type": "Map",
        "ItemsPath": "$.turn.act",
        "ItemSelector": {"target.$": "$$.Map.Item.Value", "state.$": "$"},
        "MaxConcurrency": REGIONS_AT_ONCE,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": one,
            "States": {
                one: {
                    **_invoke(payload),
                    "ResultSelector": _NOTE,
                    "Retry": retriers(MAY_PASS),
                    "Catch": [{"ErrorEquals": ["States.ALL"], "Next": lost}],
                    "End": True,
                },
                lost: {"Type": "Pass", "Parameters": {"Error.$": "$.Error"}, "End": True},
            },
        },
        "ResultPath": "$.acted",
        "Next": "Look",
    }


def _unanswered() -> Json:
    comment = "The act may have been done, or not: a look shows which; after a while it is begun again"
    return {"Unanswered": _lost(comment)}


def _lost(comment: str) -> Json:
    """Keep the error's name alone: its cause may be long."""
    return {
        "Comment": comment,
        "Type": "Pass",
        "Parameters": {"Error.$": "$.acted.Error"},
        "ResultPath": "$.acted",
        "Next": "Look",
    }


def _approve() -> Json:
    return {
        "Comment": "Two-person control: whoever gets the token says yes (send-task-success) or no (send-task-failure)",
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish.waitForTaskToken",
        "Parameters": {
            "TopicArn": "${ApprovalTopicArn}",
            "Subject": "mrk asks for approval of a rotation",
            "Message": {
                "question.$": "$.turn.message",
                "rotation.$": "$.turn.entry",
                "execution.$": "$$.Execution.Id",
                "task_token.$": "$$.Task.Token",
            },
        },
        "TimeoutSeconds": round(APPROVAL.total_seconds()),
        "ResultPath": None,
        "Catch": _catch("$.lost", "NotApproved", "States.Timeout"),
        "Next": "Approved",
    }


def _answered(**answer: str) -> Json:
    """Go on to the same goal (P4); its deadline did not wait for the answer, so that `look` gives it a new one."""
    kept = {f"{name}.$": f"$.{name}" for name in ("asked", "approval", "begun", "goal", "memory", "events")}
    given = {f"{name}.$": path for name, path in answer.items()}
    return {"Type": "Pass", "Parameters": {**kept, **given, "renew": True}, "Next": "Look"}


def _rotation() -> Json:
    return {
        "RotationInDoubt": _lost("The rotation may have been sent: look for a minute before it is sent again"),
        "Approve": _approve(),
        "Approved": _answered(approved="$.turn.entry"),
        "NotApproved": _answered(unapproved="$.turn.entry"),
    }


def _wait(comment: str) -> Json:
    return {"Comment": comment, "Type": "Wait", "SecondsPath": "$.turn.wait", "Next": "Look"}


def _fail(error: type[Exception], comment: str) -> Json:
    cause = "States.JsonToString($.turn.report)"
    return {"Comment": comment, "Type": "Fail", "Error": error.__name__, "CausePath": cause}
