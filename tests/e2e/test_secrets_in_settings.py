"""Secrets in settings, arguments and files where none belongs: told by the setting's name, and quoted nowhere (I14)."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.machine import Machine
from leaks import told_in
from nursery import nursery
from orchestrator.errors import Exit

pytestmark = pytest.mark.e2e

AGE = str(pyrage.x25519.Identity.generate())
SSH = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
AWS = "wJalrXUtnFEMI7K7MDENGObPxRfiCYzzEXAMPLEK"
TOKEN = "FwoGZXIvYXdzEBYaDHh4" + "aB3dE5fG7h" * 20
SECRETS = (AGE, "".join(SSH.splitlines()[1:-1]), AWS, TOKEN)
ENVIRONMENT = {"AWS_SECRET_ACCESS_KEY": AWS, "AWS_SESSION_TOKEN": TOKEN}
BY_HAND = ("config.yaml", "identity.txt", "recovery.txt", "aws", "answers")
"""Files that a person wrote."""

NOBODYS = "arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000000000000000000000000"


@dataclass
class Place:
    """Where a secret is put, and what is said of it."""

    words: tuple[str, ...] = ("run",)
    settings: Callable[[dict[str, Any], str], Any] = lambda _settings, _secret: None
    environment: Callable[[str], Mapping[str, str]] = lambda _secret: {}
    said: str = ""


def put(section: str, name: str) -> Callable[[dict[str, Any], str], Any]:
    return lambda settings, secret: settings.setdefault(section, {}).update({name: secret})


def variable(name: str, *, wrap: Callable[[str], str] = str) -> Callable[[str], Mapping[str, str]]:
    return lambda secret: {name: wrap(secret)}


def setting(section: str, name: str, said: str) -> Place:
    return Place(settings=put(section, name), said=said)


PLACES: dict[str, Place] = {
    "identity": setting("store", "identity", "store.identity holds"),
    "uri": setting("store", "uri", "store.uri holds"),
    "recipients": Place(
        settings=lambda s, secret: s["store"]["recipients"].append(secret), said="store.recipients.2 holds"
    ),
    "recipients, as text": setting("store", "recipients", "store.recipients holds"),
    "after": setting("run", "after", "run.after holds"),
    "deadline": setting("run", "deadline", "run.deadline holds"),
    "profile": setting("aws", "profile", "aws.profile holds"),
    "an unknown setting": setting("aws", "secret", "aws.secret holds"),
    "the name of a setting": Place(settings=lambda s, secret: s["aws"].update({secret: "x"}), said="aws holds"),
    "the name of a key": Place(
        settings=lambda s, secret: s["keys"].update({secret: {"arn": NOBODYS}}), said="keys holds"
    ),
    "the ARN of a key": Place(
        settings=lambda s, secret: s["keys"]["payments"].update(arn=secret), said="keys.payments.arn"
    ),
    "a section": Place(settings=lambda s, secret: s.update({secret: {}}), said="holds"),
    "a section's value": Place(settings=lambda s, secret: s.update(defaults=secret), said="defaults holds"),
    "MRK_STORE__IDENTITY": Place(environment=variable("MRK_STORE__IDENTITY"), said="store.identity holds"),
    "MRK_STORE__RECIPIENTS": Place(environment=variable("MRK_STORE__RECIPIENTS"), said="store.recipients holds"),
    "MRK_STORE": Place(
        environment=variable("MRK_STORE", wrap=lambda secret: json.dumps({"identity": secret})),
        said="store.identity holds",
    ),
    "MRK_STORE, broken": Place(
        environment=variable("MRK_STORE", wrap=lambda secret: '{"identity": ' + secret), said="MRK_STORE: store holds"
    ),
    "MRK_KEYS": Place(environment=variable("MRK_KEYS", wrap=lambda s: json.dumps({s: {"arn": s}})), said="keys holds"),
    "--profile": Place(("run", "--profile", "SECRET"), said="aws.profile holds"),
    "--role-arn": Place(("run", "--role-arn", "SECRET"), said="aws.role_arn holds"),
    "--endpoint-url": Place(("run", "--endpoint-url", "https://me:SECRET@127.0.0.1"), said="aws.endpoint_url holds"),
}


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """A machine with a store, a hook, metrics, and a key that KMS does not know."""
    machine.given |= ENVIRONMENT
    hook = machine.directory / "hook"
    hook.write_text("#!/bin/sh\ncat >> told.jsonl\n")
    hook.chmod(0o755)
    run = {"after": str(hook), "metrics": str(machine.directory / "mrk.prom")}
    machine.more["run"] = {"poll": "200ms", "looks": 2, "deadline": "10s"} | run
    machine.write_config(payments={"arn": NOBODYS})
    machine.run("mrk", "store", "init")
    return machine


@dataclass
class Said:
    """What came of one command, and every text that it wrote anywhere."""

    code: int
    out: str
    err: str
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def texts(self) -> Iterator[tuple[str, str | bytes]]:
        yield from (("stdout", self.out), ("stderr", self.err), *self.files.items())


def ran(machine: Machine, *words: str) -> Said:
    """Run mrk, and collect everything that it printed and wrote; not the files that a person wrote."""
    process = nursery().start(words, machine.directory, machine.environment)
    out, err = process.communicate(timeout=100)
    files = {
        str(path.relative_to(machine.directory)): path.read_bytes()
        for path in machine.directory.rglob("*")
        if path.is_file() and path.name not in BY_HAND
    }
    return Said(process.returncode, out, err, files)


def leaked(said: Said, secrets: tuple[str, ...] = SECRETS) -> dict[str, list[str]]:
    return {name: found for name, text in said.texts if (found := told_in(text, secrets))}


@pytest.mark.parametrize("secret", [f"# public key: age1x\n{AGE.lower()}\n", SSH], ids=("age", "ssh"))
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_secret_key_in_a_setting_is_refused_by_the_settings_name(bare: Machine, place: Place, secret: str) -> None:
    machine = bare
    config = yaml.safe_load((machine.directory / "config.yaml").read_text())
    place.settings(config, secret)
    (machine.directory / "config.yaml").write_text(yaml.safe_dump(config))
    machine.given |= place.environment(secret)

    said = ran(machine, *(word.replace("SECRET", secret) for word in place.words), "--json")

    assert said.code == Exit.USAGE, said.err
    assert not leaked(said)
    assert place.said in said.err
    assert "a private key" in said.err or "an age secret key" in said.err
    assert "treat that key as exposed" in json.loads(said.out)["error"]["hint"]


ARGUMENTS: dict[str, tuple[str, ...]] = {
    "NAME": ("status", "SECRET"),
    "an ARN": ("verify", "arn:aws:kms:us-east-1:111122223333:key/SECRET"),
    "FILE": ("adopt", "payments", "SECRET"),
    "a config": ("run", "-c", "SECRET"),
    "--replaces": ("rotate", "payments", "--yes", "--replaces", "SECRET"),
    "--until": ("rotate", "payments", "--yes", "--until", "SECRET"),
    "--material-id": ("abort", "payments", "--yes", "--material-id", "SECRET"),
    "--region": ("run", "--region", "SECRET"),
    "--log-level": ("run", "--log-level", "SECRET"),
    "--endpoint-url": ("run", "--endpoint-url", "https://me:SECRET@127.0.0.1:9"),
    "--hash": ("report", "last", "--hash", "SECRET"),
    "RUN": ("report", "SECRET"),
    "a file of a journal": ("report", "./SECRET.jsonl"),
    "--for": ("policy", "--for", "SECRET"),
    "--principal": ("policy", "--kind", "key", "--principal", "SECRET"),
    "a workflow": ("workflow", "render", "SECRET"),
    "a command": ("SECRET",),
    "an option": ("run", "--SECRET"),
    "a number": ("demo", "--regions", "SECRET"),
    "a word too many": ("config", "check", "SECRET"),
}


@pytest.mark.parametrize("secret", [AGE, AWS], ids=("age", "aws"))
@pytest.mark.parametrize("words", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_secret_on_the_command_line_is_quoted_nowhere(bare: Machine, words: tuple[str, ...], secret: str) -> None:
    """Stdout, stderr, the journal, the lock, the hook's input and the metrics; and what `mrk report` tells of it."""
    said = ran(bare, *(word.replace("SECRET", secret) for word in words))
    told = ran(bare, "report", "last", "--json")

    assert said.code not in {0, Exit.INTERNAL}, said.err
    assert not leaked(said)
    assert not leaked(told)


