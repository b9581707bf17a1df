"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.by_script import TWO, ByHand
from e2e.machine import Machine, Past
from orchestrator.simulator import Simulator, serve


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose KMS is a simulator without lag, in real time; a rotation takes half a second."""
    past = Past()
    simulator = Simulator(past, lag="instant", rotation_seconds=0.5)
    with serve(simulator) as served:
        yield Machine(tmp_path, served.endpoint_url, simulator, past)


@pytest.fixture
def unadopted(machine: Machine) -> tuple[Machine, str]:
    """A machine with an empty store, and one key that was made by hand."""
    arn, _ = machine.make_key_quickly()
    machine.run("mrk", "store", "init")
    return machine, arn


@pytest.fixture
def adopted(machine: Machine) -> tuple[Machine, str]:
    """A machine with one key, made by hand and adopted."""
    arn, material = machine.make_key_quickly()
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    return machine, arn


@pytest.fixture
def due(machine: Machine) -> ByHand:
    """A key of two Regions, adopted, whose rotation is due."""
    machine.past.days = 100
    arn, material = machine.make_key_quickly(TWO)
    machine.past.days = 0
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    by_hand = ByHand(machine, arn, material.read_bytes())
    material.unlink()
    machine.simulator.calls.clear()
    return by_hand
