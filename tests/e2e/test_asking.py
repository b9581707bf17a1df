"""What a person is asked on a terminal before something that cannot be undone, and what a no leaves behind."""

import os
import pty
import subprocess
from contextlib import suppress

import pytest

from e2e.machine import BIN, Machine

pytestmark = pytest.mark.e2e


def asked(machine: Machine, *words: str, answer: str, **more: str) -> tuple[int, str]:
    """Run mrk on a terminal and answer its question; return its exit code, and what was shown, as one line."""
    ours, theirs = pty.openpty()
    line = [str(BIN / "mrk"), *words]
    environment = machine.environment | {"TERM": "dumb"} | more
    with subprocess.Popen(
        line, cwd=machine.directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how a terminal tells that nobody writes to it any more
            while part := os.read(ours, 4096):
                shown += part
                if shown.rstrip().endswith(b"[y/N]:"):
                    os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    return process.returncode, " ".join(shown.decode().split())


def test_the_question_comes_with_what_it_costs_and_a_no_is_told_as_such(adopted: tuple[Machine, str]) -> None:
    """The budget beside the question, however long the plan above it; what is deleted before an abort."""
    machine, arn = adopted

    code, shown = asked(machine, "rotate", "payments", answer="n")
    report = machine.json("mrk", "report", "last", "--json")

    assert "payments: cannot be undone; 25 of 25 rotations left, 24 after this one Rotate payments? [y/N]" in shown
    assert code == 5
    assert "not confirmed; nothing was changed hint: " in shown
    (key,) = (key for key in report["keys"] if key["name"] == "payments")
    assert (key["outcome"], key["message"]) == ("interrupted", "not confirmed; nothing was changed")
    assert report["run"]["exit_code"] == 5

    machine.run("mrk", "rotate", "payments", "--until", "primary_imported", "-q")
    pending = machine.json("mrk", "status", "--json")["keys"][0]["pending"]
    code, shown = asked(machine, "abort", "payments", answer="n", MRK_RUN__DEADLINE="30m")

    assert f"payments: key material {pending[:8]} is deleted in every Region, after 15 min" in shown
    assert "if it holds them Give up what is begun of payments? [y/N]" in shown
    assert code == 5
    true = machine.simulator.key("us-east-1", arn)
    assert true is not None
    assert true.pending == pending
