"""Input of the simulator's own (orders to its control endpoints, state files): judged whole, told in one line."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Checked(BaseModel):
    """Values of exactly the declared types and no others; bytes are base64 in JSON."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=False
    )


M = TypeVar("M", bound=Checked)


def checked(model: type[M], given: object) -> M:
    """Return what was given as a model; ValueError naming each wrong field and what would be right."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ValueError(one_line(error, model)) from None


def one_line(error: ValidationError, model: type[Checked]) -> str:
    """Return what is wrong where, without the values, which may be key material."""
    return "; ".join(_told(fault["loc"], fault["type"], fault["msg"], model) for fault in error.errors())


def _told(place: tuple[int | str, ...], kind: str, message: str, model: type[Checked]) -> str:
    if not place:
        return message.removeprefix("Value error, ")
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden" and len(place) == 1:
        return f"{name}: unknown; known: {', '.join(sorted(model.model_fields)) or 'nothing'}"
    return f"{name}: {message.removeprefix('Value error, ')}"
