"""Goal, Memory and Turn as small JSON and back: ids, Regions and times only."""

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from .run import Goal, Memory, Run, Turn

T = TypeVar("T", Goal, Memory, Run, Turn)


_KINDS = {kind.__name__: kind for kind in (Goal, Memory, Run, Turn)}


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_KINDS[name])


def to_json(value: Goal | Memory | Run | Turn) -> str:
    """Write a value as JSON."""
    return _adapter(type(value).__name__).dump_json(value).decode()


def from_json(kind: type[T], text: str) -> T:
    """Read a value back; raises pydantic.ValidationError where the text is not one."""
    value: T = _adapter(kind.__name__).validate_json(text)
    return value
