"""Symmetric ciphertexts: AES-GCM bound to key, material and encryption context, in AWS's outer layout.

Bytes 0-4 tell the kind, bytes 5-36 are the material's id; what follows is the simulator's own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orchestrator.simulator.errors import ServiceError

ENCRYPT = bytes.fromhex("0102020078")
DATA_KEY = bytes.fromhex("0102030078")
_ID_END = 37
_NONCE = 12
_TAG = 16


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ciphertext taken apart, not yet opened."""

    header: bytes
    material_id: str
    key_id: str
    nonce: bytes
    sealed: bytes

    def open(self, content: bytes, context: Mapping[str, str]) -> bytes:
        """Return the plaintext; InvalidCiphertextException for another key, material or context."""
        try:
            return AESGCM(content).decrypt(self.nonce, self.sealed, _bound(self.header, context))
        except InvalidTag as error:
            raise ServiceError("InvalidCiphertextException") from error


def seal(
    kind: bytes, key_id: str, material_id: str, content: bytes, plaintext: bytes, context: Mapping[str, str]
) -> bytes:
    """Return the ciphertext of a plaintext under one material."""
    name = key_id.encode()
    header = kind + bytes.fromhex(material_id) + bytes([len(name)]) + name
    nonce = os.urandom(_NONCE)
    return header + nonce + AESGCM(content).encrypt(nonce, plaintext, _bound(header, context))


def take_apart(blob: bytes) -> Envelope:
    """Return the parts of a ciphertext; InvalidCiphertextException if it is none of ours."""
    if blob[:5] not in (ENCRYPT, DATA_KEY) or len(blob) <= _ID_END:
        raise ServiceError("InvalidCiphertextException")
    start = _ID_END + 1 + blob[_ID_END]
    if len(blob) < start + _NONCE + _TAG:
        raise ServiceError("InvalidCiphertextException")
    try:
        key_id = blob[_ID_END + 1 : start].decode()
    except UnicodeDecodeError as error:
        raise ServiceError("InvalidCiphertextException") from error
    return Envelope(blob[:start], blob[5:_ID_END].hex(), key_id, blob[start : start + _NONCE], blob[start + _NONCE :])


def _bound(header: bytes, context: Mapping[str, str]) -> bytes:
    # Length-prefixed, so that no two contexts read alike; the order of pairs does not matter, as in AWS.
    parts = [header]
    for name, value in sorted(context.items()):
        parts.extend(len(text).to_bytes(4, "big") + text for text in (name.encode(), value.encode()))
    return b"".join(parts)
