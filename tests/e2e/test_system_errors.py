"""What the operating system refuses is told as what it is, and every channel tells the same."""

import errno
import json
from typing import Any

import pytest

from e2e.machine import BIN, Machine
from orchestrator.errors import Exit, of_system
from workflows.cli.complaints import judged

pytestmark = pytest.mark.e2e


@pytest.fixture
def hooked(adopted: tuple[Machine, str]) -> Machine:
    """A machine with an adopted key, a hook and metrics."""
    machine, _ = adopted
    hook = machine.directory / "hook"
    hook.write_text(f"#!/bin/sh\ncat >> {machine.directory}/told.jsonl\n")
    hook.chmod(0o755)
    more = {"after": str(hook), "metrics": str(machine.directory / "mrk.prom")}
    machine.more["run"] = {"poll": "200ms", "looks": 2, "deadline": "60s"} | more
    machine.write_config()
    return machine


def shell(machine: Machine, script: str) -> tuple[int, str, str]:
    process = machine.start("bash", "-c", f"export PATH={BIN}:$PATH; {script}")
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in err
    return process.returncode, out, err


def hook_told(machine: Machine) -> list[int]:
    path = machine.directory / "told.jsonl"
    return [json.loads(line)["exit_code"] for line in path.read_text().splitlines()] if path.exists() else []


def metric(machine: Machine) -> str:
    lines = (machine.directory / "mrk.prom").read_text().splitlines()
    return next(line for line in lines if line.startswith("mrk_last_exit_code "))


@pytest.mark.parametrize("more", ["", "--json"])
def test_a_result_that_nobody_gets_is_a_failure_on_every_channel(hooked: Machine, more: str) -> None:
    """The rotation is done, once, and stands in the journal."""
    code, _, err = shell(hooked, f"mrk rotate payments --yes {more} > /dev/full")
    report = hooked.json("mrk", "report", "last", "--json")

    assert (code, hook_told(hooked), metric(hooked)) == (Exit.FAILED, [Exit.FAILED], "mrk_last_exit_code 3.0")
    assert "mrk: the result could not be written to stdout: No space left on device\nhint: what a run did" in err
    assert report["keys"][0]["outcome"] == "finished"
    assert [call.operation for call in hooked.simulator.calls].count("RotateKeyOnDemand") == 1


@pytest.mark.parametrize(
    "script", ["mrk run --json | true", "mrk run | true", "mrk run --json >&-", "mrk run 2>/dev/full"]
)
def test_a_reader_that_wants_no_more_changes_nothing(hooked: Machine, script: str) -> None:
    code, _, err = shell(hooked, f"{script}; exit ${{PIPESTATUS[0]}}")

    assert (code, hook_told(hooked), metric(hooked)) == (Exit.OK, [Exit.OK], "mrk_last_exit_code 0.0")
    assert "mrk: " not in err


@pytest.mark.parametrize("files", [6, 8, 10])
def test_with_too_few_files_it_is_one_document_that_says_so(hooked: Machine, files: int) -> None:
    """Wherever the limit strikes: the identity, the store, or the hook."""
    code, out, err = shell(hooked, f"ulimit -n {files}; exec mrk run --json")
    document: dict[str, Any] = json.loads(out)

    assert code == document["exit_code"]
    assert metric(hooked) == f"mrk_last_exit_code {float(code)}"
    assert "Too many open files" in out
    assert "defect" not in out + err
    assert code in {Exit.OK, Exit.FAILED, Exit.BLOCKED}
    assert code or document["after"]["problem"] == "it cannot be started: Too many open files"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --nosuch --json", "No such option: --nosuch"),
        ("store --json", "No such option: --json"),
        ("rotate --json", "Missing argument"),
        ("run -c /usr --json", "/usr cannot be read: Is a directory"),
    ],
)
def test_whatever_is_wrong_there_is_one_document(hooked: Machine, words: str, said: str) -> None:
    document = hooked.json("mrk", *words.split(), code=Exit.USAGE)

    assert said in document["error"]["message"]
    assert document["error"]["hint"]


def test_a_working_directory_that_is_gone_is_not_needed(hooked: Machine) -> None:
    config = hooked.directory / "config.yaml"
    code, out, _ = shell(hooked, f"mkdir gone; cd gone; rmdir ../gone; mrk run --json -c {config}")

    assert (code, json.loads(out)["exit_code"]) == (Exit.OK, Exit.OK)
    assert hook_told(hooked) == [Exit.OK]


REFUSALS: dict[str, tuple[BaseException, str, str]] = {
    "a file": (
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/x/y"),
        "/x/y cannot be used: No such",
        "y",
    ),
    "two files": (OSError(errno.EXDEV, "Invalid link", "/a", None, "/b"), "/a and /b cannot be used", "there"),
    "a full disk": (OSError(errno.ENOSPC, "No space left", "/x"), "/x cannot be used: No space left", "make room"),
    "too many files": (OSError(errno.EMFILE, "Too many open files"), "Too many open files", "ulimit -n"),
    "no directory": (FileNotFoundError(errno.ENOENT, "No such file"), "the working directory is not there", "another"),
    "no thread": (RuntimeError("can't start new thread"), "starts no further thread", "ulimit -u"),
    "no memory": (MemoryError(), "lacks memory", "memory"),
    "one without a number": (OSError("odd"), "the operating system refused: odd", "see what"),
}


@pytest.mark.parametrize(("error", "said", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_each_is_named_by_what_it_is_about(error: Exception, said: str, hint: str) -> None:
    code, (message,), way = judged(error)

    assert code == Exit.FAILED
    assert said in message
    assert hint in way


def test_what_is_none_of_the_systems_is_a_defect() -> None:
    code, (message,), _ = judged(RuntimeError("odd"))

    assert (code, message) == (Exit.INTERNAL, "a defect in mrk: RuntimeError: odd")
    assert of_system(ValueError()) is None
