"""What is told of a key beside its tables: why there is work, and where config and KMS differ. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from orchestrator import goals
from orchestrator.durations import render
from orchestrator.looks import wrong_clock
from orchestrator.model import (
    Action,
    Block,
    EntryName,
    ImportMaterial,
    KeyArn,
    MaterialId,
    MaterialRow,
    Policy,
    Reason,
    Region,
    ReplicateKey,
    StoreView,
    Turn,
    View,
    short,
)
from orchestrator.progress import Report

_HOURS = timedelta(days=2)
"""Under this, what is left is told in hours."""

_MANY = 6
"""More Regions than this are counted, not named."""


def notes(view: View, key: KeyArn, policy: Policy) -> list[str]:
    """Say what does no harm, and is not as the config reads: another primary or expiry. And that the clock is wrong."""
    clock = [step.message for step in wrong_clock(view) if isinstance(step, Block)]
    return [*clock, *_elsewhere(view, key), *drift(view, policy)]


def _elsewhere(view: View, key: KeyArn) -> Iterator[str]:
    if view.primary is not None and view.primary.region != key.region:
        yield f"the ARN names {key.region}; the primary key is in {view.primary.region}, which mrk follows"


def drift(view: View, policy: Policy) -> list[str]:
    """Say where key material expires otherwise than `expires` says; an import changes that, nothing else does."""
    found: dict[tuple[str, tuple[Region, ...]], list[str]] = {}
    for material in view.permanent_ids():
        rows = {region: row for region, seen in sorted(view.regions.items()) if (row := seen.row(material))}
        for said, where in _otherwise(rows, policy).items():
            found.setdefault((said, tuple(where)), []).append(short(material))
    wanted = f"`expires: {render(policy.expires) if policy.expires else 'never'}`"
    return [
        f"in {among(where, view)}, key material {', '.join(ids)} {said}; the config says {wanted}, which holds for what"
        " is imported from now on"
        for (said, where), ids in found.items()
    ]


def _otherwise(rows: dict[Region, MaterialRow], policy: Policy) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    for region, row in rows.items():
        if row.imported and (row.valid_to is None) is not (policy.expires is None):
            said = f"expires on {row.valid_to:%Y-%m-%d}" if row.valid_to else "never expires"
            found.setdefault(said, []).append(region)
    return found


def among(regions: Sequence[Region], view: View) -> str:
    """Name Regions, or say that it is all of them, or how many."""
    if len(regions) > 1 and set(regions) == set(view.members):
        return "every Region"
    return ", ".join(regions) if len(regions) <= _MANY else f"{len(regions)} of {len(view.members)} Regions"


def why(view: View, policy: Policy, actions: Iterable[Action] = ()) -> str:
    """Say why there is work to do, beside that it is due, and when it is due."""
    return "; ".join((*_unfinished(view), *_asked_for(view, actions), goals.due_sentence(view, policy)))


def _unfinished(view: View) -> Iterator[str]:
    store, current = view.store or StoreView(view.at), view.current
    if view.pending is not None:
        yield f"unfinished: {short(view.pending.material_id)} is pending"
    elif current is not None and (held := store.holding(current.material_id)) and not held.proven:
        yield f"unfinished: {short(current.material_id)} is CURRENT, and not proven"
    elif current is not None and store.get(store.first_attempt(EntryName(view.key.identity, current.material_id))):
        yield "unfinished: new key material lies in the store, and is not imported"


def _asked_for(view: View, actions: Iterable[Action]) -> Iterator[str]:
    """Say what the key lacks, or is about to lose, where a plan mends that."""
    expiries: list[datetime] = []
    lacking: dict[Region, None] = {}
    for action in actions:
        region = action.region if isinstance(action, ReplicateKey) else _imported_into(view, action)
        if region is None:
            continue
        seen = view.regions.get(region)
        row = seen.row(MaterialId(str(getattr(action, "material_id", None)))) if seen else None
        if row is not None and row.usable(view.at) and row.valid_to:
            expiries.append(row.valid_to)
        else:
            lacking[region] = None
    if lacking:
        lack = "lacks" if len(lacking) == 1 else "lack"
        yield f"{among(tuple(lacking), view)} {lack} key material, or the key"
    if expiries:
        yield f"key material expires in {left(min(expiries), view.at)}"


def _imported_into(view: View, action: Action) -> Region | None:
    """Return where a material that the key needs for ever is imported again."""
    again = isinstance(action, ImportMaterial) and action.material_id in view.permanent_ids()
    return action.arn.region if again and isinstance(action, ImportMaterial) else None


def left(until: datetime, at: datetime) -> str:
    """Say how long there is left."""
    rest = until - at
    if rest <= timedelta():
        return "expired"
    if rest < timedelta(hours=1):
        return f"{max(1, rest // timedelta(minutes=1))} min"
    if rest < _HOURS:
        return f"{rest // timedelta(hours=1)} h"
    return goals.counted(rest.days, "day")


def alike(found: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Tell once what several Regions have in common: of (Region, message, way out) the first, and who shares it."""
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for one in found:
        where, message, way = one
        still = (message.replace(where, "*"), way.replace(where, "*")) if where else (message, way)
        groups.setdefault(still, []).append(one)
    return [(message + _and_in([where for where, _, _ in more]), way) for (_, message, way), *more in groups.values()]


