"""Renew: import the same bytes again with a later ValidTo, well before they expire; nothing is rotated.

Each Region asks for itself and the store, and for nothing else (I11).
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator import checks, settling
from orchestrator.durations import spoken
from orchestrator.goals import Pinned, as_it_stands
from orchestrator.importable import switches
from orchestrator.looks import seen_everywhere
from orchestrator.model import Goal, Idle, Policy, Purpose, RegionView, Run, Step, View
from workflows.repair import blocked, import_again, odd, possible, wanted_in, where_possible


def expiring_in(view: View, run: Run, seen: RegionView) -> Sequence[Step]:
    """Import every permanent material of one Region again that expires within `renew_before`, as the config says."""
    rows = [row for row in seen.permanent if row.usable(view.at) and checks.outlived(row, view.at, run.goal)]
    return [
        *(step for row in rows for step in import_again(view, run, seen, row.material_id, Purpose.RENEW)),
        *checks.not_to_be_renewed(seen, view.at, run.goal.policy),
    ]


def expiring(view: View, run: Run) -> list[Step]:
    """Import every permanent material again that expires within `renew_before`, in each Region where it does."""
    return [step for seen in wanted_in(view, run.goal.policy) for step in expiring_in(view, run, seen)]


def renewed(view: View, run: Run) -> Sequence[Step]:
    """Renew what can be renewed; what cannot is told at the end."""
    return [*switches(view), *possible(expiring(view, run))]


def sound(view: View, run: Run) -> Sequence[Step]:
    """Tell what could not be renewed, what is too late to renew, and what is odd elsewhere."""
    return [*_expired(view, run.goal.policy), *blocked(expiring(view, run)), *odd(view, run)]


def whatever_expires(view: View, policy: Policy) -> Pinned:
    """Pin the renewal; Idle where every Region was seen, and nothing expires soon or has expired (P5)."""
    pinned = as_it_stands(view, policy)
    if not isinstance(pinned, Goal):
        return pinned
    if expiring(view, Run(pinned)) or switches(view):
        return replace(pinned, renewing=True)
    unseen = seen_everywhere(view, [region for region in view.members if policy.lists(region)])
    idle = Idle(f"nothing expires within {spoken(policy.renew_before)} that the config gives longer")
    return [*_expired(view, policy), *unseen, *checks.listed(view, policy)] or idle


def _expired(view: View, policy: Policy) -> list[Step]:
    """Name what is too late to renew: it is missing, and for repair."""
    return checks.unusable(view, policy)


settled = where_possible(settling.settled, expiring_in)

RENEW = (renewed, settled, sound)
