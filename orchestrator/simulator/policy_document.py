"""Key policies judged as documents: their size, their shape and who is named; what they allow is not judged here."""

import json
import re
from collections.abc import Iterator
from typing import Any

from orchestrator.simulator.errors import ServiceError

_LARGEST = 32 * 1024
_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")
_NAMED = r"(root|(user|role|assumed-role|federated-user)/[\w+=,.@/-]+)"
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_NO_PRINCIPAL = "Policy contains a statement with no principal."
_INVALID_PRINCIPAL = "Policy contains a statement with one or more invalid principals."


def require_policy(text: str, partition: str) -> None:
    """Refuse what AWS does not take for a key policy: LimitExceededException, MalformedPolicyDocumentException."""
    if len(text.encode()) > _LARGEST:
        raise ServiceError("LimitExceededException", f"The key policy is larger than {_LARGEST} bytes.")
    for statement in _statements(text):
        for field in ("Effect", "Action", "Resource"):
            if not {field, f"Not{field}"} & statement.keys():
                raise _malformed(f"Missing required field {field}")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise _malformed()
        _require_principal(statement, partition)


def _statements(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed() from error
    found = document.get("Statement") if isinstance(document, dict) else None
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise _malformed()
    return listed


def _require_principal(statement: dict[str, Any], partition: str) -> None:
    given = [statement[name] for name in ("Principal", "NotPrincipal") if name in statement]
    if len(given) > 1:
        raise _malformed()
    named = [one for principal in given for one in _named(principal)]
    if not named:
        raise _malformed(_NO_PRINCIPAL)
    if not all(_is_principal(kind, name, partition) for kind, name in named):
        raise _malformed(_INVALID_PRINCIPAL)


def _named(principal: Any) -> Iterator[tuple[str, Any]]:
    """Yield everybody whom a statement names, with the kind that it says they are."""
    if not isinstance(principal, dict):
        yield "everybody", principal
        return
    for kind, names in principal.items():
        for name in names if isinstance(names, list) else [names]:
            yield kind, name


def _is_principal(kind: str, name: Any, partition: str) -> bool:
    if not isinstance(name, str) or kind == "everybody":
        return bool(name == "*")
    if kind == "AWS":
        return bool(name == "*" or re.fullmatch(rf"[0-9]{{12}}|arn:{partition}:(iam|sts)::[0-9]{{12}}:{_NAMED}", name))
    return kind in _KINDS and (kind != "Service" or _SERVICE.fullmatch(name) is not None)


def _malformed(message: str = "") -> ServiceError:
    return ServiceError("MalformedPolicyDocumentException", message)
