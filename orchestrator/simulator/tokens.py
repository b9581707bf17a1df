"""Import tokens: self-contained, authenticated, bound to key, Region, wrapping key and expiry."""

import hmac
import json
from dataclasses import asdict, dataclass
from hashlib import sha256

from orchestrator.simulator.errors import ServiceError

LIFETIME = 24 * 3600.0
_TAG_BYTES = 32


@dataclass(frozen=True, slots=True)
class ImportToken:
    """What a token vouches for; `wrapping_key` names the private key that can open the material."""

    key_id: str
    account: str
    region: str
    algorithm: str
    wrapping_key: str
    expires: float


class ImportTokens:
    """Seals and opens tokens under one secret; a token of another secret is refused."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, token: ImportToken) -> bytes:
        """Return the token as the client gets it."""
        body = json.dumps(asdict(token), separators=(",", ":")).encode()
        return self._tag(body) + body

    def open(self, sealed: bytes) -> ImportToken:
        """Return what the token says; InvalidImportTokenException if it was not sealed here."""
        tag, body = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body)):
            raise ServiceError("InvalidImportTokenException")
        return ImportToken(**json.loads(body))

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, sha256)
