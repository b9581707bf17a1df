"""Renew: import the same bytes again with a later ValidTo, well before they expire; nothing is rotated."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator import checks
from orchestrator.durations import render
from orchestrator.goals import Pinned, as_it_stands
from orchestrator.model import Act, Block, Goal, Idle, MaterialRow, Policy, Reason, RegionView, Run, Step, View
from orchestrator.stages import settled
from workflows.repair import import_again, sound


def renewed(view: View, run: Run) -> Sequence[Step]:
    """Import every permanent material again that expires within `renew_before`, in each Region where it does."""
    return [
        step
        for seen, row in _expiring(view, run.goal)
        for step in import_again(view, run, seen, row.material_id, "will soon lose")
    ]


def renewable(view: View, run: Run) -> Sequence[Step]:
    """Renew what can be, in the midst of an unattended run; what cannot be is told at its end."""
    if checks.topology(view, run.goal):
        return []
    return [step for step in renewed(view, run) if isinstance(step, Act)]


def whatever_expires(view: View, policy: Policy) -> Pinned:
    """Pin the renewal; Idle where every Region was seen, and nothing expires soon or has expired (P5)."""
    pinned = as_it_stands(view, policy)
    if not isinstance(pinned, Goal):
        return pinned
    if _expiring(view, pinned):
        return replace(pinned, renewing=True)
    unseen = checks.seen_everywhere(view, view.members)
    idle = Idle(f"nothing expires within {render(policy.renew_before)} that the config gives longer")
    return unseen or _expired(view, policy) or idle


def _expired(view: View, policy: Policy) -> Sequence[Step]:
    """Name what is too late to renew: it is missing, and for repair."""
    found = checks.materials_usable(view, policy)
    return [step for step in found if isinstance(step, Block) and step.reason is Reason.MATERIAL_MISSING]


def _expiring(view: View, goal: Goal) -> Sequence[tuple[RegionView, MaterialRow]]:
    return [
        (seen, row)
        for _, seen in sorted(view.regions.items())
        for row in seen.permanent
        if row.usable(view.at) and checks.outlived(row, view.at, goal)
    ]


RENEW = (sound, renewed, settled)
