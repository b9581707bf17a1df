"""Credentials that waiting cannot give end a run at once, once for all Regions and keys, and by their own name."""

import json
import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.channels import REGIONS, SHORT, unattended, watched_over
from e2e.machine import Machine
from orchestrator.errors import Exit, KmsError, Trouble
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import Region
from orchestrator.ports import Event
from orchestrator.terminal import ANSWERED, ASKED
from worlds import World

pytestmark = pytest.mark.e2e

SOUND = {"Version": 1, "AccessKeyId": "111122223333", "SecretAccessKey": "made-up-one", "SessionToken": "made-up"}
ROLE = "arn:aws:iam::444455556666:role/mrk"
SSO = "sso_account_id = 111122223333\nsso_role_name = r\n"
OLD_SSO = f"sso_start_url = https://x.example/start\nsso_region = us-east-1\n{SSO}"


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """A machine whose environment gives no credentials, in which a key of six Regions would be waited for."""
    watched_over(machine)
    machine.without |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    return machine


def profile(machine: Machine, text: str) -> None:
    path = machine.directory / "aws"
    path.write_text(f"[default]\n{text}")
    machine.given["AWS_CONFIG_FILE"] = str(path)


def program(machine: Machine, script: str, mode: int = 0o755) -> str:
    path = machine.directory / "get-creds"
    path.write_text(script)
    path.chmod(mode)
    return str(path)


def process(script: str, mode: int = 0o755) -> Callable[[Machine], None]:
    return lambda machine: profile(machine, f"credential_process = {program(machine, script, mode)}\n")


def prints(**more: object) -> Callable[[Machine], None]:
    document = {name: value for name, value in (SOUND | more).items() if value is not ...}
    return process(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(document)}\nEOF\n")


def by(text: str) -> Callable[[Machine], None]:
    return lambda machine: profile(machine, text)


def given(**variables: str) -> Callable[[Machine], None]:
    return lambda machine: machine.given.update(variables)


def half(machine: Machine) -> None:
    machine.without.discard("AWS_ACCESS_KEY_ID")


def of_a_source(machine: Machine) -> None:
    """A role whose source profile names a program that fails."""
    name = program(machine, "#!/bin/sh\necho log in first >&2\nexit 3\n")
    profile(machine, f"role_arn = {ROLE}\nsource_profile = base\n[profile base]\ncredential_process = {name}\n")


def asked_of_a_role(machine: Machine) -> None:
    machine.more["aws"] = {"endpoint_url": machine.endpoint_url, "role_arn": ROLE}
    machine.write_config()
    process("#!/bin/sh\nexit 7\n")(machine)


