"""Wrapping of key material under a wrapping key of KMS. Pure; called by stores alone, as it touches plaintext."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from orchestrator.errors import StoreError
from orchestrator.ports import WrappingAlgorithm

_SHA_1 = (WrappingAlgorithm.RSAES_OAEP_SHA_1, WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_1)
_HYBRID = (WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256, WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_1)
_SMALLEST_MODULUS = 2048


def wrap(material: bytes, public_key: bytes, algorithm: WrappingAlgorithm, aes_key: bytes | None = None) -> bytes:
    """Wrap material under a DER SubjectPublicKeyInfo: OAEP with MGF1 of the same hash and an empty label.

    RSA_AES_KEY_WRAP takes a fresh 32-byte `aes_key` from the caller and yields OAEP(aes key) || AES-KWP(material).
    Raises StoreError where the wrapping key is not an RSA key of at least 2048 bits.
    """
    key, oaep = wrapping_key(public_key), _oaep(algorithm)
    if algorithm not in _HYBRID:
        return key.encrypt(material, oaep)
    if aes_key is None:
        raise ValueError(f"{algorithm} needs a fresh AES key")
    return key.encrypt(aes_key, oaep) + keywrap.aes_key_wrap_with_padding(aes_key, material)


def _oaep(algorithm: WrappingAlgorithm) -> padding.OAEP:
    digest = hashes.SHA1() if algorithm in _SHA_1 else hashes.SHA256()  # noqa: S303 - KMS offers it, for HSMs that know no other
    return padding.OAEP(mgf=padding.MGF1(algorithm=digest), algorithm=digest, label=None)


def wrapping_key(public_key: bytes) -> rsa.RSAPublicKey:
    """Read a wrapping key; a store does so before it opens an entry, so that no refusal meets key material.

    Raises StoreError where it is not an RSA key of at least 2048 bits.
    """
    try:
        key = serialization.load_der_public_key(public_key)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SMALLEST_MODULUS:
            # On trial: an even modulus, or too long an exponent, can be read, and fails only here.
            key.encrypt(b"", _oaep(WrappingAlgorithm.RSAES_OAEP_SHA_256))
            return key
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise StoreError("KMS sent a wrapping key that is not an RSA key of at least 2048 bits", "nothing was sent to it")
