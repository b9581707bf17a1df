"""What an entry is, by what was opened and what is noted beside it. Pure: values in, a value out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from orchestrator.errors import StoreError
from orchestrator.model import Entry, EntryName, MaterialId, Proof, Receipt, Region

from .entry import Opened
from .layout import Kind
from .marks import GivenUp, Marks, Turns

_TOLD = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Noted:
    """All that is noted beside an entry."""

    links: Turns[MaterialId]
    probes: Turns[bytes] = field(repr=False)
    proofs: Turns[Mapping[Region, Proof]]
    expiries: Turns[datetime | None]
    given_up: GivenUp

    @classmethod
    def of(cls, name: EntryName, marks: Marks) -> "Noted":
        """Read the marks of one entry."""
        marks.bring(name)
        proofs, expiries = marks.proofs(name), marks.expiries(name)
        return cls(marks.links(name), marks.probes(name), proofs, expiries, marks.given_up(name))

    @property
    def damage(self) -> Mapping[str, str]:
        """Tell, by the kind of mark, what cannot be read."""
        found = {
            Kind.LINK: self.links.damage,
            Kind.PROBE: self.probes.damage,
            Kind.PROVEN: (*self.proofs.damage, *self.expiries.damage),
        }
        found |= {kind: (error,) for kind, error in self.given_up.damage.items()}
        return {kind.label: _all_told(errors) for kind, errors in found.items() if errors}

    @property
    def anything(self) -> bool:
        """Whether a mark tells that there is, or was, an entry that was more than deposited."""
        return any((self.links.marks, self.probes.marks, self.proofs.marks, self.damage))

    @property
    def times(self) -> Iterable[datetime]:
        """When anything was noted."""
        for turns in (self.links, self.probes, self.proofs):
            yield from turns.times
        yield from self.given_up.times


def judged(name: EntryName, found: Opened | StoreError, noted: Noted, at: datetime) -> Entry:
    """Judge an entry: what is noted counts where it is of the bytes that were opened (I12)."""
    given_up = noted.given_up.at
    if isinstance(found, StoreError):
        return Entry(
            name,
            receipt=None,
            problem=found.message,
            mend=found.hint,
            linked=_newest(mark.value for mark in noted.links.marks),
            discarded_at=given_up,
            damage=noted.damage,
            ours=False,
            noted_at=max(noted.times, default=None),
        )
    linked = _newest(noted.links.fitting(found.commitment))
    made = (found.made_at,) if found.made_at else ()
    return Entry(
        name,
        receipt=Receipt(name, at),
        linked=linked,
        claimed=None if linked else _newest(mark.value for mark in noted.links.marks),
        proofs=best(noted.proofs.fitting(found.commitment)),
        valid_to=_newest(until for until in noted.expiries.fitting(found.commitment) if until),
        probe=bool(noted.probes.fitting(found.commitment)),
        discarded_at=given_up,
        damage=noted.damage,
        ours=found.ours,
        made_at=found.made_at,
        noted_at=max((*made, *noted.times), default=None),
    )


def best(proofs: Iterable[Mapping[Region, Proof]]) -> Mapping[Region, Proof]:
    """Tell the most thorough proof of each Region."""
    found: dict[Region, Proof] = {}
    for more in proofs:
        for region, how in more.items():
            if region not in found or not found[region].covers(how):
                found[region] = how
    return found


def told(error: StoreError) -> str:
    """Tell what is wrong, and how to mend it."""
    return f"{error.message}; to mend it: {error.hint}"


def _all_told(errors: Iterable[StoreError]) -> str:
    """Tell of several what is wrong; a bad disk or directory has the same against each."""
    lines = list(dict.fromkeys(map(told, errors)))
    more = len(lines) - _TOLD
    return "; ".join([*lines[:_TOLD], *([f"and {more} more"] if more > 0 else [])])


def _newest(noted: Iterable[_T]) -> _T | None:
    return next(iter(reversed(list(noted))), None)