def together(reports: Sequence[Report]) -> list[tuple[Report, list[str]]]:
    """Tell once what kept several keys from being seen at all: the first of them, and the names of the others."""
    groups: dict[object, list[Report]] = {}
    for number, report in enumerate(reports):
        groups.setdefault(_kept_by(report) or number, []).append(report)
    return [(first, [other.job.name for other in others]) for first, *others in groups.values()]


def same_of(others: Sequence[str]) -> list[str]:
    """Name the keys of which the same is to be told, where there are any."""
    return [f"the same of {goals.counted(len(others), 'more key')}: {', '.join(others)}"] if others else []


def _kept_by(report: Report) -> object:
    """Say what keeps a key from being seen, but not which key, or which Region, it is; nothing where it was seen."""
    view = report.view
    if view is None or view.regions:
        return None
    found = [(block.region or "", block.message) for block in report.blocks]
    found = found or [(failure.target, failure.message) for failure in view.failures.values()]
    said = {message.replace(report.job.key.key_id, "*").replace(where or "*", "*") for where, message in found}
    return (report.status, frozenset(said)) if said else None


def _and_in(regions: Sequence[str]) -> str:
    if not regions:
        return ""
    return f" (and in {', '.join(regions)})" if len(regions) <= _MANY else f" (and in {len(regions)} more Regions)"


def foreseen(turn: Turn, view: View, policy: Policy) -> tuple[Block, ...]:
    """Say of the end of a plan what would come: nobody has waited, and no deadline has passed."""
    blocks = [block for block in turn.blocks if block.reason is not Reason.TOO_LATE]
    told = [_would(block) for block in blocks]
    if turn.status == "going" or len(blocks) < len(turn.blocks):
        told += [*_unseen(view), *_waiting(turn, policy)]
    return tuple(told) or turn.blocks


def _would(block: Block) -> Block:
    message = block.message.replace("waited ", "would wait ", 1) if " in vain: " in block.message else block.message
    return Block(block.reason, message, block.way_out, block.region, person=block.person)


def _waiting(turn: Turn, policy: Policy) -> Iterator[Block]:
    way = f"begin it: a run waits, for {render(policy.deadline)} at most, and the next one resumes"
    for wait in turn.waits:
        if wait.reason is not Reason.ACCESS:
            what = wait.message.removeprefix("waiting ")
            told = f"would wait {what}" if what != wait.message else f"would wait: {what}"
            yield Block(wait.reason, told, way, wait.region, person=False)


def _unseen(view: View) -> Iterator[Block]:
    for target, failure in view.failures.items():
        way = failure.hint or "check the network between here and there, then run again"
        region = Region(target) if target in view.members else None
        yield Block(Reason.ACCESS, f"{target} cannot be looked at: {failure.message}", way, region, person=False)


def not_seen(blocks: Sequence[Block], view: View | None) -> tuple[Block, ...]:
    """Say what could not be looked at, where the patience of a command that only looks is over."""
    others = [block for block in blocks if block.reason is not Reason.TOO_LATE]
    if view is None or len(others) == len(blocks):
        return tuple(blocks)
    return (*others, *_unseen(view)) or tuple(blocks)
