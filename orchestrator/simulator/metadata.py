"""How a key reads: DescribeKey's fields and ListKeyRotations' rows, present and absent as recorded."""

from typing import Any

from orchestrator.simulator.specs import ALGORITHM_FIELD, ALGORITHMS
from orchestrator.simulator.state import Holding, Material
from orchestrator.simulator.view import PENDING_REPLICA_DELETION, KeyView

EXPIRES = "KEY_MATERIAL_EXPIRES"
DOES_NOT_EXPIRE = "KEY_MATERIAL_DOES_NOT_EXPIRE"


def metadata(view: KeyView) -> dict[str, Any]:
    """Return KeyMetadata."""
    keys, member, state = view.keys, view.member, view.state
    return {
        "AWSAccountId": keys.account,
        "KeyId": keys.key_id,
        "Arn": view.arn,
        "CreationDate": member.created,
        "Enabled": state == "Enabled",
        "Description": member.description,
        "KeyUsage": keys.usage,
        "KeyState": state,
        "DeletionDate": member.deletion_at,
        "Origin": keys.origin,
        "KeyManager": keys.manager,
        "CustomerMasterKeySpec": keys.spec,
        "KeySpec": keys.spec,
        ALGORITHM_FIELD[keys.usage]: list(ALGORITHMS[keys.spec][keys.usage]),
        "MultiRegion": keys.multi_region,
        "MultiRegionConfiguration": _configuration(view),
        "PendingDeletionWindowInDays": member.deletion_window if state == PENDING_REPLICA_DELETION else None,
        "CurrentKeyMaterialId": _current_id(view),
        **_expiration(view),
    }


def expiration_model(view: KeyView) -> str | None:
    """Return ExpirationModel over the permanent materials here, if all of them are here."""
    if not view.keys.imported or not view.complete:
        return None
    return DOES_NOT_EXPIRE if _earliest(view) is None else EXPIRES


def rows(view: KeyView, *, everything: bool) -> list[dict[str, Any]]:
    """Return the entries of ListKeyRotations, oldest first; only those with a rotation date unless everything."""
    keys = view.keys
    listed = keys.materials if keys.imported else keys.permanent
    return [_row(view, material) for material in listed if everything or material.rotated_at is not None]


def _row(view: KeyView, material: Material) -> dict[str, Any]:
    return {
        "KeyId": view.arn,
        "KeyMaterialId": material.id,
        "KeyMaterialDescription": material.description,
        "KeyMaterialState": view.material_state(material),
        "RotationDate": material.rotated_at,
        "RotationType": material.rotation_type,
        **(_import_fields(view.holding(material)) if view.keys.imported else {}),
    }


def _import_fields(holding: Holding | None) -> dict[str, Any]:
    if holding is None:
        return {"ImportState": "PENDING_IMPORT"}
    return {
        "ImportState": "IMPORTED",
        "ExpirationModel": DOES_NOT_EXPIRE if holding.valid_to is None else EXPIRES,
        "ValidTo": holding.valid_to,
    }


def _configuration(view: KeyView) -> dict[str, Any] | None:
    keys = view.keys
    if not keys.multi_region:
        return None
    return {
        "MultiRegionKeyType": "PRIMARY" if view.is_primary else "REPLICA",
        "PrimaryKey": {"Arn": keys.arn(keys.primary), "Region": keys.primary},
        "ReplicaKeys": [{"Arn": keys.arn(region), "Region": region} for region in keys.replicas()],
    }


def _current_id(view: KeyView) -> str | None:
    current = view.keys.current
    if current is None or not view.keys.symmetric or view.state == "Creating":
        return None
    return current.id


def _expiration(view: KeyView) -> dict[str, Any]:
    if view.state == "Creating":
        return {}
    return {"ExpirationModel": expiration_model(view), "ValidTo": _earliest(view) if view.complete else None}


def _earliest(view: KeyView) -> float | None:
    held = (view.holding(material) for material in view.keys.permanent)
    return min((h.valid_to for h in held if h is not None and h.valid_to is not None), default=None)
