"""Keys whose material KMS makes itself, and what ciphertexts are bound to; written against any endpoint."""

import os
from typing import Any

import pytest
from any_kms import PRIMARY, REPLICA, Service, refusal
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

INCORRECT = "The key ID in the request does not identify a CMK that can perform this operation."


@pytest.fixture(scope="module")
def pair(service: Service) -> dict[str, Any]:
    """Return a multi-Region key with a replica, both usable."""
    made = service.make(MultiRegion=True)
    service.replicate(made["KeyId"])
    service.until(lambda: service.state(made["KeyId"], REPLICA) == "Enabled")
    return made


@pytest.fixture(scope="module")
def signer(service: Service) -> dict[str, Any]:
    """Return an elliptic curve key for signing."""
    return service.make(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")


def test_metadata_is_complete_at_once(service: Service, pair: dict[str, Any]) -> None:
    assert (pair["KeyState"], pair["Enabled"], pair["Origin"]) == ("Enabled", True, "AWS_KMS")
    assert pair["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    assert len(pair["CurrentKeyMaterialId"]) == 64
    assert not {"ExpirationModel", "ValidTo", "DeletionDate"} & pair.keys()
    [row] = service.rows(pair["KeyId"])
    assert row == {"KeyId": pair["Arn"], "KeyMaterialId": pair["CurrentKeyMaterialId"], "KeyMaterialState": "CURRENT"}
    policy = service.kms(PRIMARY).get_key_policy(KeyId=pair["KeyId"])["Policy"]
    assert "Enable IAM User Permissions" in policy


def test_both_regions_tell_the_same_topology(service: Service, pair: dict[str, Any]) -> None:
    seen = []
    for region in (PRIMARY, REPLICA):
        described = service.kms(region).describe_key(KeyId=pair["KeyId"])["KeyMetadata"]
        seen.append(described["MultiRegionConfiguration"])
    assert [one.pop("MultiRegionKeyType") for one in seen] == ["PRIMARY", "REPLICA"]
    assert seen[0] == seen[1]
    refused = refusal(service.kms(PRIMARY).replicate_key, KeyId=pair["KeyId"], ReplicaRegion=REPLICA)
    assert refused == (
        "AlreadyExistsException",
        "You can create only one replica of each primary key in each AWS Region.",
    )


def test_a_ciphertext_is_bound_to_key_and_context(service: Service, pair: dict[str, Any]) -> None:
    kms, key = service.kms(PRIMARY), pair["KeyId"]
    context = {"purpose": "conformance"}
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    assert blob[:37].hex() == "0102020078" + pair["CurrentKeyMaterialId"]
    opened = service.kms(REPLICA).decrypt(CiphertextBlob=blob, EncryptionContext=context)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"x", pair["CurrentKeyMaterialId"])
    for wrong in ({}, {"purpose": "other"}):
        refused = refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext=wrong)
        assert refused == ("InvalidCiphertextException", "")
    spoiled = blob[:-1] + bytes([blob[-1] ^ 1])
    refused = refusal(kms.decrypt, CiphertextBlob=spoiled, EncryptionContext=context)
    assert refused == ("InvalidCiphertextException", "")


def test_data_keys_open_again(service: Service, pair: dict[str, Any]) -> None:
    made = service.kms(PRIMARY).generate_data_key(KeyId=pair["KeyId"], KeySpec="AES_256")
    assert made["CiphertextBlob"][:5].hex() == "0102030078"
    opened = service.kms(REPLICA).decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=pair["KeyId"])
    assert opened["Plaintext"] == made["Plaintext"]


