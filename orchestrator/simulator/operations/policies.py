"""Key policies and tags; they are kept and given back, never evaluated."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

from orchestrator.simulator.errors import ServiceError, not_found
from orchestrator.simulator.request import Request

_NAME = "default"
_MAX_TAGS = 50


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
    """Return the policy sent with a request; MalformedPolicyDocumentException if it is not a JSON document."""
    text: str | None = request.params.get("Policy")
    if text is None:
        return None
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ServiceError("MalformedPolicyDocumentException") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise ServiceError("MalformedPolicyDocumentException")
    return text


def tags_from(params: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a request; TagException as AWS words it."""
    pairs = [(tag["TagKey"], tag["TagValue"]) for tag in params.get("Tags", [])]
    if len({key for key, _ in pairs}) != len(pairs):
        raise ServiceError("TagException", "Duplicate tag keys")
    if any(key.lower().startswith("aws:") for key, _ in pairs):
        raise ServiceError("TagException", "Tags beginning with aws: are reserved")
    return limited(dict(pairs))


def limited(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags; TagException if there are more than a key can have."""
    if len(tags) > _MAX_TAGS:
        raise ServiceError("TagException", "Too many tags")
    return tags


def get_key_policy(request: Request) -> dict[str, Any]:
    """Give the key's policy back."""
    view = request.usable_key()
    _require_default(request)
    return {"Policy": view.member.policy, "PolicyName": _NAME}


def put_key_policy(request: Request) -> dict[str, Any]:
    """Replace the key's policy in this Region."""
    view = request.usable_key()
    _require_default(request)
    policy = policy_from(request) or view.member.policy
    request.put(request.truth(view).with_member(replace(view.member, policy=policy)))
    return {}


def _require_default(request: Request) -> None:
    if request.params.get("PolicyName", _NAME) != _NAME:
        raise not_found("No such policy exists")


OPERATIONS = {"GetKeyPolicy": get_key_policy, "PutKeyPolicy": put_key_policy}
