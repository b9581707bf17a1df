"""Metrics in CloudWatch's embedded metric format: one JSON line in the log, and CloudWatch makes metrics of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator import goals, spending
from orchestrator.progress import Report

NAMESPACE = "mrk"

UNITS = {
    "Healthy": "None",
    "RotationsLeft": "Count",
    "SecondsUntilDue": "Seconds",
    "SecondsUntilFirstExpiry": "Seconds",
    "Restored": "Count",
}
"""Every metric and its unit; the one dimension is `Key`, the key's name."""


def embedded(report: Report, now: datetime) -> dict[str, Any]:
    """Return how a key stands as one log line; what was not seen is left out."""
    return _line(report.job.name, report.status, _found(report, now), now)


def unwell(key: str, status: str, now: datetime) -> dict[str, Any]:
    """Return the log line of a key that could not even be looked at."""
    return _line(key or "?", status, {"Healthy": 0.0}, now)


def _line(key: str, status: str, found: Mapping[str, float], now: datetime) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": UNITS[name]} for name in found]
    about = {"Namespace": NAMESPACE, "Dimensions": [["Key"]], "Metrics": metrics}
    stamp = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [about]}
    return {"_aws": stamp, "Key": key, "Status": status, **found}


def _found(report: Report, now: datetime) -> dict[str, float]:
    restored = len(report.run.memory.restored) if report.run else 0
    found = {"Healthy": float(report.status in {"finished", "idle"}), "Restored": float(restored)}
    view = report.view
    if view is None or not view.regions:
        return found
    found["RotationsLeft"] = float(spending.LIFETIME_ROTATIONS - spending.rotations_used(view))
    found["SecondsUntilDue"] = (goals.due_at(view, report.job.policy) - now).total_seconds()
    expiries = [row.valid_to for seen in view.regions.values() for row in seen.rows if row.valid_to]
    return found | ({"SecondsUntilFirstExpiry": (min(expiries) - now).total_seconds()} if expiries else {})
