"""The exact calls that an action stands for, as a plan shows them."""

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
    ProveRegion,
    ReinstateMaterial,
    RotateOnDemand,
)

_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call: where, which operation, and its parameters without any secret."""

    where: str
    operation: str
    parameters: dict[str, str]

    @property
    def line(self) -> str:
        """The call on one line, without what a plan says elsewhere: the key."""
        shown = (value for name, value in self.parameters.items() if name not in {"KeyId", "WrappingKeySpec"})
        return " ".join((self.operation, *(_brief(value) for value in shown)))


def _brief(value: str) -> str:
    words = {
        "KEY_MATERIAL_DOES_NOT_EXPIRE": "never expires",
        "KEY_MATERIAL_EXPIRES": "expires",
        "new": "(its new id)",
    }
    return value[:8] if _ID.fullmatch(value) else words.get(value, value)


def calls(action: Action, algorithm: str) -> tuple[PlannedCall, ...]:
    """Name the calls of one action, in order."""
    match action:
        case DepositMaterial():
            return (PlannedCall("store", "deposit", {"bytes": "32 new random bytes", "entry": _entry(action)}),)
        case AdoptMaterial():
            return (PlannedCall("store", "adopt", {"entry": _entry(action), "file": action.source}),)
        case DiscardMaterial() | ReinstateMaterial() | MarkProven():
            return (PlannedCall("store", action.kind.replace("-", " "), {"entry": _entry(action)}),)
        case DeletePendingMaterial():
            named = {"KeyId": str(action.arn), "KeyMaterialId": action.material_id}
            return (PlannedCall(action.target, "DeleteImportedKeyMaterial", named),)
        case ImportMaterial():
            return _import(action, algorithm)
        case RotateOnDemand():
            return (PlannedCall(action.target, "RotateKeyOnDemand", {"KeyId": str(action.arn)}),)
        case KeepProbe():
            return (_under(action, "Encrypt"), _under(action, "Decrypt"))
        case ProveRegion():
            asked = _under(action, "GenerateDataKeyWithoutPlaintext")
            return (
                asked,
                *(_under(action, "Decrypt", probe=f"{name.replaces or 'first'}"[:8]) for name in action.probes),
            )


def _entry(action: DepositMaterial | AdoptMaterial | DiscardMaterial | ReinstateMaterial | MarkProven) -> str:
    return f"{(action.entry.replaces or 'first')[:8]}.{action.entry.attempt}"


def _under(action: KeepProbe | ProveRegion, operation: str, **more: str) -> PlannedCall:
    return PlannedCall(action.arn.region, operation, {"KeyId": str(action.arn), **more})


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
