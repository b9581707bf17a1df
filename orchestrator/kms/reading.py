"""Reading of KMS answers into values of ours; an answer that lacks something is an error, never a guess."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from orchestrator.errors import KmsError, Trouble
from orchestrator.model import KeyArn, KeyState, MaterialId, MaterialRow, MaterialState, Region, RegionView

T = TypeVar("T")


def read(operation: str, reading: Callable[[], T]) -> T:
    """Read an answer; raises KmsError where it lacks a field, or holds a word that this version does not know."""
    try:
        return reading()
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        message = f"KMS answered {operation} in a way that this version cannot read: {what}"
        raise KmsError(message, "is there a newer version of mrk?", trouble=Trouble.PERMANENT) from None


def region_view(metadata: Mapping[str, Any], seen_at: datetime) -> RegionView:
    """Read DescribeKey's KeyMetadata; the view has no rows yet."""
    arn = KeyArn.parse(metadata["Arn"])
    related = metadata.get("MultiRegionConfiguration")
    primary = KeyArn.parse(related["PrimaryKey"]["Arn"]).region if related else arn.region
    replicas = [KeyArn.parse(key["Arn"]).region for key in related.get("ReplicaKeys", [])] if related else []
    return RegionView(
        arn=arn,
        seen_at=seen_at,
        key_state=KeyState(metadata["KeyState"]),
        created_at=metadata["CreationDate"],
        multi_region=bool(metadata.get("MultiRegion")),
        primary=primary,
        members=frozenset({arn.region, primary, *(Region(region) for region in replicas)}),
        origin=metadata["Origin"],
        key_spec=metadata["KeySpec"],
    )


def rows(answer: Mapping[str, Any]) -> list[MaterialRow]:
    """Read the rows of ListKeyRotations."""
    return [
        MaterialRow(
            material_id=MaterialId(row["KeyMaterialId"]),
            state=MaterialState(row["KeyMaterialState"]),
            imported=row.get("ImportState") == "IMPORTED",
            valid_to=row.get("ValidTo"),
            rotated_at=row.get("RotationDate"),
            on_demand=row.get("RotationType") == "ON_DEMAND",
        )
        for row in answer["Rotations"]
    ]
