"""Readable builders for the tables: a key in several Regions, the store beside it, a run, and what a turn says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.decide import decide
from orchestrator.model import (
    NEVER,
    STORE,
    Action,
    AdoptMaterial,
    Block,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    Entry,
    EntryName,
    Goal,
    ImportMaterial,
    KeepProbe,
    KeyArn,
    KeyState,
    LookFailure,
    MarkProven,
    MaterialId,
    MaterialRow,
    MaterialState,
    Memory,
    NoteSwitch,
    Policy,
    Proof,
    ProveRegion,
    Receipt,
    Region,
    RegionView,
    ReinstateMaterial,
    ReplicateKey,
    RotateOnDemand,
    Run,
    Stage,
    StoreView,
    Streak,
    Turn,
    View,
    Wait,
)
from workflows.rotate import ROTATE

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
US, EU, AP = Region("us-east-1"), Region("eu-west-1"), Region("ap-southeast-2")
REGIONS = (US, EU, AP)
KEY = KeyArn("aws", US, "111122223333", "mrk-1234abcd12ab34cd56ef1234567890ab")
POLICY = Policy(expires=NEVER)


def material(letter: str) -> MaterialId:
    """A material id, from one letter: `a` was the first material, `b` came after it, and so on."""
    return MaterialId(letter * 64)


A, B, C = material("a"), material("b"), material("c")


def days(number: float) -> datetime:
    """A time so many days from now."""
    return NOW + timedelta(days=number)


# ---- rows and Regions -------------------------------------------------------------------------------------------


def past(letter: str, *, imported: bool = True, valid_to: datetime | None = None, **more: Any) -> MaterialRow:
    """NON_CURRENT material."""
    return MaterialRow(material(letter), MaterialState.NON_CURRENT, imported, valid_to, **_dated(letter) | more)


def current(letter: str, *, imported: bool = True, valid_to: datetime | None = None, **more: Any) -> MaterialRow:
    """CURRENT material."""
    return MaterialRow(material(letter), MaterialState.CURRENT, imported, valid_to, **_dated(letter) | more)


def _dated(letter: str) -> dict[str, Any]:
    """When it was rotated in: long ago, and never the first, `a`."""
    return {} if letter == "a" else {"rotated_at": days(-390 + ord(letter) - ord("a"))}


def pending(letter: str, *, imported: bool = True, valid_to: datetime | None = None, ready: bool = True) -> MaterialRow:
    """Pending material; `ready` tells whether KMS knows it to be in every Region."""
    state = MaterialState.PENDING_ROTATION if ready else MaterialState.PENDING_REPLICAS
    return MaterialRow(material(letter), state, imported, valid_to)


def seen(region: Region, rows: Iterable[MaterialRow] = (), **more: Any) -> RegionView:
    """The key in one Region: Enabled, seen right now, one of three members; the primary is in us-east-1."""
    usual: dict[str, Any] = {
        "seen_at": NOW,
        "key_state": KeyState.ENABLED,
        "created_at": days(-400),
        "multi_region": True,
        "primary": US,
        "members": frozenset(REGIONS),
    }
    return RegionView(arn=KEY.within(region), rows=tuple(rows), **(usual | more))


def a_key(
    rows: Sequence[MaterialRow] | None = None, *, regions: Sequence[Region] = REGIONS, **differing: Any
) -> dict[Region, RegionView]:
    """The same rows in every Region, CURRENT `a` alone unless told otherwise.

    `eu`, `us` and `ap` say how one Region differs: its rows, a mapping of its fields, or None for not seen.
    """
    shared = [current("a")] if rows is None else rows
    members = frozenset(regions)
    key = {region: seen(region, shared, members=members, multi_region=len(members) > 1) for region in regions}
    for name, how in differing.items():
        region = {"us": US, "eu": EU, "ap": AP}[name]
        if how is None:
            del key[region]
        elif isinstance(how, Mapping):
            key[region] = replace(key[region], **{**how, "rows": tuple(how.get("rows", key[region].rows))})
        else:
            key[region] = replace(key[region], rows=tuple(how))
    return key


# ---- the store --------------------------------------------------------------------------------------------------


def name(replaces: str | None = "a", attempt: int = 1) -> EntryName:
    """The name of the entry that replaces one material; None for the first material."""
    return EntryName(KEY.identity, material(replaces) if replaces else None, attempt)


def entry(replaces: str | None = "a", linked: str | None = None, *, attempt: int = 1, **more: Any) -> Entry:
    """An entry that can be read back."""
    named = name(replaces, attempt)
    usual: dict[str, Any] = {"receipt": Receipt(named, NOW), "linked": material(linked) if linked else None}
    return Entry(named, **(usual | more))


TORN: dict[str, Any] = {"receipt": None, "problem": "torn", "mend": "put it back"}
"""What an entry says that does not open."""


def marked(*regions: Region, how: Proof = Proof.FULL) -> dict[str, Any]:
    """What an entry says that was proven in these Regions, in all of the key's unless told otherwise."""
    return {"proofs": dict.fromkeys(regions or REGIONS, how)}


