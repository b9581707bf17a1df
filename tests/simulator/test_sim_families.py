"""Imported HMAC, RSA, ECC and Ed25519 keys: one material for life, no ids, real cryptography."""

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from sim_cloud import REPLICA, Cloud, refusal

NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
HMAC = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
HYBRID, OAEP = "RSA_AES_KEY_WRAP_SHA_256", "RSAES_OAEP_SHA_256"


def pkcs8(key: Any) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def indefinite(der: bytes) -> bytes:
    """Return the same key with an outer SEQUENCE of indefinite length."""
    header = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return b"\x30\x80" + der[header:] + b"\x00\x00"


def wrapped(cloud: Cloud, key: str, content: bytes, algorithm: str, region: str = "us-east-1") -> dict[str, Any]:
    given = cloud.kms(region).get_parameters_for_import(
        KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_3072"
    )
    public: Any = load_der_public_key(given["PublicKey"])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    if algorithm == OAEP:
        blob = public.encrypt(content, oaep)
    else:
        blob = public.encrypt(b"k" * 32, oaep) + keywrap.aes_key_wrap_with_padding(b"k" * 32, content)
    return {"KeyId": key, **NEVER, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": blob}


def imported(cloud: Cloud, content: bytes, spec: str, usage: str, algorithm: str = HYBRID, **given: Any) -> str:
    key = cloud.key(KeySpec=spec, KeyUsage=usage, **given)
    answer = cloud.kms().import_key_material(**wrapped(cloud, key, content, algorithm))
    assert "KeyMaterialId" not in answer
    return key


BARE = {
    "ECC_NIST_P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECC_SECG_P256K1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "RSA_2048": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


@pytest.mark.parametrize("spec", BARE)
def test_a_key_pair_is_pkcs_8_and_no_other_form(cloud: Cloud, spec: str) -> None:
    """PKCS #8 DER is what KMS takes; PKCS #1 and SEC 1 hold the same key without its kind."""
    pair = BARE[spec]()
    bare = pair.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    key = cloud.key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    for content in (bare, indefinite(bare), b"\x30", b"\x30\x80\x00\x00", spki(pair)):
        request = wrapped(cloud, key, content, HYBRID)
        assert refusal(cloud.kms().import_key_material, **request) == ("InvalidCiphertextException", "")
    cloud.kms().import_key_material(**wrapped(cloud, key, pkcs8(pair), HYBRID))
    assert cloud.kms().get_public_key(KeyId=key)["PublicKey"] == spki(pair)


@pytest.mark.parametrize("spec", HMAC)
def test_hmac_material_has_the_length_of_its_hash_or_more(cloud: Cloud, spec: str) -> None:
    """Recorded: imports_families."""
    key = cloud.key(KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")
    for length in (HMAC[spec] - 1, 129):
        request = wrapped(cloud, key, b"h" * length, OAEP)
        assert refusal(cloud.kms().import_key_material, **request) == ("InvalidCiphertextException", "")
    content = b"h" * HMAC[spec]
    cloud.kms().import_key_material(**wrapped(cloud, key, content, OAEP))
    algorithm = spec.replace("HMAC_", "HMAC_SHA_")
    made = cloud.kms().generate_mac(KeyId=key, Message=b"m", MacAlgorithm=algorithm)
    assert made["Mac"] == hmac.digest(content, b"m", "sha" + spec.removeprefix("HMAC_"))
    assert made["KeyId"] == cloud.arn(key)
    checked = cloud.kms().verify_mac(KeyId=key, Message=b"m", MacAlgorithm=algorithm, Mac=made["Mac"])
    assert checked["MacValid"] is True
    wrong = {"KeyId": key, "Message": b"other", "MacAlgorithm": algorithm, "Mac": made["Mac"]}
    assert refusal(cloud.kms().verify_mac, **wrong) == ("KMSInvalidMacException", "")
    assert refusal(cloud.kms().verify_mac, **wrong, DryRun=True) == ("KMSInvalidMacException", "")
    assert cloud.describe(key)["MacAlgorithms"] == [algorithm]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImportType", "NEW_KEY_MATERIAL"),
        ("ImportType", "EXISTING_KEY_MATERIAL"),
        ("KeyMaterialId", "0" * 64),
        ("KeyMaterialDescription", "d"),
    ],
)
def test_what_belongs_to_symmetric_keys_is_refused(cloud: Cloud, name: str, value: str) -> None:
    """Recorded: imports_families:HMAC_224_ImportType (right bytes, refused before identity)."""
    key = imported(cloud, b"h" * 28, "HMAC_224", "GENERATE_VERIFY_MAC", OAEP)
    request = {**wrapped(cloud, key, b"h" * 28, OAEP), name: value}
    expected = f"Input parameter {name[0].lower() + name[1:]} cannot be used with HMAC_224 imported keys."
    assert refusal(cloud.kms().import_key_material, **request) == ("ValidationException", expected)


def test_one_material_for_life(cloud: Cloud) -> None:
    """Recorded: imports_families: other bytes after a delete name a hidden id; the same bytes restore the MAC."""
    key = imported(cloud, b"h" * 32, "HMAC_256", "GENERATE_VERIFY_MAC", OAEP)
    mac = cloud.kms().generate_mac(KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_256")["Mac"]
    answer = cloud.kms().delete_imported_key_material(KeyId=key)
    assert "KeyMaterialId" not in answer
    expected = ("KMSInvalidStateException", f"{cloud.arn(key)} is pending import.")
    assert refusal(cloud.kms().generate_mac, KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_256") == expected
    code, message = refusal(cloud.kms().import_key_material, **wrapped(cloud, key, b"o" * 32, OAEP))
    assert code == "IncorrectKeyMaterialException"
    assert message.startswith("Imported key material does not have the expected identifier (")
    cloud.kms().import_key_material(**wrapped(cloud, key, b"h" * 32, OAEP))
    cloud.kms().verify_mac(KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_256", Mac=mac)


def test_materials_are_listed_for_symmetric_keys_only(cloud: Cloud) -> None:
    """Recorded: imports_families; rotation:hmac_list-key-rotations."""
    key = imported(cloud, b"h" * 32, "HMAC_256", "GENERATE_VERIFY_MAC", OAEP)
    assert cloud.kms().list_key_rotations(KeyId=key)["Rotations"] == []
    assert refusal(cloud.kms().list_key_rotations, KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL") == (
        "ValidationException",
        "Input parameter includeKeyMaterial can only be used with symmetric keys.",
    )
    assert "CurrentKeyMaterialId" not in cloud.describe(key)


ACCEPTED = [
    *((OAEP, "RSA_2048", spec) for spec in ("HMAC_224", "HMAC_512", "ECC_NIST_P256", "ECC_NIST_P384")),
    (OAEP, "RSA_2048", "ECC_SECG_P256K1"),
    (OAEP, "RSA_3072", "ECC_NIST_EDWARDS25519"),
    (HYBRID, "RSA_3072", "RSA_2048"),
    (HYBRID, "RSA_3072", "ECC_NIST_P521"),
]
REFUSED = [(OAEP, "RSA_2048", spec) for spec in ("RSA_2048", "RSA_4096", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519")]
USAGE = {"HMAC": "GENERATE_VERIFY_MAC", "RSA": "SIGN_VERIFY", "ECC": "SIGN_VERIFY"}


@pytest.mark.parametrize(("algorithm", "wrapping", "spec"), ACCEPTED + REFUSED)
def test_which_wrapping_carries_which_key(cloud: Cloud, algorithm: str, wrapping: str, spec: str) -> None:
    """Recorded: imports_families:*_direct_2048."""
    key = cloud.key(KeySpec=spec, KeyUsage=USAGE[spec.partition("_")[0]])
    asked = {"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": wrapping}
    if (algorithm, wrapping, spec) in ACCEPTED:
        cloud.kms().get_parameters_for_import(**asked)
    else:
        assert refusal(cloud.kms().get_parameters_for_import, **asked) == (
            "ValidationException",
            f"Wrapping algorithm {algorithm} and wrapping key spec {wrapping} cannot be used to import a {spec} key.",
        )


@pytest.mark.parametrize("spec", CURVES)
def test_imported_curves_sign_and_come_back(cloud: Cloud, spec: str) -> None:
    private = ec.generate_private_key(CURVES[spec])
    key = imported(cloud, pkcs8(private), spec, "SIGN_VERIFY")
    [algorithm] = cloud.describe(key)["SigningAlgorithms"]
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm.rpartition("_")[2]]
    signature = cloud.kms().sign(KeyId=key, Message=b"m", SigningAlgorithm=algorithm)["Signature"]
    private.public_key().verify(signature, b"m", ec.ECDSA(digest))
    given = cloud.kms().get_public_key(KeyId=key)
    assert (given["PublicKey"], given["KeySpec"], given["KeyId"]) == (spki(private), spec, cloud.arn(key))

    cloud.kms().delete_imported_key_material(KeyId=key)
    expected = ("KMSInvalidStateException", f"{cloud.arn(key)} is pending import.")
    assert refusal(cloud.kms().get_public_key, KeyId=key) == expected
    # An outer SEQUENCE of indefinite length is taken for the same key.
    cloud.kms().import_key_material(**wrapped(cloud, key, indefinite(pkcs8(private)), HYBRID))
    cloud.kms().verify(KeyId=key, Message=b"m", SigningAlgorithm=algorithm, Signature=signature)


def test_imported_ed25519_keys_sign_and_are_der_only(cloud: Cloud) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    key = imported(cloud, pkcs8(private), "ECC_NIST_EDWARDS25519", "SIGN_VERIFY", OAEP)
    signature = cloud.kms().sign(KeyId=key, Message=b"m", SigningAlgorithm="ED25519_SHA_512")["Signature"]
    private.public_key().verify(signature, b"m")
    request = wrapped(cloud, key, indefinite(pkcs8(private)), OAEP)
    assert refusal(cloud.kms().import_key_material, **request) == ("InvalidCiphertextException", "")


def test_imported_rsa_keys_encrypt_and_sign(cloud: Cloud) -> None:
    private = rsa.generate_private_key(65537, 2048)
    # An outer SEQUENCE of indefinite length is taken for the same key.
    key = imported(cloud, indefinite(pkcs8(private)), "RSA_2048", "ENCRYPT_DECRYPT")
    assert cloud.kms().get_public_key(KeyId=key)["PublicKey"] == spki(private)
    cloud.kms().import_key_material(**wrapped(cloud, key, pkcs8(private), HYBRID))
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    blob = private.public_key().encrypt(b"hidden", oaep)
    opened = cloud.kms().decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=OAEP)
    assert (opened["Plaintext"], opened["EncryptionAlgorithm"]) == (b"hidden", OAEP)
    assert "KeyMaterialId" not in opened
    sealed = cloud.kms().encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm=OAEP)["CiphertextBlob"]
    assert private.decrypt(sealed, oaep) == b"x"
    for content in (pkcs8(rsa.generate_private_key(65537, 3072)), pkcs8(ec.generate_private_key(ec.SECP256R1())), b"x"):
        request = wrapped(cloud, key, content, HYBRID)
        assert refusal(cloud.kms().import_key_material, **request) == ("InvalidCiphertextException", "")


def test_a_replica_of_an_imported_hmac_key_takes_the_same_bytes(cloud: Cloud) -> None:
    key = imported(cloud, b"h" * 32, "HMAC_256", "GENERATE_VERIFY_MAC", OAEP, MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    assert cloud.state(key, REPLICA) == "PendingImport"
    cloud.kms(REPLICA).import_key_material(**wrapped(cloud, key, b"h" * 32, OAEP, REPLICA))
    asked = {"KeyId": key, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    assert cloud.kms(REPLICA).generate_mac(**asked)["Mac"] == cloud.kms().generate_mac(**asked)["Mac"]


def test_two_parties_derive_the_same_secret(cloud: Cloud) -> None:
    """Recorded by others: test_derive_shared_secret."""
    private, peer = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    key = imported(cloud, pkcs8(private), "ECC_NIST_P384", "KEY_AGREEMENT")
    asked = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH"}
    answer = cloud.kms().derive_shared_secret(**asked, PublicKey=spki(peer))
    assert answer["SharedSecret"] == peer.exchange(ec.ECDH(), private.public_key())
    assert (answer["KeyOrigin"], answer["KeyAgreementAlgorithm"]) == ("EXTERNAL", "ECDH")
    assert cloud.describe(key)["KeyAgreementAlgorithms"] == ["ECDH"]
    for wrong in (b"x", spki(ec.generate_private_key(ec.SECP256R1()))):
        refused = refusal(cloud.kms().derive_shared_secret, **asked, PublicKey=wrong, DryRun=True)
        assert refused == ("ValidationException", "")


@pytest.mark.parametrize("algorithm", ["RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_384"])
def test_rsa_signatures_verify_outside_and_digests_are_measured(cloud: Cloud, algorithm: str) -> None:
    """Recorded by others: test_sign_verify, test_verify_salt_length."""
    key = cloud.key(Origin="AWS_KMS", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    name = "sha" + algorithm.rpartition("_")[2]
    digest = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
    asked = {"KeyId": key, "SigningAlgorithm": algorithm}
    signature = cloud.kms().sign(**asked, Message=hashlib.new(name, b"m").digest(), MessageType="DIGEST")["Signature"]
    public: Any = load_der_public_key(cloud.kms().get_public_key(KeyId=key)["PublicKey"])
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
    public.verify(signature, b"m", pss if "PSS" in algorithm else padding.PKCS1v15(), digest)
    assert cloud.kms().verify(**asked, Message=b"m", Signature=signature)["SignatureValid"] is True
    wrong = refusal(cloud.kms().verify, **asked, Message=b"other", Signature=signature)
    assert wrong == ("KMSInvalidSignatureException", "")
    assert refusal(cloud.kms().sign, **asked, Message=b"short", MessageType="DIGEST") == (
        "ValidationException",
        f"Digest is invalid length for algorithm {algorithm}.",
    )


def test_key_families_that_cannot_be_made(cloud: Cloud) -> None:
    make = cloud.kms().create_key
    table = [
        ({"KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY"}, "KeySpec ML_DSA_44 is not supported for Origin EXTERNAL"),
        (
            {"KeySpec": "HMAC_256", "KeyUsage": "ENCRYPT_DECRYPT"},
            "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec HMAC_256",
        ),
        (
            {"KeySpec": "RSA_2048"},
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
    ]
    for given, message in table:
        assert refusal(make, Origin="EXTERNAL", **given) == ("ValidationException", message)
