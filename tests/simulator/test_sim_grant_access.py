"""What a grant opens to another account, and what grant tokens are worth."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Cloud, refusal

from orchestrator.simulator.operations import OPERATIONS
from orchestrator.simulator.wire import operation_model

OTHER = "444455556666"
OTHER_ROOT = f"arn:aws:iam::{OTHER}:root"
CONTEXT = {"Department": "IT"}
DENIED = "AccessDeniedException"


def client(cloud: Cloud, service: str, access_key: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=PRIMARY,
        endpoint_url=cloud.endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


def session(cloud: Cloud, role: str, name: str = "target") -> Any:
    """Return a KMS client of an assumed role of the other account."""
    arn = f"arn:aws:iam::{OTHER}:role/{role}"
    given = client(cloud, "sts", OTHER).assume_role(RoleArn=arn, RoleSessionName=name)
    return client(cloud, "kms", given["Credentials"]["AccessKeyId"])


def granted(cloud: Cloud, key: str, grantee: str, *operations: str, **given: Any) -> dict[str, Any]:
    return dict(cloud.kms().create_grant(KeyId=key, GranteePrincipal=grantee, Operations=list(operations), **given))


@pytest.fixture
def key(cloud: Cloud) -> str:
    return cloud.arn(cloud.key(Origin="AWS_KMS"))


USES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "DescribeKey": ({}, {}),
    "Encrypt": ({}, {"Plaintext": b"x"}),
    "GenerateDataKey": ({}, {"NumberOfBytes": 16}),
    "GenerateDataKeyWithoutPlaintext": ({}, {"NumberOfBytes": 16}),
    "GenerateDataKeyPair": ({}, {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateDataKeyPairWithoutPlaintext": ({}, {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateMac": (
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
        {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
    ),
    "GetPublicKey": ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, {}),
    "Sign": (
        {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
        {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
    ),
}


@pytest.mark.parametrize("operation", USES)
def test_a_grant_opens_each_operation_by_itself(cloud: Cloud, operation: str) -> None:
    made, given = USES[operation]
    key = cloud.arn(cloud.key(Origin="AWS_KMS", **made))
    other = "DescribeKey" if operation != "DescribeKey" else "Encrypt"
    theirs = cloud.kms(account=OTHER)
    call = getattr(theirs, _method(theirs, operation))
    granted(cloud, key, OTHER_ROOT, other)
    assert refusal(call, KeyId=key, **given)[0] == DENIED
    grant = granted(cloud, key, OTHER_ROOT, operation)
    answer = call(KeyId=key, **given)
    assert answer.get("KeyId", key) == key
    cloud.kms().revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    code, message = refusal(call, KeyId=key, **given)
    assert (code, f"not authorized to perform: kms:{operation} on " in message) == (DENIED, True)


def _method(kms: Any, operation: str) -> str:
    return next(method for method, api in kms.meta.method_to_api_mapping.items() if api == operation)


def test_what_no_grant_opens(cloud: Cloud, key: str) -> None:
    """The key by its bare id, another Region's replica, and what is no operation of grants."""
    granted(cloud, key, OTHER_ROOT, "DescribeKey", "CreateGrant", "RetireGrant")
    theirs = cloud.kms(account=OTHER)
    assert theirs.describe_key(KeyId=key)["KeyMetadata"]["AWSAccountId"] == ACCOUNT
    assert refusal(theirs.describe_key, KeyId=key.rpartition("/")[2])[0] == "NotFoundException"
    for call in (theirs.disable_key, theirs.list_grants, theirs.get_key_policy, theirs.get_key_last_usage):
        assert refusal(call, KeyId=key)[0] == DENIED
    assert theirs.list_keys()["Keys"] == []
    shared = cloud.key(Origin="AWS_KMS", MultiRegion=True)
    granted(cloud, shared, OTHER_ROOT, "DescribeKey")
    cloud.kms().replicate_key(KeyId=shared, ReplicaRegion=REPLICA)
    theirs.describe_key(KeyId=cloud.arn(shared))
    assert refusal(cloud.kms(REPLICA, OTHER).describe_key, KeyId=cloud.arn(shared, REPLICA))[0] == DENIED


