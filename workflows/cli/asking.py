"""An answer holds for what was shown, and for nothing else: while a person thinks, nothing is held (I7)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from orchestrator.goals import Pinned
from orchestrator.model import Block, Goal, Reason, View, short
from orchestrator.progress import Job, Report


def as_shown(todo: Sequence[Job], shown: Sequence[Report]) -> list[Job]:
    """Bind jobs to what was shown of their keys: looked at again, a key that stands otherwise is left as it is."""
    known = {report.job.name: report for report in shown}
    return [replace(job, pin=partial(_pinned, job, known[job.name])) for job in todo]


def _pinned(job: Job, shown: Report, view: View) -> Pinned:
    pinned = job.pin(view)
    if not isinstance(pinned, Goal) or _same(pinned, view, shown):
        return pinned
    current = short(view.current.material_id if view.current else None)
    pending = f", {short(view.pending.material_id)} is pending" if view.pending else ""
    message = f"the key is not as it was shown when that was confirmed: CURRENT is {current}{pending}"
    return [Block(Reason.INCONSISTENT, message, "nothing was changed: look at it, and run again", view.key.region)]


def _same(goal: Goal, view: View, shown: Report) -> bool:
    """Whether the same CURRENT material is replaced, and an abort deletes no other material than it was to."""
    if shown.run is None or shown.run.goal.replaces != goal.replaces:
        return False
    before = shown.view.pending if shown.view else None
    return not (goal.aborting and view.pending) or (
        before is not None and before.material_id == view.pending.material_id
    )
