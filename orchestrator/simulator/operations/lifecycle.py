"""Making, describing, switching and deleting keys."""

import uuid
from dataclasses import replace
from typing import Any

from orchestrator.simulator.errors import invalid, not_simulated
from orchestrator.simulator.events import DAY, with_first_material
from orchestrator.simulator.metadata import metadata
from orchestrator.simulator.operations.policies import default_policy, policy_from
from orchestrator.simulator.operations.tags import tags_from
from orchestrator.simulator.pages import page
from orchestrator.simulator.request import Request
from orchestrator.simulator.specs import ALGORITHMS
from orchestrator.simulator.state import SYMMETRIC, KeySet, Member

_WINDOW = range(7, 31)


def create_key(request: Request) -> dict[str, Any]:
    """Make a key in the called Region."""
    spec, usage, origin = _kind(request.params)
    multi_region = request.params.get("MultiRegion", False)
    member = Member(
        region=request.region,
        created=request.now,
        description=request.params.get("Description", ""),
        policy=policy_from(request) or default_policy(request.account, request.partition),
        tags=tags_from(request.params),
    )
    keys = KeySet(
        key_id=f"mrk-{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4()),
        account=request.account,
        partition=request.partition,
        spec=spec,
        usage=usage,
        origin=origin,
        multi_region=multi_region,
        primary=request.region,
        members={request.region: member},
    )
    keys = keys if keys.imported else with_first_material(keys, request.now)
    request.put(keys)
    return {"KeyMetadata": metadata(request.view(keys))}


def _kind(params: dict[str, Any]) -> tuple[str, str, str]:
    if "KeySpec" in params and "CustomerMasterKeySpec" in params:
        raise invalid(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
            "CustomerMasterKeySpec is deprecated."
        )
    spec = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC
    origin = params.get("Origin", "AWS_KMS")
    usages = ALGORITHMS.get(spec)
    if origin not in ("AWS_KMS", "EXTERNAL"):
        raise not_simulated(f"CreateKey with Origin {origin}")
    if origin == "EXTERNAL" and spec.startswith(("ML_DSA", "ML_KEM")):
        raise invalid(f"KeySpec {spec} is not supported for Origin EXTERNAL")
    if usages is None:
        raise not_simulated(f"CreateKey with KeySpec {spec}")
    usage = params.get("KeyUsage") or ("ENCRYPT_DECRYPT" if spec == SYMMETRIC else None)
    if usage is None:
        raise invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
    if usage not in usages:
        raise invalid(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return spec, usage, origin


def list_keys(request: Request) -> dict[str, Any]:
    """List the keys of this account and Region."""
    age = request.age()
    mine = [
        {"KeyId": keys.key_id, "KeyArn": keys.arn(request.region)}
        for keys in request.world.all_truths(request.now)
        if keys.account == request.account and request.region in keys.members
        if not age or request.known(keys.key_id, age) is not None
    ]
    some, paging = page(request.params, mine)
    return {"Keys": list(some), **paging}


def update_key_description(request: Request) -> dict[str, Any]:
    """Replace the description in this Region."""
    view = request.usable_key()
    described = replace(view.member, description=request.params["Description"])
    request.put(request.truth(view).with_member(described))
    return {}


def describe_key(request: Request) -> dict[str, Any]:
    """Tell what a key is."""
    return {"KeyMetadata": metadata(request.key())}


def enable_key(request: Request) -> dict[str, Any]:
    """Switch a key on in this Region."""
    return _switch(request, disabled=False)


def disable_key(request: Request) -> dict[str, Any]:
    """Switch a key off in this Region."""
    return _switch(request, disabled=True)


def _switch(request: Request, *, disabled: bool) -> dict[str, Any]:
    view = request.usable_key()
    request.put(request.truth(view).with_member(replace(view.member, disabled=disabled)))
    return {}


def schedule_key_deletion(request: Request) -> dict[str, Any]:
    """Delete a key after its waiting period; a primary waits for its replicas first."""
    view = request.usable_key()
    window = request.params.get("PendingWindowInDays", 30)
    if window not in _WINDOW:
        raise invalid("PendingWindowInDays must be between 7 and 30")
    truth = request.truth(view)
    waits = view.is_primary and bool(truth.replicas())
    date = None if waits else request.now + window * DAY
    truth = truth.with_member(replace(view.member, deletion_window=window, deletion_at=date))
    request.put(truth)
    state = request.view(truth).state
    return {"KeyId": view.arn, "DeletionDate": date, "KeyState": state, "PendingWindowInDays": window}


def cancel_key_deletion(request: Request) -> dict[str, Any]:
    """Keep a key after all: it comes back Disabled, or PendingImport where material is missing."""
    view = request.usable_key()
    kept = replace(view.member, deletion_window=None, deletion_at=None, disabled=view.complete or view.member.disabled)
    request.put(request.truth(view).with_member(kept))
    return {"KeyId": view.arn}


OPERATIONS = {
    "CreateKey": create_key,
    "DescribeKey": describe_key,
    "ListKeys": list_keys,
    "UpdateKeyDescription": update_key_description,
    "EnableKey": enable_key,
    "DisableKey": disable_key,
    "ScheduleKeyDeletion": schedule_key_deletion,
    "CancelKeyDeletion": cancel_key_deletion,
}
