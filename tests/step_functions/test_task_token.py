"""`mrk run` as a task that a state machine waits for: real processes, and an engine that is not ours."""

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from sfn_cloud import TWO, Cloud
from sfn_engine import Engine, Execution

from orchestrator.errors import Exit, KmsError, Trouble
from orchestrator.model import Block, Idle, KeyArn, Policy, Reason, Region
from orchestrator.progress import Job, Report
from orchestrator.retry import Retry
from orchestrator.task_token import TaskToken
from workflows.step_functions.callback import answer, answered

KEY = KeyArn("aws", Region("us-east-1"), "111122223333", "mrk-" + 32 * "a")
pytestmark = pytest.mark.timeout(240)  # whole executions, on a machine that may have much else to do
MRK = str(Path(sys.executable).parent / "mrk")


def waiting(engine: Engine, heartbeat: int = 60) -> tuple[Execution, str]:
    """Start a machine of a user's own, whose one task waits for its token; return the execution and the token."""
    sqs = engine.client("sqs")
    queue = sqs.create_queue(QueueName=f"tokens-{uuid4()}")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        "HeartbeatSeconds": heartbeat,
        "End": True,
    }
    execution = engine.start(engine.deploy("users-own", {"StartAt": "Rotate", "States": {"Rotate": task}}), {})
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            return execution, json.loads(message["Body"])["token"]
        time.sleep(0.05)
    raise AssertionError("no token came")


def run(cloud: Cloud, token: str, arn: KeyArn, *, code: int = 0, **config: Any) -> str:
    """Run `mrk run` with the token in its environment, as a container would; return what it said."""
    key = {"arn": str(arn), "regions": sorted(cloud.true(arn).regions)}
    path = cloud.directory / f"{uuid4()}.yaml"
    path.write_text(yaml.safe_dump({"keys": {"payments": key}, **config}))
    environment = {**cloud.environment, "MRK_TASK_TOKEN": token}
    ran = subprocess.run(
        [MRK, "run", "-c", path],
        cwd=cloud.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == code, ran.stderr
    assert token not in ran.stdout + ran.stderr
    return ran.stderr


def test_what_is_well_ends_the_task_with_its_report(cloud: Cloud) -> None:
    arn = cloud.make_key()
    execution, token = waiting(cloud.engine)

    run(cloud, token, arn)

    ended = execution.ended()
    assert ended["status"] == "SUCCEEDED", ended
    (report,) = json.loads(ended["output"])["runs"]
    assert (report["name"], report["status"]) == ("payments", "idle")


def test_what_needs_a_person_fails_the_task_by_name(cloud: Cloud) -> None:
    arn = cloud.make_key()
    cloud.client(TWO[1]).disable_key(KeyId=arn.key_id)
    execution, token = waiting(cloud.engine)

    run(cloud, token, arn, code=4)

    ended = execution.ended()
    assert (ended["status"], ended["error"]) == ("FAILED", "KeyBlocked")


def test_the_cause_tells_what_is_not_well(engine: Engine) -> None:
    """As far as 32,768 characters go; moto passes no cause on, so what is sent is read here."""
    sent: list[dict[str, str]] = []
    stepfunctions = client(engine)
    stepfunctions.meta.events.register(
        "before-parameter-build.sfn.SendTaskFailure", lambda params, **_: sent.append(params)
    )
    job = Job("payments", KEY, Policy(), (), lambda _: Idle(""))
    blocks = tuple(Block(Reason.DISABLED, "m" * 500, "w" * 500, Region("eu-west-1")) for _ in range(30))
    well, unwell = Report(job, "idle", "located", ""), Report(job, "blocked", "healthy", "no", blocks)

    with pytest.raises(KmsError), TaskToken(stepfunctions, "no-such-token", Retry(lambda _: None)) as task:
        answer(task, [well, *[unwell] * 10], Exit.BLOCKED)

    (told,) = sent
    cause = json.loads(told["cause"])
    assert (told["error"], cause["exit_code"]) == ("KeyBlocked", 4)
    assert len(told["cause"]) < 32_768
    assert {run["status"] for run in cause["runs"]} == {"blocked"}
    assert cause["runs"][0]["blocks"][0]["reason"] == "disabled"


def test_an_output_that_is_too_long_says_how_many_runs_it_leaves_out(engine: Engine) -> None:
    """256 KiB: a thousand keys that are well are a success, and what is left out of the document is told."""
    sent: list[dict[str, str]] = []
    stepfunctions = client(engine)
    stepfunctions.meta.events.register(
        "before-parameter-build.sfn.SendTaskSuccess", lambda params, **_: sent.append(params)
    )
    well = Report(Job("payments", KEY, Policy(), (), lambda _: Idle("")), "idle", "located", "m" * 100)

    with pytest.raises(KmsError), TaskToken(stepfunctions, "no-such-token", Retry(lambda _: None)) as task:
        answer(task, [well] * 1000, Exit.OK)

    (told,) = sent
    output = json.loads(told["output"])
    assert len(told["output"]) <= 200_000
    assert len(output["runs"]) > 300
    assert output["left_out"] == 1000 - len(output["runs"])


def test_a_run_that_is_refused_fails_the_task_at_once(cloud: Cloud) -> None:
    arn = cloud.make_key()
    execution, token = waiting(cloud.engine)

    run(cloud, token, arn, code=2, aws={"endpoint": "somewhere"})

    ended = execution.ended()
    assert (ended["status"], ended["error"]) == ("FAILED", "UsageError")


def test_nobody_waits_any_more(cloud: Cloud) -> None:
    """The run is as it is; that nobody was told is a failure of its own."""
    arn = cloud.make_key()

    told = run(cloud, "no-such-token", arn, code=3)

    assert "the task was not answered: SendTaskSuccess failed" in told


def client(engine: Engine) -> Any:
    return engine.client("stepfunctions")


def test_heartbeats_keep_the_task_alive(engine: Engine) -> None:
    """Without them the engine gives the task up; with them it waits as long as the work takes."""
    (silent, _), (alive, token) = waiting(engine, heartbeat=1), waiting(engine, heartbeat=1)

    with TaskToken(client(engine), token, Retry(lambda _: None), every=timedelta(seconds=0.2)) as task:
        assert silent.ended()["status"] == "FAILED"
        task.succeed("{}")

    assert alive.ended()["status"] == "SUCCEEDED"


def test_a_token_that_there_is_not_ends_the_heartbeats(engine: Engine) -> None:
    """The work goes on; only the answer tells that nobody waits."""
    with (
        TaskToken(client(engine), "no-such-token", Retry(lambda _: None), every=timedelta(seconds=0.01)) as task,
        pytest.raises(KmsError) as raised,
    ):
        task.succeed("{}")

    assert raised.value.trouble is Trouble.PERMANENT


def test_without_a_token_nobody_is_told() -> None:
    """From cron nothing of this is there."""
    assert answered({}, lambda _what, _hint: None, lambda tell: [tell([]), 3][1]) == 3  # type: ignore[func-returns-value]


def test_a_task_in_no_region_is_refused() -> None:
    """I9: what to set."""
    with pytest.raises(Exception, match="Region of its task is not known"):
        answered({"MRK_TASK_TOKEN": "t"}, lambda _what, _hint: None, lambda _tell: 0)
