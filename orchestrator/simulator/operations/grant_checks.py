"""What is judged before a grant is made: principals, operations, constraints, and how many there are."""

from collections.abc import Mapping
from typing import Any

from orchestrator.simulator.errors import ServiceError, invalid
from orchestrator.simulator.principals import require_principal
from orchestrator.simulator.state import SYMMETRIC, KeySet, Member

MOST_GRANTS = 50_000
_MOST_PAIRS = 8
_LONGEST_VALUE = 384

_ALWAYS = frozenset({"CreateGrant", "DescribeKey", "RetireGrant"})
_ASYMMETRIC = _ALWAYS | {"GetPublicKey"}
_ENCRYPTION = frozenset({"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"})
_DATA_KEYS = frozenset(
    {
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
    }
)
_OF_USAGE: Mapping[str, frozenset[str]] = {
    "ENCRYPT_DECRYPT": _ASYMMETRIC | _ENCRYPTION,
    "SIGN_VERIFY": _ASYMMETRIC | {"Sign", "Verify"},
    "KEY_AGREEMENT": _ASYMMETRIC | {"DeriveSharedSecret"},
    "GENERATE_VERIFY_MAC": _ALWAYS | {"GenerateMac", "VerifyMac"},
}


def grantable(keys: KeySet) -> frozenset[str]:
    """Return the operations that a grant for this kind of key may allow."""
    return _ALWAYS | _ENCRYPTION | _DATA_KEYS if keys.spec == SYMMETRIC else _OF_USAGE[keys.usage]


def require_principals(params: Mapping[str, Any], partition: str) -> None:
    """Refuse a grant without exactly one grantee, or with a principal that AWS would not take."""
    require_one(params, "GranteePrincipal", "GranteeServicePrincipal")
    if "RetiringPrincipal" in params and "RetiringServicePrincipal" in params:
        raise invalid("Specify either RetiringPrincipal or RetiringServicePrincipal, not both.")
    if "GranteeServicePrincipal" in params:
        _require_service_terms(params)
    for name in ("GranteePrincipal", "RetiringPrincipal"):
        if name in params:
            require_principal(params[name], partition, f"{name} does not refer to a valid principal.")


def require_one(params: Mapping[str, Any], one: str, other: str) -> None:
    """Refuse a request that has both of two parameters, or neither."""
    if (one in params) == (other in params):
        raise invalid(f"Specify either {one} or {other}.")


def require_operations(operations: list[str], keys: KeySet, arn: str) -> None:
    """Refuse operations that this kind of key does not know, and a grant of nothing but to make grants."""
    if not operations:
        raise invalid("Operations must name at least one operation.")
    unknown = [name for name in operations if name not in grantable(keys)]
    if unknown:
        raise invalid(f"Operation {unknown[0]} is not supported by {arn}, whose key spec is {keys.spec}.")
    if set(operations) == {"CreateGrant"}:
        raise invalid("Grants must not contain only the CreateGrant operation.")


def require_constraints(constraints: Mapping[str, Any], keys: KeySet) -> None:
    """Refuse two constraints of the encryption context (an empty one counts), and one where there is no context."""
    contexts = [
        constraints[name] for name in ("EncryptionContextEquals", "EncryptionContextSubset") if name in constraints
    ]
    if len(contexts) > 1:
        raise invalid("More than one constraint supplied")
    if contexts and keys.spec != SYMMETRIC:
        raise invalid(f"Encryption context constraints are not supported with key spec {keys.spec}.")
    for context in contexts:
        _require_size(context)


def require_room(member: Member) -> None:
    """Refuse one grant too many."""
    if len(member.grants) >= MOST_GRANTS:
        raise ServiceError("LimitExceededException", f"A key can have {MOST_GRANTS} grants at most.")


def _require_service_terms(params: Mapping[str, Any]) -> None:
    if "SourceArn" not in params.get("Constraints", {}):
        raise invalid("GranteeServicePrincipal needs a SourceArn constraint.")
    if "RetiringPrincipal" not in params and "RetiringServicePrincipal" not in params:
        raise invalid("GranteeServicePrincipal needs a RetiringPrincipal or a RetiringServicePrincipal.")


def _require_size(context: Mapping[str, str]) -> None:
    if len(context) > _MOST_PAIRS:
        raise invalid(f"A constraint can have {_MOST_PAIRS} pairs at most.")
    if any(len(value) > _LONGEST_VALUE for value in context.values()):
        raise invalid(f"A value of a constraint can have {_LONGEST_VALUE} characters at most.")
