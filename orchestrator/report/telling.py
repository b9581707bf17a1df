"""What is told of a key beside its tables: why there is work, and where config and KMS differ. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from orchestrator import goals, kinds, spending
from orchestrator.durations import render, spoken
from orchestrator.holding import foreign_current, predecessor
from orchestrator.looks import wrong_clock
from orchestrator.model import (
    NEVER,
    Action,
    Block,
    EntryName,
    ImportMaterial,
    KeyArn,
    MaterialId,
    MaterialRow,
    MissingOld,
    Policy,
    Purpose,
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

EVERYWHERE = "every Region"

_MANY = 6
"""More Regions than this are counted, not named."""


def notes(view: View, key: KeyArn, policy: Policy, soon: frozenset[Region] = frozenset()) -> list[str]:
    """Say what does no harm, and is not as the config reads: another primary or expiry. And that the clock is wrong.

    What expires `soon` stands as a block: nothing more is said of the expiry in those Regions.
    """
    clock = [step.message for step in wrong_clock(view) if isinstance(step, Block)]
    if not view.regions or kinds.right_kind(view):
        return clock
    few = spending.few_left(view, policy)
    return [
        *clock,
        *([few] if few else []),
        *_allowed(view, policy),
        *_elsewhere(view, key),
        *drift(view, policy, soon),
    ]


def _allowed(view: View, policy: Policy) -> Iterator[str]:
    """Say what the store lacks and the owner allows it to lack: what a Region loses of that is lost."""
    if policy.missing_old is not MissingOld.ALLOW or view.store is None:
        return
    lacking = [material for material in view.permanent_ids() if view.store.holding(material) is None]
    current = view.current
    if current is not None and current.material_id in lacking and predecessor(view, current.material_id):
        yield foreign_current(view, current).message
        lacking.remove(current.material_id)
    if lacking:
        yield f"the store lacks {ids_of(lacking)}, as `missing_old: allow` lets it: a Region that loses it stays dead"


def lacking(view: View) -> list[str]:
    """Say which Regions lack which key materials: one line for all Regions that lack the same."""
    found: dict[tuple[MaterialId, ...], list[Region]] = {}
    for region, seen in sorted(view.regions.items()):
        gone = [one for one in view.permanent_ids() if (row := seen.row(one)) is None or not row.usable(view.at)]
        found.setdefault(tuple(gone), []).append(region)
    dead = "the key encrypts and decrypts nothing there"
    return [f"{_lack(regions, view)} {ids_of(ids)}: {dead}" for ids, regions in found.items() if ids]


def _lack(regions: Sequence[Region], view: View) -> str:
    where = among(tuple(regions), view)
    return f"{where} {'lacks' if len(regions) == 1 or where == EVERYWHERE else 'lack'}"


def ids_of(materials: Sequence[MaterialId]) -> str:
    """Name key materials, or say how many they are."""
    if len(materials) > _MANY:
        return f"{len(materials)} key materials"
    return f"key material {', '.join(map(short, materials))}"


def _elsewhere(view: View, key: KeyArn) -> Iterator[str]:
    if view.primary is not None and view.primary.region != key.region:
        yield f"the ARN names {key.region}; the primary key is in {view.primary.region}, which mrk follows"


def drift(view: View, policy: Policy, told: frozenset[Region] = frozenset()) -> list[str]:
    """Say where key material expires otherwise than `expires` says, or though that is not set, but in Regions told."""
    found: dict[tuple[str, tuple[Region, ...]], list[str]] = {}
    for material in view.permanent_ids():
        others = {region: seen for region, seen in sorted(view.regions.items()) if region not in told}
        rows = {region: row for region, seen in others.items() if (row := seen.row(material))}
        for said, where in _otherwise(rows, policy).items():
            found.setdefault((said, tuple(where)), []).append(short(material))
    return [
        f"in {among(where, view)}, key material {', '.join(ids)} {said}; {_wanted(policy)}"
        for (said, where), ids in found.items()
    ]


def _wanted(policy: Policy) -> str:
    if policy.expires is None:
        return "nothing renews it, as `expires` is not set, and what is imported expires with it"
    wanted = policy.expires if policy.expires == NEVER else render(policy.expires)
    return f"the config says `expires: {wanted}`, which holds for what is imported from now on"


def _otherwise(rows: dict[Region, MaterialRow], policy: Policy) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    for region, row in rows.items():
        if row.imported and (row.valid_to is None) is not (policy.expires in {None, NEVER}):
            said = f"expires on {row.valid_to:%Y-%m-%d}" if row.valid_to else "never expires"
            found.setdefault(said, []).append(region)
    return found


def among(regions: Sequence[Region], view: View) -> str:
    """Name Regions, or say that it is all of them, or how many."""
    if len(regions) > 1 and set(regions) == set(view.members):
        return EVERYWHERE
    return ", ".join(regions) if len(regions) <= _MANY else f"{len(regions)} of {len(view.members)} Regions"


def why(view: View, policy: Policy, actions: Iterable[Action] = ()) -> str:
    """Say why there is work to do, beside that it is due, and when it is due."""
    return "; ".join((*_unfinished(view), *_asked_for(view, actions), goals.due_sentence(view, policy)))


def _unfinished(view: View) -> Iterator[str]:
    store, current = view.store or StoreView(view.at), view.current
    if view.pending is not None:
        ours = store.holding(view.pending.material_id) is not None
        unknown = ", and is not known to be of this store" if view.store else ""
        next_ = ", and the next `mrk run` makes it CURRENT" if ours else unknown
        yield f"{'unfinished: ' if ours else ''}{short(view.pending.material_id)} is pending{next_}"
    elif current is not None and (held := store.holding(current.material_id)) and not held.proven:
        yield f"unfinished: {short(current.material_id)} is CURRENT, and not proven"
    elif current is not None and store.get(store.first_attempt(EntryName(view.key.identity, current.material_id))):
        yield "unfinished: new key material lies in the store, and the next `mrk run` imports it and rotates"


def _asked_for(view: View, actions: Iterable[Action]) -> Iterator[str]:
    """Say what the key lacks, or is about to lose, where a plan mends that."""
    expiries: list[datetime] = []
    lacking: dict[Region, None] = {}
    absent: dict[Region, None] = {}
    for action in actions:
        if isinstance(action, ReplicateKey):
            absent[action.region] = None
        elif isinstance(action, ImportMaterial) and action.purpose in {Purpose.RESTORE, Purpose.FILL}:
            lacking[action.arn.region] = None
        elif isinstance(action, ImportMaterial) and action.purpose is Purpose.RENEW:
            expiries += [row.valid_to for row in _rows(view, action) if row.valid_to]
    if absent:
        yield f"{', '.join(absent)} has no replica yet"
    if there := tuple(region for region in lacking if region not in absent):
        yield f"{_lack(there, view)} key material"
    if expiries:
        yield f"key material expires in {left(min(expiries), view.at)}"


def _rows(view: View, action: ImportMaterial) -> Iterable[MaterialRow]:
    """Find the row that a material has where it is imported again."""
    seen = view.regions.get(action.arn.region)
    row = seen.row(action.material_id) if seen and action.material_id else None
    return [row] if row else []


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
    """Tell once what Regions and key materials have in common: of (Region, message, way out) the first, and more."""
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for one in dict.fromkeys(found):
        where, message, way = one
        still = (message.replace(where, "*"), way.replace(where, "*")) if where else (message, way)
        groups.setdefault((_ID.sub("#", still[0]), _ID.sub("#", still[1])), []).append(one)
    return [(first[1] + _and_more(first, more), first[2]) for first, *more in groups.values()]


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


_ID = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{8})\b")
"""The id of a key material, whole or short."""


def _and_more(first: tuple[str, str, str], more: Sequence[tuple[str, str, str]]) -> str:
    """Say where else it is so, and of how many more key materials; their ids stand in `mrk status`, and in --json."""
    regions = list(dict.fromkeys(where for where, _, _ in more if where != first[0]))
    told = [found[0] for _, message, _ in (first, *more) if (found := _ID.findall(message))]
    ids = len(dict.fromkeys(told)) - 1
    where = f"in {', '.join(regions)}" if len(regions) <= _MANY else f"in {len(regions)} more Regions"
    parts = [*([goals.counted(ids, "more key material")] if ids > 0 else []), *([where] if regions else [])]
    return f" (and {', and '.join(parts)})" if parts else ""


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
    way = f"begin it: a run waits, for {spoken(policy.deadline)} at most, and the next one resumes"
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
