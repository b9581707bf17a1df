"""Grants: the tokens that stand for them, and what one permits to whom."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.principals import names
from orchestrator.simulator.state import Grant

_ID_BYTES, _NONCE_BYTES, _CHECK_BYTES = 32, 16, 16
_CONTEXT_FREE = frozenset({"CreateGrant", "DescribeKey", "GetPublicKey", "RetireGrant"})

Context = Mapping[str, str]


def new_id() -> str:
    """Return an id that no other grant has."""
    return secrets.token_hex(_ID_BYTES)


def new_token(grant_id: str, region: str) -> str:
    """Return one more token for a grant: no two are the same, each is as good as the other, none is a secret."""
    body = secrets.token_bytes(_NONCE_BYTES) + bytes.fromhex(grant_id)
    return base64.b64encode(body + _check(body, region)).decode()


def id_in(token: str, region: str) -> str:
    """Return the id of the grant that a token was made for; InvalidGrantTokenException for one not made here."""
    try:
        raw = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if len(body) != _NONCE_BYTES + _ID_BYTES or check != _check(body, region):
        raise ServiceError("InvalidGrantTokenException", "The grant token is not valid.")
    return body[_NONCE_BYTES:].hex()


def require_tokens(params: Mapping[str, Any], region: str) -> None:
    """Refuse a request with a grant token that no CreateGrant of this Region has given."""
    for token in params.get("GrantTokens", ()):
        id_in(token, region)


def permits(grant: Grant, caller: str, action: str, context: Context) -> bool:
    """Tell whether a grant lets that caller do that, under that encryption context."""
    if action == "RetireGrant" and any(names(who, caller) for who in (grant.issuer, grant.retiring) if who):
        return True
    if grant.grantee is None or not names(grant.grantee, caller) or action not in grant.operations:
        return False
    # This constraint is for AWS services that act for a resource; nobody here is one.
    return grant.source_arn is None and (action in _CONTEXT_FREE or _fits(grant, context))


def covers(parent: Grant, child: Grant) -> bool:
    """Tell whether one grant allows to make another: no further operation, no looser constraint."""
    return set(child.operations) <= set(parent.operations) and _at_least_as_strict(parent, child)


def _at_least_as_strict(parent: Grant, child: Grant) -> bool:
    if parent.context_equals is not None:
        return child.context_equals == parent.context_equals
    least = (parent.context_subset or {}).items()
    given = child.context_equals if child.context_equals is not None else child.context_subset
    return least <= (given or {}).items()


def _fits(grant: Grant, context: Context) -> bool:
    if grant.context_equals is not None:
        return grant.context_equals == context
    return (grant.context_subset or {}).items() <= context.items()


def _check(body: bytes, region: str) -> bytes:
    return sha256(b"simulated-grant-token\0" + region.encode() + b"\0" + body).digest()[:_CHECK_BYTES]
