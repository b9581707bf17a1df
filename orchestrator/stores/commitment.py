"""What binds a note to bytes: a check value that tells bytes apart, and tells nothing of them (docs/store.md)."""

import hashlib
import hmac

from orchestrator.model import KeyIdentity

from .material import KeyMaterial

_LABEL = b"mrk commitment to key material 1\n"


def commitment(material: KeyMaterial, key: KeyIdentity) -> str:
    """Return HMAC-SHA-256, in hex, with the material as its key, over a fixed label and the KMS key's identity."""
    return hmac.new(material.reveal(), _LABEL + str(key).encode(), hashlib.sha256).hexdigest()


def fits(noted: str | None, found: str) -> bool:
    """Whether a note is of the bytes that were found; one of an older format tells nothing of any."""
    return noted is not None and hmac.compare_digest(noted.encode(), found.encode())
