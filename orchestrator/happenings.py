"""What is told of looks, turns and actions, for the journal and whoever watches: ids and Regions only. Pure."""

from typing import Any

from orchestrator.model import (
    Action,
    Goal,
    ImportMaterial,
    LookFailure,
    Outcome,
    RegionView,
    StoreView,
    Turn,
    View,
    short,
)


def waits(turn: Turn) -> list[dict[str, str | int]]:
    """Tell of waits in the journal; `at_most` in seconds."""
    return [
        {
            "reason": str(wait.reason),
            "region": wait.region or "",
            "message": wait.message,
            "at_most": round(wait.at_most.total_seconds()),
        }
        for wait in turn.waits
    ]


def about(action: Action) -> dict[str, Any]:
    """Tell of an action in the journal: ids only."""
    told = {name: str(getattr(action, name, "")) for name in ("import_type", "purpose")}
    if isinstance(action, ImportMaterial):
        told["valid_to"] = action.valid_to.isoformat() if action.valid_to else "never expires"
    return {"material_id": getattr(action, "material_id", None), **{name: one for name, one in told.items() if one}}


def summary(found: RegionView | StoreView | LookFailure) -> dict[str, Any]:
    """Tell of a look in the journal."""
    if isinstance(found, LookFailure):
        return {"failed": found.message}
    if isinstance(found, StoreView):
        return {"entries": [{"entry": str(e.name), "linked": e.linked, "proven": e.proven} for e in found.entries]}
    rows = [
        {"id": row.material_id, "state": str(row.state), "imported": row.imported, "valid_to": row.valid_to}
        for row in found.rows
    ]
    return {
        "key_state": str(found.key_state),
        "current": short(found.current.material_id if found.current else None),
        "rows": rows,
    }


def goal(pinned: Goal, view: View) -> dict[str, Any]:
    """Say what a run is to come to: `replaces` only where that is CURRENT, so that it may be replaced by this run."""
    replaces = pinned.replaces if rotates(pinned, view) else None
    aim = {"aborting": pinned.aborting, "renewing": pinned.renewing}
    told = {name: one for name, one in aim.items() if one}
    return {"replaces": replaces, "entry": str(pinned.entry), "members": len(pinned.members), **told}


def rotates(pinned: Goal, view: View) -> bool:
    """Whether a goal is to replace what is CURRENT."""
    current = view.current
    return not pinned.aborting and current is not None and current.material_id == pinned.replaces


def came(outcome: Outcome) -> dict[str, Any]:
    """Say what came of an action."""
    return {
        "result": str(outcome.result),
        "message": outcome.message,
        "material_id": outcome.material_id,
        "opened": list(outcome.opened),
        "skipped": list(outcome.skipped),
    }
