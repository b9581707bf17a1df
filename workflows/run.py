"""Run: what cron calls. Whatever is due: repair and replicate where the owner allows it, renew, finish, rotate."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator import checks
from orchestrator.goals import Pinned, as_it_stands, next_entry, whatever_is_due
from orchestrator.model import (
    STORE,
    Goal,
    Idle,
    Policy,
    Repair,
    Replicate,
    Run,
    Step,
    View,
    Wait,
)
from workflows.renew import renewable, renewed
from workflows.repair import lacking_in, not_open_yet, restored, rotating
from workflows.replicate import foreseen, is_new, replicated, unproven_members
from workflows.rotate import ROTATE


def whatever_is_wanted(view: View, policy: Policy) -> Pinned:
    """Pin what is due; where that is nothing, or blocked, what is to be done unattended to the key as it stands.

    That is to replicate (P11) and to prove in new Regions, to repair (P10), and to renew.
    """
    whole = foreseen(view, policy)
    pinned = whatever_is_due(whole, policy)
    if isinstance(pinned, Goal):
        return pinned
    standing = as_it_stands(whole, policy)
    if not isinstance(standing, Goal):
        return pinned
    run = Run(standing)
    if renewable(view, run):
        return replace(standing, renewing=True)
    lacking = not isinstance(pinned, Idle) and _can_be_repaired(view, run)
    proofless = isinstance(pinned, Idle) and unproven_members(view)
    wanted = lacking or proofless or replicated(view, run) or filled(view, run)
    return standing if wanted else pinned


def _can_be_repaired(view: View, run: Run) -> bool:
    """Whether a Region that was seen lacks material, and the owner wants that mended unattended (P10)."""
    dead = [seen for seen in view.regions.values() if not all(row.usable(view.at) for row in seen.permanent)]
    return run.goal.policy.repair is Repair.AUTO and bool(dead)


def repaired(view: View, run: Run) -> Sequence[Step]:
    """Import again what a Region lacks, where the owner wants that unattended; never into a Disabled key (P10).

    What only time mends is left to the stages that follow; so is everything while a rotation is under way.
    """
    goal = run.goal
    whole = foreseen(view, goal.policy, goal.members)
    if goal.policy.repair is not Repair.AUTO or rotating(view, run) or checks.topology(whole, goal):
        return []
    lacking = [step for step in restored(view, run) if not isinstance(step, Wait)]
    return lacking or [step for seen in view.regions.values() for step in not_open_yet(seen, view)]


def filled(view: View, run: Run) -> Sequence[Step]:
    """Import every permanent material into new replicas: that is part of replicating, whatever `repair` says."""
    if run.goal.policy.replicate is not Replicate.AUTO or rotating(view, run):
        return []
    new = [seen for region, seen in sorted(view.regions.items()) if is_new(view, run, region)]
    lacking = [step for seen in new for step in lacking_in(view, run, seen)]
    return lacking or [step for seen in new for step in not_open_yet(seen, view)]


def clean(view: View, run: Run) -> Sequence[Step]:
    """Judge the key as where nothing is due: with a clean view only is all good (P5), and nothing about to expire."""
    if view.current is None or view.store is None:
        return [checks.not_seen(view, run.goal.primary if view.store else STORE)]
    as_it_is = replace(run, goal=replace(run.goal, entry=next_entry(view)))
    return [*checks.clean(view, as_it_is), *renewed(view, run)]


RUN = (repaired, replicated, filled, renewable, *ROTATE, clean)
