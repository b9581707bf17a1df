"""The simulator's clock for both (ADR 13): a year of due rotations and expiries is tried by hand in a minute."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.machine import REGIONS, Machine, Past
from orchestrator.simulator import Simulator

DAY = 86_400
TWO = REGIONS[:2]


def ordered(endpoint_url: str, **order: Any) -> float:
    connection = http.client.HTTPConnection(urlsplit(endpoint_url).netloc, timeout=10)
    try:
        connection.request("POST", "/_simulator/clock", json.dumps(order))
        return float(json.load(connection.getresponse())["now"])
    finally:
        connection.close()


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Machine]:
    """A machine with one adopted key, whose KMS is the simulator as a person starts it."""
    command = [sys.executable, "-m", "orchestrator.simulator", "--lag", "instant", "--rotation-seconds", "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        endpoint_url = json.loads(running.stdout.readline())["endpoint_url"]
        machine = Machine(tmp_path, endpoint_url, Simulator(), Past())
        _, material = machine.make_key_quickly(TWO)
        machine.run("mrk", "store", "init")
        machine.run("mrk", "adopt", "payments", str(material))
        yield machine
        running.terminate()


def rotations(machine: Machine) -> int:
    rows = machine.client().list_key_rotations(KeyId=machine.keys["payments"]["arn"])["Rotations"]
    return len(rows)


def test_what_falls_due_and_what_expires_by_the_simulators_clock_is_done(simulated: Machine) -> None:
    simulated.write_config(payments=simulated.keys["payments"] | {"expires": "60d"})
    before = simulated.json("mrk", "run", "--json")
    ordered(simulated.endpoint_url, advance=91 * DAY)
    told = simulated.run("mrk", "run", "--json", code=3)
    assert "MRK_AWS__CLOCK=simulator" in told
    assert rotations(simulated) == 0

    simulated.given["MRK_AWS__CLOCK"] = "simulator"
    for _ in range(2):
        after = simulated.json("mrk", "run", "--json")
        assert rotations(simulated) == 1
    assert after["run"][:8] > before["run"][:8], "a run is named by the same time"

    now = ordered(simulated.endpoint_url, advance=40 * DAY)
    simulated.run("mrk", "run")
    assert rotations(simulated) == 1
    for region in TWO:
        described = simulated.client(region).describe_key(KeyId=simulated.keys["payments"]["arn"].split("/")[1])
        assert abs(described["KeyMetadata"]["ValidTo"].timestamp() - now - 60 * DAY) < 300

    ordered(simulated.endpoint_url, advance=61 * DAY)
    assert "mrk repair payments" in simulated.run("mrk", "verify", code=4)


@pytest.mark.parametrize(
    "words", [("run",), ("verify",), ("status",), ("store", "init"), ("store", "list"), ("config", "check")]
)
def test_where_aws_is_no_command_takes_the_simulators_time(machine: Machine, words: tuple[str, ...]) -> None:
    arn = f"arn:aws:kms:{REGIONS[0]}:{machine.account}:key/mrk-{'0' * 32}"
    machine.more["aws"] = {"endpoint_url": f"https://kms.{REGIONS[0]}.amazonaws.com", "clock": "simulator"}
    machine.without.add("AWS_ENDPOINT_URL_KMS")
    machine.write_config(payments={"arn": arn, "regions": [REGIONS[0]]})
    error = machine.json("mrk", *words, "--json", code=2)["error"]
    assert "kms.us-east-1.amazonaws.com, which is not on this machine" in error["message"]
    assert "aws.clock" in error["hint"]
