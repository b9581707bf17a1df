"""`mrk run` as cron runs it: real processes, no terminal. One at a time, told to a hook and to Prometheus."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.machine import BIN, REGIONS, Machine
from orchestrator.simulator import Call

pytestmark = pytest.mark.e2e

CRONTAB = Path(__file__).parents[2] / "workflows" / "schedule" / "mrk.cron"
NOBODYS = "arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000000000000000000000000"


def program(machine: Machine, *lines: str) -> str:
    """Write a hook."""
    path = machine.directory / "notify"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def set_run(machine: Machine, **settings: Any) -> None:
    machine.more["run"] = {"poll": "200ms", "looks": 2, "deadline": "60s"} | settings
    machine.write_config()


def metrics(path: Path) -> dict[str, float]:
    families = text_string_to_metric_families(path.read_text())
    return {
        ".".join([sample.name, *sample.labels.values()]): sample.value for one in families for sample in one.samples
    }


def cron(machine: Machine) -> str:
    """Run the line of mrk.cron as cron does, but with this machine's paths; return what it would mail."""
    line = CRONTAB.read_text().splitlines()[-1].split(maxsplit=6)[6]
    for theirs, ours in (
        ("/opt/mrk/bin/mrk", BIN / "mrk"),
        ("/etc/mrk/config.yaml", "config.yaml"),
        ("/var/lib/mrk", machine.directory),
    ):
        line = line.replace(theirs, str(ours))
    return machine.run("sh", "-c", line)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.fixture
def keyless(machine: Machine) -> Iterator[Machine]:
    """A machine with a store, and with a key in its config that KMS does not know."""
    machine.write_config(payments={"arn": NOBODYS})
    machine.run("mrk", "store", "init")
    yield machine
    machine.simulator.hooks.clear()


def test_a_night_of_cron(adopted: tuple[Machine, str]) -> None:
    """Nothing due; a Region loses its material: blocked (4); with repair: auto brought back (0). All is told (I13)."""
    machine, arn = adopted
    told, prom = machine.directory / "told.jsonl", machine.directory / "mrk.prom"
    set_run(machine, after=program(machine, f"cat >> {told}"), metrics=str(prom))

    assert cron(machine) == ""
    well = metrics(prom)
    lost = machine.simulator.key(REGIONS[1], arn)
    assert lost is not None
    machine.aws("delete-imported-key-material", "--key-id", arn.replace(REGIONS[0], REGIONS[1]), region=REGIONS[1])
    mailed = cron(machine)
    ill = metrics(prom)
    machine.more["defaults"] = {"proof": "full", "repair": "auto"}
    machine.write_config()
    printed = machine.json("mrk", "run", "--json")
    machine.aws("delete-imported-key-material", "--key-id", arn.replace(REGIONS[0], REGIONS[1]), region=REGIONS[1])
    brought_back = cron(machine)

    assert mailed.endswith("mrk ended with exit code 4\n")
    assert "mrk repair payments" in mailed
    documents = [json.loads(line) for line in told.read_text().splitlines()]
    assert [document["exit_code"] for document in documents] == [0, 4, 0, 0]
    assert [document["keys"][0]["status"] for document in documents] == ["idle", "blocked", "finished", "finished"]
    assert f"that was missing in {REGIONS[1]}" in brought_back
    assert "mrk ended" not in brought_back
    assert [one["what"] for one in documents[3]["keys"][0]["changed"]] == ["restored"]
    assert "mrk repair payments" in documents[1]["keys"][0]["blocks"][0]["way_out"]
    assert {document["journal"]["hash"] for document in documents[2:3]} == {printed["journal"]["hash"]}
    assert printed["exit_code"] == 0
    assert printed["after"] == {"path": str(machine.directory / "notify"), "problem": None}
    assert printed["metrics"] == {"path": str(prom), "problem": None}
    assert (well["mrk_last_exit_code"], well["mrk_key_healthy.payments"], well["mrk_rotations_left.payments"]) == (
        0,
        1,
        25,
    )
    assert (ill["mrk_last_exit_code"], ill["mrk_key_healthy.payments"]) == (4, 0)
    assert [ill[f"mrk_region_healthy.payments.{region}"] for region in REGIONS] == [1, 0, 1]
    restored = f"mrk_restored_timestamp_seconds.payments.{REGIONS[1]}"
    assert metrics(prom)[restored] > ill["mrk_last_run_timestamp_seconds"]
    success = "mrk_last_success_timestamp_seconds.payments"
    assert well[success] == ill[success] < metrics(prom)[success]
    mended = machine.simulator.key(REGIONS[1], arn)
    assert mended is not None
    assert (mended.key_state, mended.rotations) == ("Enabled", 0)


