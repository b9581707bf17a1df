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


def redacted(params: dict[str, Any]) -> dict[str, Any]:
    """Return a request's members with every blob, however deep, replaced by its length."""
    return {name: _hidden(value) for name, value in params.items()}


def _hidden(value: Any) -> Any:
    match value:
        case bytes():
            return f"<{len(value)} bytes>"
        case dict():
            return redacted(value)
        case list():
            return [_hidden(item) for item in value]
    return value


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
