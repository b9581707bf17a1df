"""Paging of list operations: Limit and Marker in, NextMarker and Truncated out."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from orchestrator.simulator.errors import ServiceError


def page(
    params: dict[str, Any], items: Sequence[Any], *, default: int = 100, most: int = 1000
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return one page, of `most` items whatever the Limit, and its paging fields; NextMarker is absent on the last one.

    InvalidMarkerException, with no message as on AWS, for a marker that was not handed out.
    """
    start = _position(params.get("Marker"), len(items))
    end = start + min(params.get("Limit", default), most)
    more = end < len(items)
    fields = {"Truncated": more} | ({"NextMarker": _marker(end)} if more else {})
    return items[start:end], fields


def _marker(position: int) -> str:
    return base64.urlsafe_b64encode(f"position:{position}".encode()).decode()


def _position(marker: str | None, size: int) -> int:
    if marker is None:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
        position = int(number)
    except (binascii.Error, ValueError) as error:
        raise ServiceError("InvalidMarkerException") from error
    if name != "position" or not 0 <= position <= size:
        raise ServiceError("InvalidMarkerException")
    return position
