"""Durations as people write them: 90d, 12h, 30m, 5s, or several in a row (1d12h)."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_WHOLE = re.compile(r"(\d+[dhms])+")
_PART = re.compile(r"(\d+)([dhms])")


def parse(text: Any) -> Any:
    """Read a duration; raises ValueError, naming what is allowed. What is a timedelta already stays one."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write 90d, 12h, 30m or 5s")
    try:
        return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _PART.findall(text)), timedelta())
    except OverflowError:
        raise ValueError(f"{text!r} is longer than this program can count") from None


def render(value: timedelta) -> str:
    """Write a duration as people do."""
    seconds = int(value.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, size)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"


Duration = Annotated[timedelta, BeforeValidator(parse), PlainSerializer(render)]
