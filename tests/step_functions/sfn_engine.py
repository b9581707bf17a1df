"""AWS's part of the world: moto's Step Functions interpreter, Secrets Manager, SNS, SQS and S3, on this machine.

moto is hooked at one method only, `LambdaSimpleBackend.invoke`: there its interpreter would answer for a function, and
here a real Lambda runtime does. Its interpreter is switched on at `/moto-api/config`, and finds the other services by
`MOTO_PORT`. test_hooks.py names all three, and what is relied on.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

import boto3
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/mrk"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mrk"

Invoke = Callable[[bytes], Any]
HOOKED = LambdaSimpleBackend.invoke
"""moto's own method, in the place of which another is put."""


@dataclass
class Engine:
    """moto's services, and whoever answers for the one function that it knows."""

    endpoint_url: str
    invoke: Invoke = lambda _event: {}
    machines: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        credentials = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "made-up"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint_url, **credentials)

    def deploy(self, name: str, definition: Mapping[str, Any], **values: str) -> str:
        """Create a state machine with its ${...} filled in, once; return its ARN."""
        text = filled(definition, **values)
        if text not in self.machines:
            made = self.client("stepfunctions").create_state_machine(
                name=f"{name}-{len(self.machines)}", definition=text, roleArn=ROLE
            )
            self.machines[text] = made["stateMachineArn"]
        return self.machines[text]

    def start(self, machine: str, asked: Mapping[str, Any], name: str | None = None) -> "Execution":
        about = {"stateMachineArn": machine, "input": json.dumps(asked), "name": name or str(uuid4())}
        started = self.client("stepfunctions").start_execution(**about)
        return Execution(self, started["executionArn"])


@dataclass
class Execution:
    """One execution, on its way or ended."""

    engine: Engine
    arn: str

    def ended(self, patience: float = 160) -> dict[str, Any]:
        """Wait for its end, and return how DescribeExecution tells of it."""
        client, deadline = self.engine.client("stepfunctions"), time.monotonic() + patience
        while True:
            found: dict[str, Any] = client.describe_execution(executionArn=self.arn)
            if found["status"] != "RUNNING":
                return found
            assert time.monotonic() < deadline, f"still running: {self.states()[-8:]}"
            time.sleep(0.05)

    def history(self) -> list[dict[str, Any]]:
        """Return every event, page by page."""
        pages = self.engine.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=self.arn) for event in page["events"]]

    def states(self) -> list[str]:
        """Name the states in the order in which they were entered."""
        return [name for event in self.history() if (name := event.get("stateEnteredEventDetails", {}).get("name"))]

    def payloads(self) -> list[str]:
        """Return every input and output that the engine recorded."""
        return [text for event in self.history() for text in _texts(event)]


def _texts(event: Any) -> Iterator[str]:
    if isinstance(event, Mapping):
        for name, value in event.items():
            if name in {"input", "output", "parameters", "cause"} and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)


def filled(definition: Mapping[str, Any], **values: str) -> str:
    """Fill the ${...} of a definition in, as a deployment does."""
    text = json.dumps(definition)
    usual = {"FunctionArn": FUNCTION, "Approval": "none", "ApprovalTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:asked"}
    for name, value in {**usual, **values}.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text, text[text.index("${") :][:60]
    return text


@contextmanager
def serving() -> Iterator[Engine]:
    """Serve moto on a loopback address, with our function behind its Lambda."""
    for noisy in ("werkzeug", "moto"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    engine = Engine(f"http://{host}:{port}")
    before = os.environ.get("MOTO_PORT")
    os.environ["MOTO_PORT"] = str(port)
    LambdaSimpleBackend.invoke = _answering(engine)  # type: ignore[method-assign]
    _configure(engine)
    try:
        yield engine
    finally:
        LambdaSimpleBackend.invoke = HOOKED  # type: ignore[method-assign]
        os.environ.pop("MOTO_PORT")
        os.environ.update({"MOTO_PORT": before} if before else {})
        server.stop()


def _answering(engine: Engine) -> Callable[..., bytes]:
    def invoke(_backend: Any, _name: str, _qualifier: Any, body: Any, _headers: Any, response_headers: Any) -> bytes:
        event = body if isinstance(body, bytes) else str(body).encode()
        answer = engine.invoke(event)
        if isinstance(answer, dict) and "errorType" in answer:
            response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps(answer).encode()

    return invoke


def _configure(engine: Engine) -> None:
    wanted = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
    with closing(HTTPConnection(engine.endpoint_url.removeprefix("http://"))) as connection:
        connection.request("POST", "/moto-api/config", json.dumps(wanted))
        assert connection.getresponse().status == HTTPStatus.CREATED
