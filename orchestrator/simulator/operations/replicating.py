"""Multi-Region keys: making replicas and moving the primary."""

from dataclasses import replace
from typing import Any

from orchestrator.simulator.errors import ServiceError, invalid, invalid_state, unsupported
from orchestrator.simulator.metadata import expiration_model, metadata
from orchestrator.simulator.operations.policies import default_policy, policy_from
from orchestrator.simulator.operations.tags import tags_from
from orchestrator.simulator.regions import known_regions, partition_of
from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import require_state
from orchestrator.simulator.state import KeySet, Member
from orchestrator.simulator.view import KeyView


def replicate_key(request: Request) -> dict[str, Any]:
    """Make a replica: without material if it is imported, with it if KMS made it."""
    view = request.key()
    if not view.keys.multi_region or view.is_replica:
        raise unsupported(f"{view.arn} is not a multi-region primary key.")
    require_state(view, request.operation)
    truth = request.truth(view)
    region: str = request.params["ReplicaRegion"]
    _require_place(truth, region)
    replica = _replica(request, truth, region)
    truth = truth.with_member(replica)
    request.put(truth)
    # The answer reads Creating even where the very next call sees it done.
    fresh = KeyView(truth, replace(replica, creating_until=float("inf")), request.now, request.switches)
    return {
        "ReplicaKeyMetadata": {**metadata(fresh), "ExpirationModel": expiration_model(view)},
        "ReplicaPolicy": replica.policy,
        "ReplicaTags": [{"TagKey": k, "TagValue": v} for k, v in replica.tags.items()] or None,
    }


def _replica(request: Request, truth: KeySet, region: str) -> Member:
    return Member(
        region=region,
        created=request.now,
        description=request.params.get("Description", ""),
        policy=policy_from(request) or default_policy(request.account, request.partition),
        tags=tags_from(request.params),
        creating_until=request.now + request.services.lag.creating,
        holdings={} if truth.imported else truth.members[truth.primary].holdings,
    )


def _require_place(truth: KeySet, region: str) -> None:
    if region == truth.primary:
        raise invalid(f"{region} cannot have a replica because it contains the primary.")
    if region not in known_regions():
        raise invalid(
            f"Region {region} is not a valid Region or multi-Region keys are not supported in Region {region}."
        )
    if partition_of(region) != truth.partition:
        raise invalid("The replica key Region must be in the same AWS partition as the primary key Region.")
    if region in truth.members:
        message = "You can create only one replica of each primary key in each AWS Region."
        raise ServiceError("AlreadyExistsException", message)


def update_primary_region(request: Request) -> dict[str, Any]:
    """Make a replica the primary; to the Region that has it already: success without effect."""
    view = request.usable_key()
    if not view.keys.multi_region or view.is_replica:
        raise invalid_state(f"{view.arn} is not a multi-Region primary key.")
    truth = request.truth(view)
    region: str = request.params["PrimaryRegion"]
    if region == truth.primary:
        return {}
    if region not in truth.members:
        raise invalid(f"{truth.key_id} does not have a replica key in the specified Region.")
    require_state(request.view(truth, region), request.operation)
    if truth.pending is not None and request.switches.promote_with_pending == "refused":
        raise invalid_state(f"{view.arn} has key material pending rotation.")
    request.put(_promoted(request, truth, region))
    return {}


def _promoted(request: Request, truth: KeySet, region: str) -> KeySet:
    until = request.now + request.services.lag.updating
    for name in (truth.primary, region):
        truth = truth.with_member(replace(truth.members[name], updating_until=until))
    spent = truth.rotations_spent if request.switches.rotations_counted_per == "set" else 0
    return replace(truth, primary=region, rotations_spent=spent)


OPERATIONS = {"ReplicateKey": replicate_key, "UpdatePrimaryRegion": update_primary_region}
