"""What was looked at: what is not seen, how old looks may be, and whether this machine's clock is right. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from orchestrator.model import (
    STORE,
    Act,
    Action,
    Block,
    DeletePendingMaterial,
    Goal,
    ImportMaterial,
    ImportType,
    Reason,
    Region,
    ReplicateKey,
    RotateOnDemand,
    Step,
    View,
    Wait,
)

FRESH = timedelta(seconds=10)
"""How old a look may be when something is sent that stands on it (I3)."""

SKEWED = timedelta(minutes=5)
"""How far this machine's clock may be from AWS's, which refuses signatures that are further off (Signature V4)."""

LAG = timedelta(minutes=3)
"""How long a change may take to show; AWS says usually seconds, sometimes minutes."""


def seen_everywhere(view: View, members: Iterable[Region]) -> list[Step]:
    """Every Region, and the store, was seen."""
    missing: list[Step] = [not_seen(view, region) for region in sorted(members) if region not in view.regions]
    return missing if view.store is not None else [*missing, not_seen(view, STORE)]


def not_seen(view: View, target: str) -> Step:
    """Say why a Region or the store is not in the view: not yet, or it could not be looked at."""
    failure = view.failures.get(target)
    region = None if target == STORE else Region(target)
    if failure is None:
        return Wait(Reason.LOOKING, f"looking at {target}", region, look=(target,))
    if failure.not_found:
        return Block(Reason.REGION_LACKING, failure.message, failure.hint, region)
    if failure.transient:
        message = f"{target} cannot be looked at: {failure.message}"
        return Wait(Reason.ACCESS, message, region, timedelta(minutes=5), look=(target,))
    if failure.person:
        return Block(Reason.STORE_UNREADABLE, failure.message, failure.hint)
    return Block(Reason.ACCESS, failure.message, failure.hint or "mend the cause and run again", region, person=False)


def stands_on(action: Action, view: View, goal: Goal) -> frozenset[str]:
    """Name what must have been seen within the last 10 s when an action is sent; nothing for what KMS never regrets.

    What only restores or prolongs stands on its own Region alone (I11); everything of a rotation on the primary, too.
    New key material stands on the store as well: an attempt may have been given up, or taken back, since (P4, P9).
    """
    match action:
        case RotateOnDemand():
            return frozenset({*goal.members, STORE})
        case ImportMaterial(import_type=ImportType.NEW):
            return frozenset({action.target, goal.primary, STORE})
        case ImportMaterial():
            return frozenset({action.target} if _keeps_alive(action, view) else {action.target, goal.primary})
        case DeletePendingMaterial() | ReplicateKey():
            return frozenset({action.arn.region})
        case _:
            return frozenset()


def _keeps_alive(action: Action, view: View) -> bool:
    """Whether an action only restores or prolongs what the key has: KMS compares the bytes (P2)."""
    return isinstance(action, ImportMaterial) and action.material_id in view.permanent_ids()


def seen_for(action: Action, view: View) -> Mapping[str, datetime]:
    """Tell when each target was seen, as far as that counts for an action.

    To keep a Region alive only its state must be fresh: a slow Region's whole look is never as young as a rotation's.
    """
    if not _keeps_alive(action, view):
        return seen_at(view)
    return {region: one.described_at or one.seen_at for region, one in view.regions.items()}


def seen_at(view: View) -> Mapping[str, datetime]:
    """Tell when each Region, and the store, was seen."""
    seen: dict[str, datetime] = {region: one.seen_at for region, one in view.regions.items()}
    return seen if view.store is None else seen | {STORE: view.store.seen_at}


def stale(
    view: View, targets: Iterable[str], limit: timedelta = FRESH, seen: Mapping[str, datetime] | None = None
) -> tuple[str, ...]:
    """Name those of some targets that were not seen lately; a look from the future is none."""
    seen = seen_at(view) if seen is None else seen
    return tuple(sorted(one for one in targets if one not in seen or not timedelta() <= view.at - seen[one] <= limit))


def last_look(
    view: View,
    targets: frozenset[str],
    why: str,
    region: Region | None = None,
    seen: Mapping[str, datetime] | None = None,
) -> list[Step]:
    """Look again at whatever is too old, and at what soon will be, so that all of it is fresh together."""
    if not stale(view, targets, seen=seen):
        return []
    look = stale(view, targets, FRESH / 2, seen)
    return [Wait(Reason.LOOKING, f"{why}: {', '.join(look)}", region, LAG, look=look)]


def or_look(step: Step, view: View, goal: Goal) -> Step:
    """Return a step, or, in the place of an action that stands on old looks, the wait for new ones."""
    if not isinstance(step, Act):
        return step
    action = step.action
    region = None if action.target == STORE else Region(action.target)
    why, seen = f"a last look before the {action.kind}", seen_for(action, view)
    looks = last_look(view, stands_on(action, view, goal), why, region, seen)
    if isinstance(action, ImportMaterial) and region is not None:
        looks += _before_it_was_switched_off(view, region)
    return looks[0] if looks else step


def _before_it_was_switched_off(view: View, region: Region) -> list[Step]:
    """Look again at a Region that was Disabled by what the store notes, and was looked at before that (I15)."""
    off = view.store.switched_off.get(region) if view.store else None
    seen = view.regions.get(region)
    if off is None or seen is None or seen.seen_at > off:
        return []
    message = f"looking again: the store notes that the key in {region} was Disabled since"
    return [Wait(Reason.LOOKING, message, region, LAG, look=(region,))]


def wrong_clock(view: View) -> list[Step]:
    """Say that this machine's clock is wrong: by AWS's, or, where no answer told the time, by what the store notes."""
    skews = {region: seen.skew for region, seen in sorted(view.regions.items()) if seen.skew is not None}
    wrong = {region: skew for region, skew in skews.items() if abs(skew) > SKEWED}
    if wrong:
        region, skew = max(wrong.items(), key=lambda one: abs(one[1]))
        which = "ahead of" if skew > timedelta() else "behind"
        message = f"this machine's clock is {rounded(abs(skew))} {which} KMS's in {region}: nothing is done by it"
        hint = _SIMULATED if view.regions[region].simulated else _SET
        return [Block(Reason.CLOCK, message, hint, region, person=False)]
    noted = view.store.noted_at if view.store else None
    if not skews and noted is not None and noted - view.at > SKEWED:
        message = f"the store notes {noted:%Y-%m-%d %H:%M} UTC, which is still to come by this machine's clock"
        return [Block(Reason.CLOCK, f"{message}: nothing is done by it", _SET, person=False)]
    return []


_SET = "set the clock (timedatectl shows whether it is synchronized), then run again"
_SIMULATED = f"{_SET}; what answers calls itself a simulator: MRK_AWS__CLOCK=simulator takes its time"


def rounded(time: timedelta) -> str:
    """Tell a length of time as a person would: days, hours and minutes, or minutes."""
    if time >= timedelta(days=2):
        return f"{time.days} days"
    hours, minutes = divmod(round(time.total_seconds() / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
