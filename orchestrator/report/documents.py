"""The same results as JSON documents: what scripts read."""

from collections.abc import Sequence
from typing import Any

from orchestrator import checks, goals, kinds, spending
from orchestrator.happenings import rotates
from orchestrator.model import Block, Policy, RegionView, View
from orchestrator.plan import Plan
from orchestrator.progress import Report, may_have_rotated
from orchestrator.report import changed, telling
from orchestrator.report.calls import calls


def envelope(exit_code: int, keys: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """What every command prints with --json: its exit code, the keys, and the error of one that went no further."""
    return {"exit_code": int(exit_code), "keys": list(keys), "error": None, **more}


def report(found: Report) -> dict[str, Any]:
    """How the run of one key ended, or how it was judged."""
    goal = found.run.goal if found.run else None
    return {
        **_stands(found.job.name, str(found.job.key), found.view, found.job.policy),
        "status": found.status,
        "stage": found.stage,
        "message": found.message,
        "replaces": goal.replaces if goal and _replaces(found) else None,
        "actions": [{"action": action.kind, "where": action.target} for action in found.done],
        "changed": changed.documents(changed.of(found)),
        "skipped_proofs": list(found.run.memory.unopened) if found.run else [],
        "blocks": [block(one) for one in found.blocks],
    }


def _replaces(found: Report) -> bool:
    """Whether a run replaced CURRENT, or was to; what a repair or a renewal names was replaced long ago."""
    run, view = found.run, found.view
    asked = run is not None and (may_have_rotated(run) or run.memory.rotation_seen is not None)
    return run is not None and view is not None and (asked or rotates(run.goal, view))


def _stands(name: str, arn: str, view: View | None, policy: Policy) -> dict[str, Any]:
    """What every document tells of a key; None where it was not seen."""
    seen = view if view and view.regions else None
    kept = seen if seen and not kinds.right_kind(seen) else None
    return {
        "name": name,
        "arn": arn,
        "primary": seen.primary.region if seen and seen.primary else None,
        "current": seen.current.material_id if seen and seen.current else None,
        "pending": seen.pending.material_id if seen and seen.pending else None,
        "due": goals.due_at(kept, policy).isoformat() if kept else None,
        "rotations_left": spending.LIFETIME_ROTATIONS - spending.rotations_used(kept) if kept else None,
        "drift": telling.drift(kept, policy) if kept else [],
        "notes": telling.notes(seen, seen.key, policy) if seen else [],
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
    stopped = planned.end.blocks if planned else found.blocks
    about = {**report(found), "steps": steps, "blocks": [block(one) for one in stopped]}
    if planned is None:
        return {**about, "why": None}
    view, actions = found.view, [step.action for step in planned.steps]
    message = "; ".join(one.message for one in stopped) or ("work to do" if steps else "nothing is left to do")
    return {
        **about,
        "status": {"finished": "planned", "blocked": "blocked"}.get(planned.end.status, "failed"),
        "stage": planned.end.stage,
        "message": message,
        "why": telling.why(view, found.job.policy, actions) if view and view.regions else None,
    }


def status(found: Report) -> dict[str, Any]:
    """One key as it stands; what was not seen is told in `not_seen` and `blocks`."""
    view, policy = found.view, found.job.policy
    regions = view.regions if view else {}
    listed = (
        [step.message for step in checks.listed(view, policy) if isinstance(step, Block)] if regions and view else []
    )
    stands = _stands(found.job.name, str(found.job.key), view, policy)
    return {
        **stands,
        "drift": [*listed, *stands["drift"]],
        "regions": {region: _region(seen, view) for region, seen in sorted(regions.items()) if view},
        "not_seen": {target: failure.message for target, failure in view.failures.items()} if view else {},
        "blocks": [block(one) for one in found.blocks],
        "store": [
            {
                "entry": str(entry.name),
                "material_id": entry.linked,
                "readable": entry.receipt is not None,
                "problem": entry.told or None,
                "probe": entry.probe,
                "proven": entry.proven,
                "discarded": entry.discarded_at is not None,
            }
            for entry in (view.store.entries if view and view.store else ())
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
