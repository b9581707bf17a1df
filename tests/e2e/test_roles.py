"""Roles: `aws.role_arn` and `--role-arn` against the simulator's STS, in an account that is not the caller's."""

from typing import Any

import pytest
from machine import REGIONS, Machine

pytestmark = pytest.mark.e2e

OURS, THEIRS = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{THEIRS}:role/mrk"


@pytest.fixture
def theirs(machine: Machine) -> Machine:
    """A machine with credentials of one account, and an adopted key in another."""
    return prepared(machine)


def prepared(machine: Machine) -> Machine:
    """Make and adopt the key of another account."""
    machine.given["AWS_ENDPOINT_URL_STS"] = machine.endpoint_url
    machine.account = THEIRS
    _, material = machine.make_key_quickly()
    machine.run("mrk", "store", "init", "--role-arn", ROLE)
    machine.run("mrk", "adopt", "payments", str(material), "--role-arn", ROLE, "-q")
    return machine


def sent(machine: Machine, operation: str) -> list[str]:
    """The accounts that an operation was called in."""
    return [call.account for call in machine.simulator.calls if call.operation == operation]


def test_a_role_of_another_account_rotates_that_accounts_key(theirs: Machine) -> None:
    machine = theirs
    machine.more["aws"] = {"endpoint_url": machine.endpoint_url, "role_arn": ROLE}
    machine.write_config()
    before = len(sent(machine, "AssumeRole"))

    (ended,) = machine.json("mrk", "rotate", "payments", "--yes", "--json")["keys"]

    assert ended["status"] == "finished"
    assert sent(machine, "RotateKeyOnDemand") == [THEIRS]
    assert sent(machine, "AssumeRole")[before:] == [OURS], "once, for every Region"
    assumed = [call for call in machine.simulator.calls if call.operation == "AssumeRole"][-1]
    assert assumed.parameters["RoleSessionName"].startswith("mrk-2"), "the run's id, as CloudTrail shows it"


def test_without_the_role_the_key_of_another_account_is_not_found(theirs: Machine) -> None:
    process = theirs.start("mrk", "rotate", "payments", "--yes", "-q")
    told = " ".join(" ".join(process.communicate(timeout=100)).split())

    assert process.returncode in {3, 4}
    assert f"DescribeKey on arn:aws:kms:{REGIONS[0]}:{THEIRS}:key/" in told
    assert sent(theirs, "RotateKeyOnDemand") == []


def test_a_role_that_expires_in_mid_run_is_assumed_again(machine: Machine) -> None:
    """STS gives 8 minutes, and the SDK renews what has less than 10."""
    machine.simulator.accounts.longest = 8 * 60
    prepared(machine)
    before = len(sent(machine, "AssumeRole"))

    machine.run("mrk", "rotate", "payments", "--yes", "-q", "--role-arn", ROLE)

    assert len(sent(machine, "AssumeRole")[before:]) > 1
    assert sent(machine, "RotateKeyOnDemand") == [THEIRS]


@pytest.mark.parametrize(
    "fault",
    [{"error": "ThrottlingException", "times": 2}, {"drop": "before", "times": 1}, {"drop": "after", "times": 2}],
    ids=["throttled twice", "the request lost", "two replies lost"],
)
def test_an_sts_that_fails_for_a_moment_is_asked_again(theirs: Machine, fault: dict[str, Any]) -> None:
    theirs.simulator.faults.add(operation="AssumeRole", **fault)
    before = len(sent(theirs, "AssumeRole"))

    theirs.run("mrk", "rotate", "payments", "--yes", "-q", "--role-arn", ROLE)

    assert len(sent(theirs, "AssumeRole")[before:]) > fault["times"]
    assert sent(theirs, "RotateKeyOnDemand") == [THEIRS]


def test_a_role_that_may_not_be_assumed_is_told_and_nothing_is_changed(theirs: Machine) -> None:
    theirs.simulator.faults.add(operation="AssumeRole", error="AccessDenied", message="User: nobody is not authorized")

    process = theirs.start("mrk", "rotate", "payments", "--yes", "-q", "--role-arn", ROLE)
    told = " ".join(" ".join(process.communicate(timeout=100)).split())

    assert process.returncode == 3, told
    assert "AccessDenied" in told
    assert f"AssumeRole on {ROLE} failed" in told
    assert "needs sts:AssumeRole on this role" in told
    assert "Traceback" not in told
    assert "a defect" not in told
    assert sent(theirs, "RotateKeyOnDemand") == []


def test_a_role_that_is_taken_away_in_mid_run_is_told_and_the_next_run_resumes(theirs: Machine) -> None:
    """The session is refused from the first import on; then the role is given back."""
    theirs.simulator.faults.add(operation="ImportKeyMaterial", error="ExpiredTokenException")

    theirs.run("mrk", "rotate", "payments", "--yes", "-q", "--role-arn", ROLE, code=3)
    theirs.simulator.faults.clear()
    theirs.run("mrk", "run", "-q", "--role-arn", ROLE)

    assert sent(theirs, "RotateKeyOnDemand") == [THEIRS]


@pytest.mark.parametrize("switch", ["fips", "dual_stack"])
def test_an_endpoint_of_ones_own_beside_the_choice_of_aws_endpoints_is_refused(machine: Machine, switch: str) -> None:
    """By the config check where both stand in the config, by the run where one stands in the environment."""
    machine.make_key_quickly()
    machine.more["aws"] = {"endpoint_url": machine.endpoint_url, switch: True}
    machine.write_config()
    checked = machine.start("mrk", "config", "check")
    _, both = checked.communicate(timeout=60)
    machine.more["aws"] = {switch: True}
    machine.write_config()
    ran = machine.start("mrk", "status", "payments")
    printed = " ".join(" ".join(ran.communicate(timeout=60)).split())

    assert checked.returncode == 2
    assert "endpoint_url does not go together with fips or dual_stack" in both
    assert ran.returncode in {2, 3, 4}
    assert f"aws.{switch} chooses among AWS's endpoints" in printed
    assert "a defect" not in printed