def first(**more: Any) -> Entry:
    """The entry of the key's first material, `a`: linked and proven."""
    return entry(None, "a", **(marked() | more))


def a_store(*entries: Entry, seen_at: datetime = NOW) -> StoreView:
    """A store with these entries."""
    return StoreView(seen_at, entries)


# ---- views, goals and runs --------------------------------------------------------------------------------------


def a_view(
    key: Mapping[Region, RegionView] | None = None,
    *entries: Entry,
    store: StoreView | None = None,
    failures: Iterable[LookFailure] = (),
    at: datetime = NOW,
    noted: bool = True,
) -> View:
    """What was seen: a healthy key, and a store that holds its first material, unless told otherwise.

    `noted` tells that the store knows already which Regions the owner has switched off.
    """
    found = {failure.target: failure for failure in failures}
    key = a_key() if key is None else key
    kept = None if STORE in found else (store or a_store(*(entries or (first(),))))
    if kept is not None and noted and not kept.switched_off:
        off = (KeyState.DISABLED, KeyState.PENDING_DELETION, KeyState.PENDING_REPLICA_DELETION)
        kept = replace(kept, switched_off={region: at for region, one in key.items() if one.key_state in off})
    return View(KEY, at, key, kept, found)


def cannot_see(target: str, *, transient: bool = True, not_found: bool = False, hint: str = "") -> LookFailure:
    """A look that failed."""
    return LookFailure(target, NOW, f"no answer from {target}", transient, hint, not_found)


def a_goal(replaces: str | None = "a", *, attempt: int = 1, policy: Policy = POLICY, **more: Any) -> Goal:
    """The goal to replace one material of the key with three members."""
    usual: dict[str, Any] = {
        "key": KEY,
        "entry": name(replaces, attempt),
        "primary": US,
        "members": frozenset(REGIONS),
        "valid_to": None,
        "deadline": NOW + policy.deadline,
        "policy": policy,
    }
    return Goal(**(usual | more))


def a_run(goal: Goal | None = None, **memory: Any) -> Run:
    """A run that remembers only what it is told."""
    return Run(goal or a_goal(), Memory(**memory))


def settled_everywhere(count: int = 3, regions: Iterable[Region] = REGIONS) -> dict[Region, Streak]:
    """The memory of so many confirming looks in each Region."""
    return {region: Streak(count, NOW) for region in regions}


def deciding(view: View, run: Run | None = None, stages: Sequence[Stage] = ROTATE, now: datetime | None = None) -> Turn:
    """What `decide` says of the workflow rotate."""
    return decide(stages, view, run or a_run(), now or view.at)


def judged_by(
    stage: Callable[[View, Run], Sequence[Any]], view: View, run: Run | None = None, now: datetime | None = None
) -> Turn:
    """What `decide` says of one stage alone."""
    return decide([stage], view, run or a_run(), now or view.at)


# ---- what a turn says -------------------------------------------------------------------------------------------


def told(turn: Turn) -> list[str]:
    """A turn as sentences: stage and status, then what is done, waited for, and blocked."""
    return [
        f"{turn.stage}: {turn.status}",
        *map(sentence, turn.act),
        *(f"wait: {_about(wait)}" for wait in turn.waits),
        *(f"{'block' if block.person else 'fail'}: {_about(block)}" for block in turn.blocks),
    ]


def sentence(action: Action) -> str:
    """An action as a sentence."""
    match action:
        case AdoptMaterial():
            return f"adopt {action.source} as {_entry(action.entry)}"
        case DeletePendingMaterial():
            return f"delete {_letter(action.material_id)} from {action.arn.region}"
        case DepositMaterial() | DiscardMaterial() | ReinstateMaterial():
            return f"{action.kind} {_entry(action.entry)}"
        case ImportMaterial():
            return f"import {action.import_type.name} {_letter(action.material_id)} into {action.arn.region}"
        case RotateOnDemand():
            return f"rotate {_letter(action.material_id)} in {action.arn.region}"
        case ReplicateKey():
            return f"replicate to {action.region}"
        case ProveRegion():
            return f"prove {_letter(action.material_id)} in {action.arn.region}"
        case _:
            return _noted(action)


def _noted(action: KeepProbe | MarkProven | NoteSwitch) -> str:
    match action:
        case KeepProbe():
            return f"keep probe of {_letter(action.material_id)}"
        case MarkProven():
            return f"mark {_letter(action.material_id)} proven"
        case NoteSwitch():
            return f"note that {action.key.region} is {'off' if action.off else 'on'}"


def _about(step: Wait | Block) -> str:
    return f"{step.reason} in {step.region}" if step.region else str(step.reason)


def _entry(named: EntryName) -> str:
    return f"{_letter(named.replaces)}.{named.attempt}"


def _letter(found: MaterialId | None) -> str:
    return found[:1] if found else "-"
