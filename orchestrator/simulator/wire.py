"""Shapes to and from the JSON 1.1 wire, always by botocore's service model, never restated here."""

import base64
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape


@cache
def service_model(service: str = "kms") -> ServiceModel:
    """Return botocore's model of KMS, or of another service."""
    return botocore.session.get_session().get_service_model(service)


@cache
def operation_model(operation: str, service: str = "kms") -> OperationModel:
    """Return the model of one operation."""
    return service_model(service).operation_model(operation)


@cache
def operation_names() -> frozenset[str]:
    """Return every operation that the model knows."""
    return frozenset(service_model().operation_names)


def serialised(shape: StructureShape | None, value: dict[str, Any]) -> dict[str, Any]:
    """Return an answer ready for JSON; KeyError for a member that the model does not have."""
    if shape is None:
        return {}
    return {name: _plain(shape.members[name], item) for name, item in value.items() if item is not None}


def recorded(shape: Shape, value: Any) -> Any:
    """Return a JSON value as the record of calls shows it: what the model knows, of bytes and secrets only the size."""
    if shape.type_name == "blob" or shape.metadata.get("sensitive"):
        return _size(value, of_bytes=shape.type_name == "blob")
    match shape, value:
        case StructureShape(), dict():
            return {n: recorded(m, value[n]) for n, m in shape.members.items() if value.get(n) is not None}
        case ListShape(), list():
            return [recorded(shape.member, item) for item in value]
        case MapShape(), dict():
            return {key: recorded(shape.value, item) for key, item in value.items()}
    mistyped = isinstance(value, dict | list) or isinstance(shape, StructureShape | ListShape | MapShape)
    return f"<{type(value).__name__}>" if mistyped else value


def _size(value: Any, *, of_bytes: bool) -> str:
    if not isinstance(value, str):
        return f"<{type(value).__name__}>"
    return f"<{len(value) * 3 // 4 - value[-2:].count('=')} bytes>" if of_bytes else f"<{len(value)} characters>"


def _plain(shape: Shape, value: Any) -> Any:
    match shape:
        case StructureShape():
            return serialised(shape, value)
        case ListShape():
            return [_plain(shape.member, item) for item in value]
        case MapShape():
            return {key: _plain(shape.value, item) for key, item in value.items()}
    match shape.type_name:
        case "blob":
            return base64.b64encode(value).decode()
        case "timestamp":
            return round(value, 3)
    return value
