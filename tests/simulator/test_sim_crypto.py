"""Ciphertexts, data keys and ReEncrypt: bound to key, material and context; the outer layout as recorded."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from hypothesis import given
from hypothesis import strategies as st
from sim_cloud import Cloud, bytes_of, refusal

from orchestrator.simulator.ciphertext import DATA_KEY, ENCRYPT, seal, take_apart
from orchestrator.simulator.errors import ServiceError

INVALID = ("InvalidCiphertextException", "")
INCORRECT = (
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
)
DRY = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


def test_encrypt_does_not_name_the_material_but_its_blob_does(cloud: Cloud) -> None:
    key = cloud.ready_key()
    current = cloud.describe(key)["CurrentKeyMaterialId"]
    answer = cloud.kms().encrypt(KeyId=key, Plaintext=b"x")
    assert "KeyMaterialId" not in answer
    assert (answer["KeyId"], answer["EncryptionAlgorithm"]) == (cloud.arn(key), "SYMMETRIC_DEFAULT")
    assert answer["CiphertextBlob"][:37].hex() == "0102020078" + current
    made = cloud.kms().generate_data_key(KeyId=key, KeySpec="AES_256")
    assert made["CiphertextBlob"][:37].hex() == "0102030078" + current
    assert made["KeyMaterialId"] == current
    assert cloud.kms().decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]


@pytest.mark.parametrize("context", [{}, {"a": "c"}, {"a": "b", "c": "d"}, {"ab": ""}])
def test_another_context_opens_nothing(cloud: Cloud, context: dict[str, str]) -> None:
    key = cloud.ready_key()
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert refusal(cloud.kms().decrypt, CiphertextBlob=blob, EncryptionContext=context) == INVALID


def test_the_wrong_key_is_told_before_its_usage(cloud: Cloud) -> None:
    """Recorded by others: test_error_messaging_for_invalid_keys."""
    key = cloud.ready_key()
    other = cloud.ready_key(bytes_of("other"))
    signer = cloud.key(Origin="AWS_KMS", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for wrong in (other, signer):
        assert refusal(cloud.kms().decrypt, CiphertextBlob=blob, KeyId=wrong) == INCORRECT
        assert (
            refusal(cloud.kms().re_encrypt, CiphertextBlob=blob, SourceKeyId=wrong, DestinationKeyId=key) == INCORRECT
        )


def test_the_wrong_family_is_told_by_usage(cloud: Cloud) -> None:
    """Recorded: hmac:disabled_wrong_algorithm."""
    key = cloud.ready_key()
    signer = cloud.key(Origin="AWS_KMS", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    assert refusal(cloud.kms().generate_mac, KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_256") == (
        "InvalidKeyUsageException",
        f"{cloud.arn(key)} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.",
    )
    assert refusal(cloud.kms().encrypt, KeyId=signer, Plaintext=b"x") == (
        "InvalidKeyUsageException",
        f"{cloud.arn(signer)} key usage is SIGN_VERIFY which is not valid for Encrypt.",
    )
    mac = cloud.key(Origin="AWS_KMS", KeySpec="HMAC_224", KeyUsage="GENERATE_VERIFY_MAC")
    asked = {"KeyId": mac, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    assert refusal(cloud.kms().generate_mac, **asked) == (
        "InvalidKeyUsageException",
        "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.",
    )
    cloud.kms().disable_key(KeyId=mac)
    assert refusal(cloud.kms().generate_mac, **asked)[0] == "DisabledException"


@pytest.mark.parametrize("blob", [b"x", b"\x01\x02\x02\x00\x78" + b"\xff" * 100, ENCRYPT + b"x" * 32, b"x" * 200])
def test_garbage_is_an_invalid_ciphertext(cloud: Cloud, blob: bytes) -> None:
    key = cloud.ready_key()
    for named in ({}, {"KeyId": key}):
        assert refusal(cloud.kms().decrypt, CiphertextBlob=blob, **named) == INVALID


def test_re_encryption_tells_both_materials(cloud: Cloud) -> None:
    """Recorded: rsa:reencrypt_to_symmetric (ids for the symmetric side only)."""
    one, two = cloud.ready_key(), cloud.ready_key(bytes_of("two"))
    pair = cloud.key(Origin="AWS_KMS", KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    ids = {key: cloud.describe(key)["CurrentKeyMaterialId"] for key in (one, two)}
    blob = cloud.kms().encrypt(KeyId=one, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    contexts = {"SourceEncryptionContext": {"a": "b"}, "DestinationEncryptionContext": {"c": "d"}}
    moved = cloud.kms().re_encrypt(CiphertextBlob=blob, DestinationKeyId=two, **contexts)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (cloud.arn(one), cloud.arn(two))
    assert (moved["SourceKeyMaterialId"], moved["DestinationKeyMaterialId"]) == (ids[one], ids[two])
    assert moved["CiphertextBlob"][:5] == ENCRYPT
    assert (
        cloud.kms().decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"c": "d"})["Plaintext"] == b"x"
    )

    oaep = "RSAES_OAEP_SHA_1"
    sealed = cloud.kms().encrypt(KeyId=pair, Plaintext=b"y", EncryptionAlgorithm=oaep)["CiphertextBlob"]
    back = cloud.kms().re_encrypt(
        CiphertextBlob=sealed, SourceKeyId=pair, SourceEncryptionAlgorithm=oaep, DestinationKeyId=one
    )
    assert "SourceKeyMaterialId" not in back
    assert back["DestinationKeyMaterialId"] == ids[one]
    assert (back["SourceEncryptionAlgorithm"], back["DestinationEncryptionAlgorithm"]) == (oaep, "SYMMETRIC_DEFAULT")


@pytest.mark.parametrize(
    ("spec", "algorithm", "longest"),
    [("RSA_2048", "RSAES_OAEP_SHA_1", 214), ("RSA_2048", "RSAES_OAEP_SHA_256", 190)],
)
def test_rsa_keys_take_only_so_much(cloud: Cloud, spec: str, algorithm: str, longest: int) -> None:
    """Recorded by others: test_encrypt_validate_plaintext_size_per_key_type."""
    key = cloud.key(Origin="AWS_KMS", KeySpec=spec, KeyUsage="ENCRYPT_DECRYPT")
    cloud.kms().encrypt(KeyId=key, Plaintext=b"x" * longest, EncryptionAlgorithm=algorithm)
    assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x" * (longest + 1), EncryptionAlgorithm=algorithm) == (
        "ValidationException",
        f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} bytes.",
    )


def test_rsa_ciphertexts_need_their_key_and_open_as_themselves(cloud: Cloud) -> None:
    oaep = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    key = cloud.key(Origin="AWS_KMS", KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x", **oaep)["CiphertextBlob"]
    assert cloud.kms().decrypt(KeyId=key, CiphertextBlob=blob, **oaep)["Plaintext"] == b"x"
    assert refusal(cloud.kms().decrypt, CiphertextBlob=blob, **oaep)[0] == "ValidationException"
    assert refusal(cloud.kms().decrypt, KeyId=key, CiphertextBlob=b"x" * 256, **oaep) == INVALID
    assert refusal(cloud.kms().decrypt, **oaep)[0] == "ValidationException"
    expected = ("InvalidKeyUsageException", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.")
    assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x") == expected
    assert refusal(cloud.kms().decrypt, KeyId=key, CiphertextBlob=blob) == expected


def test_a_public_key_is_what_pairs_have(cloud: Cloud) -> None:
    mac = cloud.key(Origin="AWS_KMS", KeySpec="HMAC_224", KeyUsage="GENERATE_VERIFY_MAC")
    for key in (cloud.ready_key(), mac):
        assert refusal(cloud.kms().get_public_key, KeyId=key) == ("UnsupportedOperationException", "")


def test_enclaves_and_rare_pairs_are_not_simulated(cloud: Cloud) -> None:
    key = cloud.ready_key()
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"x"}
    refused = refusal(cloud.kms().generate_random, NumberOfBytes=1, Recipient=recipient)
    assert refused[0] == "NotSimulatedException"
    refused = refusal(cloud.kms().generate_data_key_pair, KeyId=key, KeyPairSpec="SM2")
    assert refused[0] == "NotSimulatedException"


@pytest.mark.parametrize(
    ("algorithm", "message_type", "code"),
    [
        ("ED25519_SHA_512", "DIGEST", "ValidationException"),
        ("ED25519_PH_SHA_512", "DIGEST", "NotSimulatedException"),
        ("ED25519_SHA_512", "EXTERNAL_MU", "ValidationException"),
    ],
)
def test_ed25519_signs_whole_messages(cloud: Cloud, algorithm: str, message_type: str, code: str) -> None:
    key = cloud.key(Origin="AWS_KMS", KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    asked = {"KeyId": key, "Message": b"m", "SigningAlgorithm": algorithm}
    assert refusal(cloud.kms().sign, **asked, MessageType=message_type)[0] == code


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048", "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs_are_real(cloud: Cloud, spec: str) -> None:
    key = cloud.ready_key()
    made = cloud.kms().generate_data_key_pair(KeyId=key, KeyPairSpec=spec, EncryptionContext={"a": "b"})
    private = load_der_private_key(made["PrivateKeyPlaintext"], None)
    assert private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == made["PublicKey"]
    opened = cloud.kms().decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    assert (made["KeyPairSpec"], made["KeyMaterialId"]) == (spec, opened["KeyMaterialId"])
    only = cloud.kms().generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in only


def test_sizes_of_data_keys(cloud: Cloud) -> None:
    key = cloud.ready_key()
    for asked, size in (({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32), ({"NumberOfBytes": 57}, 57)):
        assert len(cloud.kms().generate_data_key(KeyId=key, **asked)["Plaintext"]) == size
    for wrong in ({}, {"KeySpec": "AES_128", "NumberOfBytes": 16}):
        assert refusal(cloud.kms().generate_data_key, KeyId=key, **wrong)[0] == "ValidationException"


def test_random_bytes(cloud: Cloud) -> None:
    """Recorded by others: test_generate_random_invalid_number_of_bytes."""
    assert len(cloud.kms().generate_random(NumberOfBytes=91)["Plaintext"]) == 91
    assert refusal(cloud.kms().generate_random) == ("ValidationException", "NumberOfBytes is required.")


def test_a_dry_run_validates_and_then_says_so(cloud: Cloud) -> None:
    key = cloud.ready_key()
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    table: list[tuple[str, dict[str, Any]]] = [
        ("encrypt", {"KeyId": key, "Plaintext": b"x"}),
        ("decrypt", {"CiphertextBlob": blob}),
        ("generate_data_key", {"KeyId": key, "KeySpec": "AES_256"}),
        ("generate_data_key_pair", {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        ("re_encrypt", {"CiphertextBlob": blob, "DestinationKeyId": key}),
    ]
    for operation, asked in table:
        assert refusal(getattr(cloud.kms(), operation), **asked, DryRun=True) == DRY
    assert refusal(cloud.kms().decrypt, CiphertextBlob=blob, EncryptionContext={"a": "b"}, DryRun=True) == INVALID


CONTEXTS = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4)


@given(st.binary(min_size=1, max_size=64), CONTEXTS, CONTEXTS, st.integers(min_value=0, max_value=200))
def test_a_sealed_blob_opens_only_as_it_was_sealed(
    plaintext: bytes, context: dict[str, str], other: dict[str, str], place: int
) -> None:
    blob = seal(DATA_KEY, "mrk-" + "0" * 32, "ab" * 32, b"k" * 32, plaintext, context)
    assert take_apart(blob).open(b"k" * 32, dict(reversed(context.items()))) == plaintext
    if other != context:
        with pytest.raises(ServiceError):
            take_apart(blob).open(b"k" * 32, other)
    with pytest.raises(ServiceError):
        take_apart(blob).open(b"l" * 32, context)
    spoiled = bytearray(blob)
    spoiled[place % len(blob)] ^= 1
    with pytest.raises(ServiceError):
        take_apart(bytes(spoiled)).open(b"k" * 32, context)


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("generate_data_key", {"NumberOfBytes": 16}),
        ("generate_data_key_without_plaintext", {"NumberOfBytes": 16}),
        ("generate_data_key_pair", {"KeyPairSpec": "ECC_NIST_P256"}),
    ],
)
def test_an_rsa_key_makes_no_data_keys(cloud: Cloud, operation: str, given: dict[str, Any]) -> None:
    key = cloud.key(Origin="AWS_KMS", KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    assert refusal(getattr(cloud.kms(), operation), KeyId=key, **given) == (
        "InvalidKeyUsageException",
        "You cannot generate a data key with an asymmetric CMK",
    )


def test_a_dry_run_without_a_ciphertext(cloud: Cloud) -> None:
    """Documented: with IGNORE_CIPHERTEXT a DryRun needs none; all else is judged."""
    key, mac = cloud.ready_key(), cloud.key(Origin="AWS_KMS", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    ignoring = {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    kms = cloud.kms()
    assert refusal(kms.decrypt, KeyId=key, **ignoring)[0] == "DryRunOperationException"
    assert refusal(kms.re_encrypt, SourceKeyId=key, DestinationKeyId=key, **ignoring)[0] == "DryRunOperationException"
    for not_asked in ({"DryRun": True}, {**ignoring, "DryRun": False}):
        assert "'ciphertextBlob'" in refusal(kms.decrypt, KeyId=key, **not_asked)[1]
    assert refusal(kms.decrypt, KeyId=mac, **ignoring)[0] == "InvalidKeyUsageException"
    assert refusal(kms.re_encrypt, DestinationKeyId=mac, **ignoring)[0] == "InvalidKeyUsageException"
    kms.disable_key(KeyId=key)
    assert refusal(kms.decrypt, KeyId=key, **ignoring)[0] == "DisabledException"
