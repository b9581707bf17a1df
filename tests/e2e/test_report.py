"""`mrk report` from the shell: what a run did, and whether its journal is as the run left it."""

import fcntl
import json
import re
from pathlib import Path
from typing import Any

import pytest

from e2e.machine import Machine

pytestmark = pytest.mark.e2e

ARN = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"


def test_a_rotation_is_reported_with_its_request_ids_and_the_hash_that_it_printed(adopted: tuple[Machine, str]) -> None:
    """The whole way: run, note the hash, report, tamper, report."""
    machine, arn = adopted
    kept = machine.json("mrk", "rotate", "payments", "--yes", "--json")["journal"]

    told = machine.json("mrk", "report", "last", "--hash", kept["hash"], "--json")

    assert told["journal"] | {"path": ""} == {
        "path": "",
        "lines": kept["lines"],
        "hash": kept["hash"],
        "intact": True,
        "ended": True,
        "torn": False,
        "under_way": False,
        "matches": True,
        "breaks": [],
        "problem": None,
    }
    assert told["run"]["command"] == "mrk rotate payments --yes --json"
    (key,) = told["keys"]
    assert (key["name"], key["arn"], key["outcome"]) == ("payments", arn, "finished")
    (rotation,) = [step for step in key["steps"] if step["detail"].startswith("rotate ")]
    assert rotation["what"] == "done"
    (sent,) = rotation["calls"]
    assert (sent["operation"], sent["region"], sent["status"]) == ("RotateKeyOnDemand", "us-east-1", "200")
    assert re.fullmatch(r"[0-9a-f-]{36}", sent["request_id"])

    path = Path(kept["path"])
    table = machine.run("mrk", "report", path.stem[:-1])
    assert sent["request_id"] in table
    path.write_bytes(path.read_bytes().replace(b"RotateKeyOnDemand", b"RotateKeyOnD3mand"))
    assert "THE CHAIN IS BROKEN" in machine.run("mrk", "report", str(path), code=4)
    machine.run("mrk", "report", path.stem, "--hash", "0" * 64, code=4)


def test_a_journal_without_its_end_is_told_and_not_taken_for_whole(adopted: tuple[Machine, str]) -> None:
    """Cut off at a line, or within one: exit 3, without any hash. While the run is under way: 0."""
    machine, _ = adopted
    path = Path(machine.json("mrk", "run", "--json")["journal"]["path"])
    whole = path.read_bytes()

    for left in (whole[:-1], whole[: whole[:-1].rindex(b"\n") + 1]):
        path.write_bytes(left)
        process = machine.start("mrk", "report", str(path))
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3
        assert "It is CUT SHORT: " in out
        assert ("the last line is torn" in out) is (left[-1:] != b"\n")
        assert err.startswith(f"mrk: {path} is cut short: the run was killed, or lines were cut off\nhint: ")

    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert "The run is under way" in machine.run("mrk", "report", str(path))


def test_a_wrong_hash_is_told_once(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted

    process = machine.start("mrk", "report", "last", "--hash", "0" * 64)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 4
    assert out.count("NOT the hash given: its final hash is") == 1
    assert "hash" not in err.replace(str(machine.directory), "")
    assert "is not as the run left it" in err


def test_a_journal_is_under_way_as_long_as_its_run(adopted: tuple[Machine, str]) -> None:
    """Asked in the middle of a run, from another process."""
    machine, _ = adopted
    seen: list[str] = []

    def ask(call: Any, when: str) -> None:
        if not seen and when == "before" and call.operation == "ImportKeyMaterial":
            seen.append("")
            seen.append(machine.run("mrk", "report", "last"))

    machine.simulator.hooks.append(ask)
    machine.run("mrk", "rotate", "payments", "--yes", "-q")

    assert "The run is under way" in seen[1]
    assert "under way" not in machine.run("mrk", "report", "last")


def test_a_run_that_is_not_there_or_not_one_is_told(machine: Machine) -> None:
    runs = machine.directory / "runs"
    machine.write_config(payments={"arn": ARN})

    def said(*words: str) -> str:
        process = machine.start("mrk", "report", *words)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 2, told
        assert "hint: " in told
        assert "Traceback" not in told
        return told

    assert "there is no run 'last'" in said("last")
    runs.mkdir()
    (runs / "junk.jsonl").touch()
    (runs / "20260302T080000Z-aaaaaa.jsonl").mkdir()
    (runs / "20260302T080000Z-bbbbbb.jsonl").touch()
    assert "2 runs begin with '2026'" in said("2026")
    assert "there is no run 'junk'" in said("junk")
    assert "is not a file" in said("20260302T080000Z-a")
    assert "cannot be read: No such file" in said("./nowhere")
    assert "64 hex digits" in said("last", "--hash", "12")


def test_debug_logs_and_journals_never_carry_the_parameters_of_calls(adopted: tuple[Machine, str]) -> None:
    """I2: which call, where, when and how it ended; nothing of what was sent or came back but the request id."""
    machine, _ = adopted
    process = machine.start("mrk", "rotate", "payments", "--yes", "--log-level", "debug")
    _, log = process.communicate(timeout=100)
    (path,) = [path for path in (machine.directory / "runs").glob("*.jsonl") if "rotate" in path.read_text()[:400]]

    logged = [json.loads(line) for line in log.splitlines()]
    calls = [line for line in logged if line["event"] == "call"]
    assert process.returncode == 0
    assert len(calls) > 20
    allowed = {"at", "key", "region", "event", "level", "operation", "request_id", "status", "ms", "error"}
    assert {name for line in calls for name in line} <= allowed
    for text in (log, path.read_text()):
        assert not re.search("ImportToken|EncryptedKeyMaterial|CiphertextBlob|PublicKey|WrappingAlgorithm", text)


def test_the_check_without_mrk_of_the_docs_says_the_same_hash(machine: Machine) -> None:
    """The recipe of docs/journal.md runs as it stands."""
    machine.write_config(payments={"arn": ARN})
    machine.run("mrk", "store", "init")
    kept = machine.json("mrk", "run", "--json", code=4)["journal"]
    (recipe,) = re.findall(r"```sh\n(.*?)```", (Path(__file__).parents[2] / "docs/journal.md").read_text(), re.DOTALL)

    assert machine.run("bash", "-c", recipe.replace("RUN-ID.jsonl", kept["path"])) == f"final hash {kept['hash']}\n"