def test_of_two_processes_with_one_config_one_works_and_the_other_says_who_does(keyless: Machine) -> None:
    """Exit 3 at once, in the middle of the other's work; commands that change nothing are not kept out.

    The hook and the metrics are told of the one that is kept out, too.
    """
    told, prom = keyless.directory / "told.jsonl", keyless.directory / "mrk.prom"
    set_run(keyless, after=program(keyless, f"cat >> {told}"), metrics=str(prom))
    codes: list[float] = []
    seconds: list[tuple[int, str, str]] = []

    def second(call: Call, when: str) -> None:
        if not seconds and when == "before" and call.operation == "DescribeKey":
            seconds.append((0, "", ""))
            seconds.append(ended(keyless.start("mrk", "rotate", "payments", "--yes")))
            codes.append(metrics(prom)["mrk_last_exit_code"])
            seconds.append(ended(keyless.start("mrk", "config", "check")))

    keyless.simulator.hooks.append(second)
    first = keyless.start("mrk", "run", "-q")
    ended(first)

    _, (code, out, err), (checked, _, _) = seconds
    assert (code, out, checked) == (3, "", 0)
    assert f"pid {first.pid} on " in err
    assert "mrk run -q, " in err
    assert ", since 20" in err
    assert "hint: run again later" in err
    assert len(list((keyless.directory / "runs").glob("*.jsonl"))) == 1
    heard, *_ = (json.loads(line) for line in told.read_text().splitlines())
    assert (heard["exit_code"], heard["keys"], codes) == (3, [], [3])
    assert "another run holds the lock" in heard["error"]["message"]


def test_a_hook_and_metrics_that_fail_are_told_and_change_nothing_but_a_0(keyless: Machine) -> None:
    """The exit code of a run that did not end well stays; stderr and the report say what failed."""
    set_run(keyless, after=program(keyless, "echo heard; exit 7"), metrics=str(keyless.directory / "none" / "mrk.prom"))
    bare = keyless.start("mrk", "run", "--json", "-q")

    code, out, err = ended(bare)

    set_run(keyless)
    assert code == ended(keyless.start("mrk", "run"))[0] != 0
    printed = json.loads(out)
    assert printed["after"]["problem"] == "it ended with exit code 7"
    assert printed["metrics"]["problem"] == "it cannot be written: No such file or directory"
    assert "heard" in err
    for setting in ("run.after", "run.metrics"):
        assert f"mrk: {setting} {keyless.directory}" in err
    assert err.count(" told nobody how this ended: ") == 2


@pytest.mark.parametrize("how", ["the hook ends with 7", "the hook is not there", "the metrics have no directory"])
def test_a_night_that_told_nobody_is_no_good_night(adopted: tuple[Machine, str], how: str) -> None:
    """I13: 3, where all else is well; the JSON document, the hook and the metrics say so, too."""
    machine, _ = adopted
    told, prom = machine.directory / "told.json", machine.directory / "mrk.prom"
    settings = {"after": program(machine, f"cat > {told}"), "metrics": str(prom)}
    broken = {
        "the hook ends with 7": {"after": program(machine, "exit 7")},
        "the hook is not there": {"after": str(machine.directory / "none")},
        "the metrics have no directory": {"metrics": str(machine.directory / "none" / "mrk.prom")},
    }
    program(machine, f"cat > {told}" if "metrics" in broken[how] else "exit 7")
    set_run(machine, **settings | broken[how])

    printed = machine.json("mrk", "run", "--json", code=3)

    assert (printed["exit_code"], [key["status"] for key in printed["keys"]]) == (3, ["idle"])
    if "metrics" in broken[how]:
        assert json.loads(told.read_text())["exit_code"] == 3
    else:
        assert metrics(prom)["mrk_last_exit_code"] == 3
        assert metrics(prom)["mrk_key_healthy.payments"] == 1


