"""Principals: which names AWS takes for one, and whether a caller is the one that is named."""

import re

from orchestrator.simulator.errors import ServiceError

_IAM = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):(?P<rest>root|(user|role)/([\w+=,.@-]+/)*[\w+=,.@-]+)"
)
_STS = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>[0-9]{12}):"
    r"(assumed-role/(?P<role>[\w+=,.@-]+)/[\w+=,.@-]+|federated-user/[\w+=,.@-]+)"
)
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
_UNIQUE_ID = re.compile(r"(AROA|AIDA)[A-Z0-9]{12,124}(:[\w+=,.@-]+)?")


def account_of(principal: str) -> str:
    """Return the account of a principal's arn; empty for a service, and for a unique id, which does not tell it."""
    match = _match(principal)
    return match["account"] if match else ""


def require_principal(principal: str, partition: str, otherwise: str) -> None:
    """Refuse what AWS does not take for a principal of that partition; `otherwise` is told of what is no arn.

    There is no IAM here that knows who exists: every principal that reads well does.
    """
    match = _match(principal)
    if match is None and (_UNIQUE_ID.fullmatch(principal) or _SERVICE.fullmatch(principal)):
        return
    if match is None:
        text = f"ARN is not valid: {principal}" if principal.startswith("arn:") else otherwise
        raise ServiceError("InvalidArnException", text)
    if match["partition"] != partition:
        raise ServiceError("InvalidArnException", f"ARN does not refer to a valid principal: {principal}")


def names(principal: str, caller: str) -> bool:
    """Tell whether a principal (arn, account number or *) names that caller: himself, his role, or his account."""
    if principal in ("*", caller, account_of(caller)):
        return True
    match = _IAM.fullmatch(principal)
    if match is None or match["account"] != account_of(caller):
        return False
    if match["rest"] == "root":
        return True
    session = _STS.fullmatch(caller)
    role = session["role"] if session else None
    # The arn of a session leaves out the path of its role.
    return match["rest"].startswith("role/") and match["rest"].rpartition("/")[2] == role


def _match(principal: str) -> re.Match[str] | None:
    return _IAM.fullmatch(principal) or _STS.fullmatch(principal)
