"""Grants: made, listed, retired and revoked, per Region."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orchestrator.simulator.errors import ServiceError, invalid, not_found
from orchestrator.simulator.grants import covers, id_in, new_id, new_token, permits
from orchestrator.simulator.operations.crypto import finish_dry_run
from orchestrator.simulator.operations.grant_checks import (
    require_constraints,
    require_one,
    require_operations,
    require_principals,
    require_room,
)
from orchestrator.simulator.pages import page
from orchestrator.simulator.principals import account_of, require_principal
from orchestrator.simulator.request import Request
from orchestrator.simulator.state import Grant, KeySet
from orchestrator.simulator.view import KeyView

_PAGE = {"default": 50, "most": 100}
_UNKNOWN = "Input does not refer to a valid principal"


def create_grant(request: Request) -> dict[str, Any]:
    """Make a grant, or find the one that was made by the same request with the same Name."""
    view = request.usable_key()
    _require_terms(request, view)
    grant = _wanted(request)
    _require_parent(request, view, grant)
    known = next((old for old in view.member.grants if grant.name and _same(old, grant)), None)
    if known is None:
        require_room(view.member)
    finish_dry_run(request)
    if known is None:
        _put(request, view, (*view.member.grants, grant))
    given = known or grant
    return {"GrantId": given.id, "GrantToken": new_token(given.id, request.region)}


def list_grants(request: Request) -> dict[str, Any]:
    """List the grants of one key, or those of one id or grantee."""
    view = request.usable_key()
    params = request.params
    if "GranteePrincipal" in params and "GranteeServicePrincipal" in params:
        raise invalid("Specify either GranteePrincipal or GranteeServicePrincipal, not both.")
    if "GranteePrincipal" in params:
        require_principal(params["GranteePrincipal"], request.partition, _UNKNOWN)
    if "GrantId" in params:
        _require_id(request, params["GrantId"])
    found = [(view.keys, grant) for grant in view.member.grants if _is_wanted(grant, params)]
    return _page(request, found)


def list_retirable_grants(request: Request) -> dict[str, Any]:
    """List the grants of this Region, of whatever account, that one principal of this account may retire."""
    require_one(request.params, "RetiringPrincipal", "RetiringServicePrincipal")
    if "RetiringServicePrincipal" in request.params:
        # Documented: only an AWS service may ask by a service's name, and nobody here is one.
        raise request.denied(request.params["RetiringServicePrincipal"])
    principal: str = request.params["RetiringPrincipal"]
    require_principal(principal, request.partition, _UNKNOWN)
    if account_of(principal) not in ("", request.account):
        raise request.denied(principal)
    age = request.age()
    seen = (request.world.known(keys.key_id, request.region, request.now, age=age) for keys in _here(request))
    found = [(keys, grant) for keys in seen if keys for grant in keys.members[request.region].grants]
    return _page(request, [(keys, grant) for keys, grant in found if grant.retiring == principal])


def retire_grant(request: Request) -> dict[str, Any]:
    """Delete a grant that is named by a token, or by its key and its id, for whoever may retire it."""
    view, grant = _named(request)
    if view.keys.account != request.account and not permits(grant, request.caller, "RetireGrant", {}):
        raise request.denied(view.arn)
    return _deleted(request, view, grant)


def revoke_grant(request: Request) -> dict[str, Any]:
    """Delete a grant."""
    view = request.usable_key()
    _require_id(request, request.params["GrantId"])
    return _deleted(request, view, _of(view, request.params["GrantId"]))


def _require_terms(request: Request, view: KeyView) -> None:
    params = request.params
    require_principals(params, request.partition)
    require_operations(params["Operations"], view.keys, view.arn)
    require_constraints(params.get("Constraints", {}), view.keys)


def _wanted(request: Request) -> Grant:
    params = request.params
    constraints = params.get("Constraints", {})
    return Grant(
        id=new_id(),
        # Recorded: a grant's date has no fraction of a second.
        created=float(int(request.now)),
        issuer=f"arn:{request.partition}:iam::{request.account}:root",
        operations=tuple(dict.fromkeys(params["Operations"])),
        name=params.get("Name", ""),
        grantee=params.get("GranteePrincipal"),
        grantee_service=params.get("GranteeServicePrincipal"),
        retiring=params.get("RetiringPrincipal"),
        retiring_service=params.get("RetiringServicePrincipal"),
        context_equals=constraints.get("EncryptionContextEquals"),
        context_subset=constraints.get("EncryptionContextSubset"),
        source_arn=constraints.get("SourceArn"),
    )


def _require_parent(request: Request, view: KeyView, child: Grant) -> None:
    """Refuse another account a grant that goes beyond the one grant that lets it make any."""
    if view.keys.account == request.account:
        return
    parents = (old for old in view.member.grants if permits(old, request.caller, "CreateGrant", {}))
    if not any(covers(parent, child) for parent in parents):
        raise request.denied(view.arn)


def _same(old: Grant, new: Grant) -> bool:
    """Tell whether two requests for a grant ask for the same."""
    alike = replace(new, id=old.id, created=old.created, operations=old.operations)
    return alike == old and set(new.operations) == set(old.operations)


def _require_id(request: Request, grant_id: str) -> None:
    if request.switches.malformed_grant_ids == "invalid" and not _reads_as_id(grant_id):
        raise ServiceError("InvalidGrantIdException", f"Grant ID {grant_id} is not valid.")


def _reads_as_id(text: str) -> bool:
    return len(text) == len(new_id()) and set(text) <= set("0123456789abcdef")


def _is_wanted(grant: Grant, params: dict[str, Any]) -> bool:
    asked = {"GrantId": grant.id, "GranteePrincipal": grant.grantee, "GranteeServicePrincipal": grant.grantee_service}
    return all(params[name] == value for name, value in asked.items() if name in params)


def _here(request: Request) -> Iterator[KeySet]:
    return (keys for keys in request.world.all_truths(request.now) if request.region in keys.members)


def _named(request: Request) -> tuple[KeyView, Grant]:
    params = request.params
    by_id = "KeyId" in params and "GrantId" in params
    if ("GrantToken" in params) == bool({"KeyId", "GrantId"} & params.keys()) or not ("GrantToken" in params or by_id):
        raise invalid("Specify either a grant token, or both a key ID and a grant ID.")
    if by_id:
        _require_id(request, params["GrantId"])
        view = request.usable_key()
        return view, _of(view, params["GrantId"])
    grant_id = id_in(params["GrantToken"], request.region)
    for keys in _here(request):
        view = request.view(keys)
        if any(grant.id == grant_id for grant in view.member.grants):
            return view, _of(view, grant_id)
    raise _no_such_grant(grant_id)


def _of(view: KeyView, grant_id: str) -> Grant:
    grant = next((grant for grant in view.member.grants if grant.id == grant_id), None)
    if grant is None:
        raise _no_such_grant(grant_id)
    return grant


def _no_such_grant(grant_id: str) -> ServiceError:
    return not_found(f"Grant ID {grant_id} not found")


def _deleted(request: Request, view: KeyView, grant: Grant) -> dict[str, Any]:
    finish_dry_run(request)
    _put(request, view, tuple(other for other in view.member.grants if other.id != grant.id))
    return {}


def _put(request: Request, view: KeyView, grants: tuple[Grant, ...]) -> None:
    request.put(request.truth(view).with_member(replace(view.member, grants=grants)))


def _page(request: Request, found: list[tuple[KeySet, Grant]]) -> dict[str, Any]:
    some, paging = page(request.params, found, **_PAGE)
    return {"Grants": [_entry(keys.arn(request.region), grant) for keys, grant in some], **paging}


def _entry(arn: str, grant: Grant) -> dict[str, Any]:
    constraints = {
        "EncryptionContextEquals": grant.context_equals,
        "EncryptionContextSubset": grant.context_subset,
        "SourceArn": grant.source_arn,
    }
    return {
        "KeyId": arn,
        "GrantId": grant.id,
        "Name": grant.name,
        "CreationDate": grant.created,
        "GranteePrincipal": grant.grantee,
        "GranteeServicePrincipal": grant.grantee_service,
        "RetiringPrincipal": grant.retiring,
        "RetiringServicePrincipal": grant.retiring_service,
        "IssuingAccount": grant.issuer,
        "Operations": list(grant.operations),
        "Constraints": {name: value for name, value in constraints.items() if value is not None} or None,
    }


OPERATIONS = {
    "CreateGrant": create_grant,
    "ListGrants": list_grants,
    "ListRetirableGrants": list_retirable_grants,
    "RetireGrant": retire_grant,
    "RevokeGrant": revoke_grant,
}
