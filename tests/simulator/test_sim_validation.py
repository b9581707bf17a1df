"""Input: judged by botocore's service model, refused in AWS's own words."""

import base64
import threading
from typing import Any

import pytest
from sim_cloud import ACCOUNT, PRIMARY, Cloud, refusal

from orchestrator.simulator import ServiceError, Simulator

LONG = "x" * 257


def answer(operation: str, **body: Any) -> tuple[str, str]:
    """Return how the simulator refuses a body that no SDK would send."""
    with pytest.raises(ServiceError) as caught:
        Simulator().call(operation, PRIMARY, ACCOUNT, body)
    return caught.value.code, caught.value.message


def fault(text: str) -> tuple[str, str]:
    return "ValidationException", f"1 validation error detected: {text}"


TABLE: list[tuple[str, dict[str, Any], str]] = [
    (
        "EnableKeyRotation",
        {"KeyId": "k", "RotationPeriodInDays": 2561},
        (
            "Value '2561' at 'rotationPeriodInDays' failed to satisfy constraint: "
            "Member must have value less than or equal to 2560"
        ),
    ),
    (
        "EnableKeyRotation",
        {"KeyId": "k", "RotationPeriodInDays": 89},
        (
            "Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: "
            "Member must have value greater than or equal to 90"
        ),
    ),
    (
        "Encrypt",
        {"KeyId": "k", "Plaintext": base64.b64encode(b"x" * 4097).decode()},
        "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
    ),
    ("DescribeKey", {}, "Value null at 'keyId' failed to satisfy constraint: Member must not be null"),
    ("DescribeKey", {"KeyId": None}, "Value null at 'keyId' failed to satisfy constraint: Member must not be null"),
    (
        "DescribeKey",
        {"KeyId": ""},
        "Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    (
        "DeriveSharedSecret",
        {"KeyId": "k", "KeyAgreementAlgorithm": "INVALID", "PublicKey": "AAAA"},
        (
            "Value 'INVALID' at 'keyAgreementAlgorithm' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ECDH]"
        ),
    ),
    (
        "TagResource",
        {"KeyId": "k", "Tags": [{"TagKey": "a", "TagValue": LONG}]},
        (
            f"Value '{LONG}' at 'tags.1.member.tagValue' failed to satisfy constraint: "
            "Member must have length less than or equal to 256"
        ),
    ),
    (
        "DeleteImportedKeyMaterial",
        {"KeyId": "k", "KeyMaterialId": "Z" * 64},
        (
            f"Value '{'Z' * 64}' at 'keyMaterialId' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-f0-9]+$"
        ),
    ),
    ("Encrypt", {"KeyId": "k"}, "Value at 'plaintext' failed to satisfy constraint: Member must not be null"),
    (
        "Sign",
        {"KeyId": "k", "SigningAlgorithm": "ECDSA_SHA_256"},
        "Value at 'message' failed to satisfy constraint: Member must not be null",
    ),
    (
        "UntagResource",
        {"KeyId": "k", "TagKeys": ["a", ""]},
        (
            "Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
        ),
    ),
    (
        "Decrypt",
        {"CiphertextBlob": "AAAA", "DryRunModifiers": ["X"]},
        (
            "Value '[X]' at 'dryRunModifiers' failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must satisfy enum value set: [IGNORE_CIPHERTEXT]]"
        ),
    ),
    (
        "GenerateMac",
        {"KeyId": "k", "Message": "AAAA", "MacAlgorithm": "NONE"},
        (
            "Value 'NONE' at 'macAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: "
            "[HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512]"
        ),
    ),
    (
        "CreateAlias",
        {"AliasName": "alias/\u00e9", "TargetKeyId": "k"},
        (
            "Value 'alias/\u00e9' at 'aliasName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        ),
    ),
    (
        "PutKeyPolicy",
        {"KeyId": "k", "PolicyName": "d\u00e9faut", "Policy": "{}"},
        (
            "Value 'd\u00e9faut' at 'policyName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w]+"
        ),
    ),
    (
        "ListKeys",
        {"Limit": 1001},
        "Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000",
    ),
]


@pytest.mark.parametrize(("operation", "body", "text"), TABLE)
def test_constraints_are_told_as_aws_tells_them(operation: str, body: dict[str, Any], text: str) -> None:
    assert answer(operation, **body) == fault(text)


def test_several_faults_are_told_together() -> None:
    code, message = answer("EnableKeyRotation", RotationPeriodInDays=1)
    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected: Value null at 'keyId' failed")
    assert "; Value '1' at 'rotationPeriodInDays' failed" in message


def test_several_faults_of_one_member_are_told_too_length_before_pattern() -> None:
    assert answer("DeleteImportedKeyMaterial", KeyId="k", KeyMaterialId="") == (
        "ValidationException",
        (
            "2 validation errors detected: Value '' at 'keyMaterialId' failed to satisfy constraint: "
            "Member must have length greater than or equal to 64; Value '' at 'keyMaterialId' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: ^[a-f0-9]+$"
        ),
    )


def test_unknown_members_are_ignored() -> None:
    sim = Simulator()
    made = sim.call("CreateKey", PRIMARY, ACCOUNT, {"Unheard": {"of": [1]}, "Description": "d"})
    assert made["KeyMetadata"]["Description"] == "d"


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("TagResource", {"KeyId": 1}, "NUMBER_VALUE can not be converted to a String"),
        ("TagResource", {"KeyId": True}, "TRUE_VALUE can not be converted to a String"),
        ("TagResource", {"KeyId": ["k"]}, "Start of list found where not expected"),
        ("TagResource", {"KeyId": {"a": "b"}}, "Start of structure or map found where not expected"),
        ("TagResource", {"KeyId": "k", "Tags": {"a": "b"}}, "Start of structure or map found where not expected"),
        ("TagResource", {"KeyId": "k", "Tags": "a"}, "Expected list or null"),
        ("TagResource", {"KeyId": "k", "Tags": ["a"]}, "Expected structure or null"),
        (
            "TagResource",
            {"KeyId": "k", "Tags": [{"TagKey": 1, "TagValue": "v"}]},
            "NUMBER_VALUE can not be converted to a String",
        ),
        ("TagResource", {"KeyId": "k", "Tags": [None]}, "Expected structure or null"),
        ("ListKeys", {"Limit": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ("ListKeys", {"Limit": "1"}, "STRING_VALUE can not be converted to an Integer"),
        ("ListKeys", {"Limit": False}, "FALSE_VALUE can not be converted to an Integer"),
        ("CreateKey", {"MultiRegion": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        ("Encrypt", {"KeyId": "k", "Plaintext": 1}, "NUMBER_VALUE can not be converted to a Blob"),
        ("ImportKeyMaterial", {"KeyId": "k", "ValidTo": "soon"}, "STRING_VALUE can not be converted to a Timestamp"),
    ],
)
def test_wrong_types_are_serialization_errors(operation: str, body: dict[str, Any], message: str) -> None:
    assert answer(operation, **body) == ("SerializationException", message)


def test_a_whole_number_is_one_however_it_is_written() -> None:
    assert Simulator().call("ListKeys", PRIMARY, ACCOUNT, {"Limit": 1.0})["Keys"] == []


def test_the_older_name_of_the_key_spec_works(cloud: Cloud) -> None:
    made = cloud.kms().create_key(CustomerMasterKeySpec="HMAC_224", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    assert (made["KeySpec"], made["CustomerMasterKeySpec"]) == ("HMAC_224", "HMAC_224")
    refused = refusal(cloud.kms().create_key, KeySpec="RSA_2048", CustomerMasterKeySpec="RSA_2048")
    assert refused[0] == "ValidationException"


def test_a_malformed_arn_is_told_from_an_unknown_key(cloud: Cloud) -> None:
    for arn in ("arn:aws:kms:us-east-1:111122223333:thing/x", "arn:aws:s3:::bucket", "arn:"):
        assert refusal(cloud.kms().describe_key, KeyId=arn)[0] == "InvalidArnException"


def test_aliases_go_with_their_key(cloud: Cloud) -> None:
    key, heir = cloud.key(), cloud.key()
    cloud.kms().create_alias(AliasName="alias/a", TargetKeyId=key)
    cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refusal(cloud.kms().update_alias, AliasName="alias/a", TargetKeyId=key)[0] == "KMSInvalidStateException"
    cloud.clock.advance(7 * 86400)
    assert cloud.aliases() == []
    assert refusal(cloud.kms().describe_key, KeyId="alias/a")[0] == "NotFoundException"
    cloud.kms().create_alias(AliasName="alias/a", TargetKeyId=heir)


def test_many_clients_at_once_get_one_rotation(cloud: Cloud) -> None:
    key = cloud.ready_key()
    outcomes: list[str] = []

    def bring(number: int) -> None:
        try:
            cloud.new(key, bytes([number]) * 32)
            outcomes.append("pending")
        except Exception as error:  # noqa: BLE001 - a refusal is an outcome
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["KMSInvalidStateException"] * 7 + ["pending"]
    assert len(cloud.rows(key)) == 2
