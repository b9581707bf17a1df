"""Imported key material: fetching parameters, importing and deleting."""

from dataclasses import replace
from typing import Any

from orchestrator.simulator import families
from orchestrator.simulator.errors import ServiceError, invalid, invalid_state, unsupported
from orchestrator.simulator.events import DAY, material_id
from orchestrator.simulator.metadata import DOES_NOT_EXPIRE, EXPIRES
from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import require_imported, require_state
from orchestrator.simulator.state import Holding, KeySet, Material, Member
from orchestrator.simulator.tokens import LIFETIME, ImportToken
from orchestrator.simulator.view import KeyView
from orchestrator.simulator.wrapping import SHARED, may_wrap

NEW = "NEW_KEY_MATERIAL"
EXISTING = "EXISTING_KEY_MATERIAL"
_LONGEST = 365 * DAY


def get_parameters_for_import(request: Request) -> dict[str, Any]:
    """Hand out a public wrapping key and the token that goes with it, for this key and Region."""
    view = _imported(request)
    algorithm, spec = request.params["WrappingAlgorithm"], request.params["WrappingKeySpec"]
    if not may_wrap(view.keys.spec, algorithm, spec):
        raise invalid(
            f"Wrapping algorithm {algorithm} and wrapping key spec {spec} "
            f"cannot be used to import a {view.keys.spec} key."
        )
    name, public_key = SHARED.take(spec)
    expires = request.now + LIFETIME
    token = ImportToken(view.keys.key_id, request.account, request.region, algorithm, name, expires)
    return {
        "KeyId": view.arn,
        "ImportToken": request.services.tokens.seal(token),
        "PublicKey": public_key,
        "ParametersValidTo": expires,
    }


def import_key_material(request: Request) -> dict[str, Any]:
    """Put material into this Region: new to the key on its primary, known ones anywhere."""
    view = _imported(request)
    kind = _import_type(view, request.params)
    if request.switches.tokens_first:
        token = _token(request, view)
        valid_to = _judged(request, view, kind)
    else:
        valid_to = _judged(request, view, kind)
        token = _token(request, view)
    unwrapped = SHARED.unwrap(token.wrapping_key, token.algorithm, request.params["EncryptedKeyMaterial"])
    content = families.accepted(view.keys.spec, unwrapped)
    found = material_id(view.keys.key_id, content)
    _require_identity(request, view, kind, found)
    request.put(_imported_into(request, view, found, Holding(content, valid_to)))
    return {"KeyId": view.arn, "KeyMaterialId": found if view.keys.symmetric else None}


def delete_imported_key_material(request: Request) -> dict[str, Any]:
    """Take material out of this Region; pending material, on the primary, out of every Region."""
    view = _imported(request)
    named = request.params.get("KeyMaterialId")
    if named is not None and not view.keys.symmetric:
        raise invalid(f"Input parameter keyMaterialId cannot be used with {view.keys.spec} imported keys.")
    if named is None and view.keys.current is None:
        return {"KeyId": view.arn}
    material = view.keys.material(named) if named is not None else view.keys.current
    if material is None:
        raise invalid(f"Key material (id: {named}) has never been imported into KMS key {view.arn}.")
    truth = request.truth(view)
    if material.state == "PENDING" and view.is_primary:
        request.put(_withdrawn(request, truth, material))
    else:
        request.put(truth.with_member(view.member.with_holding(material.id, None)))
    return {"KeyId": view.arn, "KeyMaterialId": material.id if view.keys.symmetric else None}


def _imported(request: Request) -> KeyView:
    view = request.key()
    require_imported(view)
    require_state(view, request.operation)
    return view


def _import_type(view: KeyView, params: dict[str, Any]) -> str:
    default = EXISTING if view.keys.materials else NEW
    return str(params.get("ImportType", default))


def _judged(request: Request, view: KeyView, kind: str) -> float | None:
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
    if valid_to <= now:
        raise invalid("ValidTo must be in the future")
    if valid_to - now >= _LONGEST:
        raise invalid("ValidTo must be less than 365 days in the future")
    return float(int(valid_to))


def _token(request: Request, view: KeyView) -> ImportToken:
    token = request.services.tokens.open(request.params["ImportToken"])
    here = token.region == request.region or request.switches.tokens_across_regions == "accepted"
    if token.key_id != view.keys.key_id or token.account != request.account or not here:
        raise ServiceError("InvalidImportTokenException")
    if token.expires <= request.now:
        raise ServiceError(request.switches.expired_tokens)
    return token


def _require_identity(request: Request, view: KeyView, kind: str, found: str) -> None:
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
        raise _unexpected(_expected_id(request, keys, found))


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
    there = view.keys.partition in request.switches.partitions_with_multi_region_import
    if view.keys.multi_region and view.keys.materials and not there:
        raise unsupported(f"{view.arn} is a multi-region key which is not valid for this operation.")


def _unexpected(expected: str) -> ServiceError:
    message = f"Imported key material does not have the expected identifier ({expected})."
    return ServiceError("IncorrectKeyMaterialException", message)


def _expected_id(request: Request, keys: KeySet, found: str) -> str:
    by_choice = {
        "current": keys.current,
        "oldest": keys.materials[0] if keys.materials else None,
        "pending": keys.pending or keys.current,
    }
    material = by_choice[request.switches.wrong_bytes_name]
    return found if material is None else material.id


def _imported_into(request: Request, view: KeyView, found: str, holding: Holding) -> KeySet:
    truth = request.truth(view)
    if view.is_primary or truth.material(found) is not None:
        truth = _associated(request, truth, found)
        truth = truth.with_member(_enabled(view, found).with_holding(found, holding))
    return _noted_ready(request, truth)


def _associated(request: Request, truth: KeySet, found: str) -> KeySet:
    now, description = request.now, request.params.get("KeyMaterialDescription")
    known = truth.material(found)
    if known is not None:
        return truth.with_material(replace(known, description=description or known.description))
    if not truth.materials:
        first = Material(found, "CURRENT", added_at=now, permanent_since=now, description=description)
        return truth.with_material(first)
    truth = truth.with_material(Material(found, "PENDING", added_at=now, description=description))
    if truth.rotation is None:
        return truth
    # A request whose material was deleted is still open, and takes this one in.
    return replace(truth, rotation=replace(truth.rotation, due=max(truth.rotation.due, now)))


def _enabled(view: KeyView, found: str) -> Member:
    """Return the member as an import leaves it: switched on, also where its owner had switched it off."""
    member, switches = view.member, view.switches
    if not member.disabled:
        return member
    if not view.complete:
        return replace(member, disabled=switches.reimport_after_loss_while_disabled == "Disabled")
    material = view.keys.material(found)
    permanent = material is not None and material.state != "PENDING"
    return replace(member, disabled=not permanent and switches.incomplete_import_into_disabled == "stays")


def _noted_ready(request: Request, truth: KeySet) -> KeySet:
    pending = truth.pending
    if pending is None or request.view(truth, truth.primary).awaited_replicas:
        return truth
    return truth.with_material(replace(pending, was_ready=True))


def _withdrawn(request: Request, truth: KeySet, material: Material) -> KeySet:
    truth = truth.without_material(material.id)
    if truth.rotation is None:
        return truth
    ends = max(truth.rotation.due, request.now + request.services.lag.evaporation)
    return replace(truth, rotation=replace(truth.rotation, ends=ends, shown_until=ends))


OPERATIONS = {
    "GetParametersForImport": get_parameters_for_import,
    "ImportKeyMaterial": import_key_material,
    "DeleteImportedKeyMaterial": delete_imported_key_material,
}