@pytest.mark.parametrize(
    ("grantee", "opened"),
    [
        (OTHER_ROOT, {"account", "target", "sibling", "stranger"}),
        (f"arn:aws:iam::{OTHER}:role/probe/reader", {"target", "sibling"}),
        (f"arn:aws:sts::{OTHER}:assumed-role/reader/target", {"target"}),
        (f"arn:aws:iam::{OTHER}:user/reader", set()),
        ("arn:aws:iam::777788889999:root", set()),
        ("AROA00000000000000100:target", set()),
    ],
)
def test_who_a_grantee_is(cloud: Cloud, key: str, grantee: str, opened: set[str]) -> None:
    """Recorded: session_sibling, session_repeated_name; the arn of a session leaves out the role's path."""
    granted(cloud, key, grantee, "DescribeKey")
    callers = {
        "account": cloud.kms(account=OTHER),
        "target": session(cloud, "probe/reader"),
        "sibling": session(cloud, "probe/reader", "sibling"),
        "stranger": session(cloud, "other"),
    }

    def may(kms: Any) -> bool:
        try:
            return bool(kms.describe_key(KeyId=key))
        except kms.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == DENIED  # noqa: PT017 - who may is asked below
            return False

    assert {name for name, kms in callers.items() if may(kms)} == opened


CONSTRAINTS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({"EncryptionContextEquals": CONTEXT}, CONTEXT, True),
    ({"EncryptionContextEquals": CONTEXT}, {**CONTEXT, "Purpose": "Test"}, False),
    ({"EncryptionContextEquals": CONTEXT}, {}, False),
    ({"EncryptionContextEquals": {}}, {}, True),
    ({"EncryptionContextEquals": {}}, CONTEXT, False),
    ({"EncryptionContextSubset": CONTEXT}, CONTEXT, True),
    ({"EncryptionContextSubset": CONTEXT}, {**CONTEXT, "Purpose": "Test"}, True),
    ({"EncryptionContextSubset": CONTEXT}, {"Purpose": "Test"}, False),
    ({"EncryptionContextSubset": CONTEXT}, {"Department": "it"}, False),
    ({"SourceArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t"}, {}, False),
]


@pytest.mark.parametrize(("constraint", "context", "fits"), CONSTRAINTS)
def test_a_constraint_is_judged_by_the_context_of_the_call(
    cloud: Cloud, key: str, constraint: dict[str, Any], context: dict[str, str], fits: bool
) -> None:
    """Documented: using grant constraints; DescribeKey has no context, so none is asked of it."""
    granted(cloud, key, OTHER_ROOT, "Encrypt", "Decrypt", "DescribeKey", Constraints=constraint)
    theirs = cloud.kms(account=OTHER)
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    if not fits:
        assert refusal(theirs.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=context)[0] == DENIED
        for named in ({}, {"KeyId": key}):
            assert refusal(theirs.decrypt, CiphertextBlob=blob, EncryptionContext=context, **named)[0] == DENIED
    else:
        theirs.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context)
        for named in ({}, {"KeyId": key}):
            assert theirs.decrypt(CiphertextBlob=blob, EncryptionContext=context, **named)["Plaintext"] == b"x"
    if "SourceArn" not in constraint:
        theirs.describe_key(KeyId=key)