def test_a_replica_neither_rotates_nor_replicates(service: Service, pair: dict[str, Any]) -> None:
    arn = pair["Arn"].replace(PRIMARY, REPLICA)
    kms, key = service.kms(REPLICA), pair["KeyId"]
    for operation, name in (
        ("rotate_key_on_demand", "RotateKeyOnDemand"),
        ("enable_key_rotation", "EnableKeyRotation"),
        ("disable_key_rotation", "DisableKeyRotation"),
    ):
        expected = f"{arn} is a multi-region replica key which is not valid for {name}."
        assert refusal(getattr(kms, operation), KeyId=key) == ("UnsupportedOperationException", expected)
    refused = refusal(kms.replicate_key, KeyId=key, ReplicaRegion="eu-west-1")
    assert refused == ("UnsupportedOperationException", f"{arn} is not a multi-region primary key.")
    refused = refusal(kms.update_primary_region, KeyId=key, PrimaryRegion=REPLICA)
    assert refused == ("KMSInvalidStateException", f"{arn} is not a multi-Region primary key.")


def test_kms_made_material_is_not_imported(service: Service, pair: dict[str, Any]) -> None:
    refused = refusal(
        service.kms(PRIMARY).get_parameters_for_import,
        KeyId=pair["KeyId"],
        WrappingAlgorithm="RSAES_OAEP_SHA_256",
        WrappingKeySpec="RSA_2048",
    )
    expected = f"{pair['Arn']} origin is AWS_KMS which is not valid for this operation."
    assert refused == ("UnsupportedOperationException", expected)


def test_a_rotation_on_demand_reaches_the_replica(service: Service) -> None:
    made = service.make(MultiRegion=True)
    kms, key, first = service.kms(PRIMARY), made["KeyId"], made["CurrentKeyMaterialId"]
    service.replicate(key)
    service.until(lambda: service.state(key, REPLICA) == "Enabled")
    old = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    for _ in range(2):
        assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == made["Arn"]
    for region in (PRIMARY, REPLICA):
        service.until(lambda region=region: len(service.rows(key, region)) > 1)
        rows = service.rows(key, region)
        assert [row["KeyMaterialState"] for row in rows] == ["NON_CURRENT", "CURRENT"]
        assert rows[1]["RotationType"] == "ON_DEMAND"
        assert service.kms(region).decrypt(CiphertextBlob=old)["KeyMaterialId"] == first


def test_signatures_verify_outside(service: Service, signer: dict[str, Any]) -> None:
    kms, key, message = service.kms(PRIMARY), signer["KeyId"], os.urandom(100)
    asked = {"KeyId": key, "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms.sign(**asked, Message=message)["Signature"]
    public: Any = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    refused = refusal(kms.verify, **asked, Message=b"other", Signature=signature)
    assert refused == ("KMSInvalidSignatureException", "")
    refused = refusal(kms.sign, **asked, Message=b"short", MessageType="DIGEST")
    assert refused == ("ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.")
    refused = refusal(kms.encrypt, KeyId=key, Plaintext=b"x")
    expected = f"{signer['Arn']} key usage is SIGN_VERIFY which is not valid for Encrypt."
    assert refused == ("InvalidKeyUsageException", expected)
    assert refusal(kms.rotate_key_on_demand, KeyId=key) == ("UnsupportedOperationException", "")


def test_the_wrong_key_opens_nothing(service: Service, pair: dict[str, Any], signer: dict[str, Any]) -> None:
    blob = service.kms(PRIMARY).encrypt(KeyId=pair["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    refused = refusal(service.kms(PRIMARY).decrypt, CiphertextBlob=blob, KeyId=signer["KeyId"])
    assert refused == ("IncorrectKeyException", INCORRECT)


def test_a_deletion_can_be_taken_back(service: Service) -> None:
    made = service.make(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms, key = service.kms(PRIMARY), made["KeyId"]
    assert kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)["KeyState"] == "PendingDeletion"
    service.until(lambda: service.state(key) == "PendingDeletion")
    refused = refusal(kms.sign, KeyId=key, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")
    assert refused == ("KMSInvalidStateException", f"{made['Arn']} is pending deletion.")
    kms.cancel_key_deletion(KeyId=key)
    service.until(lambda: service.state(key) == "Disabled")
    refused = refusal(kms.sign, KeyId=key, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")
    assert refused == ("DisabledException", f"{made['Arn']} is disabled.")
    kms.enable_key(KeyId=key)
    service.until(lambda: service.state(key) == "Enabled")
