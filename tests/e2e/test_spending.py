"""Who may spend the last rotations: somebody who reads what it costs on a terminal, and says yes."""

import pytest

from e2e.machine import Machine
from e2e.test_asking import asked

pytestmark = pytest.mark.e2e
ALL = {"proof": "full", "reserve": 25}


def rotations(machine: Machine, arn: str) -> set[int]:
    found = {machine.simulator.key(region, arn) for region in ("us-east-1", "eu-west-1", "ap-southeast-2")}
    return {key.rotations for key in found if key is not None}


@pytest.mark.parametrize("more", [("--yes",), ("--yes", "--replaces", "CURRENT"), ("--until", "ready")])
def test_without_a_terminal_the_reserve_is_not_spent(adopted: tuple[Machine, str], more: tuple[str, ...]) -> None:
    """Neither with --yes, nor by naming what to replace, nor up to a stage that asks nothing; nothing is deposited."""
    machine, arn = adopted
    machine.more = {"defaults": ALL}
    machine.write_config()
    true = machine.simulator.key("us-east-1", arn)
    assert true is not None
    words = [str(true.current) if word == "CURRENT" else word for word in more]

    told = machine.json("mrk", "rotate", "payments", "--json", *words, code=4)

    assert [block["reason"] for block in told["keys"][0]["blocks"]] == ["budget-reserved"]
    assert rotations(machine, arn) == {0}
    assert len(list((machine.directory / "store").rglob("*.age"))) == 1


def test_on_a_terminal_yes_is_typed_and_not_an_option(adopted: tuple[Machine, str]) -> None:
    """--yes asks nobody, on a terminal, too; who answers was told what is spent."""
    machine, arn = adopted
    machine.more = {"defaults": ALL}
    machine.write_config()

    code, shown = asked(machine, "rotate", "payments", "--yes", answer="y")
    assert (code, rotations(machine, arn)) == (4, {0})
    assert "without --yes" in shown

    code, shown = asked(machine, "rotate", "payments", answer="y")
    assert "this spends the `reserve`, as nothing unattended may Rotate payments? [y/N]" in shown
    assert (code, rotations(machine, arn)) == (0, {1})


def test_cron_does_not_spend_it_when_a_rotation_is_due(machine: Machine) -> None:
    machine.past.days = 100
    arn, material = machine.make_key_quickly()
    machine.past.days = 0
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    machine.more = {"defaults": ALL}
    machine.write_config()

    told = machine.json("mrk", "run", "--json", code=4)

    assert [block["reason"] for block in told["keys"][0]["blocks"]] == ["budget-reserved"]
    assert rotations(machine, arn) == {0}