MATERIAL = bytes(range(7, 39))
SPELLED = {
    "hex": MATERIAL.hex(),
    "hex in capitals": MATERIAL.hex().upper(),
    "hex with colons": MATERIAL.hex(":"),
    "base64": base64.b64encode(MATERIAL).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(MATERIAL).decode().rstrip("="),
    "a secret access key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzOTHER1KEY"[:40],
}
OF_NAMES: dict[str, tuple[str, ...]] = {
    "FILE": ("adopt", "payments", "SECRET", "--json"),
    "NAME": ("run", "SECRET"),
    "several names": ("rotate", "payments", "SECRET", "--yes"),
    "--profile": ("run", "--profile", "SECRET"),
    "--profile=": ("run", "--profile=SECRET", "--json"),
    "--config": ("run", "-c", "SECRET"),
    "-c": ("run", "-cSECRET"),
    "--identity": ("store", "check", "--identity", "SECRET"),
    "--role-arn": ("run", "--role-arn", "SECRET"),
    "--material-id": ("adopt", "payments", "material.bin", "--material-id", "SECRET"),
    "--material-id=": ("abort", "payments", "--yes", "--material-id=SECRET", "--json"),
    "--replaces": ("rotate", "payments", "--yes", "--replaces", "SECRET"),
}


