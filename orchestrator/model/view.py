"""What was seen: of the key in each Region, and of the store. Nothing here is ever written back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .ids import EntryName, KeyArn, MaterialId, Region
from .proof import Proof


class KeyState(StrEnum):
    """KeyState of DescribeKey."""

    CREATING = "Creating"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    PENDING_IMPORT = "PendingImport"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"
    UNAVAILABLE = "Unavailable"
    UPDATING = "Updating"


class MaterialState(StrEnum):
    """KeyMaterialState of a ListKeyRotations row; on a replica it is the state of the whole set."""

    CURRENT = "CURRENT"
    NON_CURRENT = "NON_CURRENT"
    PENDING_ROTATION = "PENDING_ROTATION"
    PENDING_REPLICAS = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"


PERMANENT = (MaterialState.CURRENT, MaterialState.NON_CURRENT)


@dataclass(frozen=True, slots=True)
class MaterialRow:
    """One key material in one Region, as ListKeyRotations tells it."""

    material_id: MaterialId
    state: MaterialState
    imported: bool
    valid_to: datetime | None = None
    rotated_at: datetime | None = None
    on_demand: bool = False

    @property
    def permanent(self) -> bool:
        """Whether the key needs this material for ever: losing it in a Region stops the key there."""
        return self.state in PERMANENT

    def usable(self, at: datetime) -> bool:
        """Whether this Region can use the bytes: IMPORTED with a past ValidTo means missing (P10)."""
        return self.imported and (self.valid_to is None or self.valid_to > at)


@dataclass(frozen=True, slots=True)
class RegionView:
    """The key in one Region. `seen_at` is when the oldest of its answers was asked for: its age is never understated.

    `described_at` is when its DescribeKey was asked for; None where that is no other time. `told_at` is when its answer
    was complete: it may show what came about until then. `skew` is how far this machine's clock was ahead of the one
    that answered (negative: behind); None where the answer tells no time. `simulated`: what answered says that it is
    `mrk simulator`. `deleted_at` is KMS's DeletionDate.
    """

    arn: KeyArn
    seen_at: datetime
    key_state: KeyState
    created_at: datetime
    multi_region: bool
    primary: Region
    members: frozenset[Region]
    origin: str = "EXTERNAL"
    key_spec: str = "SYMMETRIC_DEFAULT"
    rows: tuple[MaterialRow, ...] = ()
    rotation_started_at: datetime | None = None
    told_at: datetime | None = None
    described_at: datetime | None = None
    skew: timedelta | None = None
    simulated: bool = False
    deleted_at: datetime | None = None

    @property
    def region(self) -> Region:
        """The Region that was looked at."""
        return self.arn.region

    @property
    def is_primary(self) -> bool:
        """Whether new key material and rotations go here; true of a single-Region key."""
        return self.primary == self.region

    @property
    def current(self) -> MaterialRow | None:
        """The row that encrypts now."""
        return next((row for row in self.rows if row.state is MaterialState.CURRENT), None)

    @property
    def pending(self) -> MaterialRow | None:
        """The row that waits for rotation; KMS holds one at the most."""
        return next((row for row in self.rows if not row.permanent), None)

    @property
    def permanent(self) -> tuple[MaterialRow, ...]:
        """The rows that the key needs for ever."""
        return tuple(row for row in self.rows if row.permanent)

    def row(self, material: MaterialId) -> MaterialRow | None:
        """Return the row of one material, or None where this Region does not list it."""
        return next((row for row in self.rows if row.material_id == material), None)

    def without(self, material: MaterialId) -> "RegionView":
        """Return this view without one row."""
        return replace(self, rows=tuple(row for row in self.rows if row.material_id != material))

    def with_row(self, row: MaterialRow) -> "RegionView":
        """Return this view with one row put in the place of its like, or at the end."""
        known = any(old.material_id == row.material_id for old in self.rows)
        rows = tuple(row if old.material_id == row.material_id else old for old in self.rows)
        return replace(self, rows=rows if known else (*rows, row))


@dataclass(frozen=True, slots=True)
class LookFailure:
    """A Region, or the store, that could not be looked at; `person` tells that looking again will not mend it."""

    target: str
    at: datetime
    message: str
    transient: bool
    hint: str = ""
    not_found: bool = False
    person: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """The store's word that an entry is durably kept and was read back (I1). It says nothing of the bytes."""

    entry: EntryName
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What the store knows of one entry, opened and compared in this look (I12).

    Without a receipt the bytes could not be read back: `problem` says why, and `mend` what to do. `linked` is the id
    that KMS gave them. `claimed` is the id that a link names which does not fit the bytes, or tells nothing of them:
    only KMS can say whose they are. `proofs` tells how thoroughly each Region was proven, and `valid_to`
    when the material was to expire then. `damage` tells, by the kind
    of mark, which cannot be read, and how to mend it: that holds up only what needs it. `ours` tells that whoever made
    the bytes is known. `noted_at` is the latest time that is noted of it.
    """

    name: EntryName
    receipt: Receipt | None
    problem: str = ""
    mend: str = ""
    linked: MaterialId | None = None
    claimed: MaterialId | None = None
    proofs: Mapping[Region, Proof] = field(default_factory=dict)
    valid_to: datetime | None = None
    probe: bool = False
    discarded_at: datetime | None = None
    damage: Mapping[str, str] = field(default_factory=dict)
    ours: bool = True
    made_at: datetime | None = None
    noted_at: datetime | None = None

    @property
    def held(self) -> bool:
        """Whether the bytes opened in this look, and are those of the material that is linked (I12)."""
        return self.receipt is not None and self.linked is not None

    @property
    def told(self) -> str:
        """Say what is wrong with the bytes, and what to do; nothing where they opened."""
        return f"{self.problem}; to mend it: {self.mend}" if self.mend else self.problem

    @property
    def proven(self) -> bool:
        """Whether the rotation to this material was finished, however it was proven."""
        return bool(self.proofs)

    def unproven_in(self, members: Iterable[Region], wanted: Proof) -> frozenset[Region]:
        """Name the members that were not proven as thoroughly as is wanted now, or came later."""
        return frozenset(
            region for region in members if (how := self.proofs.get(region)) is None or not how.covers(wanted)
        )


@dataclass(frozen=True, slots=True)
class StoreView:
    """The entries of one key, each read back at `seen_at`.

    `withdrawn_at` is when pending material that was to replace CURRENT was last about to be deleted from KMS;
    `withdrawn` names what that was, and `withdrawn_problem` says why it cannot be told. `switched_off` tells since when
    each Region is known to be Disabled by its owner, as far as it was not seen Enabled after that. `about` names the
    materials that the store was asked for: it may hold others.
    """

    seen_at: datetime
    entries: tuple[Entry, ...] = ()
    withdrawn_at: datetime | None = None
    withdrawn_problem: str = ""
    withdrawn: frozenset[MaterialId] = frozenset()
    switched_off: Mapping[Region, datetime] = field(default_factory=dict)
    switch_problem: str = ""
    about: frozenset[MaterialId] = field(default=frozenset(), compare=False)

    @property
    def noted_at(self) -> datetime | None:
        """Tell the latest time that is noted of the key."""
        return max((entry.noted_at for entry in self.entries if entry.noted_at), default=None)

    def get(self, name: EntryName) -> Entry | None:
        """Find one entry by its exact name."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def holding(self, material: MaterialId | None) -> Entry | None:
        """Find the entry that KMS said holds this material: of several the best; one that cannot be read comes last."""
        found = [entry for entry in self.entries if material and entry.linked == material]
        return max(found, key=lambda entry: (entry.held, not entry.discarded_at, len(entry.proofs)), default=None)

    def may_hold(self, material: MaterialId, replaced: MaterialId | None) -> tuple[Entry, ...]:
        """Find what may hold a material, as nobody can say whose bytes they are: only KMS can (P2)."""
        unknown = [entry for entry in self.entries if entry.receipt is not None and entry.linked is None]
        return tuple(
            entry
            for entry in unknown
            if entry.claimed == material or (entry.claimed is None and entry.name.replaces == replaced)
        )

    def first_attempt(self, name: EntryName) -> EntryName:
        """Return the first attempt that is not discarded, probed by exact name (P3)."""
        while (entry := self.get(name)) is not None and entry.discarded_at is not None:
            name = replace(name, attempt=name.attempt + 1)
        return name

    def with_entry(self, entry: Entry) -> "StoreView":
        """Return this view with one entry put in the place of its like, or at the end."""
        others = tuple(old for old in self.entries if old.name != entry.name)
        return replace(self, entries=(*others, entry))


