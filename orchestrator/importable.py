"""Whether a Region takes an import, and what the key's owner has switched off there. Pure.

An import silently enables a Disabled key (recorded), so that nothing is imported into one unasked (P10).
"""

from datetime import datetime

from orchestrator.looks import LAG
from orchestrator.model import (
    Act,
    Block,
    KeyState,
    NoteSwitch,
    Policy,
    Reason,
    Region,
    RegionView,
    Run,
    Step,
    View,
    Wait,
)

DELETING = (KeyState.PENDING_DELETION, KeyState.PENDING_REPLICA_DELETION)
_PASSING = (KeyState.CREATING, KeyState.UPDATING)


def enabled(view: View, run: Run) -> list[Step]:
    """Every member is Enabled; an import would silently enable a Disabled one."""
    return [step for _, seen in sorted(view.regions.items()) for step in in_good_time(seen, view, run)]


def in_good_time(seen: RegionView, view: View, run: Run) -> list[Step]:
    """Like `importable`, but give a Region that this run brought everything back to the time that it takes to show."""
    found = importable(seen, off=off_since(view, run.goal.policy, seen.region))
    whole = all(row.usable(view.at) for row in seen.permanent)
    brought_back = run.memory.restored | run.memory.filled
    if not (found and whole and seen.key_state is KeyState.PENDING_IMPORT and seen.region in brought_back):
        return found
    message, over = f"{seen.region} has all its key material, and is {seen.key_state} still", _closed(seen)
    return [Wait(Reason.KEY_STATE, message, seen.region, LAG, look=(seen.region,), over=over)]


def importable(seen: RegionView, *, healing: bool = False, off: datetime | None = None) -> list[Step]:
    """Say what keeps this Region from taking an import: nothing where the key is Enabled.

    `healing` tells that the import is to bring back what the key lacks, so PendingImport does not stand against it.
    Where the key was Disabled before, as was noted at `off`, it does: an import would enable it.
    """
    state, region = seen.key_state, seen.region
    if state is KeyState.ENABLED:
        return []
    if state is KeyState.PENDING_IMPORT and (healing or off):
        return [switched_off(seen, off)] if off else []
    if state in _PASSING:
        return [Wait(Reason.KEY_STATE, f"the key in {region} is {state}", region, look=(region,))]
    return [_closed(seen)]


def _closed(seen: RegionView) -> Block:
    state, region = seen.key_state, seen.region
    if state is KeyState.DISABLED:
        call = f"aws kms enable-key --region {region} --key-id {seen.arn.key_id}"
        way = f"if you want it back: {call}; else leave it alone: an import would enable it"
        ends = min((row.valid_to for row in seen.permanent if row.valid_to), default=None)
        hidden = f"; its key material expires on {ends:%Y-%m-%d}, and KMS calls it PendingImport then" if ends else ""
        return Block(Reason.DISABLED, f"the key in {region} is Disabled{hidden}", way, region)
    if state is KeyState.PENDING_IMPORT:
        message = f"the key in {region} is PendingImport: it lacks key material and cannot be used there"
        return Block(Reason.MATERIAL_MISSING, message, f"import what is missing in {region}: mrk repair NAME", region)
    cancel = f"aws kms cancel-key-deletion --region {region} --key-id {seen.arn.key_id}"
    gone = "take the key out of the config" if seen.is_primary else f"take {region} out of `regions`"
    way = f"cancel the deletion ({cancel}), which leaves the key Disabled; or {gone}"
    return Block(Reason.KEY_STATE, f"the key in {region} is {state}", way, region)


def switched_off(seen: RegionView, off: datetime) -> Block:
    """Say that bringing back what a Region lacks enables what its owner had switched off."""
    region = seen.region
    was = f"was Disabled, or to be deleted, on {off:%Y-%m-%d}"
    message = f"the key in {region} lacks key material, and {was}: an import enables it"
    way = f"if its owner wants it back: mrk repair NAME --enable {region}; else leave it alone"
    return Block(Reason.SWITCHED_OFF, message, way, region)


def off_since(view: View, policy: Policy, region: Region) -> datetime | None:
    """Tell since when the owner has switched a Region off, as far as it was noted, and no person allows otherwise.

    What was noted of a replica that is gone says nothing of one that was made there after that.
    """
    off = view.store.switched_off.get(region) if view.store and region not in policy.may_enable else None
    seen = view.regions.get(region)
    return None if off and seen and seen.created_at > off else off


def switches(view: View) -> list[Step]:
    """Note what the owner has switched off, or on again: once the key material expires, KMS tells it no more (P10).

    A key whose deletion is cancelled is Disabled, so one that is to be deleted is switched off, too.
    """
    if view.store is None or view.store.switch_problem:
        return []
    noted, found = view.store.switched_off, []
    for region, seen in sorted(view.regions.items()):
        off = noted.get(region)
        if seen.key_state in (KeyState.DISABLED, *DELETING) and off is None:
            found.append(NoteSwitch(seen.arn, off=True, at=view.at))
        elif seen.key_state is KeyState.ENABLED and off is not None and seen.seen_at > off:
            found.append(NoteSwitch(seen.arn, off=False, at=view.at))
    return [Act(action) for action in found]
