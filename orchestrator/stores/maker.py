"""Who made an entry: a tag over all that it says, and over the commitment to its bytes; never over the bytes.

Whoever may write to a store could put material of his own choice there: a maker that cannot be told is not trusted.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PURPOSE = b"mrk maker of an entry 1"
_TAG = 32
_LONGEST = 1024
"""KMS takes up to 4096 bytes, and refuses others as it refuses a broken call; ours have some 400."""
_SAID = ("format", "version", "partition", "account", "key_id", "replaces", "attempt", "created_at")


class Maker(Protocol):
    """Makes tags, and knows its own again."""

    def tag(self, message: bytes) -> bytes | None:
        """Make the tag of a message; None where nobody could make one."""

    def made(self, message: bytes, tag: bytes) -> bool:
        """Whether this maker made the tag, of this very message."""


class IdentityMaker:
    """Whoever holds an age identity: the first of several makes tags, and any of them knows them again."""

    def __init__(self, identities: Sequence[bytes]) -> None:
        self._keys = [HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret) for secret in identities]

    def __repr__(self) -> str:
        return "IdentityMaker(hidden)"

    def tag(self, message: bytes) -> bytes:
        """Make the tag of a message."""
        return hmac.digest(self._keys[0], message, "sha256")

    def made(self, message: bytes, tag: bytes) -> bool:
        """Whether one of these identities made the tag."""
        return any(hmac.compare_digest(hmac.digest(key, message, "sha256"), tag) for key in self._keys)


class Nobody:
    """Nobody who could be told."""

    def tag(self, message: bytes) -> None:
        """Make none."""

    def made(self, message: bytes, tag: bytes) -> bool:  # noqa: ARG002 - of a Maker
        """Know none."""
        return False


def signed(said: Mapping[str, Any], commitment: str, maker: Maker) -> str | None:
    """Return the tag of what an entry says, as text."""
    tag = maker.tag(_message(said, commitment))
    return base64.b64encode(tag).decode() if tag else None


def made_by(said: Mapping[str, Any], commitment: str, tag: object, maker: Maker) -> bool:
    """Whether a maker made what an entry says; what cannot be a tag, or be under one, nobody made."""
    if not isinstance(tag, str):
        return False
    try:
        raw = base64.b64decode(tag, validate=True)
    except ValueError:
        return False
    message = _message(said, commitment)
    return len(raw) == _TAG and len(message) <= _LONGEST and maker.made(message, raw)


def _message(said: Mapping[str, Any], commitment: str) -> bytes:
    """Write the one form of what an entry says."""
    about = {name: said.get(name) for name in _SAID}
    return json.dumps({**about, "commitment": commitment}, sort_keys=True, separators=(",", ":")).encode()
