"""Names for keys, per account and Region."""

from dataclasses import replace
from typing import Any

from orchestrator.simulator.aws_managed import PREDEFINED, PREFIX
from orchestrator.simulator.errors import ServiceError, invalid, not_found
from orchestrator.simulator.pages import page
from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import require_state
from orchestrator.simulator.state import SYMMETRIC
from orchestrator.simulator.view import KeyView
from orchestrator.simulator.world import Alias


def create_alias(request: Request) -> dict[str, Any]:
    """Name a key."""
    name = _new_name(request)
    _require_no_alias(request.params["TargetKeyId"])
    if _found(request, name) is not None:
        raise ServiceError("AlreadyExistsException", f"An alias with the name {_arn(request, name)} already exists")
    view = _target(request)
    _put(request, name, Alias(name, view.keys.key_id, request.now, request.now))
    return {}


def update_alias(request: Request) -> dict[str, Any]:
    """Let a name mean another key."""
    name = _own(request, "update")
    alias = _existing(request, name)
    view = _target(request)
    _require_same_kind(request.find(alias.key_id), view)
    _put(request, name, replace(alias, key_id=view.keys.key_id, updated=request.now))
    return {}


def delete_alias(request: Request) -> dict[str, Any]:
    """Forget a name."""
    name = _own(request, "delete")
    _existing(request, name)
    _put(request, name, None)
    return {}


def list_aliases(request: Request) -> dict[str, Any]:
    """List the names of this account and Region, with those of AWS that have no key yet, or the names of one key."""
    key_id = request.key().keys.key_id if "KeyId" in request.params else None
    known = request.world.aliases_of(request.account, request.region, request.now, age=request.age())
    found = {alias.name: alias for alias in known if key_id in (None, alias.key_id)}
    listed = sorted(found.keys() | PREDEFINED if key_id is None else found)
    some, paging = page(request.params, listed, default=50, most=100)
    return {"Aliases": [_entry(request, name, found.get(name)) for name in some], **paging}


def _entry(request: Request, name: str, alias: Alias | None) -> dict[str, Any]:
    named = {"AliasName": name, "AliasArn": _arn(request, name)}
    if alias is None:
        return named
    return {
        **named,
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created,
        "LastUpdatedDate": alias.updated,
    }


def _name(request: Request) -> str:
    name: str = request.params["AliasName"]
    if not name.startswith("alias/"):
        raise invalid(
            'Alias must start with the prefix "alias/". '
            "Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    return name


def _new_name(request: Request) -> str:
    name = _name(request)
    if ":" in name:
        raise invalid(f"{name} contains invalid characters for an alias")
    return _own(request, "create")


def _own(request: Request, verb: str) -> str:
    """Return the name that is meant, unless it is one of AWS's."""
    name = _name(request)
    if name.startswith(PREFIX):
        raise ServiceError("NotAuthorizedException", f"Not authorized to {verb} an alias beginning with {PREFIX}")
    return name


def _target(request: Request) -> KeyView:
    given = request.params["TargetKeyId"]
    _require_no_alias(given)
    view = request.find(given)
    require_state(view, request.operation)
    return view


def _require_no_alias(given: str) -> None:
    if given.startswith("alias/") or ":alias/" in given:
        raise invalid("Aliases must refer to keys. Not aliases")


def _require_same_kind(old: KeyView, new: KeyView) -> None:
    kinds = [(view.keys.usage, _family(view.keys.spec)) for view in (old, new)]
    if kinds[0] != kinds[1]:
        raise invalid(f"{new.arn} is not of the same type and key usage as {old.arn}.")


def _family(spec: str) -> str:
    return spec if spec == SYMMETRIC else "HMAC" if spec.startswith("HMAC") else "asymmetric"


def _existing(request: Request, name: str) -> Alias:
    alias = _found(request, name)
    if alias is None:
        raise not_found(f"Alias {_arn(request, name)} is not found.")
    return alias


def _found(request: Request, name: str) -> Alias | None:
    return request.world.alias(request.account, request.region, name, request.now)


def _put(request: Request, name: str, alias: Alias | None) -> None:
    request.world.put_alias(request.account, request.region, name, alias)


def _arn(request: Request, name: str) -> str:
    return f"arn:{request.partition}:kms:{request.region}:{request.account}:{name}"


OPERATIONS = {
    "CreateAlias": create_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
}
