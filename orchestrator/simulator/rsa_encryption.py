"""Encryption under RSA keys."""

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from orchestrator.simulator.errors import ServiceError, invalid
from orchestrator.simulator.families import private_key

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1(),  # noqa: S303 - OAEP with SHA-1 is one of KMS's own
    "RSAES_OAEP_SHA_256": hashes.SHA256(),
}


def oaep(algorithm: str) -> padding.OAEP:
    """Return the padding that an algorithm name means: MGF1 with the same hash, no label."""
    digest = _HASHES[algorithm]
    return padding.OAEP(mgf=padding.MGF1(digest), algorithm=digest, label=None)


def seal(spec: str, algorithm: str, content: bytes, plaintext: bytes) -> bytes:
    """Return the plaintext encrypted; ValidationException if it is too long for the key."""
    key = private_key(content)
    longest = key.key_size // 8 - 2 * _HASHES[algorithm].digest_size - 2
    if len(plaintext) > longest:
        raise invalid(f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} bytes.")
    blob: bytes = key.public_key().encrypt(plaintext, oaep(algorithm))
    return blob


def open_sealed(algorithm: str, content: bytes, blob: bytes) -> bytes:
    """Return what is inside; InvalidCiphertextException for anything else."""
    try:
        plaintext: bytes = private_key(content).decrypt(blob, oaep(algorithm))
    except ValueError as error:
        raise ServiceError("InvalidCiphertextException") from error
    return plaintext
