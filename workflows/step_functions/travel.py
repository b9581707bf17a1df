"""What travels from state to state: Goal, Memory and a small Turn, as JSON. Ids, Regions, times and sentences only.

Views do not travel, and neither do actions: a turn names the stage and the targets, and whoever acts looks anew. So a
state that is run twice, or a day late, does no harm.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from orchestrator.model import Failed, Goal, Memory

Json = dict[str, Any]

SENTENCES = 5_000
"""Characters that all the sentences of one payload may have together."""

_SHORTEST = 70
_FLAGS = ("final", "person")
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:([a-z0-9-]+):[0-9]+:key/[A-Za-z0-9-]+")
_MOST_BLOCKS = 40
_MOST_FAILURES = 34
_GOAL: TypeAdapter[Goal] = TypeAdapter(Goal)
_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)
_TIME: TypeAdapter[datetime] = TypeAdapter(datetime)


@dataclass(frozen=True, slots=True)
class State:
    """The content of the machine's state. `asked` is the input of the execution, and `acted` what the last acts noted.

    `approved`, or `unapproved`, names the rotation that somebody, or nobody, approved; `renew` tells that the goal's
    deadline passed while an answer was waited for; `events` counts the execution's history.

    Without a goal nothing is pinned yet: `begun` says since when, and the memory carries the patience meanwhile.
    """

    asked: Mapping[str, Any]
    approval: str = "none"
    approved: str | None = None
    begun: datetime | None = None
    goal: Goal | None = None
    memory: Memory = field(default_factory=Memory)
    acted: tuple[Mapping[str, Any], ...] = ()
    turn: Mapping[str, Any] = field(default_factory=dict)
    unapproved: str | None = None
    renew: bool = False
    events: int = 0

    @classmethod
    def read(cls, json: Mapping[str, Any]) -> "State":
        """Read what a state was given; raises pydantic.ValidationError, TypeError or KeyError where it is none."""
        goal, memory, begun, acted = json.get("goal"), json.get("memory"), json.get("begun"), json.get("acted") or ()
        return cls(
            asked=json["asked"],
            approval=str(json.get("approval") or "none"),
            approved=json.get("approved"),
            unapproved=json.get("unapproved"),
            renew=bool(json.get("renew")),
            events=int(json.get("events") or 0),
            begun=_TIME.validate_python(begun) if begun else None,
            goal=_GOAL.validate_python(goal) if goal else None,
            memory=read_memory(memory or {}),
            acted=(acted,) if isinstance(acted, Mapping) else tuple(acted),
            turn=json.get("turn") or {},
        )

    def write(self) -> Json:
        """Write it for the next state; what the acts noted is in the memory by then."""
        about: Json = {
            "asked": dict(self.asked),
            "approval": self.approval,
            "events": self.events,
            "begun": self.begun.isoformat() if self.begun else None,
            "goal": _GOAL.dump_python(self.goal, mode="json", exclude_defaults=True) if self.goal else None,
            "memory": memory_json(self.memory),
            "turn": dict(self.turn),
        }
        answers = {"approved": self.approved, "unapproved": self.unapproved}
        return about | {name: entry for name, entry in answers.items() if entry}


def memory_json(memory: Memory, among: int = 0) -> Json:
    """Write a memory, with one failure for each kind and place, so that `among` such notes fit a payload."""
    kept = _one_each(memory.failed)
    each = max(_SHORTEST, SENTENCES // (2 * max(among, len(kept), 1)))
    written: Json = _MEMORY.dump_python(replace(memory, failed={}), mode="json", exclude_defaults=True)
    return written | ({"failed": {name: _written(failure, each) for name, failure in kept.items()}} if kept else {})


def read_memory(json: Mapping[str, Any]) -> Memory:
    """Read a memory back."""
    failed = {name: _failed(*written) for name, written in json.get("failed", {}).items()}
    return replace(_MEMORY.validate_python({**json, "failed": {}}), failed=failed)


def _written(failure: Failed, each: int) -> list[Any]:
    """Write a failure without the names of its fields, and with the Region in the place of a key's ARN."""
    message, hint = (clipped(_KEY_ARN.sub(r"\1", text), each) for text in (failure.message, failure.hint))
    flags = "".join(name[0] for name in _FLAGS if getattr(failure, name))
    not_before = failure.not_before.isoformat(timespec="seconds")
    return [failure.count, message, hint, not_before, failure.refusals, flags]


def _failed(count: int, message: str, hint: str, not_before: str, refusals: int, flags: str) -> Failed:
    told = {name: name[0] in flags for name in _FLAGS}
    return Failed(count, message, hint, _TIME.validate_python(not_before), refusals=refusals, **told)


def changed(before: Memory, after: Memory) -> Memory:
    """Return of a memory what an act has added to it, or changed in it."""
    return Memory(**{one.name: _news(getattr(before, one.name), getattr(after, one.name)) for one in fields(Memory)})


def merged(kept: Memory, told: Memory) -> Memory:
    """Take what an act has added, or changed, into a memory; where it brought something back, no proof counts."""
    left = {region: material for region, material in kept.proofs.items() if region not in told.restored}
    kept = replace(kept, proofs=left)
    return Memory(**{one.name: _both(getattr(kept, one.name), getattr(told, one.name)) for one in fields(Memory)})


def _news(before: Any, after: Any) -> Any:
    match after:
        case Mapping():
            return {name: value for name, value in after.items() if before.get(name) != value}
        case tuple() | frozenset():
            return type(after)(one for one in after if one not in before)
        case _:
            return None if after == before else after


def _both(kept: Any, told: Any) -> Any:
    match told:
        case Mapping():
            return {**kept, **told}
        case tuple():
            return tuple(dict.fromkeys((*kept, *told)))
        case frozenset():
            return kept | told
        case _:
            return kept if told is None else told


def place_of(name: str) -> str:
    """Return what kind of action, and where, is in the name of one (orchestrator.model.name_of)."""
    return name.rpartition(":")[0]


def _one_each(failed: Mapping[str, Failed]) -> dict[str, Failed]:
    """Keep the failure that holds up each kind of action in each place the longest, as far as a payload holds them."""
    by_weight = sorted(failed.items(), key=lambda one: _weight(one[1]))
    last = {place_of(name): name for name, _ in by_weight}
    return {name: failed[name] for name in list(last.values())[-_MOST_FAILURES:]}


def _weight(failure: Failed) -> tuple[int, bool, bool, datetime]:
    return failure.refusals, failure.final, failure.person, failure.not_before


def clipped(text: str, longest: int) -> str:
    """Cut a text that is too long, and show that it was."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def sentences(texts: Iterable[str], longest: int) -> str:
    """Join sentences, each once, within a length."""
    return clipped("; ".join(dict.fromkeys(text for text in texts if text)), longest)


def shared(blocks: Sequence[Json], longest: int) -> list[Json]:
    """Return as many blocks as a payload may hold, with texts cut to fit within a length."""
    few = blocks[:_MOST_BLOCKS]
    each = max(_SHORTEST, longest // (2 * max(len(few), 1)))
    return [{**one, **{name: clipped(one[name], each) for name in ("message", "way_out")}} for one in few]
