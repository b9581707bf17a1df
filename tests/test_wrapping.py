"""Wrapping, checked by an independent unwrap: the `openssl` command opens what we wrap."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from orchestrator.errors import StoreError
from orchestrator.ports import WrappingAlgorithm
from orchestrator.wrapping import wrap

MATERIAL = bytes(range(32))
AES_KEY = bytes(range(100, 132))
DIGESTS = {
    WrappingAlgorithm.RSAES_OAEP_SHA_256: "sha256",
    WrappingAlgorithm.RSAES_OAEP_SHA_1: "sha1",
    WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256: "sha256",
    WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_1: "sha1",
}
PLAIN = (WrappingAlgorithm.RSAES_OAEP_SHA_256, WrappingAlgorithm.RSAES_OAEP_SHA_1)
HYBRID = (WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256, WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_1)


def openssl(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    command = shutil.which("openssl")
    if command is None:
        pytest.fail("the command openssl is missing; on Debian: apt-get install openssl")
    return subprocess.run([command, *arguments], input=stdin, check=True, capture_output=True).stdout


def rsa_open(private: Path, wrapped: bytes, digest: str) -> bytes:
    """Decrypt OAEP with MGF1 of the same digest and an empty label, which are what KMS expects."""
    options = ("rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{digest}")
    spread = [word for option in options for word in ("-pkeyopt", option)]
    return openssl("pkeyutl", "-decrypt", "-inkey", private, *spread, stdin=wrapped)


def aes_open(aes_key: bytes, wrapped: bytes) -> bytes:
    """Unwrap AES-256-KWP (RFC 5649)."""
    return openssl("enc", "-d", "-id-aes256-wrap-pad", "-K", aes_key.hex(), "-iv", "A65959A6", stdin=wrapped)


@pytest.fixture(scope="module", params=[2048, 3072, 4096])
def private(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key of each size that KMS offers for wrapping, made by openssl as well."""
    path = tmp_path_factory.mktemp("rsa") / "private.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{request.param}", "-out", path)
    return path


@pytest.fixture(scope="module")
def public(private: Path) -> bytes:
    return openssl("pkey", "-in", private, "-pubout", "-outform", "DER")


@pytest.mark.parametrize("algorithm", PLAIN)
def test_openssl_opens_what_oaep_wrapped(private: Path, public: bytes, algorithm: WrappingAlgorithm) -> None:
    wrapped = wrap(MATERIAL, public, algorithm)
    assert rsa_open(private, wrapped, DIGESTS[algorithm]) == MATERIAL


@pytest.mark.parametrize("length", [1, 8, 31, 32, 33, 1217, 2374])
@pytest.mark.parametrize("algorithm", HYBRID)
def test_openssl_opens_what_rsa_and_aes_key_wrap_wrapped(
    private: Path, public: bytes, algorithm: WrappingAlgorithm, length: int
) -> None:
    """The wrapped AES key comes first, then AES-KWP of the material, whatever its length: private keys are long."""
    material = bytes(position % 251 for position in range(length))
    wrapped = wrap(material, public, algorithm, AES_KEY)
    modulus = len(wrapped) - (8 + -(-length // 8) * 8)
    assert rsa_open(private, wrapped[:modulus], DIGESTS[algorithm]) == AES_KEY
    assert aes_open(AES_KEY, wrapped[modulus:]) == material


def test_the_other_digest_does_not_open_it(private: Path, public: bytes) -> None:
    """The vectors would be worth nothing if openssl opened anything."""
    wrapped = wrap(MATERIAL, public, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    with pytest.raises(subprocess.CalledProcessError):
        rsa_open(private, wrapped, "sha1")


def test_wrapping_twice_gives_two_ciphertexts(public: bytes) -> None:
    algorithm = WrappingAlgorithm.RSAES_OAEP_SHA_256
    assert wrap(MATERIAL, public, algorithm) != wrap(MATERIAL, public, algorithm)


@pytest.mark.parametrize("algorithm", HYBRID)
def test_a_hybrid_algorithm_without_an_aes_key_is_a_defect_of_the_caller(
    public: bytes, algorithm: WrappingAlgorithm
) -> None:
    with pytest.raises(ValueError, match="needs a fresh AES key"):
        wrap(MATERIAL, public, algorithm)


def der(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | dsa.DSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def modulus() -> int:
    return rsa.generate_private_key(65537, 2048).public_key().public_numbers().n


def der_of(modulus: int, exponent: int = 65537) -> bytes:
    """Encode an RSA key of any two positive numbers, by openssl, which asks no questions."""
    asked = ["asn1=SEQUENCE:key", "[key]", "algorithm=SEQUENCE:rsa", "numbers=BITWRAP,SEQUENCE:numbers"]
    asked += ["[rsa]", "algorithm=OID:rsaEncryption", "parameter=NULL"]
    asked += ["[numbers]", f"n=INTEGER:0x{modulus:x}", f"e=INTEGER:0x{exponent:x}"]
    with tempfile.NamedTemporaryFile() as made:
        openssl("asn1parse", "-genconf", "/dev/stdin", "-noout", "-out", made.name, stdin="\n".join(asked).encode())
        return Path(made.name).read_bytes()


REFUSED = {
    "an even modulus": lambda: der_of(modulus() - 1),
    "a modulus of zero": lambda: der_of(0),
    "a modulus of one": lambda: der_of(1),
    "an exponent of one": lambda: der_of(modulus(), 1),
    "an even exponent": lambda: der_of(modulus(), 65536),
    "an exponent as long as the modulus": lambda: der_of(number := modulus() ** 2, number - 2),
    "a modulus that is too long to use": lambda: der_of(2**20000 + 1),
    "RSA of 1024 bits": lambda: der(rsa.generate_private_key(65537, 1024).public_key()),  # noqa: S505 - to be refused
    "an elliptic curve": lambda: der(ec.generate_private_key(ec.SECP256R1()).public_key()),
    "nothing": bytes,
    "no key": lambda: b"this is no key",
    "a PEM key": lambda: b"-----BEGIN PUBLIC KEY-----\n",
    "a key that is cut short": lambda: der(rsa.generate_private_key(65537, 2048).public_key())[:-10],
}


@pytest.mark.parametrize("key", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("algorithm", WrappingAlgorithm)
def test_a_wrapping_key_that_is_small_or_not_rsa_is_refused(key: object, algorithm: WrappingAlgorithm) -> None:
    """I2: material leaves only under a key that protects it."""
    assert callable(key)
    with pytest.raises(StoreError) as caught:
        wrap(MATERIAL, key(), algorithm, AES_KEY)
    assert caught.value.message == "KMS sent a wrapping key that is not an RSA key of at least 2048 bits"
    assert caught.value.hint.startswith("nothing was sent")
    assert MATERIAL.hex() not in repr(caught.value)