ENDING = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda one: one.name)
"""Every signal that asks a run to end."""


@ENDING
def test_a_signal_ends_a_hook_and_leaves_the_exit_code_alone(keyless: Machine, number: signal.Signals) -> None:
    waiting = keyless.directory / "waiting"
    subprocess.run(["mkfifo", str(waiting)], check=True)
    set_run(keyless, after=program(keyless, f"echo begun > {waiting}", "exec sleep 1000"))
    running = keyless.start("mrk", "run", "--json")
    assert waiting.read_text() == "begun\n"

    running.send_signal(number)
    code, out, err = ended(running)

    assert code in {3, 4}
    assert json.loads(out)["after"]["problem"] == "it was killed: the run was interrupted"
    assert "run.after" in err


@ENDING
def test_a_signal_in_the_start_delay_ends_it_before_anything_is_begun(keyless: Machine, number: signal.Signals) -> None:
    """Exit 5; no lock is held while it waits, no call sent, no journal begun."""
    set_run(keyless, start_delay="300d")
    waiting = keyless.start("mrk", "run")
    assert waiting.stderr is not None
    assert "run.delayed" in waiting.stderr.readline()
    free = ended(keyless.start("mrk", "repair", "payments"))

    waiting.send_signal(number)
    code, out, err = ended(waiting)

    assert free[0] in {3, 4}, "repair neither waits nor is kept out"
    assert (code, out) == (5, "")
    assert "interrupted before anything was begun" in err
    assert len(list((keyless.directory / "runs").glob("*.jsonl"))) == 1


@ENDING
def test_a_signal_in_the_middle_finishes_the_calls_in_flight(
    adopted: tuple[Machine, str], number: signal.Signals
) -> None:
    """Exit 5, with a journal that has its end; the next run resumes, and rotates once."""
    machine, arn = adopted
    running: list[subprocess.Popen[str]] = []

    def send(call: Call, when: str) -> None:
        if running and (call.operation, when) == ("ImportKeyMaterial", "before"):
            running.pop().send_signal(number)

    machine.simulator.hooks.append(send)
    process = machine.start("mrk", "rotate", "payments", "--yes", "--json")
    running.append(process)
    code, out, _ = ended(process)

    assert (code, json.loads(out)["exit_code"]) == (5, 5)
    assert machine.run("mrk", "report", "last")
    machine.run("mrk", "rotate", "payments", "--yes")
    assert machine.simulator.key(REGIONS[0], arn).rotations == 1  # type: ignore[union-attr]


def test_after_nohup_a_terminal_that_goes_away_ends_nothing(keyless: Machine) -> None:
    set_run(keyless, start_delay="300d")
    waiting = keyless.start("nohup", str(BIN / "mrk"), "run")
    assert waiting.stderr is not None
    assert "run.delayed" in waiting.stderr.readline()

    waiting.send_signal(signal.SIGHUP)
    ended(keyless.start("mrk", "config", "check"))

    assert waiting.poll() is None
    waiting.send_signal(signal.SIGTERM)
    assert ended(waiting)[0] == 5


def test_a_run_that_is_refused_before_any_key_is_looked_at_is_told_too(machine: Machine) -> None:
    """There is no store: exit 4 or 2, and whoever waits for a word gets it."""
    told, prom = machine.directory / "told.json", machine.directory / "mrk.prom"
    machine.write_config(payments={"arn": NOBODYS})
    set_run(machine, after=program(machine, f"cat > {told}"), metrics=str(prom))

    code, _, err = ended(machine.start("mrk", "run"))

    document = json.loads(told.read_text())
    assert document["exit_code"] == code == metrics(prom)["mrk_last_exit_code"] != 0
    assert document["keys"] == []
    assert document["error"]["message"] in err
    assert document["run"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lock": "config.yaml/mrk.lock"}, "run.lock"),
        ({"metrics": "mrk.txt"}, "end in .prom"),
        ({"start_delay": "soon"}, "run.start_delay"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_exit_2(keyless: Machine, settings: dict[str, str], said: str) -> None:
    set_run(keyless, **settings)

    code, out, err = ended(keyless.start("mrk", "run"))

    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
