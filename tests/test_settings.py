"""What is wrong with settings is told by where it was given: a line, a variable, or a flag; and what is allowed."""

import os
import threading
from pathlib import Path
from typing import Any

import pyrage
import pytest

from orchestrator import compose
from orchestrator.errors import Exit, MrkError, UsageError
from orchestrator.settings import load
from workflows.cli import invoke

KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
REPLICA = KEY.replace("us-east-1", "eu-west-1")
SOUND = """\
store:
  uri: file:/var/lib/mrk/store
keys:
  payments:
    arn: ARN
    regions: [us-east-1, eu-west-1]
""".replace("ARN", KEY)


def refused(tmp_path: Path, text: str = SOUND, **flags: Any) -> str:
    """Load a config that cannot be, and return what is said of it."""
    config = tmp_path / "config.yaml"
    config.write_text(text)
    with pytest.raises(UsageError) as error:
        load(config, {"aws": flags} if flags else {})
    assert error.value.hint
    return error.value.message.replace(f"{tmp_path}/", "")


WRONG = {
    "a name twice": (
        SOUND + f"  payments:\n    arn: {KEY}\n",
        "config.yaml:7: payments is written twice: here, and in line 4",
    ),
    "a key twice in one line": (
        "store: {uri: 'file:/a'}\nkeys: {one: {arn: x}, one: {arn: y}}\n",
        "config.yaml:2: one is written twice",
    ),
    "a name that is a number": ("store: {uri: 'file:/a'}\n1: 3\n", "config.yaml:2: 1 is no name to YAML"),
    "a name that is a boolean": ("store: {uri: 'file:/a'}\nkeys: {on: {arn: x}}\n", "on is no name to YAML"),
    "a section twice": (SOUND + "store: {uri: 'file:/b'}\n", "config.yaml:7: store is written twice"),
    "one key under two names": (
        SOUND + f"  pay2:\n    arn: {REPLICA}\n",
        "config.yaml:7: keys.pay2 is the same key as keys.payments",
    ),
    "a name that a shell would read": (
        SOUND + f"  'a b; touch pwned':\n    arn: {REPLICA}\n",
        "config.yaml:7: keys.a b; touch pwned: a key's name has letters, digits and . _ - only",
    ),
    "a name that looks like an option": (SOUND + f"  --yes:\n    arn: {REPLICA}\n", "keys.--yes: a key's name"),
    "no patience": (SOUND + "run: {deadline: 0s}\n", "config.yaml:7: run.deadline: longer than 0s"),
    "no pause": (SOUND + "run: {poll: 0s}\n", "run.poll: longer than 0s"),
    "a text for a list": (
        SOUND.replace("[us-east-1, eu-west-1]", "us-east-1"),
        "config.yaml:6: keys.payments.regions: it must be a list, such as [a, b] (given: 'us-east-1')",
    ),
    "an empty section": (SOUND + "run:\n", "config.yaml:7: run: it must be settings below it; leave it out"),
    "a text for a number": (SOUND + "run: {looks: many}\n", "run.looks: it must be a whole number (given: 'many')"),
    "a text for a switch": (SOUND + "aws: {fips: perhaps}\n", "aws.fips: it must be true or false"),
    "no role": (SOUND + "aws: {role_arn: nonsense}\n", "aws.role_arn: a role's ARN is like arn:aws:iam::"),
    "a list that holds itself": (
        SOUND.replace("[us-east-1, eu-west-1]", "&a [*a]"),
        "config.yaml:6: not YAML: an alias (*name) within what it names",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_off_is_taken_as_it_is_written(tmp_path: Path) -> None:
    """YAML makes a false of `off` without quotes; the example config writes none."""
    (tmp_path / "config.yaml").write_text(SOUND + "    proof: off\ndefaults: {proof: off}\n")

    settings = load(tmp_path / "config.yaml", {})

    assert [settings.defaults.proof, settings.keys["payments"].proof] == ["off", "off"]


def test_one_alias_under_two_names_is_one_key(tmp_path: Path) -> None:
    alias = KEY.split(":key/", maxsplit=1)[0] + ":alias/pay"

    said = refused(tmp_path, SOUND.replace(KEY, alias) + f"  pay2:\n    arn: {alias}\n")

    assert "keys.pay2 is the same key as keys.payments" in said


def test_what_is_wrong_on_the_command_line_is_told_with_the_flag(tmp_path: Path) -> None:
    said = refused(tmp_path, SOUND + "aws: {endpoint_url: 'https://127.0.0.1'}\n", endpoint_url="ftp://x")

    assert said.startswith("--endpoint-url: aws.endpoint_url: an endpoint begins with https://")


def test_what_names_the_file_or_the_task_is_no_unknown_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text(SOUND)
    monkeypatch.setenv("MRK_CONFIG", "elsewhere.yaml")
    monkeypatch.setenv("MRK_TASK_TOKEN", "token")
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")
    monkeypatch.setenv("MRK_STORE__KMS_KEY", "alias/mrk")
    monkeypatch.setenv("MRK_STORE__REPLICA_REGIONS", '["eu-west-1"]')
    monkeypatch.setenv("MRK_RUN", '{"looks": 4}')

    settings = load(tmp_path / "config.yaml", {})

    assert (settings.store.uri, settings.run.looks) == ("secretsmanager:us-east-1/mrk", 4)


def test_a_config_from_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As `-c <(...)` gives it: what was read is gone."""
    pipe = tmp_path / "config.yaml"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=(SOUND,))
    writing.start()

    settings = load(pipe, {})

    writing.join()
    assert list(settings.keys) == ["payments"]


@pytest.fixture
def sound(tmp_path: Path) -> str:
    """A config with which mrk could begin: two recipients, an identity, a store elsewhere."""
    ours, recovery = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    identity = tmp_path / "identity.txt"
    identity.touch(mode=0o600)
    identity.write_text(f"{ours}\n")
    who = f"  recipients: [{ours.to_public()}, {recovery.to_public()}]\n  identity: {identity}\n  volatile: allow\n"
    return SOUND.replace("keys:", who + "keys:", 1)


SHIPPED = "age1hu7l6lex0tfhpecktux7mhjxuujppg9sm0q9e6dz4um4tpe663usw0umvs"
UNSOUND = {
    "one recipient": (r"\[(age1\w+), age1\w+\]", r"[\1]", "needs at least 2"),
    "no recipient": (r"\[age1\w+, age1\w+\]", "[]", "needs at least 2"),
    "a store of another kind": ("file:/var", "floppy:/var", "begins with no known scheme"),
    "a store on another host": ("file:/var", "file://var", "names no absolute path"),
    "clear text": ("^keys:", "aws: {endpoint_url: 'http://192.0.2.1'}\nkeys:", "is not https"),
    "no key": (r"(?s)^keys:.*", "keys: {}\n", "names no keys"),
    "two partitions": (
        r"\Z",
        "  china: {arn: 'arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'}\n",
        "mixes keys of the partitions aws, aws-cn",
    ),
    "no identity there": ("identity.txt", "nobody.txt", "there is no identity file"),
    "a directory for an identity": ("/identity.txt", "", "is a directory, not a file"),
    "a Region that AWS lacks": ("eu-west-1", "eu-wset-1", "eu-wset-1 is no Region of the partition aws"),
    "an ARN in a Region that AWS lacks": ("kms:us-east-1", "kms:us-esat-1", "us-esat-1 is no Region"),
    "no identity set": (r"  identity: .*\n", "", "store.identity is not set"),
    "the example's recipient": (r"\[age1\w+", f"[{SHIPPED}", "recipient of the example"),
    "an identity for a recipient": (r"\[age1\w+", "[AGE-SECRET-KEY-1QQQQ", "holds an identity, which is secret"),
    "settings of another store": ("keys:", "  kms_key: alias/x\nkeys:", "are settings of a store secretsmanager:"),
}


@pytest.mark.parametrize(("old", "new", "said"), UNSOUND.values(), ids=UNSOUND)
def test_config_check_refuses_what_every_other_command_would_refuse(
    tmp_path: Path, sound: str, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    import re  # noqa: PLC0415

    config = tmp_path / "config.yaml"
    config.write_text(sound)
    assert invoke(["config", "check", "-c", str(config)]) == Exit.OK
    changed = re.sub(old, new, sound, count=1, flags=re.MULTILINE)
    assert changed != sound
    config.write_text(changed)
    capsys.readouterr()

    assert invoke(["config", "check", "-c", str(config)]) == Exit.USAGE

    out, err = capsys.readouterr()
    assert (out, said in err, "\nhint: " in err) == ("", True, True), err


def test_a_region_that_is_misspelled_comes_with_the_one_that_is_meant(tmp_path: Path, sound: str) -> None:
    (tmp_path / "config.yaml").write_text(sound.replace("eu-west-1", "eu-wset-1"))

    with pytest.raises(MrkError) as error:
        compose.check(load(tmp_path / "config.yaml", {}))

    assert "eu-west-1" in error.value.hint
