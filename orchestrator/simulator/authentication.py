"""Who says to have signed a request, and for where: its Authorization header judged by form, not by signature."""

import re
from dataclasses import dataclass

from orchestrator.simulator.errors import ServiceError

_ALGORITHM = "AWS4-HMAC-SHA256"
_CREDENTIAL = re.compile(
    r"(?P<key>[^/\s]+)/(?P<date>[^/\s]+)/(?P<region>[^/\s]+)/(?P<service>[^/\s]+)/aws4_request", re.ASCII
)
_PARTS = ("Credential", "Signature", "SignedHeaders")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is for."""

    access_key: str
    region: str
    service: str


def scope_of(authorization: str) -> Scope:
    """Return the scope that a header names; AWS's refusal of one that is missing or malformed."""
    if not authorization:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = authorization.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = [name for name in _PARTS if not parts.get(name)]
    if algorithm != _ALGORITHM or missing:
        told = (f"Authorization header requires '{name}' parameter." for name in missing or _PARTS)
        raise ServiceError("IncompleteSignatureException", " ".join(told))
    match = _CREDENTIAL.fullmatch(parts["Credential"])
    if match is None:
        message = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term"
        raise ServiceError("IncompleteSignatureException", f"{message}, got '{parts['Credential']}'")
    return Scope(match["key"], match["region"], match["service"])


def require_service(scope: Scope, service: str) -> None:
    """Refuse a request that was signed for another service."""
    if scope.service != service:
        message = f"Credential should be scoped to correct service: '{service}'."
        raise ServiceError("InvalidSignatureException", message)
