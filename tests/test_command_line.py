"""A command line that is wrong is the user's to mend: exit 2, never a defect of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest
import yaml

from orchestrator.errors import Exit
from orchestrator.settings import load
from workflows.cli import invoke
from workflows.jobs import named

ARN = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"

WRONG = {
    "no such command": (["nope"], "No such command 'nope'", "mrk --help"),
    "a name is missing": (["rotate"], "NAME", "mrk rotate --help"),
    "no such option": (["store", "list", "--bad"], "--bad", "mrk store list --help"),
    "an option without its value": (["plan", "-c"], "'-c'", "mrk plan --help"),
    "the same in a group": (["store", "list", "-c"], "'-c'", "mrk store list --help"),
    "a plan in two shapes": (["plan", "--script", "--json"], "exclude each other", "leave one of them out"),
    "no number": (["demo", "--regions", "many"], "--regions", "mrk demo --help"),
}


@pytest.mark.parametrize(("arguments", "said", "hint"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_is_told_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str, hint: str
) -> None:
    """I9: what is wrong, and a hint."""
    assert invoke(arguments) == Exit.USAGE

    out, told = capsys.readouterr()
    assert said in told
    assert f"hint: {hint}\n" in told
    assert "defect" not in told
    if "--json" in arguments:
        assert json.loads(out)["exit_code"] == Exit.USAGE


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A sound config for a KMS that is not there, and a run that would wait for days before it begins."""
    identities = [pyrage.x25519.Identity.generate() for _ in range(2)]
    (tmp_path / "identity.txt").touch(mode=0o600)
    (tmp_path / "identity.txt").write_text(f"{identities[0]}\n")
    settings = {
        "store": {
            "uri": f"file:{tmp_path / 'store'}",
            "recipients": [str(one.to_public()) for one in identities],
            "volatile": "allow",
            "identity": str(tmp_path / "identity.txt"),
        },
        "keys": {"payments": {"arn": ARN, "regions": ["us-east-1", "eu-west-1"]}},
        "run": {"start_delay": "3000d", "journal": str(tmp_path / "runs")},
        "aws": {"endpoint_url": "http://127.0.0.1:9"},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


REFUSED = {
    "a level that there is not": (["run", "--log-level", "loud"], "--log-level loud is not known"),
    "the same, in silence": (["run", "-q", "--log-level", "loud"], "--log-level loud is not known"),
    "a key that the config lacks": (["run", "nobody"], "the config has no key 'nobody'"),
    "an endpoint that is none": (["run", "--endpoint-url", "ftp://x"], "--endpoint-url: aws.endpoint_url"),
    "an endpoint in clear": (["run", "--endpoint-url", "http://192.0.2.1"], "is not https"),
    "a role that is none": (["run", "--role-arn", "nonsense"], "--role-arn: aws.role_arn: a role's ARN is like"),
    "a Region that is no member's": (["run", "--region", "sa-east-1"], "--region sa-east-1: the key payments has no"),
    "a name that is half an ARN": (["status", "arn:aws:kms:us-east-1:1"], "is not the ARN of a KMS key"),
    "a Region to look at first": (["plan", "--region", "nowhere"], "--region nowhere: the key payments has no member"),
    "no store": (["status"], "mrk store init"),
    "a journal that is not there": (["report", "last"], "there is no run 'last'"),
    "a policy of nothing": (["policy", "--for", "store"], "--for store needs nothing of AWS"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_one_document_and_comes_before_any_delay(
    capsys: pytest.CaptureFixture[str], config: Path, arguments: list[str], said: str
) -> None:
    """With --json, whoever reads stdout gets the same envelope as of a command that went its way (I9)."""
    code = invoke([*arguments, "-c", str(config), "--json"])

    out, err = capsys.readouterr()
    document = json.loads(out)
    assert code in {Exit.USAGE, Exit.BLOCKED}
    assert (document["exit_code"], document["keys"]) == (code, [])
    assert said in f"{document['error']['message']} {document['error']['hint']}"
    assert document["error"]["hint"]
    assert err.startswith(f"mrk: {document['error']['message']}\nhint: ")


def test_a_command_that_goes_its_way_prints_the_same_envelope(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    for arguments in (["config", "check"], ["store", "init"], ["store", "list"], ["policy"]):
        code = invoke([*arguments, "-c", str(config), "--json"])

        document = json.loads(capsys.readouterr().out)
        assert (document["exit_code"], document["error"], code) == (0, None, 0)
        assert isinstance(document["keys"], list)


def test_a_key_is_found_by_its_arn_in_any_region(config: Path) -> None:
    settings = load(config, {})

    for name in ("payments", ARN, ARN.replace("us-east-1", "eu-west-1")):
        assert list(named(settings, [name])) == ["payments"]


def test_different_key_policies_are_asked_for_by_lines_that_run(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    """What the hint says can be typed as it stands."""
    settings = yaml.safe_load(config.read_text())
    settings["keys"]["orders"] = {"arn": ARN.replace("mrk-1234", "mrk-5678"), "proof": "full"}
    config.write_text(yaml.safe_dump(settings))
    principal = "arn:aws:iam::111122223333:role/mrk"
    invoke(["policy", "--kind", "key", "--principal", principal, "-c", str(config)])
    hint = capsys.readouterr().err.partition("hint: ")[2]

    for line in hint.strip().split("; "):
        assert invoke([*line.split()[1:], "-c", str(config)]) == Exit.OK, line


def test_the_shell_completes_the_names_of_keys_and_stages(config: Path) -> None:
    mrk = Path(sys.executable).parent / "mrk"

    def offered(words: str) -> str:
        given = {"_MRK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        return subprocess.run(
            [mrk], cwd=config.parent, env=os.environ | given, capture_output=True, text=True, timeout=60, check=False
        ).stdout.strip()

    assert offered("mrk rotate pay") == "payments"
    assert offered("mrk rotate payments --until rea") == "ready"


def test_the_help_says_what_each_command_does_in_a_line_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert invoke(["--help"]) == Exit.OK

    _, commands = capsys.readouterr().out.split("Commands:\n")
    assert len(commands.splitlines()) >= 16
    assert "..." not in commands


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_with_json_there_is_one_document_also_of_a_command_that_ended_while_it_was_loaded(
    tmp_path: Path, number: str
) -> None:
    (tmp_path / "typer.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{number})\n")
    mrk = [Path(sys.executable).parent / "mrk", "run", "--json"]

    ended = subprocess.run(
        mrk, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )

    told = json.loads(ended.stdout)
    assert (ended.returncode, told["exit_code"], told["keys"]) == (Exit.INTERRUPTED, Exit.INTERRUPTED, [])
    assert ended.stderr == f"mrk: {told['error']['message']}\nhint: {told['error']['hint']}\n"


def test_ctrl_c_while_mrk_is_being_loaded_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    """An exception in the midst of an import is lost, or leaves every thread to wait for the import lock."""
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    mrk = [Path(sys.executable).parent / "mrk", "run"]

    ended = subprocess.run(
        mrk, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == Exit.INTERRUPTED
    assert ended.stderr == "mrk: interrupted\nhint: run again: a run resumes where it stands\n"
