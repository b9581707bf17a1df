"""Every cryptographic operation with every kind of key, in every state: the state comes before the usage."""

from itertools import product
from typing import Any

import pytest
from sim_cloud import ACCOUNT, REPLICA
from test_sim_kinds import MADE, REASON, STATES, Kind, World

from orchestrator.simulator import ServiceError

OK = "ok"
SIGNING = {"RSA_2048": "RSASSA_PSS_SHA_256", "ECC_NIST_P256": "ECDSA_SHA_256"}
MAC = {"Message": "eA==", "MacAlgorithm": "HMAC_SHA_256"}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "Encrypt": ("ENCRYPT_DECRYPT", {"Plaintext": "eA=="}),
    "Decrypt": ("ENCRYPT_DECRYPT", {"CiphertextBlob": "eA=="}),
    "GenerateDataKey": ("ENCRYPT_DECRYPT", {"KeySpec": "AES_256"}),
    "GenerateDataKeyWithoutPlaintext": ("ENCRYPT_DECRYPT", {"KeySpec": "AES_256"}),
    "GenerateDataKeyPair": ("ENCRYPT_DECRYPT", {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateDataKeyPairWithoutPlaintext": ("ENCRYPT_DECRYPT", {"KeyPairSpec": "ECC_NIST_P256"}),
    "GenerateMac": ("GENERATE_VERIFY_MAC", MAC),
    "VerifyMac": ("GENERATE_VERIFY_MAC", MAC | {"Mac": "eA=="}),
    "Sign": ("SIGN_VERIFY", {"Message": "eA=="}),
    "Verify": ("SIGN_VERIFY", {"Message": "eA==", "Signature": "eA=="}),
    "DeriveSharedSecret": ("KEY_AGREEMENT", {"PublicKey": "eA==", "KeyAgreementAlgorithm": "ECDH"}),
}
CARRIED_OUT = {
    "Decrypt": "InvalidCiphertextException",
    "VerifyMac": "KMSInvalidMacException",
    "Verify": "KMSInvalidSignatureException",
    "DeriveSharedSecret": "ValidationException",
}
"""What comes of garbage that is given to a key which is made for the operation."""


def asked(operation: str, kind: Kind) -> dict[str, Any]:
    given = dict(ASKED[operation][1])
    if operation in ("Sign", "Verify"):
        given["SigningAlgorithm"] = SIGNING.get(kind.spec, "ED25519_SHA_512")
    if operation in ("Encrypt", "Decrypt") and kind.pair:
        given["EncryptionAlgorithm"] = "RSAES_OAEP_SHA_256"
    return given


def expected(operation: str, kind: Kind) -> str:
    """Tell what comes of an operation with an Enabled key."""
    if kind.usage != ASKED[operation][0]:
        return f"key usage is {kind.usage} which is not valid for {operation}."
    if operation.startswith("GenerateData") and not kind.symmetric:
        return "You cannot generate a data key with an asymmetric CMK"
    return CARRIED_OUT.get(operation, OK)


@pytest.mark.parametrize(("kind", "state"), [*product(MADE, STATES)], ids=lambda one: getattr(one, "spec", one))
def test_a_key_is_used_for_what_it_is_made_for(kind: Kind, state: str) -> None:
    world = World()
    key, region = world.made(kind, "replica")
    world.put_into(state, region, key)
    arn = f"arn:aws:kms:{REPLICA}:{ACCOUNT}:key/{key}"
    for operation in ASKED:
        try:
            world.call(operation, region, KeyId=key, **asked(operation, kind))
            told = OK
        except ServiceError as error:
            told = error.message.removeprefix(f"{arn} ") or error.code
        # A ciphertext that is none is not looked at before the state of the key that is named.
        assert told == REASON.get(state, expected(operation, kind)), operation
