"""AWS managed keys, and the aliases that AWS has made for them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sim_cloud import ACCOUNT, POLICY, PRIMARY, REPLICA, Cloud, refusal

from orchestrator.simulator import Lag, ServiceError, Simulator
from orchestrator.simulator.operations import OPERATIONS
from orchestrator.simulator.wire import operation_model

S3, EBS = "alias/aws/s3", "alias/aws/ebs"
DENIED = "AccessDeniedException"


def alias_arn(name: str, region: str = PRIMARY) -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT}:{name}"


def entries(cloud: Cloud, region: str = PRIMARY, **asked: Any) -> dict[str, dict[str, Any]]:
    return {one["AliasName"]: one for one in cloud.kms(region).list_aliases(Limit=100, **asked)["Aliases"]}


def managed(cloud: Cloud, name: str = S3) -> dict[str, Any]:
    return dict(cloud.kms().describe_key(KeyId=name)["KeyMetadata"])


def test_every_account_has_aliases_of_aws_without_a_key(cloud: Cloud) -> None:
    """Documented: ListAliases tells of predefined aliases, without a TargetKeyId."""
    listed = entries(cloud)
    assert {S3, EBS, "alias/aws/rds", "alias/aws/secretsmanager"} <= listed.keys()
    assert all(name.startswith("alias/aws/") for name in listed)
    assert listed[S3] == {"AliasName": S3, "AliasArn": alias_arn(S3)}
    assert cloud.kms().list_keys()["Keys"] == []


@pytest.mark.parametrize("name", [S3, alias_arn(S3)])
def test_describing_a_predefined_alias_makes_its_key(cloud: Cloud, name: str) -> None:
    """Documented: DescribeKey associates it with an AWS managed key, and tells that key's id and arn."""
    made = managed(cloud, name)
    assert made["KeyManager"] == "AWS"
    assert (made["Origin"], made["KeySpec"], made["KeyState"]) == ("AWS_KMS", "SYMMETRIC_DEFAULT", "Enabled")
    assert made["MultiRegion"] is False
    assert [managed(cloud, again) for again in (S3, made["KeyId"], made["Arn"])] == [made] * 3
    assert [one["KeyId"] for one in cloud.kms().list_keys()["Keys"]] == [made["KeyId"]]
    listed = entries(cloud)
    assert (listed[S3]["TargetKeyId"], "TargetKeyId" in listed[EBS]) == (made["KeyId"], False)
    assert entries(cloud, KeyId=made["KeyId"]).keys() == {S3}


def test_each_account_and_region_has_its_own(cloud: Cloud) -> None:
    clients = (cloud.kms(), cloud.kms(REPLICA), cloud.kms(account="444455556666"))
    assert len({kms.describe_key(KeyId=S3)["KeyMetadata"]["KeyId"] for kms in clients}) == 3


def test_an_alias_that_aws_did_not_make_has_no_key(cloud: Cloud) -> None:
    told = refusal(cloud.kms().describe_key, KeyId="alias/aws/nothing")
    assert told == ("NotFoundException", f"Alias {alias_arn('alias/aws/nothing')} is not found.")
    # Only DescribeKey is documented to make the key.
    assert refusal(cloud.kms().encrypt, KeyId=S3, Plaintext=b"x")[0] == "NotFoundException"
    assert cloud.kms().list_keys()["Keys"] == []


@pytest.mark.parametrize("made", [False, True])
def test_nobody_makes_moves_or_deletes_an_alias_of_aws(cloud: Cloud, made: bool) -> None:
    """Documented: alias/aws/ is reserved; the texts for UpdateAlias and DeleteAlias are not recorded."""
    key = cloud.key(Origin="AWS_KMS")
    before = managed(cloud) if made else None
    for name in (S3, "alias/aws/mine", "alias/aws/"):
        for verb, call, given in (
            ("create", cloud.kms().create_alias, {"TargetKeyId": key}),
            ("update", cloud.kms().update_alias, {"TargetKeyId": key}),
            ("delete", cloud.kms().delete_alias, {}),
        ):
            expected = ("NotAuthorizedException", f"Not authorized to {verb} an alias beginning with alias/aws/")
            assert refusal(call, AliasName=name, **given) == expected
    assert "alias/aws/mine" not in entries(cloud)
    assert not made or managed(cloud) == before


