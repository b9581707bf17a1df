"""`mrk run` as a task of a state machine that waits for a token (.waitForTaskToken): on ECS, or anywhere.

The token comes in MRK_TASK_TOKEN. What is well ends the task with the reports; what is not, with an error by name.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from orchestrator import written
from orchestrator.clock import SystemClock
from orchestrator.errors import Exit, MrkError, UsageError
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import Region
from orchestrator.progress import Report
from orchestrator.retry import Retry
from orchestrator.task_token import LONGEST_OUTPUT, TOKEN, TaskToken
from workflows.step_functions.look import brief_report

ERRORS: Mapping[int, str] = {
    Exit.FAILED: "KeyFailed",
    Exit.BLOCKED: "KeyBlocked",
    Exit.INTERRUPTED: "Interrupted",
    Exit.USAGE: "UsageError",
}
"""The error of a task, by exit code; any other is a defect of ours."""

_ROOM = 30_000
_FRAME = 200

Tell = Callable[[Sequence[Report]], None]
Complain = Callable[[str, str], None]


def answered(environment: Mapping[str, str], complain: Complain, work: Callable[[Tell], int]) -> int:
    """Do the work, and answer whoever waits for it; an answer that does not arrive is a failure of its own."""
    token = environment.get(TOKEN)
    if not token:
        return work(lambda _reports: None)
    task = TaskToken(_client(environment), token, Retry(time.sleep))
    reports: list[Report] = []
    with task:
        try:
            code = work(reports.extend)
        except MrkError as error:
            _fail(task, type(error).__name__, f"{error.message}; {error.hint}")
            raise
        except BaseException as error:
            _fail(task, "Interrupted" if isinstance(error, KeyboardInterrupt) else "InternalError", "see its log")
            raise
        try:
            answer(task, reports, code)
        except MrkError as error:
            complain(f"the task was not answered: {error.message}", error.hint)
            return Exit.worst([Exit(code), Exit.FAILED])
    return code


def _client(environment: Mapping[str, str]) -> Any:
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise UsageError(f"{TOKEN} is set, and the Region of its task is not known", "set AWS_REGION")
    return KmsFactory(KmsOptions(), SystemClock().now, lambda _: None).client("stepfunctions", Region(region))


def answer(task: TaskToken, reports: Sequence[Report], code: int) -> None:
    """Tell whoever waits how the runs ended."""
    document = written.document({"exit_code": int(code), "runs": [brief_report(report) for report in reports]})
    if code == Exit.OK:
        task.succeed(_output(document))
    else:
        task.fail(ERRORS.get(code, "InternalError"), _cause(document))


def _output(document: Mapping[str, Any]) -> str:
    """Tell of as many runs as an output has room for, and of how many more there were."""
    room, kept = LONGEST_OUTPUT - _FRAME, list[Any]()
    for run in document["runs"]:
        room -= len(json.dumps(run)) + len(", ")
        if room < 0:
            return json.dumps({**document, "runs": kept, "left_out": len(document["runs"]) - len(kept)})
        kept.append(run)
    return json.dumps(document)


def _cause(document: Mapping[str, Any]) -> str:
    """Tell of what is not well, as far as a cause has room for whole runs."""
    runs = [run for run in document["runs"] if run["status"] not in {"finished", "idle"}]
    while len(text := json.dumps({**document, "runs": runs})) > _ROOM:
        runs.pop()
    return text


def _fail(task: TaskToken, error: str, cause: str) -> None:
    with suppress(MrkError):
        task.fail(error, cause)
