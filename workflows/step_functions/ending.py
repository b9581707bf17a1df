"""The end of an execution by an error: a report as of any other end, though nothing of the key was seen. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import Exit, KmsError, MrkError, StoreError, UsageError
from orchestrator.model import Reason
from workflows.step_functions.travel import Json, clipped

_LONGEST = 3_000
_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:[\w/-]{1,256}", re.ASCII)
_NAME = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_WAY_OUT = "mend that, and start it again: it goes on where the key stands"


def asked_in(event: Mapping[str, Any]) -> Json:
    """Tell which key an execution is about, as far as its input says so; what is no name or ARN is not repeated."""
    state = event.get("state")
    asked = state.get("asked") if isinstance(state, Mapping) else None
    key = asked.get("key") if isinstance(asked, Mapping) else None
    named, arn = (key.get("name"), key.get("arn")) if isinstance(key, Mapping) else (key, None)
    return {"name": _shaped(named, _NAME, _ARN) or "", "arn": _shaped(arn, _ARN)}


def _shaped(text: Any, *shapes: re.Pattern[str]) -> str | None:
    return text if isinstance(text, str) and any(shape.fullmatch(text) for shape in shapes) else None


def report_of(error: MrkError, asked: Json) -> Json:
    """Report an error: blocked where the command line would end with 4, failed otherwise."""
    person = error.exit_code == Exit.BLOCKED
    message = clipped(error.message, _LONGEST)
    block = {
        "reason": str(_reason(error)),
        "region": (error.region if isinstance(error, KmsError) else "") or None,
        "message": message,
        "way_out": clipped(error.hint or _WAY_OUT, _LONGEST),
        "needs_a_person": person,
    }
    return {
        **asked,
        "status": "blocked" if person else "failed",
        "stage": "located",
        "message": message,
        "replaces": None,
        "current": None,
        "skipped_proofs": [],
        "blocks": [block],
    }


def _reason(error: MrkError) -> Reason:
    match error:
        case StoreError():
            return Reason.STORE_UNREADABLE
        case UsageError():
            return Reason.SETTINGS
        case _:
            return Reason.CALL_FAILED
