"""What is judged before material is imported, in the order in which KMS judges it as far as that is known."""

from typing import Any

from orchestrator.simulator.errors import ServiceError, invalid, invalid_state, unsupported
from orchestrator.simulator.events import DAY
from orchestrator.simulator.metadata import DOES_NOT_EXPIRE, EXPIRES
from orchestrator.simulator.request import Request
from orchestrator.simulator.state import KeySet
from orchestrator.simulator.tokens import ImportToken
from orchestrator.simulator.view import KeyView

NEW = "NEW_KEY_MATERIAL"
EXISTING = "EXISTING_KEY_MATERIAL"
_LONGEST = 365 * DAY


def import_type(view: KeyView, params: dict[str, Any]) -> str:
    """Return the type of an import: if omitted, new for a key that never had material, else existing."""
    default = EXISTING if view.keys.materials else NEW
    return str(params.get("ImportType", default))


def judged_expiry(request: Request, view: KeyView, kind: str) -> float | None:
    """Judge everything but token and bytes; return the expiry to set."""
    params = request.params
    if not view.keys.symmetric:
        _require_absent(view, params)
    if view.is_replica:
        _require_allowed_on_replica(params)
    if kind == NEW and "KeyMaterialId" in params:
        raise invalid("Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType.")
    return _valid_to(params, request.now)


def _require_absent(view: KeyView, params: dict[str, Any]) -> None:
    for name in ("importType", "keyMaterialId", "keyMaterialDescription"):
        if name[0].upper() + name[1:] in params:
            raise invalid(f"Input parameter {name} cannot be used with {view.keys.spec} imported keys.")


def _require_allowed_on_replica(params: dict[str, Any]) -> None:
    if params.get("ImportType") == NEW:
        raise invalid("Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica Multi-Region keys")
    if "KeyMaterialDescription" in params:
        raise invalid("Key material description can only be specified on primary Multi-Region keys")


def _valid_to(params: dict[str, Any], now: float) -> float | None:
    model, valid_to = params.get("ExpirationModel", EXPIRES), params.get("ValidTo")
    if model == EXPIRES and valid_to is None:
        raise invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    if model == DOES_NOT_EXPIRE and valid_to is not None:
        raise invalid("A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE")
    if valid_to is None:
        return None
    whole = float(int(valid_to))
    if whole <= now:
        raise invalid("ValidTo must be in the future")
    if valid_to - now >= _LONGEST:
        raise invalid("ValidTo must be less than 365 days in the future")
    return whole


def opened_token(request: Request, view: KeyView) -> ImportToken:
    """Return what the import token says; refuse one for another key or Region, or past its day."""
    token = request.services.tokens.open(request.params["ImportToken"])
    here = token.region == request.region or request.switches.tokens_across_regions == "accepted"
    if token.key_id != view.keys.key_id or token.account != request.account or not here:
        raise ServiceError("InvalidImportTokenException")
    if token.expires <= request.now:
        raise ServiceError(request.switches.expired_tokens)
    return token


def require_identity(request: Request, view: KeyView, kind: str, found: str) -> None:
    """Refuse known bytes as new ones, a second pending material, and unknown bytes as existing ones."""
    keys, params = view.keys, request.params
    known = keys.material(found) is not None
    if kind == NEW:
        _require_new(view, found, known=known)
        _require_feature(request, view)
        return
    named = params.get("KeyMaterialId")
    if named is not None and named != found:
        raise _unexpected(named)
    if not known:
        raise _unexpected(_expected_id(request, keys))


def _require_new(view: KeyView, found: str, *, known: bool) -> None:
    if known:
        message = (
            f"Key material (id: {found}) being imported as NEW_KEY_MATERIAL "
            f"is already associated with KMS key {view.arn}."
        )
        raise ServiceError("IncorrectKeyMaterialException", message)
    pending = view.keys.pending
    if pending is not None:
        raise invalid_state(
            f"New key material (id: {found}) cannot be imported into KMS key {view.arn}, "
            f"because another key material (id: {pending.id}) is pending rotation."
        )


def _require_feature(request: Request, view: KeyView) -> None:
    absent = view.keys.partition in request.switches.partitions_without_multi_region_import
    if view.keys.multi_region and view.keys.materials and absent:
        raise unsupported(f"{view.arn} is a multi-region key which is not valid for this operation.")


def _unexpected(expected: str) -> ServiceError:
    message = f"Imported key material does not have the expected identifier ({expected})."
    return ServiceError("IncorrectKeyMaterialException", message)


def _expected_id(request: Request, keys: KeySet) -> str:
    by_choice = {
        "current": keys.current,
        "oldest": keys.materials[0] if keys.materials else None,
        "pending": keys.pending or keys.current,
    }
    material = by_choice[request.switches.wrong_bytes_name]
    return "none" if material is None else material.id