GONE = "credential_process /opt/corp/get-creds cannot be started: No such file or directory"
MISSING: dict[str, tuple[Callable[[Machine], None], tuple[str, ...]]] = {
    "none at all": (lambda _machine: None, ("there are no credentials: none in AWS_... variables", "a profile, ")),
    "half of a pair": (half, ("Partial credentials found in env", "AWS_SECRET_ACCESS_KEY")),
    "half of a pair in a file": (by("aws_access_key_id = A\n"), ("aws_secret_access_key", "mend the profile default")),
    "a program that is gone": (by("credential_process = /opt/corp/get-creds x\n"), (GONE, "install that program")),
    "one that is a directory": (by("credential_process = /usr\n"), ("/usr cannot be started: Permission denied",)),
    "one that may not run": (process("#!/bin/sh\n", 0o644), ("get-creds cannot be started: Permission denied",)),
    "one of no format": (process("\x7fELF"), ("get-creds cannot be started: Exec format error",)),
    "one that names nothing": (by("credential_process = \n"), ("credential_process names no program",)),
    "one of open quotes": (
        by("credential_process = /bin/cat 'x\n"),
        ("`credential_process` of the profile default cannot be",),
    ),
    "one that fails": (
        process("#!/bin/sh\necho 'token expired: corp login' >&2\nexit 2\n"),
        ("get-creds ended with exit code 2, and said: token expired: corp login", "run it by hand"),
    ),
    "one that fails in Latin-1": (process("#!/bin/sh\nprintf 'abgelaufen: \\344' >&2\nexit 1\n"), ("exit code 1",)),
    "one that is killed": (process("#!/bin/sh\nkill -9 $$\n"), ("get-creds was ended by signal 9",)),
    "one that prints nothing": (process("#!/bin/sh\n"), ("get-creds printed nothing", "run it by hand")),
    "one that prints no JSON": (process("#!/bin/sh\necho welcome to corp\n"), ("get-creds printed no JSON",)),
    "one that prints a list": (process("#!/bin/sh\necho '[]'\n"), ("printed JSON that is no object",)),
    "one of another version": (prints(Version=2), ('printed no "Version": 1',)),
    "one without a secret": (prints(SecretAccessKey=...), ("printed no SecretAccessKey",)),
    "one with a number": (prints(AccessKeyId=7), ("printed no AccessKeyId",)),
    "an expired session": (
        prints(Expiration="2020-01-01T00:00:00Z"),
        ("get-creds hands out a session that ended on 2020-01-01 at 00:00 UTC", "log in again"),
    ),
    "a session of no time": (prints(Expiration="soon"), ("printed an Expiration that is no time with its zone",)),
    "a session of no zone": (prints(Expiration="2040-01-01T00:00:00"), ("no time with its zone",)),
    "a source profile that is missing": (
        by(f"role_arn = {ROLE}\nsource_profile = base\n"),
        ('source_profile "base" referenced in the profile "default" does not exist', "mend the profile default in"),
    ),
    "a source profile without any": (
        by(f"role_arn = {ROLE}\nsource_profile = base\n[profile base]\nregion = us-east-1\n"),
        ('source profile "base" must have credentials', "mend the profile default in"),
    ),
    "a source that is none": (by(f"role_arn = {ROLE}\n"), ("source_profile or credential_source", "mend the profile")),
    "a source that there is not": (
        by(f"role_arn = {ROLE}\ncredential_source = Ec3\n"),
        ('credential source "Ec3" referenced in profile "default" is not valid', "mend the profile default"),
    ),
    "a program of a source profile": (of_a_source, ("get-creds ended with exit code 3, and said: log in first",)),
    "a program of who assumes a role": (asked_of_a_role, ("get-creds ended with exit code 7, and said nothing",)),
    "a web identity token that is missing": (
        given(AWS_WEB_IDENTITY_TOKEN_FILE="/run/no-token", AWS_ROLE_ARN=ROLE),
        ("the file /run/no-token (AWS_WEB_IDENTITY_TOKEN_FILE) cannot be read: No such file or directory",),
    ),
    "one that a profile names": (
        by(f"role_arn = {ROLE}\nweb_identity_token_file = /run/no-token\n"),
        ("the file /run/no-token (web_identity_token_file of the profile default) cannot be read",),
    ),
    "a session of SSO that is none": (by(OLD_SSO), ("IAM Identity Center", "aws sso login --profile default")),
    "a session of SSO that is not described": (
        by(f"sso_session = corp\n{SSO}"),
        ("sso_session", "corp"),
    ),
    "a container that does not answer": (
        given(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9/creds"),
        ("the endpoint that AWS_CONTAINER_CREDENTIALS_FULL_URI names gives none", "its agent runs"),
    ),
    "a container of another host": (
        given(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://example.com/creds"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
    ),
    "a container's token that is missing": (
        given(
            AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9/creds",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="/run/no-token",
        ),
        ("the file /run/no-token (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) cannot be read",),
    ),
    "a code that nobody can give": (
        by(
            f"role_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n"
            "[profile base]\naws_access_key_id = 111122223333\naws_secret_access_key = made-up-one\n"
        ),
        ("the profile wants an MFA code, and there is no terminal", "a role without MFA for what runs unattended"),
    ),
}


@pytest.mark.parametrize(("lacking", "said"), MISSING.values(), ids=MISSING)
def test_a_run_ends_at_once_and_says_once_what_to_mend(
    bare: Machine, lacking: Callable[[Machine], None], said: tuple[str, ...]
) -> None:
    lacking(bare)

    found = unattended(bare)

    assert found.seconds < SHORT
    for part in said:
        assert part in found.error, found.error
    assert found.code in {Exit.FAILED, Exit.USAGE}
    assert found.err.count("mrk: ") == 1, found.err
    assert found.document["keys"] == []
    assert [call for call in bare.simulator.calls if call.operation == "DescribeKey"] == []


def counting(path: Path, script: str) -> Path:
    """Write a program that notes each of its starts."""
    path.write_text(f"#!/bin/sh\necho started >> {path}.starts\n{script}\n")
    path.chmod(0o755)
    return path


def starts(path: Path) -> int:
    return len(path.with_name(f"{path.name}.starts").read_text().splitlines())


def test_what_all_regions_and_keys_share_is_asked_for_once(bare: Machine) -> None:
    path = counting(bare.directory / "creds", "echo log in >&2; exit 1")
    profile(bare, f"credential_process = {path}\n")

    found = unattended(bare)

    assert starts(path) == 1
    assert found.err.count("log in") == 1


@pytest.mark.parametrize("command", [("status",), ("verify",), ("plan",), ("rotate", "payments", "--yes")])
def test_every_command_that_looks_ends_alike(bare: Machine, command: tuple[str, ...]) -> None:
    process("#!/bin/sh\nexit 1\n")(bare)

    document = bare.json("mrk", *command, "--json", code=Exit.FAILED)

    assert "get-creds ended with exit code 1" in document["error"]["message"]


def ends(pid: int) -> bool:
    """Whether a process ends by itself, soon; it has, where there is none."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], SHORT)[0])
    finally:
        os.close(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_does_not_wait_for_a_program_ends_both(bare: Machine, number: signal.Signals) -> None:
    told = bare.directory / "begun"
    os.mkfifo(told)
    process(f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")(bare)

    run = bare.start("mrk", "run", "--json")
    program = int(told.read_text())
    run.send_signal(number)
    out, err = run.communicate(timeout=SHORT)

    assert (run.returncode, json.loads(out)["exit_code"]) == (Exit.INTERRUPTED, Exit.INTERRUPTED)
    assert "mrk: interrupted" in err
    assert ends(program)


def test_a_program_that_hangs_is_ended_and_named_once_for_all_who_wait(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six Regions ask at the same time: it is started once."""
    path = counting(tmp_path / "creds", "exec sleep 600")
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {path}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    events: list[Event] = []
    factory = KmsFactory(KmsOptions(world.endpoint_url, process_timeout=2), world.clock.now, events.append)
    clients = [factory(Region(region)) for region in REGIONS]
    failures: list[KmsError] = []

    def ask(number: int) -> None:
        try:
            clients[number].origin("mrk-1234abcd12ab34cd56ef1234567890ab")
        except KmsError as error:
            failures.append(error)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(len(clients))]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()

    assert {error.message for error in failures} == {
        f"credential_process {path} gave nothing within 2 s, and was ended"
    }
    assert (len(failures), starts(path)) == (len(REGIONS), 1)
    assert {error.trouble for error in failures} == {Trouble.PERMANENT}
    assert [event.kind for event in events if event.kind != "call"] == [ASKED, ANSWERED]
