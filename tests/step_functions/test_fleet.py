"""Many keys on the engine: one that fails never stops the others, and the parent fails if any did.

The parent is executed by ministack, with a stand-in for the machine of a key: moto lets a Distributed Map with a failed
item succeed, and cannot call Step Functions itself from a state.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from sfn_engine import filled
from tools import BIN

from workflows.step_functions.fleet import fleet

ROLE = "arn:aws:iam::000000000000:role/mrk"
STAND_IN = {
    "StartAt": "Key",
    "States": {
        "Key": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.key", "StringEquals": "unwell", "Next": "Blocked"}],
            "Default": "Done",
        },
        "Done": {"Type": "Pass", "End": True},
        "Blocked": {"Type": "Fail", "Error": "KeyBlocked", "Cause": "..."},
    },
}
"""A machine of a key that needs no key."""


@dataclass
class Second:
    """A second interpreter of state machines, in a process of its own."""

    port: int

    def client(self, service: str) -> Any:
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        url = f"http://127.0.0.1:{self.port}"
        return boto3.client(service, region_name="us-east-1", endpoint_url=url, **credentials)

    def create(self, name: str, definition: str) -> str:
        made = self.client("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=ROLE)
        return str(made["stateMachineArn"])

    def execute(self, machine_arn: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        client = self.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=machine_arn, input=json.dumps(asked))["executionArn"]
        deadline = time.monotonic() + 60
        while (found := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ended: dict[str, Any] = found
        return ended


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """ministack, on a loopback address: by default it listens on every one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("ministack")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": "s3,stepfunctions",
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([BIN / "ministack"], env=environment, stdout=log, stderr=log, cwd=home)
    try:
        _until_open(port)
        yield Second(port)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _until_open(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("ministack does not listen")


@pytest.fixture(scope="module")
def parent(second: Second) -> tuple[str, str]:
    """The parent machine, and the one of a key that it starts."""
    key = second.create("key", json.dumps(STAND_IN))
    s3 = second.client("s3")
    for bucket in ("results", "inputs"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="inputs", Key="well.json", Body=json.dumps(["a", "b"]).encode())
    s3.put_object(Bucket="inputs", Key="unwell.json", Body=json.dumps(["a", "unwell", "b"]).encode())
    return second.create("fleet", filled(fleet(), KeyMachineArn=key, ResultsBucket="results")), key


@pytest.mark.parametrize("asked", [{"keys": ["a", "b"]}, {"bucket": "inputs", "key": "well.json"}])
def test_all_keys_well_is_a_success(second: Second, parent: tuple[str, str], asked: Mapping[str, Any]) -> None:
    ended = second.execute(parent[0], asked)

    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["well"] == 2


@pytest.mark.parametrize("asked", [{"keys": ["a", "unwell", "b"]}, {"bucket": "inputs", "key": "unwell.json"}])
def test_one_key_that_is_not_well_fails_the_parent_and_stops_no_other(
    second: Second, parent: tuple[str, str], asked: Mapping[str, Any]
) -> None:
    """I10: never stops the others, and is never hidden."""
    fleet_arn, key = parent
    before = {one["executionArn"] for one in executions(second, key)}

    ended = second.execute(fleet_arn, asked)

    assert (ended["status"], ended["error"]) == ("FAILED", "KeysNotWell")
    counts = json.loads(json.loads(ended["output"])["Cause"] if "cause" not in ended else ended["cause"])
    assert (counts["keys"], counts["well"], counts["failed"]) == (3, 2, 1)
    new = [one["status"] for one in executions(second, key) if one["executionArn"] not in before]
    assert sorted(new) == ["FAILED", "SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize("asked", [{}, {"keys": []}])
def test_no_key_at_all_is_a_failure(second: Second, parent: tuple[str, str], asked: Mapping[str, Any]) -> None:
    """P5: a selector that matches no key is no success."""
    ended = second.execute(parent[0], asked)

    assert (ended["status"], ended["error"]) == ("FAILED", "UsageError")


def executions(second: Second, machine_arn: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = second.client("stepfunctions").list_executions(stateMachineArn=machine_arn)[
        "executions"
    ]
    return found
