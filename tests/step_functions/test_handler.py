"""The function at its edge: what it refuses, and under which names, so that a machine can tell errors apart."""

import json
import subprocess
import sys
from typing import Any

import pytest

from leaks import told_in
from orchestrator.errors import KmsError, MrkError, StoreError, Trouble, UsageError
from workflows.step_functions import operations
from workflows.step_functions.errors import CallFailed, TooLittleTime
from workflows.step_functions.handler import handle
from workflows.step_functions.retriers import MAY_PASS, NOT_BEGUN

ARN = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
KEY = {"name": "payments", "arn": ARN}


class Context:
    aws_request_id = "request"

    def __init__(self, seconds: float = 900) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is configured as the template does it; nothing answers where it points to."""
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")
    monkeypatch.setenv("MRK_DEPLOYED", json.dumps({"partition": "aws", "account": "111122223333"}))
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")


def refused(event: Any, seconds: float = 900) -> MrkError:
    with pytest.raises(MrkError) as raised:
        handle(event, Context(seconds))
    return raised.value


@pytest.mark.parametrize("uri", ["file:/tmp/store", "file:///tmp/store"])
def test_a_store_on_a_disk_is_refused(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Lambda's disk is gone with the function, and with it every key."""
    monkeypatch.setenv("MRK_STORE__URI", uri)

    error = refused({"op": "run", "key": "payments"})

    assert type(error) is UsageError
    assert "Lambda" in str(error)


@pytest.mark.parametrize(
    "asked",
    [
        {**KEY, "proof": "off", "missing_old": "allow", "repair": "auto", "safety_window": "1d"},
        {"name": "other", "arn": ARN.replace("us-east-1", "eu-west-1"), "repair": "auto"},
        {"name": "other", "arn": "arn:aws:kms:us-east-1:111122223333:alias/payments", "repair": "auto"},
        {"name": "payments"},
    ],
)
def test_the_input_cannot_put_the_owners_settings_aside(monkeypatch: pytest.MonkeyPatch, asked: Any) -> None:
    """P10: neither by the name, nor by the ARN in another Region, nor by an alias of a configured key."""
    monkeypatch.setenv("MRK_KEYS", json.dumps({"payments": {"arn": ARN}}))

    error = refused({"op": "run", "key": asked})

    assert type(error) is UsageError
    assert '{"key": "payments"}' in str(error)


def test_a_key_that_the_settings_lack_is_told_with_those_that_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRK_KEYS", json.dumps({"payments": {"arn": ARN}}))

    assert "no key 'salaries'; it has: payments" in str(refused({"op": "run", "key": "salaries"}))


SECRET = "IQoJb3JpZ2luX2Vj" + "aB3dE5fG7h" * 20
HARM = f"{SECRET}\n\x1b[2Jmrk: all is well"


