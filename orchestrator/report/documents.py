"""The same results as JSON documents: what scripts read."""

from typing import Any

from orchestrator import checks, goals
from orchestrator.model import Block, Policy, RegionView, View
from orchestrator.plan import Plan
from orchestrator.progress import Report
from orchestrator.report.calls import calls


def report(found: Report) -> dict[str, Any]:
    """How the run of one key ended."""
    goal = found.run.goal if found.run else None
    return {
        "name": found.job.name,
        "arn": str(found.job.key),
        "status": found.status,
        "stage": found.stage,
        "message": found.message,
        "replaces": goal.replaces if goal else None,
        "current": found.view.current.material_id if found.view and found.view.current else None,
        "actions": [{"action": action.kind, "where": action.target} for action in found.done],
        "skipped_proofs": list(found.run.memory.unopened) if found.run else [],
        "blocks": [block(one) for one in found.blocks],
    }


def block(found: Block) -> dict[str, Any]:
    """What stands in the way."""
    return {
        "reason": str(found.reason),
        "region": found.region,
        "message": found.message,
        "way_out": found.way_out,
        "needs_a_person": found.person,
    }


def plan(found: Report, planned: Plan | None, algorithm: str) -> dict[str, Any]:
    """What would be done for one key."""
    steps = [
        {
            "stage": step.stage,
            "point_of_no_return": step.point_of_no_return,
            "calls": [
                {"where": call.where, "operation": call.operation, "parameters": call.parameters}
                for call in calls(step.action, algorithm)
            ],
        }
        for step in (planned.steps if planned else ())
    ]
    ends = [block(one) for one in (planned.end.blocks if planned else found.blocks)]
    return {**report(found), "steps": steps, "blocks": ends}


def status(name: str, view: View, policy: Policy) -> dict[str, Any]:
    """One key as it stands."""
    regions = {region: _region(seen, view) for region, seen in sorted(view.regions.items())}
    return {
        "name": name,
        "arn": str(view.key),
        "primary": view.primary.region if view.primary else None,
        "regions": regions,
        "not_seen": {target: failure.message for target, failure in view.failures.items()},
        "current": view.current.material_id if view.current else None,
        "pending": view.pending.material_id if view.pending else None,
        "rotations_left": checks.LIFETIME_ROTATIONS - checks.rotations_used(view) if view.regions else None,
        "due": goals.due_at(view, policy).isoformat() if view.regions else None,
        "store": [
            {
                "entry": str(entry.name),
                "material_id": entry.linked,
                "readable": entry.receipt is not None,
                "problem": entry.problem or None,
                "probe": entry.probe,
                "proven": entry.proven,
                "discarded": entry.discarded_at is not None,
            }
            for entry in (view.store.entries if view.store else ())
        ],
    }


def _region(seen: RegionView, view: View) -> dict[str, Any]:
    return {
        "role": "primary" if seen.is_primary else "replica",
        "key_state": str(seen.key_state),
        "rotation_started_at": seen.rotation_started_at.isoformat() if seen.rotation_started_at else None,
        "materials": [
            {
                "material_id": row.material_id,
                "state": str(row.state),
                "imported": row.imported,
                "usable": row.usable(view.at),
                "valid_to": row.valid_to.isoformat() if row.valid_to else None,
                "rotated_at": row.rotated_at.isoformat() if row.rotated_at else None,
            }
            for row in seen.rows
        ],
    }
