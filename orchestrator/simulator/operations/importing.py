"""Imported key material: fetching parameters, importing and deleting."""

from dataclasses import replace
from typing import Any

from orchestrator.simulator import families
from orchestrator.simulator.errors import invalid
from orchestrator.simulator.events import accepted, material_id
from orchestrator.simulator.operations.import_checks import (
    import_type,
    judged_expiry,
    opened_token,
    require_identity,
)
from orchestrator.simulator.request import Request, Services
from orchestrator.simulator.rules import require_imported, require_state
from orchestrator.simulator.state import Holding, KeySet, Material, Member
from orchestrator.simulator.tokens import LIFETIME, ImportToken
from orchestrator.simulator.view import KeyView
from orchestrator.simulator.wrapping import BITS, may_wrap


def prepare_wrapping_key(services: Services, params: dict[str, Any]) -> None:
    """Make the wrapping key that a request will want, before anything is locked."""
    if params["WrappingKeySpec"] in BITS:
        services.wrapping_keys.prepare(params["WrappingKeySpec"])


def get_parameters_for_import(request: Request) -> dict[str, Any]:
    """Hand out a public wrapping key and the token that goes with it, for this key and Region."""
    view = _imported(request)
    algorithm, spec = request.params["WrappingAlgorithm"], request.params["WrappingKeySpec"]
    if not may_wrap(view.keys.spec, algorithm, spec):
        raise invalid(
            f"Wrapping algorithm {algorithm} and wrapping key spec {spec} "
            f"cannot be used to import a {view.keys.spec} key."
        )
    name, public_key = request.services.wrapping_keys.take(view.keys.key_id, view.member.region, spec)
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
    kind = import_type(view, request.params)
    if request.switches.tokens_first:
        token = opened_token(request, view)
        valid_to = judged_expiry(request, view, kind)
    else:
        valid_to = judged_expiry(request, view, kind)
        token = opened_token(request, view)
    blob: bytes = request.params["EncryptedKeyMaterial"]
    unwrapped = request.services.wrapping_keys.unwrap(token.wrapping_key, token.algorithm, blob)
    content = families.accepted(view.keys.spec, unwrapped)
    found = material_id(view.keys.key_id, content)
    require_identity(request, view, kind, found)
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
    if truth.rotation is not None and request.switches.replacement_needs_readiness == "no":
        # A request whose material was deleted is still open, and takes this one in.
        return accepted(truth, now)
    return truth


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
    if pending is None or request.view(truth, truth.primary).awaited_members:
        return truth
    truth = truth.with_material(replace(pending, was_ready=True))
    return accepted(truth, request.now) if truth.rotation is not None else truth


def _withdrawn(request: Request, truth: KeySet, material: Material) -> KeySet:
    truth = truth.without_material(material.id)
    if truth.rotation is None:
        return truth
    rotation = truth.rotation
    ends = max(rotation.due, request.now + request.services.lag.evaporation)
    shown_until = ends if request.now < rotation.shown_until else rotation.shown_until
    return replace(truth, rotation=replace(rotation, ends=ends, shown_until=shown_until))


OPERATIONS = {
    "GetParametersForImport": get_parameters_for_import,
    "ImportKeyMaterial": import_key_material,
    "DeleteImportedKeyMaterial": delete_imported_key_material,
}
