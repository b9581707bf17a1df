"""A rotation with its key material in AWS Secrets Manager: real processes of mrk, a simulator, and moto's server."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from e2e.machine import Machine
from leaks import found_in, told_in
from properties.fault_rules import ENVIRONMENT, RULES, quoting
from secrets_server import SecretsServer, secrets_server
from sizes import some
from verdict import Count

STORE = {"uri": "secretsmanager:us-east-1/mrk", "replica_regions": ["eu-west-1"]}


@pytest.fixture
def service() -> Iterator[SecretsServer]:
    with secrets_server() as running:
        yield running


@dataclass
class InSecretsManager(Machine):
    """A machine whose store is in Secrets Manager."""

    secrets_url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.secrets_url}


@pytest.fixture
def away(machine: Machine, service: SecretsServer) -> InSecretsManager:
    made = InSecretsManager(
        machine.directory, machine.endpoint_url, machine.simulator, machine.past, secrets_url=service.url
    )
    made.more["store"] = dict(STORE)
    made.write_config()
    return made


def secrets_in(service: SecretsServer, region: str) -> set[str]:
    client = boto3.client(
        "secretsmanager",
        region_name=region,
        endpoint_url=service.url,
        aws_access_key_id="111122223333",
        aws_secret_access_key="made-up",
    )
    return {one["Name"] for page in client.get_paginator("list_secrets").paginate() for one in page["SecretList"]}


@pytest.mark.e2e
def test_a_rotation_with_its_store_in_secrets_manager_and_every_verb_of_the_store(
    away: InSecretsManager, service: SecretsServer
) -> None:
    """I1, I8: adopted, rotated over every Region, proven, and found healthy; every secret in both Regions."""
    arn, material = away.make_key_quickly()
    assert "encrypted with AWS's own key, replicated to eu-west-1" in away.run("mrk", "store", "init")
    away.run("mrk", "adopt", "payments", str(material))
    away.run("mrk", "rotate", "payments", "--yes")
    away.run("mrk", "verify", "payments")

    entries: list[dict[str, Any]] = away.json("mrk", "store", "list", "--json")["entries"]
    assert [entry["proven"] for entry in entries] == [True, True]
    new = next(entry for entry in entries if ".1001" not in entry["entry"])
    truth = away.simulator.material("us-east-1", arn, new["material_id"])
    there = arn.replace("us-east-1", "eu-west-1")
    assert truth == away.simulator.material("eu-west-1", there, new["material_id"]) != material.read_bytes()
    assert secrets_in(service, "us-east-1") == secrets_in(service, "eu-west-1")
    assert len(secrets_in(service, "us-east-1")) == 1 + 2 * len(("entry", "link", "probe", "proven"))

    away.run("mrk", "abort", "payments", "--yes", "--material-id", new["material_id"], code=4)


@pytest.mark.e2e
@pytest.mark.parametrize("rules", some(list(RULES), 1))
def test_nothing_that_a_process_writes_or_prints_holds_the_material(
    away: InSecretsManager, record_property: Count, rules: str
) -> None:
    """I2, I14: with faults that quote what the environment holds, at level debug; material goes to Secrets Manager."""
    away.given |= ENVIRONMENT
    arn, material = away.make_key_quickly()
    away.run("mrk", "store", "init")
    texts: list[bytes] = []
    rotate = ("rotate", "payments", "--yes")
    again = (*rotate, "--take")  # Without store.mac_key nobody can tell who made what the first one deposited.
    for command, faults in ((("adopt", "payments", str(material)), []), (rotate, quoting(RULES[rules])), (again, [])):
        for rule in faults:
            away.simulator.faults.add(**rule)  # type: ignore[arg-type]
        process = away.start("mrk", *command, "--log-level", "debug", "--json")
        texts += [text.encode() for text in process.communicate(timeout=100)]
        away.simulator.faults.clear()
    texts += [path.read_bytes() for path in away.directory.rglob("*") if path.is_file() and path != material]

    key = away.simulator.key("us-east-1", arn)
    assert key is not None
    secrets = {away.simulator.material("us-east-1", arn, row.material_id) for row in key.rows}
    assert len(secrets) == 2
    record_property("texts_searched", len(texts))
    known = ENVIRONMENT.values()
    assert not [found for text in texts if (found := [*found_in(text, secrets), *told_in(text, known)])]


@pytest.mark.e2e
def test_a_store_key_with_imported_material_is_refused_by_every_command(
    away: InSecretsManager, service: SecretsServer
) -> None:
    """The alias is resolved at each run, in the store's Region and in its replica's."""
    arn, material = away.make_key_quickly(("us-east-1", "eu-west-1"))
    for region in ("us-east-1", "eu-west-1"):
        client = away.client(region)
        key = client.create_key()["KeyMetadata"]["KeyId"]
        client.create_alias(AliasName="alias/mrk-store", TargetKeyId=key)
    away.more["store"]["kms_key"] = "alias/mrk-store"
    away.write_config()
    away.run("mrk", "store", "init")
    away.run("mrk", "adopt", "payments", str(material))

    there = arn.replace("us-east-1", "eu-west-1")
    away.client("eu-west-1").update_alias(AliasName="alias/mrk-store", TargetKeyId=there)
    before = secrets_in(service, "us-east-1")
    process = away.start("mrk", "rotate", "payments", "--yes")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "alias/mrk-store in eu-west-1" in err
    assert "Origin=EXTERNAL" in err
    assert "Traceback" not in err
    away.run("mrk", "store", "list", code=4)
    assert secrets_in(service, "us-east-1") == before
