"""Until when imported key material lasts: as `expires` says, and where that is not set, as the key's does now. Pure.

Without that setting nothing that was to expire is made to last, and nothing is made to expire sooner: ADR 14.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from orchestrator.model import (
    NEVER,
    Block,
    Goal,
    MaterialId,
    MaterialRow,
    Policy,
    Reason,
    Region,
    RegionView,
    View,
    short,
)

SAY = "say in the config how long it may last: `expires: 364d`, or shorter, or `expires: never`"


def pinned(view: View, policy: Policy) -> datetime | None:
    """Tell until when what a run imports lasts; without `expires`, unless a look tells, as the key's first expiry."""
    if policy.expires == NEVER:
        return None
    if policy.expires is not None:
        return (view.at + policy.expires).replace(microsecond=0)
    rows = [row for seen in view.regions.values() for row in seen.permanent if row.imported]
    if not rows:  # KMS has forgotten it with the bytes
        noted = (entry.valid_to for entry in (view.store.entries if view.store else ()))
        return min((until for until in noted if until), default=None)
    return _first([row for row in rows if row.usable(view.at)] or rows)


def first_expiry(view: View, material: MaterialId) -> datetime | None:
    """Tell when a material first expires in any Region; nothing where it never does."""
    return _first(row for seen in view.regions.values() if (row := seen.row(material)))


def of_new(view: View, goal: Goal, region: Region) -> datetime | None:
    """Tell until when new key material lasts in a Region; without `expires`, as CURRENT does there."""
    current, seen = view.current, view.regions.get(region)
    row = seen.row(current.material_id) if seen and current else None
    return row.valid_to if goal.policy.expires is None and row and row.usable(view.at) else goal.valid_to


def of_known(view: View, goal: Goal, region: Region, material: MaterialId) -> datetime | None:
    """Tell until when a Region gets material again; without `expires`, as it had it, or as others have it."""
    return _known(view, goal.policy, goal.valid_to, region, material)


def _known(
    view: View, policy: Policy, valid_to: datetime | None, region: Region, material: MaterialId
) -> datetime | None:
    if policy.expires is not None:
        return valid_to
    rows = {where: row for where, seen in view.regions.items() if (row := seen.row(material)) and row.imported}
    if region in rows:
        return rows[region].valid_to
    usable = [row for row in rows.values() if row.usable(view.at)]
    return _first(usable or rows.values()) if rows else valid_to


def _first(rows: Iterable[MaterialRow]) -> datetime | None:
    return min((row.valid_to for row in rows if row.valid_to), default=None)


def over(view: View, goal: Goal, seen: RegionView, material: MaterialId) -> list[Block]:
    """Bring nothing back unasked whose time was over: somebody may have wanted just that."""
    return _over(view, goal.policy, goal.valid_to, seen, material, "then run the same command again")


def seen_over(view: View, policy: Policy, seen: RegionView, material: MaterialId) -> list[Block]:
    """Say of a look what a repair would refuse (`over`), so that nobody is sent to one that does not help."""
    return _over(view, policy, pinned(view, policy), seen, material, "then: mrk repair NAME")


def _over(
    view: View, policy: Policy, valid_to: datetime | None, seen: RegionView, material: MaterialId, then: str
) -> list[Block]:
    if policy.expires is None and _unknown(view):
        message = (
            f"{seen.region} lacks key material {short(material)}, and nothing tells any more until when it was valid"
        )
        return [Block(Reason.MATERIAL_MISSING, message, f"{SAY}; {then}", seen.region)]
    until = _known(view, policy, valid_to, seen.region, material)
    return [ran_out(seen.region, material, until)] if until is not None and until <= view.at else []


def _unknown(view: View) -> bool:
    """Whether no Region holds anything of the key, and the store does not know it from before."""
    held = any(row.imported for seen in view.regions.values() for row in seen.permanent)
    return not held and not any(entry.proven for entry in (view.store.entries if view.store else ()))


def ran_out(region: Region, material: MaterialId, until: datetime) -> Block:
    """Say that key material expired, and that nothing says how long it may last when it is imported again."""
    message = f"{region} cannot be used since {until:%Y-%m-%d %H:%M} UTC: key material {short(material)} expired there"
    return Block(Reason.MATERIAL_MISSING, message, f"{SAY}; then: mrk repair NAME", region)


def unset(policy: Policy, rows: Sequence[MaterialRow]) -> bool:
    """Whether key material expires, and nothing says for how long it is to be renewed."""
    return policy.expires is None and any(row.valid_to for row in rows)