@dataclass(frozen=True, slots=True)
class View:
    """All that was seen of one key, at the moment `at` of judging it."""

    key: KeyArn
    at: datetime
    regions: Mapping[Region, RegionView] = field(default_factory=dict)
    store: StoreView | None = None
    failures: Mapping[str, LookFailure] = field(default_factory=dict)

    @property
    def members(self) -> frozenset[Region]:
        """Every Region that some member names; the key's own Region before anything was seen."""
        named = frozenset(region for seen in self.regions.values() for region in seen.members)
        return named or frozenset({self.key.region})

    @property
    def primary(self) -> RegionView | None:
        """The primary key, or the only key; None where it was not seen."""
        return next((seen for seen in self.regions.values() if seen.is_primary), None)

    @property
    def replicas(self) -> tuple[RegionView, ...]:
        """The replica keys that were seen, by Region."""
        return tuple(self.regions[region] for region in sorted(self.regions) if not self.regions[region].is_primary)

    @property
    def pending(self) -> MaterialRow | None:
        """The pending material, as the primary tells it; none that another Region lists as rotated in (I15)."""
        pending = self.primary.pending if self.primary else None
        return None if pending is None or pending.material_id in self.permanent_ids() else pending

    @property
    def current(self) -> MaterialRow | None:
        """The CURRENT material, whichever Region was seen last: what one of them lists as past is past (I15)."""
        past = {row.material_id for seen in self.regions.values() for row in seen.permanent if row is not seen.current}
        listed = [seen.current for seen in self._primary_first() if seen.current]
        return next((row for row in listed if row.material_id not in past), listed[0] if listed else None)

    def order(self) -> tuple[MaterialId, ...]:
        """Every listed material in the order in which they came, pending last, by the Region that lists most."""
        most = max(self._primary_first(), key=lambda seen: len(seen.rows), default=None)
        return tuple(row.material_id for row in most.rows) if most else ()

    def _primary_first(self) -> list[RegionView]:
        return sorted(self.regions.values(), key=lambda seen: (not seen.is_primary, seen.region))

    def past(self, replaced: MaterialId | None) -> bool:
        """Whether CURRENT is not the replaced material any more; one Region saying so suffices: KMS never goes back."""
        return any(seen.current and seen.current.material_id != replaced for seen in self.regions.values())

    def permanent_ids(self) -> tuple[MaterialId, ...]:
        """Every material that the key needs for ever, in the order in which the Regions list them."""
        found: Iterable[MaterialId] = (row.material_id for seen in self.regions.values() for row in seen.permanent)
        return tuple(dict.fromkeys(found))
