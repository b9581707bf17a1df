"""Metrics in CloudWatch's embedded metric format: one JSON line in the log, and CloudWatch makes metrics of it."""

from datetime import datetime
from typing import Any

from orchestrator import checks, goals
from orchestrator.progress import Report

NAMESPACE = "mrk"

UNITS = {
    "Healthy": "None",
    "RotationsLeft": "Count",
    "SecondsUntilDue": "Seconds",
    "SecondsUntilFirstExpiry": "Seconds",
}
"""Every metric and its unit; the one dimension is `Key`, the key's name."""


def embedded(report: Report, now: datetime) -> dict[str, Any]:
    """Return how a key stands as one log line; what was not seen is left out."""
    found = _found(report, now)
    metrics = [{"Name": name, "Unit": UNITS[name]} for name in found]
    about = {"Namespace": NAMESPACE, "Dimensions": [["Key"]], "Metrics": metrics}
    stamp = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [about]}
    return {"_aws": stamp, "Key": report.job.name, "Status": report.status, **found}


def _found(report: Report, now: datetime) -> dict[str, float]:
    found = {"Healthy": float(report.status in {"finished", "idle"})}
    view = report.view
    if view is None or not view.regions:
        return found
    found["RotationsLeft"] = float(checks.LIFETIME_ROTATIONS - checks.rotations_used(view))
    found["SecondsUntilDue"] = (goals.due_at(view, report.job.policy) - now).total_seconds()
    expiries = [row.valid_to for seen in view.regions.values() for row in seen.rows if row.valid_to]
    return found | ({"SecondsUntilFirstExpiry": (min(expiries) - now).total_seconds()} if expiries else {})
