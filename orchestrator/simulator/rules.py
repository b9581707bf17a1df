"""Which operation is legal in which key state: the documented table as data; what was recorded wins."""

from collections.abc import Mapping

from orchestrator.simulator.errors import ServiceError, invalid_state, unsupported
from orchestrator.simulator.view import PENDING_DELETION, PENDING_REPLICA_DELETION, KeyView

_DELETING = frozenset({PENDING_DELETION, PENDING_REPLICA_DELETION})
_STARTING = frozenset({"Creating"})
_MOVING = frozenset({"Creating", "Updating"})
_NO_MATERIAL = frozenset({"PendingImport"})
_OFF = frozenset({"Disabled"})
_IN_USE = _OFF | _DELETING | _NO_MATERIAL | _STARTING

REFUSED: Mapping[str, frozenset[str]] = {
    "GetParametersForImport": _DELETING | _MOVING,
    "ImportKeyMaterial": _DELETING | _STARTING,
    "DeleteImportedKeyMaterial": _MOVING,
    "RotateKeyOnDemand": _IN_USE,
    "EnableKeyRotation": _IN_USE,
    "DisableKeyRotation": _IN_USE,
    "ReplicateKey": _OFF | _DELETING | _NO_MATERIAL | _MOVING,
    "UpdatePrimaryRegion": _IN_USE,
    "EnableKey": _DELETING | _NO_MATERIAL | _MOVING,
    "DisableKey": _DELETING | _NO_MATERIAL | _MOVING,
    "ScheduleKeyDeletion": _DELETING | frozenset({"Updating"}),
    "CancelKeyDeletion": frozenset({"Enabled", "Disabled", "PendingImport", "Creating", "Updating"}),
    "UpdateKeyDescription": _DELETING,
    "TagResource": _DELETING,
    "UntagResource": _DELETING,
    "CreateAlias": _DELETING,
    "UpdateAlias": _DELETING,
    "CreateGrant": _IN_USE,
    "GetPublicKey": _DELETING | _NO_MATERIAL | _STARTING,
}
"""The states in which an operation is refused; one that is not listed here is legal in every state."""

CRYPTOGRAPHIC = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "VerifyMac",
        "Sign",
        "Verify",
        "DeriveSharedSecret",
    }
)

TAKES_ALIAS = CRYPTOGRAPHIC | {"DescribeKey", "GetPublicKey"}
"""The operations whose KeyId may be an alias."""

READS = frozenset(
    {
        "DescribeKey",
        "GetKeyLastUsage",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "GetPublicKey",
        "ListAliases",
        "ListGrants",
        "ListKeyPolicies",
        "ListKeyRotations",
        "ListKeys",
        "ListResourceTags",
        "ListRetirableGrants",
    }
)
"""The operations that may tell of a key as it was; the others know what is true, or nothing yet of a new key."""

_REASON = {
    "Disabled": "is disabled",
    "PendingImport": "is pending import",
    PENDING_DELETION: "is pending deletion",
    PENDING_REPLICA_DELETION: "is pending replica deletion",
    "Creating": "is creating",
    "Updating": "is updating",
}


def require_state(view: KeyView, operation: str) -> None:
    """Refuse with AWS's code and message unless the key's state allows the operation."""
    refused = _IN_USE if operation in CRYPTOGRAPHIC else REFUSED.get(operation, frozenset())
    # What may be done while a key is Updating still needs its material.
    hidden = view.state == "Updating" and "Updating" not in refused
    state = view.standing if hidden else view.state
    if state not in refused:
        return
    if operation == "CancelKeyDeletion":
        raise invalid_state(f"{view.arn} is not pending deletion.")
    message = f"{view.arn} {_REASON[state]}."
    raise ServiceError("DisabledException" if state == "Disabled" else "KMSInvalidStateException", message)


def require_imported(view: KeyView) -> None:
    """Refuse a key whose material KMS made itself."""
    if not view.keys.imported:
        raise unsupported(f"{view.arn} origin is {view.keys.origin} which is not valid for this operation.")


def require_generated(view: KeyView) -> None:
    """Refuse a key with imported material (automatic rotation is not for those)."""
    if view.keys.imported:
        raise unsupported(f"{view.arn} origin is EXTERNAL which is not valid for this operation.")


def require_symmetric(view: KeyView) -> None:
    """Refuse any key family that cannot be rotated."""
    if not view.keys.symmetric:
        raise unsupported()


def require_not_replica(view: KeyView, operation: str) -> None:
    """Refuse on a replica what only the primary may do."""
    if view.is_replica:
        raise unsupported(f"{view.arn} is a multi-region replica key which is not valid for {operation}.")
