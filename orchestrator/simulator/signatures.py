"""Signing algorithms by the names that KMS gives them."""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from orchestrator.simulator.errors import invalid, not_simulated
from orchestrator.simulator.families import private_key

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_EDWARDS = "ED25519_SHA_512"


def sign(algorithm: str, content: bytes, message: bytes, message_type: str) -> bytes:
    """Return the signature of a message (RAW) or of its digest (DIGEST)."""
    arguments = _arguments(algorithm, message, message_type)
    signature: bytes = private_key(content).sign(message, *arguments)
    return signature


def verify(algorithm: str, content: bytes, message: bytes, message_type: str, signature: bytes) -> bool:
    """Tell whether the signature is right."""
    arguments = _arguments(algorithm, message, message_type)
    try:
        private_key(content).public_key().verify(signature, message, *arguments)
    except InvalidSignature:
        return False
    return True


def _arguments(algorithm: str, message: bytes, message_type: str) -> tuple[Any, ...]:
    if algorithm == "ED25519_PH_SHA_512":
        raise not_simulated(f"Signing with {algorithm}")
    if message_type == "EXTERNAL_MU" or (algorithm == _EDWARDS and message_type != "RAW"):
        raise invalid(f"MessageType {message_type} is not valid for algorithm {algorithm}.")
    if algorithm == _EDWARDS:
        return ()
    digest = _HASHES[algorithm.rpartition("_")[2]]
    if message_type == "DIGEST" and len(message) != digest.digest_size:
        raise invalid(f"Digest is invalid length for algorithm {algorithm}.")
    how: Any = digest if message_type == "RAW" else utils.Prehashed(digest)
    if algorithm.startswith("ECDSA"):
        return (ec.ECDSA(how),)
    return _rsa_padding(algorithm, digest), how


def _rsa_padding(algorithm: str, digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if algorithm.startswith("RSASSA_PKCS1"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
