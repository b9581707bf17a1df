"""What a person is asked on a terminal before something that cannot be undone, and what a no leaves behind."""

import fcntl
import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest

from e2e.machine import BIN, Machine

pytestmark = pytest.mark.e2e


def asked(
    machine: Machine, *words: str, answer: str, meanwhile: Callable[[], object] = lambda: None, **more: str
) -> tuple[int, str]:
    """Run mrk on a terminal and answer its question; return its exit code, and what was shown, as one line."""
    ours, theirs = pty.openpty()
    line = [str(BIN / "mrk"), *words]
    environment = machine.environment | {"TERM": "dumb"} | more
    with subprocess.Popen(
        line, cwd=machine.directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown, answered = b"", False
        with suppress(OSError):  # how a terminal tells that nobody writes to it any more
            while part := os.read(ours, 4096):
                shown += part
                if shown.rstrip().endswith(b"[y/N]:") and not answered:
                    meanwhile()
                    answered = True
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
    assert "you did not confirm it; nothing was changed" in shown
    assert "hint:" not in shown
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


@pytest.mark.parametrize("words", [("run",), ("repair", "payments"), ("renew", "payments")], ids=" ".join)
@pytest.mark.parametrize("left", ["rotate", "abort"])
def test_a_question_that_nobody_answers_holds_up_no_other_run(
    adopted: tuple[Machine, str], left: str, words: tuple[str, ...]
) -> None:
    """Whoever goes home at it must not stop what keeps the key alive."""
    machine, _ = adopted
    if left == "abort":
        machine.run("mrk", "rotate", "payments", "--until", "deposited", "-q")
    code, shown = asked(machine, left, "payments", answer="n", meanwhile=lambda: machine.run("mrk", *words, "-q"))
    assert code == (5 if "[y/N]" in shown else 0)
    assert "[y/N]" in shown


def test_an_answer_is_for_the_material_that_was_shown_and_for_no_other(adopted: tuple[Machine, str]) -> None:
    """P4: whoever said yes to one rotation did not say yes to the next one."""
    machine, arn = adopted
    rotate = ("rotate", "payments")
    code, shown = asked(machine, *rotate, answer="y", meanwhile=lambda: machine.run("mrk", *rotate, "--yes", "-q"))
    assert code == 4, shown
    true = machine.simulator.key("us-east-1", arn)
    assert true is not None
    assert len(machine.json("mrk", "status", "--json")["keys"][0]["regions"]["us-east-1"]["materials"]) == 2


def test_an_answer_to_abort_deletes_only_what_was_shown(adopted: tuple[Machine, str]) -> None:
    """What became pending while the person thought was not in the question."""
    machine, arn = adopted
    machine.run("mrk", "rotate", "payments", "--until", "deposited", "-q")

    def meanwhile() -> None:
        machine.run("mrk", "rotate", "payments", "--until", "primary_imported", "-q")

    code, shown = asked(machine, "abort", "payments", answer="y", meanwhile=meanwhile, MRK_RUN__DEADLINE="30m")
    assert code == 4, shown
    assert "the key is not as it was shown when that was confirmed" in shown
    true = machine.simulator.key("us-east-1", arn)
    assert true is not None
    assert true.pending


def test_an_answer_that_comes_while_another_run_holds_the_lock_is_told_so(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    held: list[int] = []

    def hold() -> None:
        (path,) = machine.directory.rglob("*.lock")
        held.append(os.open(path, os.O_RDWR))
        fcntl.flock(held[0], fcntl.LOCK_EX)

    try:
        code, shown = asked(machine, "rotate", "payments", answer="y", meanwhile=hold)
    finally:
        os.close(held[0])
    assert code == 3
    assert "another run holds the lock" in shown
    assert not machine.json("mrk", "status", "--json")["keys"][0]["pending"]


def test_a_key_that_was_blocked_when_the_question_came_is_not_rotated_by_its_answer(machine: Machine) -> None:
    """I7: nobody was asked about it; what stood against it may be gone by then."""
    keys, replica = {}, machine.client("eu-west-1")
    for name in ("first", "second"):
        keys[name], material = machine.make_key_quickly(name=name)
        machine.run("mrk", "store", "init")
        machine.run("mrk", "adopt", name, str(material))
    replica.disable_key(KeyId=keys["second"].split("/")[-1])

    _, shown = asked(
        machine,
        *("rotate", "first", "second"),
        answer="y",
        meanwhile=lambda: replica.enable_key(KeyId=keys["second"].split("/")[-1]),
    )

    assert "Rotate first? [y/N]" in shown
    rotations = {name: machine.simulator.key("us-east-1", arn).rotations for name, arn in keys.items()}
    assert rotations == {"first": 1, "second": 0}