@pytest.mark.parametrize("secret", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("words", OF_NAMES.values(), ids=OF_NAMES)
def test_key_material_in_the_place_of_a_name_or_an_id_is_quoted_nowhere(
    adopted: tuple[Machine, str], words: tuple[str, ...], secret: str
) -> None:
    """I14: whoever pastes the material where its file, or its id, should be does not find it in a log afterwards."""
    machine, _ = adopted
    (machine.directory / "material.bin").write_bytes(bytes(32))
    said = ran(machine, *(word.replace("SECRET", secret) for word in words))
    assert said.code in {Exit.USAGE, Exit.FAILED, Exit.BLOCKED}, said.err
    assert said.err
    assert not leaked(said, (secret,))


def test_ids_and_names_that_are_none_of_that_are_told_as_they_are(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    current = machine.json("mrk", "status", "--json")["keys"][0]["current"]
    said = ran(machine, "rotate", "payments", "--yes", "--replaces", current, "--until", "healthy", "--json")
    assert json.loads(said.out)["keys"][0]["replaces"] == current
    name = "a-name/of-forty-characters/and-no-secret"
    assert len(name) == 40
    assert name in ran(machine, "run", name).err


SETTINGS: dict[str, str] = {
    "store.uri": "{store: {uri: 'file:SECRET'}}",
    "store.identity": "{store: {identity: /etc/SECRET}}",
    "store.recipients": "{store: {recipients: [SECRET, x]}}",
    "aws.profile": "{aws: {profile: SECRET}}",
    "aws.role_arn": "{aws: {role_arn: SECRET}}",
    "aws.endpoint_url": "{aws: {endpoint_url: 'https://me:SECRET@127.0.0.1:9'}}",
    "an endpoint with a query": "{aws: {endpoint_url: 'https://127.0.0.1:9/?X-Amz-Security-Token=SECRET'}}",
    "run.after": "{run: {after: /usr/bin/SECRET}}",
    "run.metrics": "{run: {metrics: /nowhere/SECRET.prom}}",
    "run.journal": "{run: {journal: /dev/null/SECRET}}",
    "run.lock": "{run: {lock: /dev/null/SECRET}}",
    "a duration": "{run: {deadline: SECRET}}",
    "a number": "{run: {looks: SECRET}}",
    "a Region": "{keys: {payments: {regions: [SECRET]}}}",
    "an unknown setting": "{SECRET: 1}",
    "the name of a key": "{keys: {SECRET: {arn: x}}}",
    "an alias": "{keys: {payments: {arn: 'arn:aws:kms:us-east-1:111122223333:alias/SECRET'}}}",
}


@pytest.mark.parametrize("config", SETTINGS.values(), ids=SETTINGS)
def test_a_secret_of_the_environment_in_a_setting_is_quoted_nowhere(bare: Machine, config: str) -> None:
    """It is known by its value, as it has no shape."""
    machine, secret = bare, AWS
    changed = yaml.safe_load((machine.directory / "config.yaml").read_text())
    for section, settings in yaml.safe_load(config.replace("SECRET", secret)).items():
        changed[section] = {**changed.get(section, {}), **settings} if isinstance(settings, dict) else settings
    (machine.directory / "config.yaml").write_text(yaml.safe_dump(changed))

    said = ran(machine, "run", "--json")
    planned = ran(machine, "plan", "--script")

    assert said.code != Exit.INTERNAL, said.err
    assert not leaked(said)
    assert not leaked(planned)


SYNTAX: dict[str, str] = {
    "an alias": "store: *SECRET\n",
    "a tag": "store: !SECRET x\n",
    "a handle": "store: !SECRET!x x\n",
    "an anchor twice": "a: &SECRET x\nb: &SECRET x\n",
    "a name twice": "SECRET: x\nSECRET: x\n",
    "a name that is a list": "? [SECRET]\n: x\n",
    "a list in a text": "a: SECRET: b\n",
    "a directive": "%SECRET x\n---\na: b\n",
    "a tab": "a:\n\t- SECRET\n",
    "an open text": "a: 'SECRET\n",
    "a text": "SECRET",
    "a list": "[SECRET]",
    "a binary text": "a: !!binary SECRET\n",
    "a number": "a: !!int SECRET\n",
    "a time": "a: !!timestamp SECRET\n",
}


@pytest.mark.parametrize("secret", [AGE, AWS], ids=("age", "aws"))
@pytest.mark.parametrize("text", SYNTAX.values(), ids=SYNTAX)
def test_yaml_that_cannot_be_read_quotes_no_secret(bare: Machine, text: str, secret: str) -> None:
    (bare.directory / "config.yaml").write_text(text.replace("SECRET", secret))

    said = ran(bare, "config", "check", "--json")

    assert said.code == Exit.USAGE, said.err
    assert not leaked(said)
    assert json.loads(said.out)["error"]["hint"]


def test_the_search_of_these_tests_finds_what_stands_there(bare: Machine) -> None:
    """These tests can fail."""
    (bare.directory / "told.jsonl").write_text(json.dumps({"message": f"it is {AGE.lower()!r}"}))
    said = ran(bare, "config", "check")

    assert leaked(Said(0, f"mrk: {AWS}", TOKEN[20:60], said.files)).keys() == {"stdout", "stderr", "told.jsonl"}
    assert list(Path(bare.directory).rglob("mrk.prom")) == []
