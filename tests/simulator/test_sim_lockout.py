"""The lock-out check: a key policy must let its sender send the next one."""

import json
from typing import Any

import boto3
import pytest
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Cloud, refusal

TEXT = "The new key policy will not allow you to update the key policy in the future."
LOCKED_OUT = ("MalformedPolicyDocumentException", TEXT)
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
ROLE = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/path/admin"}


def allow(principal: Any, action: Any = "kms:PutKeyPolicy", **given: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **given}


def deny(principal: Any, action: Any = "kms:PutKeyPolicy", **given: Any) -> dict[str, Any]:
    return allow(principal, action, **given) | {"Effect": "Deny"}


def but(action: Any, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Principal": "*", "NotAction": action, "Resource": "*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def admin(cloud: Cloud, role: str = "path/admin") -> Any:
    """Return a KMS client of a session of that role."""
    made: dict[str, Any] = {"region_name": PRIMARY, "endpoint_url": cloud.endpoint_url}
    sts = boto3.client("sts", **made, aws_access_key_id=ACCOUNT, aws_secret_access_key="x")
    given = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="now")["Credentials"]
    return boto3.client(
        "kms",
        **made,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


SOUND: dict[str, list[dict[str, Any]]] = {
    "the account": [allow(ROOT)],
    "the account by its number": [allow({"AWS": ACCOUNT})],
    "everybody": [allow("*")],
    "everybody of AWS, among others": [allow({"AWS": ["*"], "Service": "s3.amazonaws.com"})],
    "all of KMS": [allow(ROOT, "kms:*")],
    "a pattern": [allow(ROOT, ["kms:Describe*", "kms:Put*"])],
    "a pattern of one letter, in capitals": [allow(ROOT, "KMS:PUTKEYPOLIC?")],
    "everything": [allow(ROOT, "*")],
    "all but something else": [but("kms:Decrypt")],
    "under a condition": [allow("*", Condition={"StringEquals": {"kms:CallerAccount": ACCOUNT}})],
    "with a denial of something else": [allow(ROOT), deny("*", "kms:Decrypt")],
    "with a denial of somebody else": [allow(ROOT), deny(ROLE)],
    "with a denial under a condition": [allow(ROOT), deny("*", Condition={"Bool": {"aws:SecureTransport": "false"}})],
}
LOCKING: dict[str, list[dict[str, Any]]] = {
    "somebody of another account": [allow({"AWS": "arn:aws:iam::444455556666:user/admin"})],
    "another action": [allow(ROOT, ["kms:Decrypt", "kms:PutKey"])],
    "all but this": [but(["kms:Put*"])],
    "another account": [allow({"AWS": "arn:aws:iam::444455556666:root"})],
    "one role only, and it is the account that asks": [allow(ROLE)],
    "a service": [allow({"Service": "s3.amazonaws.com"})],
    "only a denial": [deny(ROLE)],
    "a denial of everybody": [allow(ROOT), deny("*")],
    "a denial of the account": [allow(ROOT), deny(ROOT, "kms:*")],
    "a denial of all but something": [allow(ROOT), but("kms:Decrypt", "Deny")],
}
WAYS = ("create_key", "put_key_policy", "replicate_key")


def send(cloud: Cloud, way: str, kms: Any, **given: Any) -> tuple[Any, dict[str, Any]]:
    """Return a call that sends a policy, and what it needs besides."""
    if way == "create_key":
        return kms.create_key, given
    key = cloud.key(Origin="AWS_KMS", MultiRegion=True)
    return getattr(kms, way), {"KeyId": key, **given} | ({"ReplicaRegion": REPLICA} if way == "replicate_key" else {})


@pytest.mark.parametrize("way", WAYS)
def test_policies_that_leave_a_way_back(cloud: Cloud, way: str) -> None:
    for name, statements in SOUND.items():
        call, given = send(cloud, way, cloud.kms(), Policy=policy(*statements))
        assert call(**given), name


@pytest.mark.parametrize("way", WAYS)
def test_policies_that_lock_their_sender_out(cloud: Cloud, way: str) -> None:
    """Seen: the text, for each of the three operations that take a policy."""
    for name, statements in LOCKING.items():
        call, given = send(cloud, way, cloud.kms(), Policy=policy(*statements))
        keys = len(cloud.kms().list_keys()["Keys"])
        assert refusal(call, **given) == LOCKED_OUT, name
        assert refusal(call, **given, BypassPolicyLockoutSafetyCheck=False) == LOCKED_OUT, name
        assert len(cloud.kms().list_keys()["Keys"]) == keys
        if way == "put_key_policy":
            assert "key-default-1" in cloud.kms().get_key_policy(KeyId=given["KeyId"])["Policy"]
        assert call(**given, BypassPolicyLockoutSafetyCheck=True), name


@pytest.mark.parametrize("way", WAYS)
def test_a_role_is_let_back_by_its_own_name_by_its_session_s_or_by_the_account_s(cloud: Cloud, way: str) -> None:
    session = {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/now"}
    other = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/path/other"}
    for principal in (ROLE, session, ROOT):
        call, given = send(cloud, way, admin(cloud), Policy=policy(allow(principal)))
        assert call(**given)
    for statements in (
        [allow(other)],
        [allow(ROOT), deny(ROLE)],
        [allow(ROLE), deny(session)],
        [allow(ROLE), deny(ROOT)],
    ):
        call, given = send(cloud, way, admin(cloud), Policy=policy(*statements))
        assert refusal(call, **given) == LOCKED_OUT


def test_no_policy_no_check(cloud: Cloud) -> None:
    key = cloud.key(Origin="AWS_KMS", MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    assert "key-default-1" in cloud.kms(REPLICA).get_key_policy(KeyId=key)["Policy"]
