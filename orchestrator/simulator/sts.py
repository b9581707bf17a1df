"""STS AssumeRole and GetCallerIdentity, over the query protocol."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from orchestrator.simulator.accounts import Accounts, Identity
from orchestrator.simulator.errors import ServiceError, not_simulated
from orchestrator.simulator.validate import parsed
from orchestrator.simulator.wire import operation_model

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_HOUR = 3600
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Tree = dict[str, "str | Tree"]

ACTIONS = frozenset({"AssumeRole", "GetCallerIdentity"})
"""What is simulated of STS."""


_SHOWN = frozenset({"Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds"})


def recorded(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that the record of calls may show: those that are no secret of any kind."""
    return {name: value for name, value in fields.items() if name in _SHOWN}


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
        if not action:
            raise ServiceError("MissingAction", "The request is missing an action.")
        raise not_simulated(f"sts {action}")

    def _assume(self, fields: Mapping[str, str], now: float) -> Tree:
        params = _parsed("AssumeRole", fields)
        seconds = params.get("DurationSeconds", _HOUR)
        role = self._accounts.assume(params["RoleArn"], params["RoleSessionName"], now, seconds)
        if role is None:
            raise _invalid(f"{params['RoleArn']} is invalid")
        return {
            "Credentials": {
                "AccessKeyId": role.access_key,
                "SecretAccessKey": role.secret_key,
                "SessionToken": role.session_token,
                "Expiration": datetime.fromtimestamp(role.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "AssumedRoleUser": {"AssumedRoleId": role.identity.user_id, "Arn": role.identity.arn},
        }


def _parsed(action: str, fields: Mapping[str, str]) -> dict[str, Any]:
    shape = operation_model(action, "sts").input_shape
    texts = {name: value for name, value in fields.items() if shape is not None and name in shape.members}
    try:
        if "DurationSeconds" in texts:
            return parsed(shape, {**texts, "DurationSeconds": int(texts["DurationSeconds"])})
        return parsed(shape, texts)
    except ServiceError as error:
        raise _invalid(error.message) from error
    except ValueError as error:
        raise _invalid("DurationSeconds is not a number") from error


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


def in_its_words(error: ServiceError) -> ServiceError:
    """Return a refusal of a signature under the code that services of the query protocol give it."""
    other = {"InvalidSignatureException": "SignatureDoesNotMatch"}
    return ServiceError(other.get(error.code, error.code.removesuffix("Exception")), error.message, status=403)


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
            child.text = _NO_XML.sub("", value)
        else:
            _grown(child, value)
    return element


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode")


def _request_id() -> str:
    return str(uuid.uuid4())
