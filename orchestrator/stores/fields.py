"""Small JSON objects as files of a store hold them."""

import json
from typing import Any

from orchestrator.printable import printable

_LONGEST = 300


def read_object(content: bytes) -> dict[str, Any] | None:
    """Read a JSON object, or return None where it is none. Never raises: JSON errors carry the whole text with them."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def write_object(fields: dict[str, Any]) -> bytes:
    """Write a JSON object, one field per line; times, ids and Regions write themselves as text."""
    return json.dumps(fields, indent=2, default=str).encode() + b"\n"


def shown(value: object) -> str:
    """Quote what a file says: shortened, and with nothing that moves a terminal's cursor."""
    return printable(value, _LONGEST)