@pytest.mark.parametrize("secret", [SECRET, HARM])
@pytest.mark.parametrize(
    "event",
    [
        {"op": "SECRET"},
        {"op": "run", "key": "SECRET"},
        {"op": "run", "key": {"name": "SECRET", "arn": "SECRET"}},
        {"op": "run", "key": KEY, "workflow": "SECRET"},
        {"op": "look", "state": {"asked": {"key": "SECRET"}}},
    ],
)
def test_no_secret_of_the_environment_is_answered_or_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], event: Any, secret: str
) -> None:
    """I14: an execution's history and the log are read by many."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    try:
        answer = json.dumps(
            handle(json.loads(json.dumps(event).replace("SECRET", json.dumps(secret)[1:-1])), Context())
        )
    except MrkError as error:
        answer = str(error)

    said = answer + capsys.readouterr().out
    assert ("***" in said) is (event["op"] == "SECRET"), "nothing else that an input says is repeated"
    assert not told_in(said, [SECRET])
    assert all(line.isprintable() for line in said.splitlines())
    assert not [line for line in said.splitlines() if line.startswith("mrk: ")]


WRONG: dict[str, tuple[Any, str]] = {
    "no operation": ({}, "there is no operation None"),
    "another operation": ({"op": "delete"}, "there is no operation 'delete'"),
    "an event that is a list": ([], "no JSON object"),
    "an event that is nothing": (None, "no JSON object"),
    "an event that is a text": ("x", "no JSON object"),
    "no key": ({"op": "run"}, "names no key"),
    "a key that the config lacks": ({"op": "run", "key": "salaries"}, "names no keys"),
    "a key without an ARN": ({"op": "run", "key": {"name": "payments"}}, "arn: Field required"),
    "a key with a setting that there is not": ({"op": "run", "key": {**KEY, "regoins": []}}, "regoins"),
    "a workflow that there is not": (
        {"op": "run", "key": KEY, "workflow": "destroy"},
        "not deployed for workflow destroy",
    ),
    "a workflow that is no text": ({"op": "run", "key": KEY, "workflow": ["run"]}, "the name of a workflow"),
    "material that is no text": ({"op": "run", "key": KEY, "workflow": "run", "replaces": 1}, "id of a key material"),
    "a field that there is not": ({"op": "run", "key": KEY, "replace": 64 * "a"}, "no field replace"),
    "what to replace, with a workflow that replaces nothing": (
        {"op": "run", "key": KEY, "replaces": 64 * "a"},
        "`replaces` goes with rotate",
    ),
    "a name that is none": ({"op": "run", "key": {**KEY, "name": "a\nb"}}, "the name of the key"),
    "an input of a size that fills every state": ({"op": "run", "key": KEY, "Comment": 9_000 * "x"}, "8000 characters"),
    "an input that is no object": ({"op": "act", "state": {"asked": "payments"}}, "no JSON object"),
    "a state that is a list": ({"op": "act", "state": []}, "anew"),
    "a note that is none": ({"op": "act", "state": {"asked": {"key": KEY}, "acted": 1}}, "anew"),
    "no state": ({"op": "act"}, "start the execution anew"),
    "a state that is none": (
        {"op": "act", "state": {"asked": {"key": KEY}, "goal": {"key": 1}}},
        "start the execution",
    ),
    "a memory that is none": ({"op": "act", "state": {"asked": {"key": KEY}, "memory": {"failed": {"a": 1}}}}, "anew"),
}


@pytest.mark.parametrize(("event", "said"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_told_as_such(event: Any, said: str) -> None:
    """I9: what is wrong, and what to do; never retried."""
    error = refused(event)

    assert type(error) is UsageError
    assert said in str(error)
    assert type(error).__name__ not in MAY_PASS


@pytest.mark.parametrize(
    "event", [{}, {"state": []}, {"state": {"asked": "payments"}}, {"state": {"asked": {"key": 1}}}]
)
def test_a_look_at_wrong_input_ends_the_execution_with_a_report(event: Any) -> None:
    """I9: a state machine shows the report as the cause, and no stack trace."""
    turn = handle({"op": "look", **event}, Context())["turn"]

    assert (turn["status"], turn["report"]["status"]) == ("failed", "failed")
    (block,) = turn["report"]["blocks"]
    assert block["reason"] == "settings"
    assert block["message"]
    assert block["way_out"]


PATIENCE = [
    ({"deadline": "30m", "poll": "5s"}, None),
    ({"deadline": "6h", "poll": "5s"}, "set run.poll to 9s or more"),
    ({"deadline": "6h", "poll": "9s"}, None),
    ({"deadline": "1h", "poll": "100ms"}, "set run.poll to 2s or more"),
    ({"deadline": "13h", "poll": "1m"}, "12h at most"),
]


@pytest.mark.parametrize(("run", "way_out"), PATIENCE)
def test_a_patience_that_outgrows_the_history_of_an_execution_is_refused(
    monkeypatch: pytest.MonkeyPatch, run: dict[str, str], way_out: str | None
) -> None:
    """25,000 events: looking until the deadline must fit."""
    monkeypatch.setenv("MRK_RUN", json.dumps(run))
    monkeypatch.setenv("MRK_STORE__URI", "nowhere:")  # what would be refused next

    (block,) = handle({"op": "look", "state": {"asked": {"key": KEY}}}, Context())["turn"]["report"]["blocks"]

    assert way_out == block["way_out"] if way_out else "no known scheme" in block["message"]


def test_every_error_leaves_a_line_in_the_log_that_names_the_execution(capsys: pytest.CaptureFixture[str]) -> None:
    """The log is the journal here; a key that could not be looked at is not well."""
    refused({"op": "run", "key": {"name": "payments", "arn": "no ARN"}, "execution": "arn:...:payments"})

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert (metrics["Key"], metrics["Healthy"]) == ("payments", 0.0)
    (told,) = [line for line in lines if line.get("event") == "failed"]
    assert (told["execution"], told["error"], told["op"]) == ("arn:...:payments", "UsageError", "run")
    assert "arn" in told["message"]


def test_wrong_settings_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """I9: the variable's name, and what is allowed."""
    monkeypatch.setenv("MRK_DEFAULTS", '{"proof": "maybe"}')

    error = refused({"op": "run", "key": "payments"})

    assert type(error) is UsageError
    assert "proof" in str(error)


def test_a_whole_run_is_not_begun_with_too_little_time() -> None:
    """The machine may begin it again: nothing was done."""
    error = refused({"op": "run", "key": "payments"}, seconds=100)

    assert type(error) is TooLittleTime
    assert "TooLittleTime" in NOT_BEGUN


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (KmsError("x", trouble=Trouble.TRANSIENT), "CallFailed"),
        (KmsError("x", trouble=Trouble.PERMANENT), "KmsError"),
        (StoreError("x"), "StoreError"),
        (UsageError("x", "do y"), "UsageError"),
    ],
)
def test_errors_keep_their_names_and_tell_what_to_do(error: MrkError, name: str) -> None:
    """What may pass has a name that the machine retries; the others end the execution."""
    told = operations.named(error)

    assert type(told).__name__ == name
    assert (name in MAY_PASS) is (type(told) is CallFailed)
    assert str(told) == "; ".join(part for part in (error.message, error.hint) if part)


NOT_NEEDED = {
    "rich",
    "typer",
    "structlog",
    "prometheus_client",
    "yaml",
    "tenacity",
    "orchestrator.simulator",
    "workflows.cli",
}


def test_the_function_loads_nothing_that_it_does_not_need() -> None:
    """A cold start waits for every import: not for the terminal's, the simulator's, or a file's that Lambda has not."""
    program = "import sys, workflows.step_functions.operations as _; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "boto3" in loaded
    assert not NOT_NEEDED & set(loaded)
