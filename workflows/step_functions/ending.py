"""The end of an execution by an error: a report as of any other end, though nothing of the key was seen. Pure."""

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import Exit, KmsError, MrkError, StoreError, UsageError
from orchestrator.model import Reason
from workflows.step_functions.travel import Json, clipped

_LONGEST = 3_000
_WAY_OUT = "mend that, and start it again: it goes on where the key stands"


def asked_in(event: Mapping[str, Any]) -> Json:
    """Tell which key an execution is about, as far as its input says so."""
    state = event.get("state")
    asked = state.get("asked") if isinstance(state, Mapping) else None
    key = asked.get("key") if isinstance(asked, Mapping) else None
    if isinstance(key, Mapping):
        return {"name": str(key.get("name", "")), "arn": key.get("arn")}
    return {"name": key if isinstance(key, str) else "", "arn": None}


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
