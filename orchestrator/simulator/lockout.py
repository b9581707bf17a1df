"""The lock-out check of key policies: whether who sends one may still change it afterwards."""

import json
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.principals import names

_NEEDED = "kms:putkeypolicy"
_TEXT = "The new key policy will not allow you to update the key policy in the future."


def require_way_back(policy: str, caller: str) -> None:
    """Refuse a policy, which is known to be one, that does not let the caller, or his whole account, send the next one.

    There are no IAM policies here: what the account may do, each of its callers may. A Condition is not judged: one
    that allows is taken as met, one that denies is not.
    """
    about = [statement for statement in _listed(json.loads(policy)["Statement"]) if _is_about(statement, caller)]
    allowed = any(statement.get("Effect") == "Allow" for statement in about)
    denied = any(statement.get("Effect") == "Deny" and not statement.get("Condition") for statement in about)
    if denied or not allowed:
        raise ServiceError("MalformedPolicyDocumentException", _TEXT)


def _is_about(statement: dict[str, Any], caller: str) -> bool:
    return _has_action(statement) and _names_caller(statement, caller)


def _has_action(statement: dict[str, Any]) -> bool:
    if "NotAction" in statement:
        return not _any_matches(statement["NotAction"])
    return _any_matches(statement.get("Action"))


def _any_matches(actions: Any) -> bool:
    # Brackets mean nothing in a policy's patterns.
    patterns = (str(action).lower().replace("[", "[[]") for action in _listed(actions))
    return any(fnmatchcase(_NEEDED, pattern) for pattern in patterns)


def _names_caller(statement: dict[str, Any], caller: str) -> bool:
    if "NotPrincipal" in statement:
        return not _any_names(statement["NotPrincipal"], caller)
    return _any_names(statement.get("Principal"), caller)


def _any_names(principal: Any, caller: str) -> bool:
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return any(names(str(one), caller) for one in _listed(named))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
