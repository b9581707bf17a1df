"""The simulated keys as immutable values: a change is a new value, so the past is kept for free (stale reads)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

MaterialState = Literal["CURRENT", "NON_CURRENT", "PENDING"]
Manager = Literal["CUSTOMER", "AWS"]

SYMMETRIC = "SYMMETRIC_DEFAULT"


@dataclass(frozen=True, slots=True)
class Material:
    """One key material of a set, as all its members share it."""

    id: str
    state: MaterialState
    added_at: float
    permanent_since: float | None = None
    description: str | None = None
    rotated_at: float | None = None
    rotation_type: str | None = None
    was_ready: bool = False
    """Whether every member once had it while it was pending."""
    accepted: bool = False
    """Whether an accepted rotation will make it current: readiness was judged then, and is not judged again."""


@dataclass(frozen=True, slots=True)
class Holding:
    """The bytes of one material in one Region, with the expiry that this Region was told."""

    content: bytes = field(repr=False)
    valid_to: float | None = None

    def usable(self, at: float) -> bool:
        """Tell whether the bytes are still there for use."""
        return self.valid_to is None or at < self.valid_to


@dataclass(frozen=True, slots=True)
class Rotation:
    """An accepted on-demand rotation: it completes at `due` with whatever is pending then, or evaporates at `ends`."""

    start: float
    due: float
    shown_until: float
    ends: float


@dataclass(frozen=True, slots=True)
class Automatic:
    """Yearly (or so) rotation of a KMS-generated key."""

    period_days: int
    next_at: float


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may do what with a key of one Region, and under which encryption context; principals as they were named."""

    id: str
    created: float
    issuer: str
    operations: tuple[str, ...]
    name: str = ""
    grantee: str | None = None
    grantee_service: str | None = None
    retiring: str | None = None
    retiring_service: str | None = None
    context_equals: Mapping[str, str] | None = None
    context_subset: Mapping[str, str] | None = None
    source_arn: str | None = None


@dataclass(frozen=True, slots=True)
class LastUse:
    """The last cryptographic operation that succeeded with a key in one Region."""

    operation: str
    at: float
    event_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Member:
    """What one Region has of a key; nothing in here is copied to the others."""

    region: str
    created: float
    description: str
    policy: str
    tags: Mapping[str, str] = field(default_factory=dict)
    disabled: bool = False
    deletion_window: int | None = None
    deletion_at: float | None = None
    creating_until: float = 0.0
    updating_until: float = 0.0
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()

    def holds(self, material_id: str) -> bool:
        """Tell whether the bytes are here (expired or not: an expired row reads IMPORTED)."""
        return material_id in self.holdings

    def with_holding(self, material_id: str, holding: Holding | None) -> Self:
        """Return this member with the bytes put in, or taken out (None)."""
        others = {key: value for key, value in self.holdings.items() if key != material_id}
        return replace(self, holdings=others if holding is None else {**others, material_id: holding})


@dataclass(frozen=True, slots=True)
class KeySet:
    """A key: a single-Region one, or a multi-Region primary with its replicas."""

    key_id: str
    account: str
    partition: str
    spec: str
    usage: str
    origin: str
    multi_region: bool
    primary: str
    members: Mapping[str, Member]
    materials: tuple[Material, ...] = ()
    rotation: Rotation | None = None
    automatic: Automatic | None = None
    last_period_days: int | None = None
    rotations_spent: int = 0
    rotations_done: int = 0
    manager: Manager = "CUSTOMER"

    @property
    def symmetric(self) -> bool:
        """Tell whether this key encrypts with a symmetric material, so that materials have ids and can be rotated."""
        return self.spec == SYMMETRIC

    @property
    def imported(self) -> bool:
        """Tell whether the key material comes from outside."""
        return self.origin == "EXTERNAL"

    @property
    def current(self) -> Material | None:
        """Return the material in use, if there was ever any."""
        return next((m for m in self.materials if m.state == "CURRENT"), None)

    @property
    def pending(self) -> Material | None:
        """Return the one material that waits to be rotated in."""
        return next((m for m in self.materials if m.state == "PENDING"), None)

    @property
    def permanent(self) -> tuple[Material, ...]:
        """Return the materials that are, or once were, current."""
        return tuple(m for m in self.materials if m.state != "PENDING")

    def material(self, material_id: str) -> Material | None:
        """Return the associated material with that id."""
        return next((m for m in self.materials if m.id == material_id), None)

    def arn(self, region: str) -> str:
        """Return the key's arn as seen in that Region."""
        return f"arn:{self.partition}:kms:{region}:{self.account}:key/{self.key_id}"

    def replicas(self) -> tuple[str, ...]:
        """Return the Regions of the replicas in the order in which they were made."""
        return tuple(region for region in self.members if region != self.primary)

    def with_member(self, member: Member) -> Self:
        """Return this set with that Region's part replaced or added."""
        return replace(self, members={**self.members, member.region: member})

    def without_member(self, region: str) -> Self:
        """Return this set without that Region's part."""
        return replace(self, members={name: member for name, member in self.members.items() if name != region})

    def with_material(self, material: Material) -> Self:
        """Return this set with the material of that id replaced, or added as the youngest."""
        if self.material(material.id) is None:
            return replace(self, materials=(*self.materials, material))
        return replace(self, materials=tuple(material if m.id == material.id else m for m in self.materials))

    def without_material(self, material_id: str) -> Self:
        """Return this set without that material, in every Region."""
        members = {name: member.with_holding(material_id, None) for name, member in self.members.items()}
        return replace(self, members=members, materials=tuple(m for m in self.materials if m.id != material_id))
