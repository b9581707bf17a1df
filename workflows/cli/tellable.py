"""Results that can be told: a key whose result cannot be takes no other key's away (I10, I13)."""

from dataclasses import replace

from orchestrator.progress import Report
from orchestrator.report import documents, tables
from orchestrator.written import to_json
from workflows.cli.complaints import defect


def tellable(report: Report) -> Report:
    """Return a report; of one that cannot be told as it is, what was done, and that this is a defect."""
    try:
        _told(report)
    except Exception as error:  # noqa: BLE001 - told as what it is; the other keys are told as well
        return untold(report, error)
    return report


def untold(report: Report, error: Exception) -> Report:
    """Say of a key how it ended, without what was seen of it."""
    message = f"{report.message}; that cannot be shown: {defect(error)}"
    return replace(report, status="error", message=message, blocks=(), view=None, run=None)


def _told(report: Report) -> None:
    """Tell it in every way that commands do."""
    to_json([documents.report(report), documents.status(report)])
    tables.ended(report)
    if report.view is not None:
        tables.status(report.job.name, report.view, report.job.policy)
