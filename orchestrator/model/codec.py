"""Goal, Memory and Turn as small JSON and back: ids, Regions and times only."""

from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter

from .run import Goal, Memory, Run, Turn

T = TypeVar("T", Goal, Memory, Run, Turn)


@cache
def _adapter(kind: type) -> TypeAdapter[object]:
    return TypeAdapter(kind)


def to_json(value: Goal | Memory | Run | Turn) -> str:
    """Write a value as JSON."""
    return _adapter(type(value)).dump_json(value).decode()


def from_json(kind: type[T], text: str) -> T:
    """Read a value back; raises pydantic.ValidationError where the text is not one."""
    value = _adapter(kind).validate_json(text)
    assert isinstance(value, kind)  # noqa: S101 - narrows the type; pydantic has made it so
    return value
