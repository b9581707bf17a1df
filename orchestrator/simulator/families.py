"""What bytes are key material for which kind of key."""

from collections.abc import Mapping

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.state import SYMMETRIC

_SYMMETRIC_BYTES = 32
_HMAC_BYTES: Mapping[str, range] = {
    "HMAC_224": range(28, 129),
    "HMAC_256": range(32, 129),
    "HMAC_384": range(48, 129),
    "HMAC_512": range(64, 129),
}


def accepted(spec: str, content: bytes) -> bytes:
    """Return imported bytes in the form in which they are kept.

    InvalidCiphertextException, with no message as on AWS, for bytes that are no key of that spec.
    """
    good = len(content) == _SYMMETRIC_BYTES if spec == SYMMETRIC else len(content) in _HMAC_BYTES[spec]
    if not good:
        raise ServiceError("InvalidCiphertextException")
    return content
