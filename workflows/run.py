"""Run: what cron calls. Whatever is due: repair and replicate where the owner allows it, renew, finish, rotate."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator import checks
from orchestrator.goals import Pinned, as_it_stands, damaged, next_entry, whatever_is_due
from orchestrator.importable import switches
from orchestrator.looks import not_seen
from orchestrator.model import (
    STORE,
    Act,
    Goal,
    Idle,
    MaterialId,
    Policy,
    Reason,
    Region,
    RegionView,
    Repair,
    Replicate,
    Run,
    Step,
    View,
    Wait,
)
from workflows.renew import expiring, expiring_in
from workflows.repair import identified, possible, restored_in, wanted_in
from workflows.replicate import foreseen, is_new, replicated, unproven_members
from workflows.rotate import ROTATE


def whatever_is_wanted(view: View, policy: Policy) -> Pinned:
    """Pin what is due; where that is nothing, or blocked, what is to be done unattended to the key as it stands.

    That is to keep it alive in every Region by itself (I11), to replicate (P11), and to prove in new Regions.
    """
    whole = foreseen(view, policy)
    pinned = whatever_is_due(whole, policy)
    if isinstance(pinned, Goal):
        return pinned
    standing = as_it_stands(whole, policy)
    if not isinstance(standing, Goal):
        return pinned
    run = Run(standing)
    renewing = bool(expiring(view, run))
    wanted = renewing or kept_alive(view, run) or identified(view, run) or replicated(view, run)
    proofless = not isinstance(pinned, Sequence) and unproven_members(view, policy)
    if wanted or proofless:
        return replace(standing, renewing=renewing)
    return (damaged(view) or pinned) if isinstance(pinned, Idle) else pinned


def kept_alive(view: View, run: Run) -> Sequence[Step]:
    """Bring back and prolong what each Region needs, as far as the owner allows that unattended (I11, P10).

    What needs a person is told by the stages that follow.
    """
    policy = run.goal.policy
    steps = [step for seen in wanted_in(view, policy) for step in _in_one_region(view, run, seen)]
    return [*switches(view), *(step for step in possible(steps) if _soon(step))]


def _soon(step: Step) -> bool:
    """Whether a step is done, or decided, at once; what only time brings holds up nothing else."""
    return isinstance(step, Act) or (isinstance(step, Wait) and step.reason is Reason.LOOKING)


def _in_one_region(view: View, run: Run, seen: RegionView) -> Iterable[Step]:
    for row in seen.permanent:
        if not row.usable(view.at) and _may_restore(view, run, seen.region, row.material_id):
            yield from restored_in(view, run, seen, row.material_id)
    yield from expiring_in(view, run, seen)


def _may_restore(view: View, run: Run, region: Region, material: MaterialId) -> bool:
    """Whether the owner wants that unattended, or it was no deletion of anybody's: of a new replica, or of our own."""
    policy = run.goal.policy
    new = policy.replicate is Replicate.AUTO and is_new(view, run, region)
    withdrawn = view.store is not None and material in view.store.withdrawn
    return policy.repair is Repair.AUTO or new or withdrawn


def clean(view: View, run: Run) -> Sequence[Step]:
    """Judge the key as where nothing is due: with a clean view only is all good (P5), nothing about to expire.

    Notes of the store that cannot be read are told here, too, once all else is done: none is passed over with exit 0.
    """
    if view.current is None or view.store is None:
        return [not_seen(view, run.goal.primary if view.store else STORE)]
    as_it_is = replace(run, goal=replace(run.goal, entry=next_entry(view)))
    return [*checks.clean(view, as_it_is), *expiring(view, run), *damaged(view)]


RUN = (kept_alive, identified, replicated, *ROTATE, clean)
