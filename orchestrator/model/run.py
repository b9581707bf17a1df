"""A run of one key: its goal, its memory, and what a stage or a turn says. All of it round-trips through small JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from .action import Action
from .ids import EntryName, KeyArn, MaterialId, Region
from .proof import Proof
from .view import View


class Reason(StrEnum):
    """Why a run waits, is blocked or failed: the machine-readable half of the sentence beside it."""

    ACCESS = "cannot-look"
    BUDGET_SPENT = "budget-spent"
    CALL_FAILED = "call-failed"
    CLOCK = "wrong-clock"
    DISABLED = "disabled"
    DISCARDED = "attempt-discarded"
    EXPIRES_SOON = "expires-soon"
    FOREIGN_CURRENT = "foreign-current"
    FOREIGN_PENDING = "foreign-pending"
    INCONSISTENT = "inconsistent"
    KEY_STATE = "key-state"
    LOOKING = "looking"
    MADE_ELSEWHERE = "made-elsewhere"
    MATERIAL_MISSING = "material-missing"
    NEVER_IMPORTED = "never-imported"
    NOT_APPROVED = "not-approved"
    NOT_EXTERNAL = "not-external"
    NOT_NEW = "not-new"
    NOT_PROVEN = "not-proven"
    NOT_SYMMETRIC = "not-symmetric"
    OTHER_BYTES = "other-bytes"
    PENDING_VANISHED = "pending-vanished"
    RECENTLY_ROTATED = "recently-rotated"
    REGION_LACKING = "region-lacking"
    REGION_UNLISTED = "region-unlisted"
    RESERVED = "budget-reserved"
    ROTATED_IN = "rotated-in"
    ROTATING = "rotating"
    SETTINGS = "settings"
    SETTLING = "settling"
    SLOT = "slot-not-listed"
    STORE_LACKS = "store-lacks"
    STORE_UNREADABLE = "store-unreadable"
    SWITCHED_OFF = "switched-off"
    TOO_LATE = "too-late"
    TOPOLOGY = "topology-changed"


@dataclass(frozen=True, slots=True)
class Act:
    """A stage misses something that an action brings about."""

    action: Action


@dataclass(frozen=True, slots=True)
class Block:
    """A stage misses something that needs a person (exit 4), or, with `person` false, another run (exit 3)."""

    reason: Reason
    message: str
    way_out: str
    region: Region | None = None
    person: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """A stage misses something that only time brings; `at_most` bounds the patience.

    When that is over, `over` is said; without it, that the wait was in vain and another run may go on (exit 3).
    """

    reason: Reason
    message: str
    region: Region | None = None
    at_most: timedelta = timedelta(minutes=3)
    look: tuple[str, ...] = ()
    over: Block | None = None


Step = Act | Wait | Block

_BELIEVED = 2


NEVER: Literal["never"] = "never"
"""That imported key material never expires, as `expires` says it."""


class MissingOld(StrEnum):
    """What to do where the store lacks a material that the key needs for ever (P7)."""

    BLOCK = "block"
    ALLOW = "allow"


class Repair(StrEnum):
    """Whether an unattended run imports again what a Region lacks (P10): somebody may have deleted it on purpose."""

    ASK = "ask"
    AUTO = "auto"


class Replicate(StrEnum):
    """Whether a Region that the config lists and KMS lacks is made a member of the key (P11)."""

    ASK = "ask"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner wants for one key. `regions` empty means: whatever members KMS names.

    `expires` None means: as the key's material does now.

    `may_enable` names the Regions that a person allows this run to import into though the key was Disabled there, which
    enables it; `may_take` allows it new key material of which nobody knows who made it.
    `attended` tells that a person confirms this run's rotations on a terminal: only then may one spend the `reserve`.
    """

    regions: frozenset[Region] = frozenset()
    rotate_every: timedelta = timedelta(days=365)
    min_interval: timedelta = timedelta(days=1)
    reserve: int = 2
    expires: timedelta | Literal["never"] | None = None
    renew_before: timedelta = timedelta(days=30)
    safety_window: timedelta = timedelta(days=7)
    proof: Proof = Proof.IDS_ONLY
    missing_old: MissingOld = MissingOld.BLOCK
    repair: Repair = Repair.ASK
    replicate: Replicate = Replicate.ASK
    looks: int = 3
    poll: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(minutes=30)
    attended: bool = False
    may_enable: frozenset[Region] = frozenset()
    may_take: bool = False

    def lists(self, region: Region) -> bool:
        """Whether the owner wants the key in a Region: where the config names none, in all that KMS names."""
        return not self.regions or region in self.regions


@dataclass(frozen=True, slots=True)
class Goal:
    """What one run is for, pinned once at its start: it rotates at most once (P4), within the topology seen (P13).

    `aborting` tells that it is to withdraw what is pending; `named` is the foreign material that a person named for it.
    `renewing` tells that nothing is settled before the later expiry shows.
    """

    key: KeyArn
    entry: EntryName
    primary: Region
    members: frozenset[Region]
    valid_to: datetime | None
    deadline: datetime
    policy: Policy
    aborting: bool = False
    named: MaterialId | None = None
    pinned_at: datetime | None = None
    renewing: bool = False

    @property
    def began(self) -> datetime:
        """When the run was pinned: from then on it has watched."""
        return self.pinned_at or self.deadline - self.policy.deadline

    def of_a_run_since(self, begun: datetime) -> "Goal":
        """Return the goal of a run that began before it was pinned: its deadline counts from there."""
        return replace(self, pinned_at=self.began, deadline=begun + self.policy.deadline)

    @property
    def replaces(self) -> MaterialId | None:
        """The CURRENT material that this run replaces."""
        return self.entry.replaces


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is to be done for a key, seen with a clean view of it (P5)."""

    message: str


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive looks that confirmed one fact."""

    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """How often an action failed, and when it may be tried again; `final` means never by this run.

    `refusals` counts how often in a row KMS said that the bytes are others.
    """

    count: int
    message: str
    hint: str
    not_before: datetime
    final: bool
    refusals: int = 0
    person: bool = False

    @property
    def refused(self) -> bool:
        """Whether to believe that the bytes are others: material that was gone for a moment is refused once, too."""
        return self.refusals >= _BELIEVED


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run remembers. It serves patience only: losing it costs time, never correctness.

    `doubted` is what may have been brought back, as no reply tells: where the next look shows it, it is restored.
    """

    settled: Mapping[Region, Streak] = field(default_factory=dict)
    quiet: Streak | None = None
    waiting: Mapping[str, datetime] = field(default_factory=dict)
    failed: Mapping[str, Failed] = field(default_factory=dict)
    proofs: Mapping[Region, MaterialId] = field(default_factory=dict)
    unopened: tuple[str, ...] = ()
    rotation_sent: datetime | None = None
    rotation_seen: datetime | None = None
    deletion_sent: datetime | None = None
    replicated: frozenset[Region] = frozenset()
    restored: frozenset[Region] = frozenset()
    filled: frozenset[Region] = frozenset()
    doubted: Mapping[Region, MaterialId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One key on its way: the goal it was given and what it remembers."""

    goal: Goal
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do next for one key: carry out `act`, look again at `look`, and decide anew at `wake` at the latest."""

    stage: str
    status: Literal["going", "finished", "blocked", "failed"]
    act: tuple[Action, ...] = ()
    look: tuple[str, ...] = ()
    wake: datetime | None = None
    waits: tuple[Wait, ...] = ()
    blocks: tuple[Block, ...] = ()


Stage = Callable[[View, Run], Sequence[Step]]