READS = {
    *("DescribeKey", "GetKeyLastUsage", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases"),
    *("ListGrants", "ListKeyPolicies", "ListKeyRotations", "ListResourceTags"),
}
WITHOUT_A_KEY = {
    "CreateAlias",
    "CreateKey",
    "DeleteAlias",
    "GenerateRandom",
    "ListKeys",
    "ListRetirableGrants",
    "UpdateAlias",
}
GIVEN: dict[str, Any] = {
    "AliasName": "alias/mine",
    "ReplicaRegion": REPLICA,
    "PrimaryRegion": REPLICA,
    "Policy": POLICY,
    "Description": "",
    "Tags": [],
    "TagKeys": [],
    "GrantId": "0" * 64,
    "GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root",
    "Operations": ["Decrypt"],
    "ImportToken": "AAAA",
    "EncryptedKeyMaterial": "AAAA",
    "CiphertextBlob": "AAAA",
    "Plaintext": "AAAA",
    "Message": "AAAA",
    "Mac": "AAAA",
    "Signature": "AAAA",
    "PublicKey": "AAAA",
    "NumberOfBytes": 16,
    "KeyPairSpec": "ECC_NIST_P256",
    "MacAlgorithm": "HMAC_SHA_256",
    "SigningAlgorithm": "ECDSA_SHA_256",
    "KeyAgreementAlgorithm": "ECDH",
    "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
    "WrappingKeySpec": "RSA_2048",
}


def asked(operation: str, key: str) -> dict[str, Any]:
    members = operation_model(operation).input_shape.members
    return {name: key for name in members if name.endswith("KeyId")} | {
        name: value for name, value in GIVEN.items() if name in members
    }


def test_an_aws_managed_key_may_only_be_read() -> None:
    """Seen: because no resource-based policy allows it; every operation that there is is tried, reads as READS says."""
    sim = Simulator(lag="instant")
    made = sim.call("DescribeKey", PRIMARY, ACCOUNT, {"KeyId": S3})["KeyMetadata"]
    answered, refused = {}, {}
    for operation in sorted(set(OPERATIONS) - WITHOUT_A_KEY):
        try:
            answered[operation] = sim.call(operation, PRIMARY, ACCOUNT, asked(operation, made["KeyId"]))
        except ServiceError as error:
            refused[operation] = (error.code, error.message)
    assert answered.keys() == READS
    # What its policy allows is refused for what the key is.
    other = {"GetParametersForImport": "UnsupportedOperationException", "GetPublicKey": "UnsupportedOperationException"}
    other["RevokeGrant"] = "NotFoundException"
    assert {name: refused.pop(name)[0] for name in other} == other
    who = f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform:"
    assert {code for code, _ in refused.values()} == {DENIED}
    assert all(text.startswith(f"{who} kms:{name} on resource: {made['Arn']}") for name, (_, text) in refused.items())
    assert sim.call("DescribeKey", PRIMARY, ACCOUNT, {"KeyId": S3})["KeyMetadata"] == made
    assert answered["GetKeyRotationStatus"]["KeyRotationEnabled"] is True
    assert answered["ListGrants"]["Grants"] == answered["ListResourceTags"]["Tags"] == []
    policy = json.loads(answered["GetKeyPolicy"]["Policy"])
    assert f"s3.{PRIMARY}.amazonaws.com" in json.dumps(policy["Statement"][0]["Condition"])


def test_no_alias_of_ours_leads_to_an_aws_managed_key(cloud: Cloud) -> None:
    key = cloud.key(Origin="AWS_KMS")
    target = managed(cloud)["KeyId"]
    cloud.kms().create_alias(AliasName="alias/mine", TargetKeyId=key)
    assert refusal(cloud.kms().update_alias, AliasName="alias/mine", TargetKeyId=target)[0] == DENIED
    assert refusal(cloud.kms().create_alias, AliasName="alias/other", TargetKeyId=target)[0] == DENIED
    assert [one["TargetKeyId"] for one in cloud.aliases()] == [key]


def test_it_rotates_every_year(cloud: Cloud) -> None:
    """Documented: about every 365 days."""
    before = managed(cloud)["CurrentKeyMaterialId"]
    cloud.clock.advance(366 * 86400)
    assert managed(cloud)["CurrentKeyMaterialId"] != before


def test_late_reads_find_the_one_key_all_the_same(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=replace(Lag.instant(), staleness=10, stale_share=1.0))
    first = managed(cloud)["KeyId"]
    for _ in range(5):
        cloud.clock.advance(1)
        assert managed(cloud)["KeyId"] == first
    cloud.settle()
    assert entries(cloud)[S3]["TargetKeyId"] == first


def test_it_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.json")
    made = Simulator(lag="instant", state=path).call("DescribeKey", PRIMARY, ACCOUNT, {"KeyId": S3})
    again = Simulator(lag="instant", state=path)
    assert again.call("DescribeKey", PRIMARY, ACCOUNT, {"KeyId": S3}) == made
    key = made["KeyMetadata"]["KeyId"]
    with pytest.raises(ServiceError, match=DENIED):
        again.call("DisableKey", PRIMARY, ACCOUNT, {"KeyId": key})