def test_re_encrypt_needs_a_grant_on_either_side(cloud: Cloud, key: str) -> None:
    target = cloud.arn(cloud.key(Origin="AWS_KMS"))
    theirs = cloud.kms(account=OTHER)
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    asked = {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": target}
    granted(cloud, key, OTHER_ROOT, "ReEncryptTo", "Decrypt")
    granted(cloud, target, OTHER_ROOT, "ReEncryptFrom", "Encrypt")
    for named in ({}, {"SourceKeyId": key}):
        assert refusal(theirs.re_encrypt, **asked, **named)[0] == DENIED
    granted(cloud, key, OTHER_ROOT, "ReEncryptFrom", Constraints={"EncryptionContextEquals": CONTEXT})
    assert refusal(theirs.re_encrypt, **asked)[0] == DENIED
    granted(cloud, target, OTHER_ROOT, "ReEncryptTo", Constraints={"EncryptionContextEquals": {"to": "here"}})
    assert refusal(theirs.re_encrypt, **asked)[0] == DENIED
    for named in ({}, {"SourceKeyId": key}):
        answer = theirs.re_encrypt(**asked, **named, DestinationEncryptionContext={"to": "here"})
        assert (answer["SourceKeyId"], answer["KeyId"]) == (key, target)


SUBSET, EQUALS = "EncryptionContextSubset", "EncryptionContextEquals"
CHILDREN: list[tuple[list[str], dict[str, Any] | None, bool]] = [
    (["Decrypt"], {SUBSET: CONTEXT}, True),
    (["Decrypt", "CreateGrant"], {SUBSET: {**CONTEXT, "project": "x"}}, True),
    (["Decrypt"], {EQUALS: {**CONTEXT, "project": "x"}}, True),
    (["Decrypt"], None, False),
    (["Decrypt"], {SUBSET: {"project": "x"}}, False),
    (["Decrypt"], {EQUALS: {}}, False),
    (["Encrypt"], {EQUALS: {**CONTEXT, "project": "x"}}, False),
    (["Decrypt", "Encrypt"], {EQUALS: {**CONTEXT, "project": "x"}}, False),
]


@pytest.mark.parametrize(("operations", "constraint", "made"), CHILDREN)
def test_a_grant_made_by_a_grant_goes_no_further(
    cloud: Cloud, key: str, operations: list[str], constraint: dict[str, Any] | None, made: bool
) -> None:
    """Recorded: delegate_combined_operations, second_only, broaden_constraint, narrow_constraint."""
    granted(cloud, key, OTHER_ROOT, "CreateGrant", "Decrypt", Constraints={SUBSET: CONTEXT})
    granted(cloud, key, OTHER_ROOT, "Encrypt", Constraints={SUBSET: {"project": "x"}})
    theirs = cloud.kms(account=OTHER)
    asked: dict[str, Any] = {"KeyId": key, "GranteePrincipal": OTHER_ROOT, "Operations": operations}
    asked |= {"Constraints": constraint} if constraint is not None else {}
    if not made:
        assert refusal(theirs.create_grant, **asked)[0] == DENIED
    else:
        theirs.create_grant(**asked)
    issuers = [grant["IssuingAccount"] for grant in cloud.kms().list_grants(KeyId=key)["Grants"]]
    assert issuers[2:] == ([OTHER_ROOT] if made else [])


def test_what_is_equal_in_a_parent_is_equal_in_its_child(cloud: Cloud, key: str) -> None:
    """Documented: the child cannot change Equals to Subset."""
    granted(cloud, key, OTHER_ROOT, "CreateGrant", "Decrypt", Constraints={EQUALS: CONTEXT})
    asked = {"KeyId": key, "GranteePrincipal": OTHER_ROOT, "Operations": ["Decrypt"]}
    theirs = cloud.kms(account=OTHER)
    for looser in ({SUBSET: CONTEXT}, {EQUALS: {**CONTEXT, "more": "x"}}):
        assert refusal(theirs.create_grant, **asked, Constraints=looser)[0] == DENIED
    theirs.create_grant(**asked, Constraints={EQUALS: CONTEXT})


@pytest.mark.parametrize("way", ["token", "ids"])
@pytest.mark.parametrize(
    ("operations", "retiring", "may"),
    [
        (("Decrypt",), None, False),
        (("Decrypt", "RetireGrant"), None, True),
        (("Decrypt",), OTHER_ROOT, True),
        (("Decrypt",), f"arn:aws:iam::{ACCOUNT}:root", False),
    ],
)
def test_who_of_another_account_may_retire_a_grant(
    cloud: Cloud, key: str, operations: tuple[str, ...], retiring: str | None, may: bool, way: str
) -> None:
    """Documented: the retiring principal, and the grantee if RetireGrant is among the operations."""
    given = {"RetiringPrincipal": retiring} if retiring else {}
    grant = granted(cloud, key, OTHER_ROOT, *operations, **given)
    named = {"GrantToken": grant["GrantToken"]} if way == "token" else {"KeyId": key, "GrantId": grant["GrantId"]}
    theirs = cloud.kms(account=OTHER)
    if may:
        theirs.retire_grant(**named)
    else:
        assert refusal(theirs.retire_grant, **named)[0] == DENIED
    left = cloud.kms().list_grants(KeyId=key)["Grants"]
    assert [one["GrantId"] for one in left] == ([] if may else [grant["GrantId"]])


def test_the_account_that_made_a_grant_may_retire_it(cloud: Cloud, key: str) -> None:
    """Documented: RetireGrant, the account in which the grant was created."""
    granted(cloud, key, OTHER_ROOT, "CreateGrant", "Decrypt")
    theirs = cloud.kms(account=OTHER)
    somebody = "arn:aws:iam::777788889999:root"
    child = theirs.create_grant(KeyId=key, GranteePrincipal=somebody, Operations=["Decrypt"])
    third = cloud.kms(account="777788889999")
    assert refusal(third.retire_grant, GrantToken=child["GrantToken"])[0] == DENIED
    theirs.retire_grant(GrantToken=child["GrantToken"])
    assert len(cloud.kms().list_grants(KeyId=key)["Grants"]) == 1


def test_a_grant_that_may_be_retired_is_found_from_its_principal_s_account(cloud: Cloud, key: str) -> None:
    """Documented: ListRetirableGrants tells of other accounts' keys."""
    grant = granted(cloud, key, f"arn:aws:iam::{ACCOUNT}:root", "Decrypt", RetiringPrincipal=OTHER_ROOT)
    (found,) = cloud.kms(account=OTHER).list_retirable_grants(RetiringPrincipal=OTHER_ROOT)["Grants"]
    assert (found["GrantId"], found["KeyId"]) == (grant["GrantId"], key)


TAKES_TOKENS: dict[str, tuple[str, dict[str, Any]]] = {
    "CreateGrant": ("symmetric", {"GranteePrincipal": OTHER_ROOT, "Operations": ["Decrypt"]}),
    "Decrypt": ("symmetric", {}),
    "DescribeKey": ("symmetric", {}),
    "Encrypt": ("symmetric", {"Plaintext": b"x"}),
    "GenerateDataKey": ("symmetric", {"NumberOfBytes": 16}),
    "GenerateDataKeyPair": ("symmetric", {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateDataKeyPairWithoutPlaintext": ("symmetric", {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateDataKeyWithoutPlaintext": ("symmetric", {"NumberOfBytes": 16}),
    "ReEncrypt": ("symmetric", {}),
    "GenerateMac": ("HMAC", {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}),
    "VerifyMac": ("HMAC", {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256", "Mac": b"x" * 32}),
    "GetPublicKey": ("signing", {}),
    "Sign": ("signing", {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}),
    "Verify": ("signing", {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": b"x"}),
    "DeriveSharedSecret": ("signing", {"KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x"}),
}


def test_grant_tokens_are_taken_where_aws_takes_them_and_looked_at_everywhere(cloud: Cloud) -> None:
    shapes = {name: operation_model(name).input_shape for name in OPERATIONS}
    assert set(TAKES_TOKENS) == {name for name, shape in shapes.items() if shape and "GrantTokens" in shape.members}
    kms = cloud.kms()
    keys = {
        "symmetric": cloud.key(Origin="AWS_KMS"),
        "HMAC": cloud.key(Origin="AWS_KMS", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"),
        "signing": cloud.key(Origin="AWS_KMS", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"),
    }
    blob = kms.encrypt(KeyId=keys["symmetric"], Plaintext=b"x")["CiphertextBlob"]
    good = [granted(cloud, key, OTHER_ROOT, "DescribeKey")["GrantToken"] for key in keys.values()]
    foreign = cloud.kms(REPLICA).create_grant(
        KeyId=cloud.key(REPLICA, Origin="AWS_KMS"), GranteePrincipal=OTHER_ROOT, Operations=["DescribeKey"]
    )["GrantToken"]
    for operation, (kind, given) in TAKES_TOKENS.items():
        named: dict[str, Any] = {"KeyId": keys[kind]}
        named |= {"CiphertextBlob": blob} if operation in ("Decrypt", "ReEncrypt") else {}
        if operation == "ReEncrypt":
            named = {"CiphertextBlob": blob, "DestinationKeyId": keys[kind]}
        call: Callable[..., Any] = getattr(kms, _method(kms, operation))
        for bad in ("x", "AAAA", foreign, good[0][:-4] + "AAAA"):
            code = refusal(call, **named, **given, GrantTokens=[good[0], bad])[0]
            assert code == "InvalidGrantTokenException", operation
        if operation not in ("VerifyMac", "Verify", "DeriveSharedSecret"):
            call(**named, **given, GrantTokens=good)


def test_the_token_of_a_grant_that_is_gone_is_worth_nothing(cloud: Cloud, key: str) -> None:
    grant = granted(cloud, key, OTHER_ROOT, "Encrypt")
    asked = {"KeyId": key, "Plaintext": b"x", "GrantTokens": [grant["GrantToken"]]}
    theirs = cloud.kms(account=OTHER)
    theirs.encrypt(**asked)
    cloud.kms().revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert refusal(theirs.encrypt, **asked)[0] == DENIED
    cloud.kms().encrypt(**asked)
