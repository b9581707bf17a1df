"""Input judged by botocore's own service model, refused in AWS's own words."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from orchestrator.simulator.errors import ServiceError, invalid

_ENUM_ORDER: Mapping[str, Sequence[str]] = {
    "MacAlgorithmSpec": ("HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"),
}
"""Value sets that AWS was seen to tell in another order than the model's."""


def parsed(shape: StructureShape | None, body: Any) -> dict[str, Any]:
    """Return the request's members as Python values: bytes for blobs, epoch seconds for timestamps.

    Unknown members are ignored, as AWS does. SerializationException for a value of the wrong type,
    ValidationException for one out of bounds.
    """
    if shape is None:
        return {}
    value: dict[str, Any] = _converted(shape, body)
    faults = list(_faults(shape, value, ""))
    if faults:
        many = "error" if len(faults) == 1 else "errors"
        raise invalid(f"{len(faults)} validation {many} detected: {'; '.join(faults)}")
    return value


def _converted(shape: Shape, value: Any) -> Any:
    match shape:
        case StructureShape():
            given = _typed(value, dict, "null or structure")
            members = ((name, given.get(name)) for name in shape.members)
            return {name: _converted(shape.members[name], item) for name, item in members if item is not None}
        case ListShape():
            return [_converted(shape.member, item) for item in _typed(value, list, "null or list")]
        case MapShape():
            return {key: _converted(shape.value, item) for key, item in _typed(value, dict, "null or map").items()}
    return _scalar(shape.type_name, value)


def _scalar(kind: str, value: Any) -> Any:
    match kind:
        case "blob":
            return _blob(_typed(value, str, "a Blob"))
        case "boolean":
            return _typed(value, bool, "a Boolean")
        case "timestamp":
            return float(_number(value, "a Timestamp"))
        case "integer" | "long":
            return _whole(value, f"{'an' if kind == 'integer' else 'a'} {kind.title()}")
    return _typed(value, str, "a String")


def _typed(value: Any, kind: type, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise _mistyped(value, wanted)
    return value


def _number(value: Any, wanted: str) -> Any:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not abs(value) < 1e15:  # noqa: PLR2004 - far beyond any date
        raise _mistyped(value, wanted)
    return value


def _whole(value: Any, wanted: str) -> int:
    number = _number(value, wanted)
    if number != int(number):
        raise _mistyped(value, wanted)
    return int(number)


def _mistyped(value: Any, wanted: str) -> ServiceError:
    """Return AWS's refusal of a JSON value of the wrong type; seen on its services, not recorded on KMS."""
    match value:
        case dict():
            text = "Start of structure or map found where not expected"
        case list():
            text = "Start of list found where not expected"
        case _ if wanted.startswith("null or "):
            text = f"Expected {wanted.removeprefix('null or ')} or null"
        case bool() | None:
            text = f"{json.dumps(value).upper()}_VALUE can not be converted to {wanted}"
        case str():
            text = f"STRING_VALUE can not be converted to {wanted}"
        case _:
            text = f"NUMBER_VALUE can not be converted to {wanted}"
    return ServiceError("SerializationException", text)


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServiceError("SerializationException", "a blob is not base64") from error


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield _fault(shape, value, path, constraint)
    match shape:
        case StructureShape():
            yield from _member_faults(shape, value, path)
        case ListShape() if isinstance(shape.member, StructureShape):
            for number, item in enumerate(value, start=1):
                yield from _faults(shape.member, item, f"{path}.{number}.member")
        case ListShape():
            if any(_broken(shape.member, item) for item in value):
                told = f"Member must satisfy constraint: [{', '.join(_constraints(shape.member))}]"
                yield _fault(shape, value, path, told)
        case MapShape():
            for key, item in value.items():
                yield from _faults(shape.value, item, f"{path}.{key}.member")


def _member_faults(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inner = f"{path}.{_camel(name)}" if path else _camel(name)
        if name in value:
            yield from _faults(member, value[name], inner)
        elif name in shape.required_members:
            shown = "Value" if member.metadata.get("sensitive") else "Value null"
            yield f"{shown} at '{inner}' failed to satisfy constraint: Member must not be null"


def _fault(shape: Shape, value: Any, path: str, constraint: str) -> str:
    # AWS does not repeat bytes, nor what the model calls sensitive.
    hidden = isinstance(value, bytes) or shape.metadata.get("sensitive")
    shown = "Value" if hidden else f"Value '{_shown(value)}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _broken(shape: Shape, value: Any) -> list[str]:
    """Return every constraint of its own that a value breaks: value set, length (or value), pattern."""
    limits, pattern = shape.metadata, shape.metadata.get("pattern")
    broken = [_of_set(shape)] if _enum(shape) and value not in _enum(shape) else []
    sized = isinstance(value, str | bytes | list | dict)
    if sized or isinstance(value, int):
        size = len(value) if sized else value
        broken += [_least(shape)] if "min" in limits and size < limits["min"] else []
        broken += [_most(shape)] if "max" in limits and size > limits["max"] else []
    if pattern and isinstance(value, str) and not _compiled(pattern).fullmatch(value):
        broken.append(_of_pattern(shape))
    return broken


def _constraints(shape: Shape) -> Iterator[str]:
    """Yield every constraint of the scalars of a list, in the order in which AWS tells them."""
    for there, told in ((_enum(shape), _of_set), ("max" in shape.metadata, _most), ("min" in shape.metadata, _least)):
        if there:
            yield told(shape)
    if "pattern" in shape.metadata:
        yield _of_pattern(shape)


def _enum(shape: Shape) -> Sequence[str]:
    values: Sequence[str] = getattr(shape, "enum", ())
    return _ENUM_ORDER.get(shape.name, values)


def _of_set(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(_enum(shape))}]"


def _least(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} greater than or equal to {shape.metadata['min']}"


def _most(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} less than or equal to {shape.metadata['max']}"


def _of_pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


def _measure(shape: Shape) -> str:
    return "value" if shape.type_name in ("integer", "long") else "length"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)  # Java's \w and \d are ASCII, too


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(str(item) for item in value)}]"
    return str(value)


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]
