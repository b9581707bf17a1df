"""The exact calls that an action stands for, as a plan shows them."""

import json
import re
from dataclasses import dataclass

from orchestrator.model import (
    Action,
    AdoptMaterial,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    ImportMaterial,
    KeepProbe,
    MarkProven,
    NoteSwitch,
    ProveRegion,
    ReinstateMaterial,
    ReplicateKey,
    RotateOnDemand,
)
from orchestrator.perform import PROBE_CONTEXT

_ID = re.compile("[0-9a-f]{64}")
_SAID_ELSEWHERE = frozenset({"KeyId", "WrappingKeySpec", "entry", "EncryptionContext"})
_UNDER = json.dumps(PROBE_CONTEXT)
_BEFORE = {"probe": "probe of", "replaces": "to replace", "attempt": "attempt"}


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call: where, which operation, and its parameters without any secret."""

    where: str
    operation: str
    parameters: dict[str, str]

    @property
    def line(self) -> str:
        """The call on one line, without what a plan says elsewhere: the key."""
        shown = ((name, value) for name, value in self.parameters.items() if name not in _SAID_ELSEWHERE)
        return " ".join((self.operation, *(_brief(name, value) for name, value in shown)))


def _brief(name: str, value: str) -> str:
    words = {
        "KEY_MATERIAL_DOES_NOT_EXPIRE": "never expires",
        "KEY_MATERIAL_EXPIRES": "expires",
        "new": "(its new id)" if name == "KeyMaterialId" else "the new key material",
    }
    told = value[:8] if _ID.fullmatch(value) else words.get(value, value)
    return f"{_BEFORE[name]} {told}" if name in _BEFORE else told


def calls(action: Action, algorithm: str) -> tuple[PlannedCall, ...]:
    """Name the calls of one action, in order."""
    match action:
        case DeletePendingMaterial():
            named = {"KeyId": str(action.arn), "KeyMaterialId": action.material_id}
            return (PlannedCall(action.target, "DeleteImportedKeyMaterial", named),)
        case ImportMaterial():
            return _import(action, algorithm)
        case RotateOnDemand():
            return (PlannedCall(action.target, "RotateKeyOnDemand", {"KeyId": str(action.arn)}),)
        case ReplicateKey():
            return _replicate(action)
        case KeepProbe():
            return tuple(_under(action, operation, probe=action.material_id) for operation in ("Encrypt", "Decrypt"))
        case ProveRegion():
            opened = (_under(action, "Decrypt", probe=material) for material in action.generations)
            return (_under(action, "GenerateDataKeyWithoutPlaintext"), *opened)
        case _:
            return (_in_store(action),)


def _in_store(
    action: DepositMaterial | AdoptMaterial | DiscardMaterial | ReinstateMaterial | MarkProven | NoteSwitch,
) -> PlannedCall:
    match action:
        case DepositMaterial():
            return PlannedCall("store", "deposit", {"bytes": "32 new random bytes", **_entry(action)})
        case AdoptMaterial():
            return PlannedCall("store", "adopt", {"file": action.source, "entry": str(action.entry)})
        case DiscardMaterial() | ReinstateMaterial():
            return PlannedCall("store", f"{action.kind} the material made", _entry(action))
        case MarkProven():
            of = {"material": str(action.material_id), "entry": str(action.entry)}
            return PlannedCall("store", "mark as proven:", of)
        case NoteSwitch():
            state = "Disabled" if action.off else "Enabled"
            return PlannedCall("store", f"note that the key is {state} in {action.key.region}", {})


def _entry(action: DepositMaterial | DiscardMaterial | ReinstateMaterial) -> dict[str, str]:
    """Say what an entry is for: its name names the material that it replaces, not the one that it holds."""
    name = action.entry
    about = {"replaces": str(name.replaces)} if name.replaces else {}
    return about | ({"attempt": str(name.attempt)} if name.attempt > 1 else {}) | {"entry": str(name)}


def _under(action: KeepProbe | ProveRegion, operation: str, **more: str) -> PlannedCall:
    return PlannedCall(action.arn.region, operation, {"KeyId": str(action.arn), "EncryptionContext": _UNDER, **more})


def _replicate(action: ReplicateKey) -> tuple[PlannedCall, ...]:
    where, key = action.arn.region, {"KeyId": str(action.arn)}
    more = {"ReplicaRegion": action.region, "Policy": "with the same policy"}
    return (PlannedCall(where, "GetKeyPolicy", key), PlannedCall(where, "ReplicateKey", key | more))


def _import(action: ImportMaterial, algorithm: str) -> tuple[PlannedCall, ...]:
    key = {"KeyId": str(action.arn)}
    wrapping = {"WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_4096"}
    known = {"KeyMaterialId": action.material_id} if action.material_id else {}
    if action.valid_to is None:
        expiry = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    else:
        expiry = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": f"{action.valid_to:%Y-%m-%dT%H:%M:%SZ}"}
    return (
        PlannedCall(action.arn.region, "GetParametersForImport", key | wrapping),
        PlannedCall(
            action.arn.region, "ImportKeyMaterial", key | {"ImportType": str(action.import_type)} | known | expiry
        ),
    )
