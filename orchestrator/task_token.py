"""Answers for a task of AWS Step Functions that waits for its token: heartbeats, then success or failure, once.

The token stands for the task: whoever has it can end it. It is never logged.
"""

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.errors import KmsError, Trouble
from orchestrator.redaction import redacted
from orchestrator.retry import Retry

TOKEN = "MRK_TASK_TOKEN"  # noqa: S105 - the name of the environment variable that holds one

EVERY = timedelta(seconds=20)
"""How often a heartbeat is sent: give the task a HeartbeatSeconds of a minute or more."""

_NOBODY_WAITS = ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")
LONGEST_OUTPUT = 200_000
"""Characters that the output of a task may have: 256 KiB in UTF-8 (Step Functions, service quotas)."""

_LONGEST_ERROR = 256
_LONGEST_CAUSE = 32_000


class TaskToken:
    """Sends heartbeats for as long as the block lasts. `client` is boto3's of Step Functions.

    `succeed` and `fail` raise KmsError where the answer does not arrive.
    """

    def __init__(self, client: Any, token: str, retry: Retry, every: timedelta = EVERY) -> None:
        self._client = client
        self._token = token
        self._retry = retry
        self._every = every
        self._ended = Event()
        self._thread = Thread(target=self._beat, name="heartbeats", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def succeed(self, output: str) -> None:
        """End the task well, with a JSON document of at most LONGEST_OUTPUT characters."""
        self._retry(lambda: self._send("SendTaskSuccess", self._client.send_task_success, output=redacted(output)))

    def fail(self, error: str, cause: str) -> None:
        """End the task with an error that a state machine can tell by its name."""
        named = {"error": error[:_LONGEST_ERROR], "cause": redacted(cause)[:_LONGEST_CAUSE]}
        self._retry(lambda: self._send("SendTaskFailure", self._client.send_task_failure, **named))

    def _beat(self) -> None:
        while not self._ended.is_set():
            try:
                self._send("SendTaskHeartbeat", self._client.send_task_heartbeat)
            except KmsError as error:
                # The run goes on: what it has begun is finished, whether anybody waits for that or not.
                if error.trouble is Trouble.PERMANENT:
                    return
            self._ended.wait(self._every.total_seconds())

    def _send(self, operation: str, send: Callable[..., Any], **parameters: str) -> None:
        try:
            send(taskToken=self._token, **parameters)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            lost = code in _NOBODY_WAITS
            trouble = Trouble.PERMANENT if lost or "Denied" in code else Trouble.TRANSIENT
            hint = "the task was ended before: see its execution" if lost else f"allow states:{operation} to this role"
            raise KmsError(f"{operation} failed: {code}", hint, trouble=trouble, code=code) from None
        except BotoCoreError as error:
            message = f"{operation} got no answer: {type(error).__name__}"
            raise KmsError(message, "check the network and AWS_REGION", trouble=Trouble.TRANSIENT) from None
