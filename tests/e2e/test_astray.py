"""Endpoints that lead astray, by the command line: refused with exit code 2 and a hint, before anything is sent."""

from collections.abc import Callable

import pytest
from machine import REGIONS, Machine

pytestmark = pytest.mark.e2e

COMMANDS = (
    ("config", "check"),
    ("plan",),
    ("status",),
    ("verify",),
    ("run",),
    ("rotate", "payments", "--yes"),
    ("repair", "payments"),
    ("store", "list"),
    ("store", "init"),
)
Set = Callable[[Machine, str], None]


def sound(machine: Machine) -> bool:
    """Whether `config check` refuses nothing; what is only unwise it says before that."""
    return machine.run("mrk", "config", "check").splitlines()[-1].startswith("sound")


def in_config(machine: Machine, url: str) -> None:
    machine.more["aws"] = {"endpoint_url": url}
    machine.write_config()


def in_own_variable(machine: Machine, url: str) -> None:
    machine.given["AWS_ENDPOINT_URL_KMS"] = url


def in_variable(machine: Machine, url: str) -> None:
    machine.without.add("AWS_ENDPOINT_URL_KMS")
    machine.given["AWS_ENDPOINT_URL"] = url


def in_profile(machine: Machine, url: str) -> None:
    machine.without.add("AWS_ENDPOINT_URL_KMS")
    path = machine.directory / "aws-config"
    path.write_text(f"[profile mine]\nendpoint_url = {url}\n")
    machine.given |= {"AWS_CONFIG_FILE": str(path), "AWS_PROFILE": "mine"}


def refused(machine: Machine, *command: str) -> str:
    """What a command says that must not begin; blanks are single, as lines are folded."""
    process = machine.start("mrk", *command)
    out, err = process.communicate(timeout=60)
    told = " ".join(f"{out} {err}".split())
    assert process.returncode == 2, f"{command} ended with {process.returncode}: {told}"
    assert "Traceback" not in told
    assert "a defect" not in told
    return told


@pytest.fixture
def without_endpoint(machine: Machine) -> Machine:
    """A machine whose config sets no endpoint, with a key in three Regions and a store."""
    machine.make_key_quickly()
    machine.run("mrk", "store", "init")
    machine.more["aws"] = {}
    machine.write_config()
    return machine


@pytest.mark.parametrize("set_in", [in_config, in_own_variable, in_variable, in_profile])
def test_an_endpoint_of_one_region_for_a_key_of_three_is_refused(without_endpoint: Machine, set_in: Set) -> None:
    machine, before = without_endpoint, len(without_endpoint.simulator.calls)
    set_in(machine, f"https://kms.{REGIONS[0]}.amazonaws.com")

    told = refused(machine, "config", "check")

    assert f"is an endpoint of {REGIONS[0]}, and kms is asked for" in told
    assert "AWS_ENDPOINT_URL_KMS" in told
    assert len(machine.simulator.calls) == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_it(without_endpoint: Machine, command: tuple[str, ...]) -> None:
    machine, before = without_endpoint, len(without_endpoint.simulator.calls)
    in_config(machine, f"https://vpce-0123-abcd.kms.{REGIONS[0]}.vpce.amazonaws.com")

    assert f"is an endpoint of {REGIONS[0]}" in refused(machine, *command)
    assert len(machine.simulator.calls) == before


def test_an_endpoint_of_the_keys_only_region_is_sound(machine: Machine) -> None:
    machine.make_key_quickly(REGIONS[:1])
    in_config(machine, f"https://vpce-0123-abcd.kms.{REGIONS[0]}.vpce.amazonaws.com")

    assert sound(machine)


def test_the_kms_that_a_store_asks_about_its_key_counts_as_well(machine: Machine) -> None:
    machine.make_key_quickly(REGIONS[:1])
    machine.more["store"] = {"uri": f"secretsmanager:{REGIONS[1]}/mrk"}
    in_config(machine, f"https://kms.{REGIONS[0]}.amazonaws.com")
    assert sound(machine)

    for more in ({"uri": f"secretsmanager:{REGIONS[1]}/mrk"}, {"replica_regions": [REGIONS[2]]}):
        machine.more["store"] = {"uri": f"secretsmanager:{REGIONS[0]}/mrk", "kms_key": "alias/mrk", **more}
        machine.write_config()
        assert f"is an endpoint of {REGIONS[0]}" in refused(machine, "config", "check")


@pytest.mark.parametrize("set_in", [in_config, in_own_variable, in_variable, in_profile])
@pytest.mark.parametrize(
    "url",
    [
        r"http://127.0.0.2:PORT\@localhost",
        "http://user:hunter2@127.0.0.1:PORT",
        "https://127.0.0.1:PORT/?token=hunter2",
        "ftp://user:hunter2@127.0.0.1:PORT",
        "http://2130706433:PORT",
        "http://kms.example.com",
    ],
)
def test_a_url_that_is_read_in_two_ways_is_refused(without_endpoint: Machine, set_in: Set, url: str) -> None:
    """P12; and the password in it is told to nobody (I14)."""
    machine, before = without_endpoint, len(without_endpoint.simulator.calls)
    set_in(machine, url.replace("PORT", machine.endpoint_url.rpartition(":")[2]))

    for command in (("config", "check"), ("run", "--json")):
        told = refused(machine, *command)
        assert "is no plain URL" in told or "is not https" in told or "begins with https://" in told
        assert "hunter2" not in told
    assert len(machine.simulator.calls) == before


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"])
def test_the_endpoints_of_other_services_are_judged_with_it(machine: Machine, variable: str) -> None:
    machine.make_key_quickly()
    machine.more["aws"] = {"endpoint_url": machine.endpoint_url, "role_arn": "arn:aws:iam::111122223333:role/mrk"}
    machine.more["store"] = {"uri": "secretsmanager:us-east-1/mrk"}
    machine.write_config()
    machine.given |= {"AWS_ENDPOINT_URL_STS": machine.endpoint_url}
    before = len(machine.simulator.calls)
    machine.given[variable] = r"http://127.0.0.2:9\@localhost"

    for command in (("config", "check"), ("run",)):
        assert variable in refused(machine, *command)
    assert len(machine.simulator.calls) == before


@pytest.mark.parametrize("variable", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_fips_in_the_environment_is_heard_unless_the_config_says_otherwise(machine: Machine, variable: str) -> None:
    """It does not go together with an endpoint of one's own; the demo brings its own, and is nobody else's business."""
    machine.make_key_quickly()
    machine.given[variable] = "true"
    setting = {"AWS_USE_FIPS_ENDPOINT": "fips", "AWS_USE_DUALSTACK_ENDPOINT": "dual_stack"}[variable]

    told = refused(machine, "config", "check")
    assert f"aws.{setting} chooses among AWS's endpoints" in told
    assert variable in told
    machine.more["aws"] = {"endpoint_url": machine.endpoint_url, setting: False}
    machine.write_config()
    assert sound(machine)
    machine.run("mrk", "demo", "--regions", "2")
