"""Key policies; they are kept and given back, and evaluated only for whether they lock their sender out."""

from dataclasses import replace
from functools import cache
from typing import Any

from orchestrator.simulator.errors import invalid, not_found
from orchestrator.simulator.lockout import require_way_back
from orchestrator.simulator.pages import page
from orchestrator.simulator.policy_document import require_policy
from orchestrator.simulator.request import Request

_NAME = "default"


@cache
def default_policy(account: str, partition: str) -> str:
    """Return the policy that AWS puts on a key made without one."""
    return (
        '{\n  "Version" : "2012-10-17",\n  "Id" : "key-default-1",\n  "Statement" : [ {\n'
        '    "Sid" : "Enable IAM User Permissions",\n    "Effect" : "Allow",\n    "Principal" : {\n'
        f'      "AWS" : "arn:{partition}:iam::{account}:root"\n    }},\n'
        '    "Action" : "kms:*",\n    "Resource" : "*"\n  } ]\n}'
    )


def policy_from(request: Request) -> str | None:
    """Return the policy sent with a request; refused if it is none, too large, or locks its sender out."""
    text: str | None = request.params.get("Policy")
    if text is None:
        return None
    require_policy(text, request.partition)
    if not request.params.get("BypassPolicyLockoutSafetyCheck"):
        require_way_back(text, request.caller)
    return text


def get_key_policy(request: Request) -> dict[str, Any]:
    """Give the key's policy back."""
    view = request.usable_key()
    _require_default(request)
    return {"Policy": view.member.policy, "PolicyName": _NAME}


def put_key_policy(request: Request) -> dict[str, Any]:
    """Replace the key's policy in this Region."""
    view = request.usable_key()
    if request.params.get("PolicyName") == "AWS_RAM":
        raise invalid("The key policy AWS_RAM cannot be set.")
    _require_default(request)
    policy = policy_from(request) or view.member.policy
    request.put(request.truth(view).with_member(replace(view.member, policy=policy)))
    return {}


def list_key_policies(request: Request) -> dict[str, Any]:
    """List the one name that a key policy can have."""
    request.usable_key()
    some, paging = page(request.params, [_NAME])
    return {"PolicyNames": list(some), **paging}


def _require_default(request: Request) -> None:
    if request.params.get("PolicyName", _NAME) != _NAME:
        raise not_found("No such policy exists")


OPERATIONS = {
    "GetKeyPolicy": get_key_policy,
    "PutKeyPolicy": put_key_policy,
    "ListKeyPolicies": list_key_policies,
}
