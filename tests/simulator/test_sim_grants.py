"""Grants made, found, retired and revoked; recorded: grants.json of September 2026, if not said otherwise."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Cloud, refusal

from orchestrator.simulator import Lag, ServiceError, Simulator

ROLE = f"arn:aws:iam::{ACCOUNT}:role/probe/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/target"
DECRYPT: dict[str, Any] = {"GranteePrincipal": ROLE, "Operations": ["Decrypt"]}


@pytest.fixture
def key(cloud: Cloud) -> str:
    return cloud.key(Origin="AWS_KMS")


def grants(cloud: Cloud, key: str, region: str = PRIMARY, **asked: Any) -> list[str]:
    return [grant["GrantId"] for grant in cloud.kms(region).list_grants(KeyId=key, **asked)["Grants"]]


def test_a_grant_reads_as_it_was_recorded(cloud: Cloud, key: str) -> None:
    cloud.clock.advance(0.6)
    asked = {"GranteePrincipal": SESSION, "RetiringPrincipal": SESSION, "Name": "session"}
    made = cloud.kms().create_grant(KeyId=key, Operations=["Decrypt", "RetireGrant"], **asked)
    assert len(base64.b64decode(made["GrantToken"], validate=True)) == 64
    answer = cloud.kms().list_grants(KeyId=cloud.arn(key))
    (entry,) = answer["Grants"]
    assert answer["Truncated"] is False
    assert entry.pop("CreationDate").timestamp() == int(cloud.clock())
    assert entry == {
        "KeyId": cloud.arn(key),
        "GrantId": made["GrantId"],
        "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root",
        "Operations": ["Decrypt", "RetireGrant"],
        **asked,
    }
    assert cloud.sim.key(PRIMARY, key).grants == (made["GrantId"],)  # type: ignore[union-attr]


def test_constraints_are_listed_and_a_grant_without_a_name_has_an_empty_one(cloud: Cloud, key: str) -> None:
    """Documented: the examples of CreateGrant."""
    context = {"EncryptionContextSubset": {"Department": "IT"}}
    source = {"SourceArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t"}
    service = {
        "GranteeServicePrincipal": "dynamodb.amazonaws.com",
        "RetiringServicePrincipal": "dynamodb.amazonaws.com",
    }
    cloud.kms().create_grant(KeyId=key, **DECRYPT, Constraints=context)
    cloud.kms().create_grant(KeyId=key, Operations=["Encrypt"], **service, Constraints=context | source)
    first, second = cloud.kms().list_grants(KeyId=key)["Grants"]
    assert (first["Name"], first["Constraints"]) == ("", context)
    assert (second["Constraints"], "GranteePrincipal" in second) == (context | source, False)
    assert second["GranteeServicePrincipal"] == "dynamodb.amazonaws.com"


class TestNames:
    def test_the_same_request_with_a_name_finds_the_same_grant(self, cloud: Cloud, key: str) -> None:
        asked = {
            "KeyId": key,
            "Name": "n",
            "GranteePrincipal": ROLE,
            "Constraints": {"EncryptionContextEquals": {"a": "b"}},
        }
        one = cloud.kms().create_grant(**asked, Operations=["Decrypt", "Encrypt"])
        again = cloud.kms().create_grant(**asked, Operations=["Encrypt", "Decrypt"])
        assert one["GrantId"] == again["GrantId"]
        assert one["GrantToken"] != again["GrantToken"]
        cloud.kms().retire_grant(GrantToken=one["GrantToken"])
        told = refusal(cloud.kms().retire_grant, GrantToken=again["GrantToken"])
        assert told == ("NotFoundException", f"Grant ID {one['GrantId']} not found")

    @pytest.mark.parametrize(
        "other",
        [
            {"Operations": ["Encrypt"]},
            {"GranteePrincipal": SESSION},
            {"RetiringPrincipal": ROLE},
            {"Constraints": {"EncryptionContextEquals": {}}},
        ],
    )
    def test_another_request_with_that_name_makes_another(self, cloud: Cloud, key: str, other: dict[str, Any]) -> None:
        """Recorded for the principal: lifecycle_recreated_named_grant."""
        one = cloud.kms().create_grant(KeyId=key, Name="n", **DECRYPT)["GrantId"]
        two = cloud.kms().create_grant(**{"KeyId": key, "Name": "n", **DECRYPT, **other})["GrantId"]
        assert grants(cloud, key) == [one, two]

    def test_without_a_name_each_request_makes_one(self, cloud: Cloud, key: str) -> None:
        made = [cloud.kms().create_grant(KeyId=key, **DECRYPT)["GrantId"] for _ in range(2)]
        assert len(set(made)) == 2
        assert grants(cloud, key) == made

    def test_a_name_is_one_key_s(self, cloud: Cloud, key: str) -> None:
        """Seen: test_create_grant_with_same_name_two_keys."""
        other = cloud.key(Origin="AWS_KMS")
        made = [cloud.kms().create_grant(KeyId=one, Name="n", **DECRYPT)["GrantId"] for one in (key, other)]
        assert [grants(cloud, key), grants(cloud, other)] == [made[:1], made[1:]]


NO_PRINCIPAL = "does not refer to a valid principal"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"Operations": ["CreateGrant"]}, "ValidationException", "Grants must not contain only the CreateGrant operation."),
    ({"Operations": []}, "ValidationException", ""),
    ({"Operations": ["Decrypt", "Sign"]}, "ValidationException", "Operation Sign"),
    ({"Operations": ["ListGrants"]}, "ValidationException", "1 validation error detected"),
    (
        {"Constraints": {"EncryptionContextEquals": {}, "EncryptionContextSubset": {"a": "b"}}},
        "ValidationException",
        "More than one constraint supplied",
    ),
    ({"Constraints": {"EncryptionContextSubset": {str(n): "" for n in range(9)}}}, "ValidationException", "8 pairs"),
    ({"Constraints": {"EncryptionContextEquals": {"a": "b" * 385}}}, "ValidationException", "384"),
    ({"GranteePrincipal": ""}, "ValidationException", ""),
    ({"GranteePrincipal": "reader"}, "InvalidArnException", f"GranteePrincipal {NO_PRINCIPAL}."),
    ({"RetiringPrincipal": "reader"}, "InvalidArnException", f"RetiringPrincipal {NO_PRINCIPAL}."),
    ({"GranteePrincipal": "s3.example.com"}, "InvalidArnException", NO_PRINCIPAL),
    (
        {"GranteePrincipal": f"arn:aws:sts::{ACCOUNT}:assumed-role/probe/reader/target"},
        "InvalidArnException",
        f"ARN is not valid: arn:aws:sts::{ACCOUNT}:assumed-role/probe/reader/target",
    ),
    ({"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:group/g"}, "InvalidArnException", "ARN is not valid: "),
    ({"GranteePrincipal": "arn:aws:iam::1:root"}, "InvalidArnException", "ARN is not valid: "),
    ({"GranteePrincipal": f"arn:aws-cn:iam::{ACCOUNT}:root"}, "InvalidArnException", f"ARN {NO_PRINCIPAL}: "),
    ({"Name": "a b"}, "ValidationException", "1 validation error detected"),
    ({"GranteeServicePrincipal": "s3.amazonaws.com"}, "ValidationException", "either GranteePrincipal or"),
    ({"RetiringPrincipal": ROLE, "RetiringServicePrincipal": "s3.amazonaws.com"}, "ValidationException", "not both"),
    ({"GrantTokens": ["bm8="]}, "InvalidGrantTokenException", ""),
]


@pytest.mark.parametrize(("given", "code", "message"), REFUSED)
def test_a_grant_that_is_not_made(cloud: Cloud, given: dict[str, Any], code: str, message: str) -> None:
    key = cloud.key(Origin="AWS_KMS")
    with pytest.raises(ServiceError) as caught:
        cloud.sim.call("CreateGrant", PRIMARY, ACCOUNT, {"KeyId": key, **DECRYPT, **given})
    assert (caught.value.code, message in caught.value.message) == (code, True), caught.value.message
    assert grants(cloud, key) == []


def test_a_service_s_grant_needs_its_source_and_somebody_to_retire_it(cloud: Cloud, key: str) -> None:
    """Documented: CreateGrant, GranteeServicePrincipal."""
    source = {"Constraints": {"SourceArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t"}}
    service = {"KeyId": key, "Operations": ["Encrypt"], "GranteeServicePrincipal": "dynamodb.amazonaws.com"}
    for lacking in ({}, {"RetiringPrincipal": ROLE}, source):
        assert refusal(cloud.kms().create_grant, **service, **lacking)[0] == "ValidationException"
    assert refusal(cloud.kms().create_grant, KeyId=key, Operations=["Encrypt"])[0] == "ValidationException"


@pytest.mark.parametrize(
    "principal",
    [
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:user/a/b",
        SESSION,
        ROLE,
        f"arn:aws:sts::{ACCOUNT}:federated-user/u",
        "AROA00000000000000100:future",
        "dynamodb.us-west-1.amazonaws.com",
    ],
)
def test_every_kind_of_principal_is_taken_and_found_again(cloud: Cloud, key: str, principal: str) -> None:
    """Recorded: raw_session_id, unissued_session, unissued_federated_user; the service is seen."""
    cloud.kms().create_grant(KeyId=key, **DECRYPT | {"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:user/other"})
    made = cloud.kms().create_grant(KeyId=key, **DECRYPT | {"GranteePrincipal": principal}, RetiringPrincipal=principal)
    assert grants(cloud, key, GranteePrincipal=principal) == [made["GrantId"]]
    listed = cloud.kms().list_retirable_grants(RetiringPrincipal=principal)["Grants"]
    assert [grant["GrantId"] for grant in listed] == [made["GrantId"]]


KINDS: dict[str, tuple[dict[str, str], set[str]]] = {
    "symmetric": (
        {},
        {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"}
        | {"GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"},
    ),
    "RSA": (
        {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"},
        {"Decrypt", "Encrypt", "GetPublicKey", "ReEncryptFrom", "ReEncryptTo"},
    ),
    "signing": ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, {"GetPublicKey", "Sign", "Verify"}),
    "agreement": ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}, {"DeriveSharedSecret", "GetPublicKey"}),
    "HMAC": ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, {"GenerateMac", "VerifyMac"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_grant_allows_what_the_key_can_do(cloud: Cloud, kind: str) -> None:
    """Documented: an operation that the kind of key does not know is refused; so is a context where there is none."""
    made, own = KINDS[kind]
    key = cloud.key(Origin="AWS_KMS", **made)
    shape = cloud.kms().meta.service_model.shape_for("GrantOperation")
    taken = set()
    for operation in shape.enum:
        try:
            cloud.kms().create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=[operation, "CreateGrant"])
            taken.add(operation)
        except cloud.kms().exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationException"  # noqa: PT017 - which are taken is asked below
    assert taken == own | {"DescribeKey", "RetireGrant"}
    if kind != "symmetric":
        asked = {"GranteePrincipal": ROLE, "Operations": ["DescribeKey"]}
        told = refusal(cloud.kms().create_grant, KeyId=key, **asked, Constraints={"EncryptionContextSubset": {}})
        assert told[0] == "ValidationException"


class TestLists:
    def test_a_page_has_fifty_and_a_hundred_at_most(self, cloud: Cloud, key: str) -> None:
        for _ in range(101):
            cloud.sim.call("CreateGrant", PRIMARY, ACCOUNT, {"KeyId": key, **DECRYPT, "RetiringPrincipal": ROLE})
        for call, asked in (("list_grants", {"KeyId": key}), ("list_retirable_grants", {"RetiringPrincipal": ROLE})):
            ask = getattr(cloud.kms(), call)
            assert len(ask(**asked)["Grants"]) == 50
            page = ask(**asked, Limit=1000)
            assert (len(page["Grants"]), page["Truncated"]) == (100, True)
            assert len(ask(**asked, Marker=page["NextMarker"])["Grants"]) == 1
            pages = cloud.kms().get_paginator(call).paginate(**asked)
            assert len({grant["GrantId"] for page in pages for grant in page["Grants"]}) == 101
            assert refusal(ask, **asked, Marker="x")[0] == "InvalidMarkerException"

    def test_filters(self, cloud: Cloud, key: str) -> None:
        one, two = (
            cloud.kms().create_grant(KeyId=key, **DECRYPT | {"GranteePrincipal": who})["GrantId"]
            for who in (ROLE, SESSION)
        )
        assert grants(cloud, key, GrantId=two) == [two]
        assert grants(cloud, key, GranteePrincipal=ROLE) == [one]
        assert grants(cloud, key, GrantId=two, GranteePrincipal=ROLE) == grants(cloud, key, GrantId="0" * 64) == []
        told = refusal(cloud.kms().list_grants, KeyId=key, GranteePrincipal="nobody")
        assert told == ("InvalidArnException", "Input does not refer to a valid principal")

    def test_who_has_nothing_to_retire(self, cloud: Cloud, key: str) -> None:
        cloud.kms().create_grant(KeyId=key, **DECRYPT)
        assert cloud.kms().list_retirable_grants(RetiringPrincipal=ROLE)["Grants"] == []
        for nobody in (
            {"RetiringPrincipal": "arn:aws:iam::444455556666:root"},
            {"RetiringServicePrincipal": "s3.aws.com"},
        ):
            assert refusal(cloud.kms().list_retirable_grants, **nobody)[0] == "AccessDeniedException"
        assert refusal(cloud.kms().list_retirable_grants)[0] == "ValidationException"

    def test_lists_are_late_where_the_lag_says_so(self, make_cloud: Callable[..., Cloud]) -> None:
        cloud = make_cloud(lag=Lag(**{**vars_of(Lag.instant()), "staleness": 10, "stale_share": 1.0}))
        key = cloud.key(Origin="AWS_KMS")
        cloud.settle()
        made = cloud.kms().create_grant(KeyId=key, **DECRYPT, RetiringPrincipal=ROLE)
        cloud.clock.advance(0.001)
        assert grants(cloud, key) == cloud.kms().list_retirable_grants(RetiringPrincipal=ROLE)["Grants"] == []
        cloud.settle()
        assert grants(cloud, key) == [made["GrantId"]]
        cloud.kms().revoke_grant(KeyId=key, GrantId=made["GrantId"])
        cloud.clock.advance(0.001)
        assert grants(cloud, key) == [made["GrantId"]]


def vars_of(lag: Lag) -> dict[str, Any]:
    return {name: getattr(lag, name) for name in lag.__dataclass_fields__}


class TestEnd:
    def test_a_grant_is_deleted_in_each_of_three_ways(self, cloud: Cloud, key: str) -> None:
        kms = cloud.kms()
        one, two, three, kept = (kms.create_grant(KeyId=key, **DECRYPT) for _ in range(4))
        kms.retire_grant(GrantToken=one["GrantToken"])
        kms.retire_grant(KeyId=key, GrantId=two["GrantId"])
        kms.revoke_grant(KeyId=cloud.arn(key), GrantId=three["GrantId"])
        assert grants(cloud, key) == [kept["GrantId"]]
        for gone in (one, two, three):
            expected = ("NotFoundException", f"Grant ID {gone['GrantId']} not found")
            assert refusal(kms.retire_grant, GrantToken=gone["GrantToken"]) == expected
            assert refusal(kms.retire_grant, KeyId=key, GrantId=gone["GrantId"]) == expected
            assert refusal(kms.revoke_grant, KeyId=key, GrantId=gone["GrantId"]) == expected

    def test_retiring_names_a_grant_in_one_way(self, cloud: Cloud, key: str) -> None:
        made = cloud.kms().create_grant(KeyId=key, **DECRYPT)
        token, ids = {"GrantToken": made["GrantToken"]}, {"KeyId": key, "GrantId": made["GrantId"]}
        for given in ({}, {"KeyId": key}, {"GrantId": made["GrantId"]}, token | ids, token | {"KeyId": key}):
            assert refusal(cloud.kms().retire_grant, **given)[0] == "ValidationException", given
        assert grants(cloud, key) == [made["GrantId"]]

    def test_a_dry_run_changes_nothing(self, cloud: Cloud, key: str) -> None:
        kms, dry = cloud.kms(), "DryRunOperationException"
        assert refusal(kms.create_grant, KeyId=key, **DECRYPT, DryRun=True)[0] == dry
        assert grants(cloud, key) == []
        wrong = DECRYPT | {"Operations": ["Sign"]}
        assert refusal(kms.create_grant, KeyId=key, **wrong, DryRun=True)[0] == "ValidationException"
        made = kms.create_grant(KeyId=key, **DECRYPT)
        by_id = {"KeyId": key, "GrantId": made["GrantId"], "DryRun": True}
        for call in (kms.revoke_grant, kms.retire_grant):
            assert refusal(call, **by_id)[0] == dry
            assert refusal(call, **by_id | {"GrantId": "0" * 64})[0] == "NotFoundException"
        assert grants(cloud, key) == [made["GrantId"]]

    @pytest.mark.parametrize("state", ["disabled", "deleting", "empty"])
    def test_a_grant_ends_whatever_the_key_s_state(self, cloud: Cloud, state: str) -> None:
        """Documented: the table of key states."""
        key = cloud.ready_key()
        one, two = (cloud.kms().create_grant(KeyId=key, **DECRYPT) for _ in range(2))
        ways: dict[str, Callable[[], object]] = {
            "disabled": lambda: cloud.kms().disable_key(KeyId=key),
            "deleting": lambda: cloud.kms().schedule_key_deletion(KeyId=key),
            "empty": lambda: cloud.kms().delete_imported_key_material(KeyId=key),
        }
        ways[state]()
        assert grants(cloud, key) == [one["GrantId"], two["GrantId"]]
        cloud.kms().retire_grant(GrantToken=one["GrantToken"])
        cloud.kms().revoke_grant(KeyId=key, GrantId=two["GrantId"])
        assert grants(cloud, key) == []

    def test_grants_go_with_their_key_and_only_with_it(self, cloud: Cloud, key: str) -> None:
        other = cloud.key(Origin="AWS_KMS")
        made = [
            cloud.kms().create_grant(KeyId=one, **DECRYPT, RetiringPrincipal=ROLE)["GrantId"] for one in (key, other)
        ]
        cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        cloud.kms().cancel_key_deletion(KeyId=key)
        assert grants(cloud, key) == made[:1]
        cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        cloud.clock.advance(7 * 86400)
        listed = cloud.kms().list_retirable_grants(RetiringPrincipal=ROLE)["Grants"]
        assert [grant["GrantId"] for grant in listed] == made[1:]


def test_a_region_s_grants_are_its_own(cloud: Cloud) -> None:
    """Documented: grants are no shared property of multi-Region keys; a replica made later has none."""
    key = cloud.key(Origin="AWS_KMS", MultiRegion=True)
    here = cloud.kms().create_grant(KeyId=key, **DECRYPT)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    there = cloud.kms(REPLICA).create_grant(KeyId=key, **DECRYPT)
    assert grants(cloud, key) == [here["GrantId"]]
    assert grants(cloud, key, REPLICA) == [there["GrantId"]]
    cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
    assert grants(cloud, key) == [here["GrantId"]]
    assert refusal(cloud.kms(REPLICA).retire_grant, GrantToken=here["GrantToken"])[0] == "InvalidGrantTokenException"
    assert refusal(cloud.kms(REPLICA).revoke_grant, KeyId=key, GrantId=here["GrantId"])[0] == "NotFoundException"


def test_grants_and_their_tokens_survive_a_restart_and_there_is_a_last_one(tmp_path: Path) -> None:
    """Documented: 50,000 grants for a key; the text is not recorded."""
    path = tmp_path / "state.json"
    first = Simulator(lag="instant", state=str(path))
    key = str(first.call("CreateKey", PRIMARY, ACCOUNT, {})["KeyMetadata"]["KeyId"])
    context = {"EncryptionContextEquals": {"a": "b"}}
    made = first.call("CreateGrant", PRIMARY, ACCOUNT, {"KeyId": key, "Name": "n", **DECRYPT, "Constraints": context})
    kept = json.loads(path.read_text())
    member = kept["keys"][0]["members"][PRIMARY]
    member["grants"] += [{**member["grants"][0], "id": f"{n:064x}"} for n in range(49_999)]
    path.write_text(json.dumps(kept))
    second = Simulator(lag="instant", state=str(path))
    assert second.call("CreateGrant", PRIMARY, ACCOUNT, {"KeyId": key, "Name": "n", **DECRYPT, "Constraints": context})
    with pytest.raises(ServiceError) as caught:
        second.call("CreateGrant", PRIMARY, ACCOUNT, {"KeyId": key, **DECRYPT})
    assert caught.value.code == "LimitExceededException"
    second.call("RetireGrant", PRIMARY, ACCOUNT, {"GrantToken": made["GrantToken"]})
    second.call("CreateGrant", PRIMARY, ACCOUNT, {"KeyId": key, **DECRYPT})
    assert len(second.key(PRIMARY, key).grants) == 50_000  # type: ignore[union-attr]
