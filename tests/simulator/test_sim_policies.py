"""Key policies: kept as they were sent, and refused where AWS would not take them for one."""

import json
from typing import Any

import pytest
from sim_cloud import ACCOUNT, POLICY, REPLICA, ROOT, Cloud, refusal

MALFORMED = "MalformedPolicyDocumentException"
NO_PRINCIPAL = "Policy contains a statement with no principal."
INVALID = "Policy contains a statement with one or more invalid principals."
LARGEST = 32 * 1024
LEFT_OUT = object()


def of(**changes: Any) -> str:
    """Return the usual policy with other fields in a second statement."""
    statement = {name: value for name, value in (ROOT | changes).items() if value is not LEFT_OUT}
    return json.dumps({"Version": "2012-10-17", "Statement": [ROOT, statement]})


def aws(*names: Any) -> dict[str, Any]:
    return {"AWS": list(names)}


WRONG = [
    *((text, "") for text in ("not json", "[]", "{}", "1", '{"Statement": "x"}', '{"Statement": [1]}', "[" * 9999)),
    ('{"Statement": []}', ""),
    (of(Principal=LEFT_OUT), NO_PRINCIPAL),
    (of(Principal={}), NO_PRINCIPAL),
    (of(Principal={"AWS": []}), NO_PRINCIPAL),
    (of(Principal=aws("nonsense")), INVALID),
    (of(Principal=aws(f"arn:aws:iam::{ACCOUNT}:root", "nonsense")), INVALID),
    (of(Principal={"AWS": "arn:aws:iam::1:root"}), INVALID),
    (of(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}), INVALID),
    (of(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:group/g"}), INVALID),
    (of(Principal={"AWS": f"arn:aws-cn:iam::{ACCOUNT}:root"}), INVALID),
    (of(Principal={"AWS": f"arn:aws:s3::{ACCOUNT}:root"}), INVALID),
    (of(Principal={"AWS": ""}), INVALID),
    (of(Principal={"AWS": None}), INVALID),
    (of(Principal={"AWS": {"a": "b"}}), INVALID),
    (of(Principal=aws(["*"])), INVALID),
    (of(Principal={"Service": "nonsense"}), INVALID),
    (of(Principal={"Nobody": "x"}), INVALID),
    (of(Principal="nonsense"), INVALID),
    (of(Principal=1), INVALID),
    (of(NotPrincipal="*"), ""),
    (of(Action=LEFT_OUT), "Missing required field Action"),
    (of(Resource=LEFT_OUT), "Missing required field Resource"),
    (of(Effect=LEFT_OUT), "Missing required field Effect"),
    (of(Effect="Perhaps"), ""),
]


def sized(size: int) -> str:
    return POLICY + " " * (size - len(POLICY))


class TestPolicies:
    def test_a_policy_is_kept_as_it_was_sent(self, cloud: Cloud) -> None:
        key = cloud.key()
        default = json.loads(cloud.kms().get_key_policy(KeyId=key)["Policy"])
        assert default["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
        assert cloud.kms().list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
        policy = POLICY.replace(": ", " :\n ")
        cloud.kms().put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
        answer = cloud.kms().get_key_policy(KeyId=key, PolicyName="default")
        assert (answer["Policy"], answer["PolicyName"]) == (policy, "default")
        refused = refusal(cloud.kms().get_key_policy, KeyId=key, PolicyName="other")
        assert refused == ("NotFoundException", "No such policy exists")
        given = {"KeyId": key, "PolicyName": "AWS_RAM"}
        assert refusal(cloud.kms().get_key_policy, **given)[0] == "NotFoundException"
        assert refusal(cloud.kms().put_key_policy, **given, Policy=policy)[0] == "ValidationException"
        assert cloud.kms().get_key_policy(KeyId=key)["Policy"] == policy

    def test_what_is_no_policy_is_refused_and_nothing_happens(self, cloud: Cloud) -> None:
        key = cloud.ready_key(MultiRegion=True)
        cloud.kms().put_key_policy(KeyId=key, Policy=POLICY)
        for wrong, message in WRONG:
            expected = (MALFORMED, message)
            assert refusal(cloud.kms().put_key_policy, KeyId=key, Policy=wrong) == expected, wrong
            assert refusal(cloud.kms().create_key, Policy=wrong) == expected, wrong
            assert refusal(cloud.kms().replicate_key, KeyId=key, ReplicaRegion=REPLICA, Policy=wrong) == expected, wrong
        assert cloud.kms().get_key_policy(KeyId=key)["Policy"] == POLICY
        assert [one["KeyId"] for one in cloud.kms().list_keys()["Keys"]] == [key]
        assert cloud.kms(REPLICA).list_keys()["Keys"] == []

    @pytest.mark.parametrize(
        "principal",
        [
            "*",
            {"AWS": "*"},
            {"AWS": ACCOUNT},
            {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/a/b", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x/y"]},
            {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/rotator/run-1"},
            {"Service": "cloudtrail.amazonaws.com"},
            {"Service": ["a.amazonaws.com"], "AWS": ["*"]},
        ],
    )
    def test_who_may_be_named(self, cloud: Cloud, principal: Any) -> None:
        for policy in (of(Principal=principal), of(Principal=LEFT_OUT, NotPrincipal=principal, Effect="Deny")):
            made = cloud.kms().create_key(Policy=policy, BypassPolicyLockoutSafetyCheck=True)
            key = made["KeyMetadata"]["KeyId"]
            assert cloud.kms().get_key_policy(KeyId=key)["Policy"] == policy

    @pytest.mark.parametrize("beyond", [1, 4096])
    def test_a_policy_has_32_kib(self, cloud: Cloud, beyond: int) -> None:
        key = cloud.ready_key(MultiRegion=True)
        cloud.kms().put_key_policy(KeyId=key, Policy=sized(LARGEST))
        for call, given in (
            (cloud.kms().put_key_policy, {"KeyId": key}),
            (cloud.kms().create_key, {}),
            (cloud.kms().replicate_key, {"KeyId": key, "ReplicaRegion": REPLICA}),
        ):
            assert refusal(call, **given, Policy=sized(LARGEST + beyond))[0] == "LimitExceededException"
        assert cloud.kms().get_key_policy(KeyId=key)["Policy"] == sized(LARGEST)
