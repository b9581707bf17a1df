"""Read access to what really is, without any lag: for tests that assert the end state of the world."""

from dataclasses import dataclass

from orchestrator.simulator.metadata import rows
from orchestrator.simulator.view import KeyView


@dataclass(frozen=True, slots=True)
class TrueRow:
    """One material of a key, as it really is in one Region; `valid_to` in epoch seconds."""

    material_id: str
    state: str
    import_state: str | None
    valid_to: float | None
    usable: bool


@dataclass(frozen=True, slots=True)
class TrueKey:
    """One Region's part of a key, as it really is."""

    arn: str
    region: str
    primary: str
    regions: tuple[str, ...]
    key_state: str
    current: str | None
    pending: str | None
    rows: tuple[TrueRow, ...]
    rotations: int
    """Rotations that were really performed on the whole set, automatic ones included."""
    rotations_spent: int
    """On-demand rotations that count against the lifetime limit."""
    rotating: bool
    grants: tuple[str, ...]
    """The ids of the grants that this Region has for the key."""


def true_key(view: KeyView) -> TrueKey:
    """Return what a view amounts to."""
    keys = view.keys
    return TrueKey(
        arn=view.arn,
        region=view.member.region,
        primary=keys.primary,
        regions=tuple(keys.members),
        key_state=view.state,
        current=keys.current.id if keys.current else None,
        pending=keys.pending.id if keys.pending else None,
        rows=tuple(_row(view, row) for row in rows(view, everything=True)),
        rotations=keys.rotations_done,
        rotations_spent=keys.rotations_spent,
        rotating=keys.rotation is not None,
        grants=tuple(grant.id for grant in view.member.grants),
    )


def _row(view: KeyView, row: dict[str, str | float | None]) -> TrueRow:
    material = view.keys.material(str(row["KeyMaterialId"]))
    valid_to = row.get("ValidTo")
    import_state = row.get("ImportState")
    return TrueRow(
        material_id=str(row["KeyMaterialId"]),
        state=str(row["KeyMaterialState"]),
        import_state=None if import_state is None else str(import_state),
        valid_to=None if valid_to is None else float(valid_to),
        usable=material is not None and view.usable(material),
    )
