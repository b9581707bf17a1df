"""STS AssumeRole and GetCallerIdentity, over the query protocol."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from orchestrator.simulator.accounts import Accounts, Identity
from orchestrator.simulator.errors import ServiceError, not_simulated

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_HOUR = 3600
_DURATIONS = range(900, 43201)

Tree = dict[str, "str | Tree"]

ACTIONS = frozenset({"AssumeRole", "GetCallerIdentity"})
"""What is simulated of STS."""


class Sts:
    """Answers STS requests given as form fields with XML."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def answer(self, fields: Mapping[str, str], caller: Identity, now: float) -> str:
        """Return the XML answer; ServiceError for what is refused or not simulated."""
        action = fields.get("Action", "")
        match action:
            case "GetCallerIdentity":
                return _document(action, {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account})
            case "AssumeRole":
                return _document(action, self._assume(fields, now))
        raise not_simulated(f"sts {action}")

    def _assume(self, fields: Mapping[str, str], now: float) -> Tree:
        arn, session = fields.get("RoleArn", ""), fields.get("RoleSessionName", "")
        seconds = fields.get("DurationSeconds", str(_HOUR))
        if not session or not seconds.isdigit() or int(seconds) not in _DURATIONS:
            raise _invalid("RoleSessionName is needed, and DurationSeconds between 900 and 43200")
        role = self._accounts.assume(arn, session, now + int(seconds))
        if role is None:
            raise _invalid(f"{arn} is invalid")
        return {
            "Credentials": {
                "AccessKeyId": role.access_key,
                "SecretAccessKey": role.secret_key,
                "SessionToken": role.session_token,
                "Expiration": datetime.fromtimestamp(role.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "AssumedRoleUser": {"AssumedRoleId": role.identity.user_id, "Arn": role.identity.arn},
        }


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


def error_document(error: ServiceError) -> str:
    """Return an error as STS words it."""
    kind = "Sender" if error.status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own border
    tree: Tree = {"Error": {"Type": kind, "Code": error.code, "Message": error.message}, "RequestId": _request_id()}
    return _text(_grown(ET.Element("ErrorResponse", xmlns=_NAMESPACE), tree))


def _document(action: str, result: Tree) -> str:
    tree: Tree = {f"{action}Result": result, "ResponseMetadata": {"RequestId": _request_id()}}
    return _text(_grown(ET.Element(f"{action}Response", xmlns=_NAMESPACE), tree))


def _grown(element: ET.Element, tree: Tree) -> ET.Element:
    for name, value in tree.items():
        child = ET.SubElement(element, name)
        if isinstance(value, str):
            child.text = value
        else:
            _grown(child, value)
    return element


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode")


def _request_id() -> str:
    return str(uuid.uuid4())
