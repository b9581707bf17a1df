"""Every behaviour that nothing public settles is one named field here; docs/simulator.md lists them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How the simulator answers where AWS's behaviour is not known; the defaults are the likeliest reading.

    The names of the open questions (U4b, U7b, ...) are those of docs/simulator.md.
    """

    tokens_across_regions: Literal["refused", "accepted"] = "refused"
    """U4b: an import token fetched for the same multi-Region key in another Region."""
    replica_loses_pending: Literal["back", "stays"] = "back"
    """U7b: whether the primary's row falls back when a replica loses pending material before the rotation."""
    replica_added_while_pending: Literal["blocks", "ignored"] = "blocks"
    """U9: a replica made while material is pending: whether it must have that material too."""
    replica_deleting_while_pending: Literal["blocks", "ignored"] = "blocks"
    """U9: a replica PendingDeletion that lacks the pending material."""
    promote_with_pending: Literal["carried", "refused"] = "carried"
    """U10: UpdatePrimaryRegion while material is pending."""
    rotations_counted_per: Literal["set", "primary"] = "set"
    """U10: whether the lifetime count of rotations survives UpdatePrimaryRegion."""
    partitions_without_multi_region_import: frozenset[str] = frozenset()
    """U18: partitions in which multi-Region keys take no second material."""
    disabled_replica: Literal["counts", "ignored"] = "counts"
    """U19: whether a Disabled replica must have the pending material."""
    new_without_replicas: Literal["ready", "waits"] = "ready"
    """U20: the state of new material on a multi-Region primary that has no replica."""
    evaporated_rotation: Literal["free", "counted"] = "free"
    """U22: whether a rotation whose material was deleted under way costs one of the lifetime."""
    expired_row_sweep_seconds: float = 1800.0
    """U23: how long the row of expired permanent material still reads IMPORTED."""
    replica_row_when_ready: Literal["PENDING_ROTATION", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"] = "PENDING_ROTATION"
    """U24: what a replica's row reads once every member has the material."""
    wrong_bytes_name: Literal["current", "oldest", "pending"] = "current"
    """U25: the id named when wrong bytes are imported and several materials are associated."""
    incomplete_import_into_disabled: Literal["enables", "stays"] = "enables"
    """U26: importing pending (or not yet the last missing) material into a Disabled key."""
    loss_while_disabled: Literal["PendingImport", "Disabled"] = "PendingImport"
    """U27: the state of a Disabled key that loses permanent material."""
    reimport_after_loss_while_disabled: Literal["Enabled", "Disabled"] = "Enabled"
    """U27: the state of that key after the material was imported again."""
    rotate_while_rotating: Literal["success", "refused"] = "success"
    """U28: RotateKeyOnDemand while one is under way on an imported key."""
    replacement_needs_readiness: Literal["no", "yes"] = "no"
    """U31: whether an open request waits until every member has material that took the place of what was deleted."""
    tokens_first: bool = False
    """U29: whether the import token is judged before the other parameters of an import."""
    expired_tokens: Literal["ExpiredImportTokenException", "InvalidImportTokenException"] = (
        "ExpiredImportTokenException"
    )
    """U30: the code for a token past its 24 hours."""
    malformed_grant_ids: Literal["unknown", "invalid"] = "unknown"
    """U32: whether a grant id that is not 64 hex digits is one of no grant, or an InvalidGrantIdException."""
