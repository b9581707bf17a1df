"""What an action is predicted to bring about. Pure.

Property: the prediction equals what is then observed on the simulator. The plan, the prefetching of import parameters
and the exhaustive search all stand on it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from orchestrator.model import (
    Action,
    AdoptMaterial,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    Entry,
    EntryName,
    ImportMaterial,
    ImportType,
    KeepProbe,
    KeyState,
    MarkProven,
    MaterialId,
    MaterialRow,
    MaterialState,
    NoteSwitch,
    Outcome,
    ProveRegion,
    Receipt,
    Region,
    RegionView,
    ReinstateMaterial,
    ReplicateKey,
    Result,
    RotateOnDemand,
    View,
)

NEW_ID = MaterialId("new")
"""Stands for the id of material that was never imported: only KMS can tell it."""


def outcome(action: Action) -> Outcome:
    """Predict the outcome of an action: that it is done."""
    if isinstance(action, ProveRegion):
        return Outcome(Result.DONE, material_id=action.material_id, skipped=action.untried)
    return Outcome(Result.DONE, material_id=material_of(action))


def material_of(action: Action) -> MaterialId | None:
    """Tell which material an action is about; NEW_ID where only KMS can tell."""
    if isinstance(
        action, DepositMaterial | AdoptMaterial | DiscardMaterial | ReinstateMaterial | ReplicateKey | NoteSwitch
    ):
        return None
    return action.material_id or NEW_ID


def after(view: View, action: Action) -> View:
    """Return the view as it will be once the action is done and every Region has seen it."""
    match action:
        case DepositMaterial() | AdoptMaterial():
            return _with_entry(view, Entry(action.entry, Receipt(action.entry, view.at)))
        case DeletePendingMaterial():
            regions = {region: seen.without(action.material_id) for region, seen in view.regions.items()}
            withdrawn = (view.store.withdrawn if view.store else frozenset()) | {action.material_id}
            store = replace(view.store, withdrawn_at=view.at, withdrawn=withdrawn) if view.store else None
            return replace(view, regions=regions, store=store)
        case ImportMaterial(import_type=ImportType.NEW):
            return _linked(_new_pending(view, action), action.entry, NEW_ID)
        case ImportMaterial():
            return _imported(view, action)
        case RotateOnDemand():
            rows = {region: _rotated(seen, view.at) for region, seen in view.regions.items()}
            return replace(view, regions=rows)
        case ReplicateKey():
            return _replicated(view, action)
        case ProveRegion():
            return view
        case _:
            return _noted(view, action)


def _noted(view: View, action: DiscardMaterial | ReinstateMaterial | KeepProbe | MarkProven | NoteSwitch) -> View:
    """What the store notes."""
    match action:
        case MarkProven():
            return _proven(view, action)
        case NoteSwitch():
            return _switched(view, action)
        case _:
            return _marked(view, action.entry, **_marks(action))


def _with_entry(view: View, entry: Entry) -> View:
    return view if view.store is None else replace(view, store=view.store.with_entry(entry))


def _marked(view: View, name: EntryName, **marks: Any) -> View:
    entry = view.store.get(name) if view.store else None
    return view if entry is None else _with_entry(view, replace(entry, **marks))


def _marks(action: DiscardMaterial | ReinstateMaterial | KeepProbe) -> dict[str, Any]:
    match action:
        case DiscardMaterial():
            return {"discarded_at": action.at}
        case ReinstateMaterial():
            return {"discarded_at": None}
        case KeepProbe():
            return {"probe": True}


def _proven(view: View, action: MarkProven) -> View:
    entry = view.store.get(action.entry) if view.store else None
    proofs = dict(entry.proofs) if entry else {}
    for region in action.regions:
        known = proofs.get(region)
        proofs[region] = known if known is not None and known.covers(action.proof) else action.proof
    until = {"valid_to": action.valid_to} if action.valid_to else {}
    return _marked(view, action.entry, proofs=proofs, **until)


def _switched(view: View, action: NoteSwitch) -> View:
    if view.store is None:
        return view
    region = action.key.region
    off = {other: at for other, at in view.store.switched_off.items() if other != region}
    return replace(view, store=replace(view.store, switched_off=off | ({region: action.at} if action.off else {})))


def _linked(view: View, name: EntryName, material: MaterialId) -> View:
    entry = view.store.get(name) if view.store else None
    linked = replace(entry, linked=material, claimed=None) if entry else None
    return view if linked is None or (entry and entry.linked) else _with_entry(view, linked)


def _new_pending(view: View, action: ImportMaterial) -> View:
    """NEW: pending on the primary and a slot in every replica; CURRENT at once on a key that never had material."""
    first = view.current is None
    state = MaterialState.CURRENT if first else _pending_state(waiting=bool(view.replicas))
    row = MaterialRow(NEW_ID, state, imported=False)
    regions = {region: seen.with_row(row) for region, seen in view.regions.items()}
    regions[action.arn.region] = _with_bytes(regions[action.arn.region], row, action.valid_to, view.at)
    return replace(view, regions=regions)


def _pending_state(*, waiting: bool) -> MaterialState:
    return MaterialState.PENDING_REPLICAS if waiting else MaterialState.PENDING_ROTATION


def _with_bytes(seen: RegionView, row: MaterialRow, valid_to: datetime | None, at: datetime) -> RegionView:
    held = seen.with_row(replace(row, imported=True, valid_to=valid_to))
    whole = all(row.usable(at) for row in held.permanent)
    return replace(held, key_state=KeyState.ENABLED) if whole else held


def _imported(view: View, action: ImportMaterial) -> View:
    """EXISTING: the bytes in one Region; the last Region makes pending material ready; KMS's word links."""
    seen = view.regions[action.arn.region]
    row = seen.row(action.material_id) if action.material_id else None
    if row is None:
        return view
    regions = {**view.regions, seen.region: _with_bytes(seen, row, action.valid_to, view.at)}
    if not row.permanent:
        regions = _ready(regions, row.material_id)
    return _linked(replace(view, regions=regions), action.entry, row.material_id)


def _ready(regions: Mapping[Region, RegionView], material: MaterialId) -> dict[Region, RegionView]:
    held = [seen.row(material) for seen in regions.values()]
    state = _pending_state(waiting=not all(row and row.imported for row in held))
    return {
        region: seen.with_row(replace(row, state=state)) if (row := seen.row(material)) else seen
        for region, seen in regions.items()
    }


def _replicated(view: View, action: ReplicateKey) -> View:
    """Add a member that lists every material of the key, and holds none."""
    primary, members = view.regions[action.arn.region], view.members | {action.region}
    rows = tuple(replace(row, imported=False, valid_to=None) for row in primary.rows)
    replica = replace(
        primary, arn=action.arn.within(action.region), key_state=KeyState.PENDING_IMPORT, created_at=view.at, rows=rows
    )
    regions = {
        **view.regions,
        action.region: replace(replica, rotation_started_at=None, told_at=None, described_at=None),
    }
    failures = {target: failure for target, failure in view.failures.items() if target != action.region}
    return replace(
        view,
        regions={region: replace(seen, members=members) for region, seen in regions.items()},
        failures=failures,
    )


def _rotated(seen: RegionView, at: datetime) -> RegionView:
    pending = seen.pending
    if pending is None:
        return seen
    rows = tuple(
        replace(row, state=MaterialState.CURRENT, rotated_at=at, on_demand=True)
        if row.material_id == pending.material_id
        else replace(row, state=MaterialState.NON_CURRENT)
        for row in seen.rows
    )
    return replace(seen, rows=rows)
