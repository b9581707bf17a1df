"""Durations as people write them: 90d, 12h, 30m, 5s, 500ms, or several in a row (1d12h)."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_LONGEST = timedelta(days=36500)
_MOST_LETTERS = 100
_WHOLE = re.compile(r"([0-9]+(ms|[dhms]))+")
PATTERN = f"^{_WHOLE.pattern}$"
"""What a duration looks like, for JSON Schema."""

_PART = re.compile(r"(\d+)(ms|[dhms])")


def parse(text: Any) -> Any:
    """Read a duration; raises ValueError, naming what is allowed. What is a timedelta already stays one."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or len(text) > _MOST_LETTERS or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r:.80} is not a duration: write 90d, 12h, 30m or 5s")
    try:
        found = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _PART.findall(text)), timedelta())
    except OverflowError:
        found = timedelta.max
    if found > _LONGEST:
        raise ValueError(f"{text!r} is longer than {_LONGEST.days}d")
    return found


def render(value: timedelta) -> str:
    """Write a duration as people do."""
    rest = value // timedelta(milliseconds=1)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, rest = divmod(rest, size)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"


_SPOKEN = {86_400_000: "day", 3_600_000: "h", 60_000: "min", 1000: "s", 1: "ms"}


def spoken(value: timedelta) -> str:
    """Tell a length of time as a person says it, to two units: 30 min, 1 h 30 min, 90 days."""
    rest = value // timedelta(milliseconds=1)
    parts = []
    for size, unit in _SPOKEN.items():
        number, rest = divmod(rest, size)
        many = "s" if unit == "day" and number != 1 else ""
        parts += [f"{number} {unit}{many}"] if number else []
    return " ".join(parts[:2]) or "0 s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse),
    PlainSerializer(render),
    WithJsonSchema({"type": "string", "pattern": PATTERN}),
]
