"""Reading of KMS answers into values of ours; an answer that lacks something is an error, never a guess."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from orchestrator.errors import KmsError, Trouble
from orchestrator.model import (
    KeyArn,
    KeyState,
    MaterialId,
    MaterialRow,
    MaterialState,
    Region,
    RegionView,
    material_id_of,
)
from orchestrator.replies import is_region, reckonable

T = TypeVar("T")

SIMULATOR = "mrk-simulator"
"""What the simulator calls itself in the header Server."""

_WORD = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def read(operation: str, reading: Callable[[], T]) -> T:
    """Read an answer; raises KmsError where it lacks a field, or holds a word that this version does not know."""
    try:
        return reading()
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise unreadable(operation, f"it lacks {error}" if isinstance(error, KeyError) else f"{error!s:.300}") from None


def unreadable(operation: str, what: str) -> KmsError:
    """Say that an answer cannot be read: it is not asked for again, as the next one would be no other."""
    message = f"KMS answered {operation} in a way that this version cannot read: {what}"
    return KmsError(message, "is there a newer version of mrk?", trouble=Trouble.PERMANENT, operation=operation)


def text(value: object) -> str:
    """Read a word that must be there; TypeError where it is something else: botocore takes whatever it is sent."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{type(value).__name__} where a word is due")
    return value


def material_in(answer: Mapping[str, Any]) -> MaterialId:
    """Read the KeyMaterialId of an answer, or of a row; KeyError where it lacks one, ValueError where it is none."""
    return material_id_of(text(answer["KeyMaterialId"]))


def key_arn(value: object) -> KeyArn:
    """Read the ARN of a key; ValueError where it is none, or of no Region."""
    arn = KeyArn.parse(text(value))
    if not is_region(arn.region):
        raise ValueError(f"{arn.region!r:.80} is not the name of a Region")
    return arn


def word(value: object) -> str:
    """Read a word of the API, such as EXTERNAL; ValueError where it is something else."""
    if _WORD.fullmatch(found := text(value)) is None:
        raise ValueError(f"{found!r:.80} is no word of the KMS API")
    return found


def time(value: object) -> datetime:
    """Read a time; TypeError where it is something else, ValueError where it cannot be one of KMS."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} where a time is due")
    return reckonable(value)


def from_simulator(answer: Mapping[str, Any]) -> bool:
    """Tell whether what answered says that it is `mrk simulator`; nothing but a hint rests on it."""
    return bool(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("server") == SIMULATOR)


def clock_skew(answer: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Tell how far `now` is ahead of the clock that answered, by the header Date (RFC 9110); None where it has none."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        told = parsedate_to_datetime(said) if said else None
    except (TypeError, ValueError, OverflowError):
        return None
    return now - told if told is not None and told.tzinfo is not None else None


def _one_of(value: object, *known: str | None) -> object:
    if value not in known:
        raise ValueError(f"{value!r:.80} is not known")
    return value


def region_view(metadata: Mapping[str, Any], seen_at: datetime) -> RegionView:
    """Read DescribeKey's KeyMetadata; the view has no rows yet."""
    arn = key_arn(metadata["Arn"])
    related = metadata.get("MultiRegionConfiguration")
    primary = _member(related["PrimaryKey"], arn) if related else arn.region
    replicas = [_member(key, arn) for key in related.get("ReplicaKeys", [])] if related else []
    return RegionView(
        arn=arn,
        seen_at=seen_at,
        key_state=KeyState(metadata["KeyState"]),
        created_at=time(metadata["CreationDate"]),
        multi_region=bool(metadata.get("MultiRegion")),
        primary=primary,
        members=frozenset({arn.region, primary, *replicas}),
        origin=word(metadata["Origin"]),
        key_spec=word(metadata["KeySpec"]),
        deleted_at=time(metadata["DeletionDate"]) if metadata.get("DeletionDate") is not None else None,
    )


def _member(related: Mapping[str, Any], arn: KeyArn) -> Region:
    """Read the Region of a related key; ValueError for a key that is not related."""
    found = KeyArn.parse(related["Arn"])
    if found.identity != arn.identity:
        raise ValueError(f"{found} is called a member of {arn}")
    return found.region


def rows(answer: Mapping[str, Any]) -> list[MaterialRow]:
    """Read the rows of ListKeyRotations."""
    return [
        MaterialRow(
            material_id=material_in(row),
            state=MaterialState(row["KeyMaterialState"]),
            imported=_one_of(row.get("ImportState"), "IMPORTED", "PENDING_IMPORT", None) == "IMPORTED",
            valid_to=time(row["ValidTo"]) if row.get("ValidTo") is not None else None,
            rotated_at=time(row["RotationDate"]) if row.get("RotationDate") is not None else None,
            on_demand=_one_of(row.get("RotationType"), "ON_DEMAND", "AUTOMATIC", None) == "ON_DEMAND",
        )
        for row in answer["Rotations"]
    ]
