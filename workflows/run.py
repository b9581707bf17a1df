"""Run: what cron calls. Whatever is due: repair where the owner allows it, renew, finish what is unfinished, rotate."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator import checks
from orchestrator.goals import Pinned, as_it_stands, next_entry, whatever_is_due
from orchestrator.model import STORE, Block, Goal, KeyState, Policy, Reason, RegionView, Repair, Run, Step, View, Wait
from orchestrator.stages import LAG
from workflows.renew import renewable, renewed
from workflows.repair import restored
from workflows.rotate import ROTATE


def whatever_is_wanted(view: View, policy: Policy) -> Pinned:
    """Pin what is due; where that is nothing, or blocked, what is to be repaired unattended (P10), or renewed."""
    pinned = whatever_is_due(view, policy)
    if isinstance(pinned, Goal):
        return pinned
    standing = as_it_stands(view, policy)
    if not isinstance(standing, Goal):
        return pinned
    lacking = isinstance(pinned, Sequence) and any(_missing(step) for step in pinned)
    wanted = (lacking and policy.repair is Repair.AUTO) or renewable(view, Run(standing))
    return standing if wanted else pinned


def _missing(step: Step) -> bool:
    return isinstance(step, Block) and step.reason is Reason.MATERIAL_MISSING


def repaired(view: View, run: Run) -> Sequence[Step]:
    """Import again what a Region lacks, where the owner wants that unattended; never into a Disabled key (P10).

    What only time mends is left to the stages that follow; so is everything while a rotation is under way.
    """
    goal = run.goal
    under_way = checks.rotation_seen(view, run) and not view.past(goal.replaces)
    if goal.policy.repair is not Repair.AUTO or under_way or checks.topology(view, goal):
        return []
    lacking = [step for step in restored(view, run) if not isinstance(step, Wait)]
    return lacking or [step for seen in view.regions.values() for step in _not_open_yet(seen, view)]


def _not_open_yet(seen: RegionView, view: View) -> Sequence[Step]:
    """A Region that has all its material again may say for a while that it has not."""
    if seen.key_state is not KeyState.PENDING_IMPORT or not all(row.usable(view.at) for row in seen.permanent):
        return []
    message = f"{seen.region} has all its key material, and is {seen.key_state} still"
    return [Wait(Reason.INCONSISTENT, message, seen.region, LAG, look=(seen.region,))]


def clean(view: View, run: Run) -> Sequence[Step]:
    """Judge the key as where nothing is due: with a clean view only is all good (P5), and nothing about to expire."""
    if view.current is None or view.store is None:
        return [checks.not_seen(view, run.goal.primary if view.store else STORE)]
    as_it_is = replace(run, goal=replace(run.goal, entry=next_entry(view)))
    return [*checks.clean(view, as_it_is), *renewed(view, run)]


RUN = (repaired, renewable, *ROTATE, clean)
