"""Credentials that no request can be sent with end a command at once, by name, and are quoted nowhere (I14)."""

import json
import time
from collections.abc import Callable

import pytest
from botocore.exceptions import HTTPClientError

from e2e.machine import Machine
from e2e.test_secrets_in_settings import NOBODYS, Said, leaked, ran
from orchestrator.errors import Exit
from orchestrator.kms.meaning import unanswered
from orchestrator.stores.secretsmanager import meaning

pytestmark = pytest.mark.e2e

KEY_ID, SECRET, TOKEN = (
    "111122223333",
    "wJalrXUtnFEMI7K7MDENGObPxRfiCYzzEXAMPLEK",
    "IQoJb3JpZ2luX2Vj" + "aB3dE5fG7h" * 20,
)
SECRETS = (SECRET, TOKEN)
PARTS = {
    "AWS_ACCESS_KEY_ID": ("AccessKeyId", KEY_ID, "access key id"),
    "AWS_SECRET_ACCESS_KEY": ("SecretAccessKey", SECRET, "secret access key"),
    "AWS_SESSION_TOKEN": ("SessionToken", TOKEN, "session token"),
}
ANSWER = {member: value for member, value, _ in PARTS.values()}
ODD = {"a newline": "\n", "a return": "\r", "an escape": "\x1b[2J", "a letter of its own": "ö", "a space": " x"}
ROLE = "arn:aws:iam::444455556666:role/mrk"


@pytest.fixture
def waiting(machine: Machine) -> Machine:
    """A machine with a store and a hook, whose runs wait for half an hour."""
    hook = machine.directory / "hook"
    hook.write_text("#!/bin/sh\ncat >> told.jsonl\n")
    hook.chmod(0o755)
    machine.write_config(payments={"arn": NOBODYS})
    machine.run("mrk", "store", "init")
    machine.more["run"] = {"deadline": "30m", "after": str(hook)}
    machine.write_config()
    machine.given |= {name: value for name, (_, value, _) in PARTS.items()}
    return machine


def refused(machine: Machine, code: int, *said: str) -> Said:
    """Run what would wait for half an hour: it ends at once, names what is wrong, and quotes nothing anywhere."""
    begun = time.monotonic()
    ended = ran(machine, "run", "--json", "--log-level", "debug")
    told = ran(machine, "report", "last")
    assert time.monotonic() - begun < 30
    assert ended.code == code, ended.err
    for part in said:
        assert part in ended.err + ended.out, ended.err
    assert not leaked(ended, SECRETS)
    assert not leaked(told, SECRETS)
    return ended


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", PARTS)
def test_in_the_environment_it_is_refused_by_the_variables_name(waiting: Machine, name: str, odd: str) -> None:
    machine = waiting
    machine.given[name] += odd

    said = refused(machine, Exit.USAGE, f"{name} holds a character that no HTTP header may hold")

    assert json.loads(said.out)["error"]["hint"]
    assert json.loads((machine.directory / "told.jsonl").read_text())["exit_code"] == Exit.USAGE
    assert not [call for call in machine.simulator.calls if call.operation == "DescribeKey"]


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONTAINER_AUTHORIZATION_TOKEN"]
)
def test_no_other_variable_of_aws_moves_a_terminal_either(waiting: Machine, name: str) -> None:
    waiting.given[name] = "us-east-1\x1b[2J\nmrk: all is well"

    refused(waiting, Exit.USAGE, f"{name} holds a character that cannot be printed")


def by_process(machine: Machine, answer: dict[str, str]) -> None:
    """Have the credentials come from a process."""
    (machine.directory / "answers").write_text(json.dumps({"Version": 1, **answer}))
    path = machine.directory / "aws"
    path.write_text(f"[default]\ncredential_process = /bin/cat {machine.directory / 'answers'}\n")
    machine.given["AWS_CONFIG_FILE"] = str(path)


def by_profile(machine: Machine, answer: dict[str, str], name: str = "default") -> None:
    """Have the credentials come from a file."""
    path = machine.directory / "aws"
    path.write_text(
        f"[{name}]\naws_access_key_id = {answer['AccessKeyId']}\naws_secret_access_key = {answer['SecretAccessKey']}\n"
        f"aws_session_token = {answer['SessionToken']}\n"
    )
    machine.given["AWS_SHARED_CREDENTIALS_FILE"] = str(path)


SOURCES: dict[str, tuple[Callable[[Machine, dict[str, str]], None], str]] = {
    "a newline of a process": (by_process, "\n"),
    "NUL of a process": (by_process, "\0"),
    "half a letter of a process": (by_process, "\ud800"),
    "NUL in a file": (by_profile, "\0x"),
    "an escape in a file": (by_profile, "\x1b[2J"),
    "lines in a file": (by_profile, "\n  x"),
}


@pytest.mark.parametrize(("source", "odd"), SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("name", PARTS)
def test_of_a_profile_it_is_a_failure_that_nobody_waits_for(
    waiting: Machine, name: str, source: Callable[[Machine, dict[str, str]], None], odd: str
) -> None:
    member, _, words = PARTS[name]
    waiting.without |= set(PARTS)
    source(waiting, ANSWER | {member: ANSWER[member] + odd})

    refused(waiting, Exit.FAILED, f"the {words} that the environment, the profile or the role gives holds")


def test_with_a_profile_of_the_settings_the_environment_is_passed_over(waiting: Machine) -> None:
    """As the SDK does."""
    by_profile(waiting, ANSWER, "ours")
    waiting.given["AWS_SESSION_TOKEN"] += "\n"
    waiting.more["aws"] = {"endpoint_url": waiting.endpoint_url, "profile": "ours"}
    waiting.write_config()

    refused(waiting, Exit.BLOCKED, "NotFoundException")


def test_of_whoever_assumes_a_role_it_is_as_well(waiting: Machine) -> None:
    waiting.given["AWS_ENDPOINT_URL_STS"] = waiting.endpoint_url
    waiting.without |= set(PARTS)
    by_process(waiting, ANSWER | {"SessionToken": f"{TOKEN}\n"})
    waiting.more["aws"] = {"endpoint_url": waiting.endpoint_url, "role_arn": ROLE}
    waiting.write_config()

    refused(waiting, Exit.FAILED, "nothing was sent: the session token", "that no HTTP header may hold")


@pytest.mark.parametrize(
    "cause",
    [ValueError(f"Invalid header value {TOKEN!r}"), UnicodeEncodeError("latin-1", f"{TOKEN}鍵", 9, 10, "not in range")],
)
def test_an_http_library_that_quotes_a_header_is_not_repeated(cause: Exception) -> None:
    error = HTTPClientError(error=cause)
    for told in (unanswered(error, "Encrypt", "x"), meaning.unanswered(error, "GetSecretValue", "mrk/x", "us-east-1")):
        assert told.trouble == "permanent"
        assert "no HTTP header may hold" in told.message
        assert not leaked(Said(0, told.message, told.hint), SECRETS)
