"""Key material by kind of key: which bytes are accepted, how KMS makes its own, and the keys they are."""

import os
from collections.abc import Mapping
from functools import lru_cache
from itertools import dropwhile
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.state import SYMMETRIC

_SYMMETRIC_BYTES = 32
_LONGEST_HMAC = 128
_HMAC_BYTES: Mapping[str, int] = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
_RSA_BITS: Mapping[str, int] = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
_EDWARDS = "ECC_NIST_EDWARDS25519"
_SEQUENCE = 0x30
_INDEFINITE = b"\x30\x80"
_END = b"\x00\x00"

PAIR_SPECS = frozenset({*_RSA_BITS, *_CURVES, _EDWARDS})
"""The specs of key pairs that are simulated."""


def accepted(spec: str, content: bytes) -> bytes:
    """Return imported bytes in the form in which they are kept.

    InvalidCiphertextException, with no message as on AWS, for bytes that are no key of that spec.
    """
    if spec == SYMMETRIC:
        good = len(content) == _SYMMETRIC_BYTES
    elif spec in _HMAC_BYTES:
        good = _HMAC_BYTES[spec] <= len(content) <= _LONGEST_HMAC
    else:
        return _accepted_pair(spec, content)
    if not good:
        raise ServiceError("InvalidCiphertextException")
    return content


def generated(spec: str) -> bytes:
    """Make key material of that spec: random bytes, or a private key in PKCS #8 DER."""
    if spec == SYMMETRIC or spec in _HMAC_BYTES:
        return os.urandom(_HMAC_BYTES.get(spec, _SYMMETRIC_BYTES))
    if spec in _RSA_BITS:
        return _pkcs8(rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[spec]))
    if spec in _CURVES:
        return _pkcs8(ec.generate_private_key(_CURVES[spec]))
    return _pkcs8(ed25519.Ed25519PrivateKey.generate())


@lru_cache(maxsize=512)
def private_key(content: bytes) -> Any:
    """Return the private key kept as these bytes."""
    return load_der_private_key(content, None, unsafe_skip_rsa_key_validation=True)


def public_bytes(content: bytes) -> bytes:
    """Return the public half, DER SubjectPublicKeyInfo."""
    encoded: bytes = private_key(content).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _accepted_pair(spec: str, content: bytes) -> bytes:
    der = _definite(content) if spec != _EDWARDS else content
    if not _is_pkcs8(der):
        raise ServiceError("InvalidCiphertextException")
    try:
        key = load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ServiceError("InvalidCiphertextException") from error
    if not _is_of(spec, key):
        raise ServiceError("InvalidCiphertextException")
    return _pkcs8(key)


def _is_of(spec: str, key: Any) -> bool:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size == _RSA_BITS.get(spec)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return spec in _CURVES and key.curve.name == _CURVES[spec].name
    return isinstance(key, ed25519.Ed25519PrivateKey) and spec == _EDWARDS


def _is_pkcs8(der: bytes) -> bool:
    """Tell PrivateKeyInfo (version, algorithm, key) from the bare forms of RSA and ECC keys, which KMS refuses."""
    header = 2 + (der[1] & 0x7F if len(der) > 1 and der[1] & 0x80 else 0)
    version, algorithm = der[header : header + 2], der[header + 3 : header + 4]
    return version == b"\x02\x01" and algorithm == bytes([_SEQUENCE])


def _definite(content: bytes) -> bytes:
    """Return DER for the one deviation that KMS takes: an outer SEQUENCE of indefinite length."""
    if not (content.startswith(_INDEFINITE) and content.endswith(_END)):
        return content
    inner = content[len(_INDEFINITE) : -len(_END)]
    size = bytes(dropwhile(lambda digit: digit == 0, len(inner).to_bytes(4, "big")))
    length = size if len(inner) < 0x80 else bytes([0x80 | len(size)]) + size  # noqa: PLR2004 - DER's short form
    return b"\x30" + length + inner


def _pkcs8(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded
