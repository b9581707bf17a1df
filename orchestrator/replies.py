"""What the replies of AWS's services have in common, read as what it should look like, or made printable."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.printable import printable

UNSENDABLE = "a character that no HTTP header may hold (a newline?)"
UNSENDABLE_HINT = "give it again without that character: what is copied from a file often ends in a newline"

_LONGEST_MESSAGE = 300
_LONGEST_CODE = 80
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,3}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


_YEARS = range(2014, 2200)
"""AWS KMS began in 2014; of what is to come in some centuries nothing can be reckoned, and a calendar ends."""


class Refusal(NamedTuple):
    """What an error answer says."""

    code: str
    message: str
    status: int
    request_id: str


def refusal(response: Mapping[str, Any]) -> Refusal:
    """Read an error answer."""
    error = response.get("Error", {})
    return Refusal(
        printable(error.get("Code", ""), _LONGEST_CODE),
        printable(error.get("Message", ""), _LONGEST_MESSAGE) or "no message",
        int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
        request_id(response),
    )


def request_id(answer: Mapping[str, Any]) -> str:
    """Read the request id of any answer; nothing where it does not look like one."""
    found = str(answer.get("ResponseMetadata", {}).get("RequestId", ""))
    return found if _REQUEST_ID.fullmatch(found) else ""


def reckonable(at: datetime) -> datetime:
    """Return a time that can be reckoned with; ValueError where it has no zone, or KMS has nothing of then."""
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    if at.year not in _YEARS:
        raise ValueError(f"a time in the year {at.year}")
    return at


def is_region(name: str) -> bool:
    """Whether a text looks like the name of a Region."""
    return _REGION.fullmatch(name) is not None


def unsendable(error: Exception) -> bool:
    """Whether the HTTP library refused to send a request: it quotes the header, and will refuse it again."""
    cause = getattr(error, "kwargs", {}).get("error")
    return isinstance(cause, UnicodeEncodeError) or (isinstance(cause, ValueError) and "header" in str(cause))


def told(error: Exception) -> str:
    """Say what an error of the SDK says, without the header that the HTTP library may quote."""
    if unsendable(error):
        return f"one of its headers, such as a credential, holds {UNSENDABLE}"
    return printable(error, _LONGEST_MESSAGE)
