"""Rotation: what is pending, what is current, and the switch from one to the other."""

from dataclasses import replace
from typing import Any

from orchestrator.simulator.errors import ServiceError, invalid, invalid_state
from orchestrator.simulator.events import DAY, accepted, with_generated
from orchestrator.simulator.metadata import rows
from orchestrator.simulator.pages import page
from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import (
    require_generated,
    require_not_replica,
    require_state,
    require_symmetric,
)
from orchestrator.simulator.state import Automatic, KeySet, Rotation
from orchestrator.simulator.view import KeyView

LIFETIME_ROTATIONS = 25
_TOO_CLOSE = 20 * 60.0
_PERIOD_DAYS = 365


def list_key_rotations(request: Request) -> dict[str, Any]:
    """List the materials and rotations as this Region sees them."""
    view = request.key()
    require_state(view, request.operation)
    wanted = request.params.get("IncludeKeyMaterial")
    if wanted is not None and not view.keys.symmetric:
        raise invalid("Input parameter includeKeyMaterial can only be used with symmetric keys.")
    some, paging = page(request.params, rows(view, everything=wanted == "ALL_KEY_MATERIAL"))
    return {"Rotations": list(some), **paging}


def get_key_rotation_status(request: Request) -> dict[str, Any]:
    """Tell about automatic rotation, and whether an on-demand one is under way."""
    view = request.key()
    rotation = view.keys.rotation
    automatic = view.keys.automatic if view.member.deletion_window is None else None
    running = rotation is not None and view.at < rotation.shown_until
    return {
        "KeyRotationEnabled": automatic is not None,
        "KeyId": view.arn,
        "RotationPeriodInDays": automatic.period_days if automatic else None,
        "NextRotationDate": automatic.next_at if automatic else None,
        "OnDemandRotationStartDate": rotation.start if rotation is not None and running else None,
    }


def rotate_key_on_demand(request: Request) -> dict[str, Any]:
    """Start a rotation; it completes by itself after a while."""
    view = request.usable_key()
    require_symmetric(view)
    require_not_replica(view, request.operation)
    truth = request.truth(view)
    if truth.rotation is not None:
        _repeat(request, view, truth)
        return {"KeyId": view.arn}
    if truth.imported:
        _require_pending(view)
    _require_budget(view)
    _require_no_automatic_soon(view)
    request.put(_started(request, truth))
    return {"KeyId": view.arn}


def _repeat(request: Request, view: KeyView, truth: KeySet) -> None:
    """Answer a request while one is open: the same rotation, also for material that took the place of deleted one."""
    if truth.imported and request.switches.rotate_while_rotating == "refused":
        raise invalid_state(f"{view.arn} already has a rotation in progress.")
    if truth.pending is not None and not truth.pending.accepted:
        _require_pending(view)
        request.put(accepted(truth, request.now))


def _require_pending(view: KeyView) -> None:
    if view.keys.pending is None:
        raise invalid_state(f"No available key material pending rotation for the key: {view.arn}.")
    if not view.ready_to_rotate:
        raise invalid_state(
            "Cannot perform key material rotation: Key material has not been imported "
            "for replicas of the Multi-Region key."
        )


def _require_budget(view: KeyView) -> None:
    if view.keys.rotations_spent >= LIFETIME_ROTATIONS:
        raise ServiceError(
            "LimitExceededException",
            "The on-demand rotations limit has been reached for the given keyId. "
            f"No more on-demand rotations can be performed for this key: {view.arn}",
        )


def _require_no_automatic_soon(view: KeyView) -> None:
    automatic = view.keys.automatic
    if automatic is not None and automatic.next_at - view.at <= _TOO_CLOSE:
        raise ServiceError("ConflictException", f"{view.arn} is about to be rotated automatically.")


def _started(request: Request, truth: KeySet) -> KeySet:
    lag, rng, now = request.services.lag, request.services.rng, request.now
    duration = lag.rotation_seconds(rng)
    shown = now + lag.shown_seconds(duration, rng)
    rotation = Rotation(start=now, due=now + duration, shown_until=shown, ends=now + duration)
    if not truth.imported:
        truth = with_generated(truth, now)
    if truth.pending is not None:
        truth = truth.with_material(replace(truth.pending, accepted=True))
    return replace(truth, rotation=rotation, rotations_spent=truth.rotations_spent + 1)


def enable_key_rotation(request: Request) -> dict[str, Any]:
    """Let KMS rotate its own material every so many days."""
    view = _rotatable(request)
    require_symmetric(view)
    require_not_replica(view, request.operation)
    truth = request.truth(view)
    kept = truth.automatic.period_days if truth.automatic else truth.last_period_days
    days = request.params.get("RotationPeriodInDays") or kept or _PERIOD_DAYS
    automatic = Automatic(period_days=days, next_at=request.now + days * DAY)
    request.put(replace(truth, automatic=automatic, last_period_days=days))
    return {}


def disable_key_rotation(request: Request) -> dict[str, Any]:
    """Stop automatic rotation; of what is never rotated there is nothing to stop, which is no error."""
    view = _rotatable(request)
    require_not_replica(view, request.operation)
    request.put(replace(request.truth(view), automatic=None))
    return {}


def _rotatable(request: Request) -> KeyView:
    view = request.key()
    require_generated(view)
    require_state(view, request.operation)
    return view


OPERATIONS = {
    "ListKeyRotations": list_key_rotations,
    "GetKeyRotationStatus": get_key_rotation_status,
    "RotateKeyOnDemand": rotate_key_on_demand,
    "EnableKeyRotation": enable_key_rotation,
    "DisableKeyRotation": disable_key_rotation,
}
