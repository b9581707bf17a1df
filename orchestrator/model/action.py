"""Actions: frozen values that each name one change, and what came of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from .ids import EntryName, KeyArn, MaterialId, Region
from .proof import Proof


class ImportType(StrEnum):
    """ImportType of ImportKeyMaterial."""

    NEW = "NEW_KEY_MATERIAL"
    EXISTING = "EXISTING_KEY_MATERIAL"


@dataclass(frozen=True, slots=True)
class DepositMaterial:
    """Make fresh key material and keep it in the store, unless the entry is there already."""

    entry: EntryName
    kind: Literal["deposit"] = "deposit"

    @property
    def target(self) -> str:
        """What this changes, and what must therefore be looked at again."""
        return STORE


@dataclass(frozen=True, slots=True)
class AdoptMaterial:
    """Keep the 32 bytes of a file in the store, unless the entry is there already."""

    entry: EntryName
    source: str
    kind: Literal["adopt"] = "adopt"

    @property
    def target(self) -> str:
        """What this changes."""
        return STORE


@dataclass(frozen=True, slots=True)
class DiscardMaterial:
    """Mark an attempt as given up, so that no run uses its bytes; they are kept (P9)."""

    entry: EntryName
    at: datetime
    kind: Literal["discard"] = "discard"

    @property
    def target(self) -> str:
        """The store keeps the mark."""
        return STORE


@dataclass(frozen=True, slots=True)
class ReinstateMaterial:
    """Take the mark of a given-up attempt back: KMS rotated its bytes in, and the key needs them for ever (P9)."""

    entry: EntryName
    at: datetime
    kind: Literal["reinstate"] = "reinstate"

    @property
    def target(self) -> str:
        """The store keeps the mark."""
        return STORE


@dataclass(frozen=True, slots=True)
class DeletePendingMaterial:
    """Delete pending key material by its id, on the primary; KMS then drops it in every Region (I5).

    `entry` is the rotation that it is withdrawn from: the store notes that first (P6), whoever's the material is.
    """

    arn: KeyArn
    material_id: MaterialId
    entry: EntryName
    kind: Literal["delete-pending"] = "delete-pending"

    @property
    def target(self) -> str:
        """The Region that this is sent to."""
        return self.arn.region


class Purpose(StrEnum):
    """What material is imported for: what a run did is told by this (I13)."""

    ROTATE = "rotate"
    RESTORE = "restore"
    FILL = "fill"
    RENEW = "renew"
    IDENTIFY = "identify"


@dataclass(frozen=True, slots=True)
class ImportMaterial:
    """Import one entry into the key in one Region; a success also links the entry, as KMS compared the bytes (P2)."""

    arn: KeyArn
    entry: EntryName
    import_type: ImportType
    material_id: MaterialId | None
    valid_to: datetime | None
    purpose: Purpose = Purpose.ROTATE
    kind: Literal["import"] = "import"

    @property
    def target(self) -> str:
        """The Region that this changes."""
        return self.arn.region


@dataclass(frozen=True, slots=True)
class RotateOnDemand:
    """Make the pending material CURRENT in every Region. Cannot be undone and costs one of 25 for life."""

    arn: KeyArn
    material_id: MaterialId
    kind: Literal["rotate"] = "rotate"

    @property
    def target(self) -> str:
        """The Region that this is sent to."""
        return self.arn.region


@dataclass(frozen=True, slots=True)
class ReplicateKey:
    """Make a replica of the primary key `arn` in one Region, with the primary's key policy; it has no material yet."""

    arn: KeyArn
    region: Region
    kind: Literal["replicate"] = "replicate"

    @property
    def target(self) -> str:
        """The Region that this makes a member; it is sent to the primary's."""
        return self.region


@dataclass(frozen=True, slots=True)
class KeepProbe:
    """Encrypt a small fixed text under the CURRENT material and keep the ciphertext in the entry (P14)."""

    arn: KeyArn
    entry: EntryName
    material_id: MaterialId
    kind: Literal["keep-probe"] = "keep-probe"

    @property
    def target(self) -> str:
        """The store keeps what this makes."""
        return STORE


@dataclass(frozen=True, slots=True)
class ProveRegion:
    """Ask one Region to use the new material, and to open what every generation's probe holds (P14).

    `generations` names the material that each probe must be opened by. `untried` names the materials that no probe is
    kept for: they are reported as skipped, never as passed.
    """

    arn: KeyArn
    material_id: MaterialId
    probes: tuple[EntryName, ...]
    generations: tuple[MaterialId, ...] = ()
    untried: tuple[MaterialId, ...] = ()
    kind: Literal["prove"] = "prove"

    @property
    def target(self) -> str:
        """The Region that is asked; nothing in it changes."""
        return self.arn.region


@dataclass(frozen=True, slots=True)
class MarkProven:
    """Mark the entry as proven in the store: the rotation is finished. `proof` says how that was seen.

    `valid_to` is when it first expires: KMS forgets that with the bytes.
    """

    entry: EntryName
    material_id: MaterialId
    regions: tuple[Region, ...]
    proof: Proof = Proof.IDS_ONLY
    valid_to: datetime | None = None
    kind: Literal["mark-proven"] = "mark-proven"

    @property
    def target(self) -> str:
        """The store keeps the mark."""
        return STORE


@dataclass(frozen=True, slots=True)
class NoteSwitch:
    """Note in the store that the key is Disabled in a Region, or Enabled again: expired material hides it (P10)."""

    key: KeyArn
    off: bool
    at: datetime
    kind: Literal["note-switch"] = "note-switch"

    @property
    def target(self) -> str:
        """The store keeps the mark."""
        return STORE


Action = (
    DepositMaterial
    | AdoptMaterial
    | DiscardMaterial
    | ReinstateMaterial
    | DeletePendingMaterial
    | ImportMaterial
    | RotateOnDemand
    | ReplicateKey
    | KeepProbe
    | ProveRegion
    | MarkProven
    | NoteSwitch
)

STORE = "store"


def name_of(action: Action) -> str:
    """Name an action so that what came of it is remembered; equal actions have equal names."""
    match action:
        case ImportMaterial():
            what = f"{action.import_type}:{action.material_id or 'new'}.{action.entry.attempt}"
        case RotateOnDemand() | ProveRegion() | MarkProven() | KeepProbe() | DeletePendingMaterial():
            what = action.material_id
        case DepositMaterial() | AdoptMaterial() | DiscardMaterial() | ReinstateMaterial():
            what = str(action.entry.attempt)
        case ReplicateKey():
            what = action.arn.region
        case NoteSwitch():
            what = f"{action.key.region}.{'off' if action.off else 'on'}"
    return f"{action.kind}:{action.target}:{what}"


def touched(action: Action) -> frozenset[str]:
    """Name what must be looked at again after an action: its target, and the primary that a new replica shows on."""
    also = {action.arn.region} if isinstance(action, ReplicateKey) else ()
    return frozenset({action.target, *also})


class Result(StrEnum):
    """How an action ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action; never a bare boolean.

    A failure that is not `final` may pass: the world is looked at again, and the action is decided anew. With `doubt`
    it may have had its effect all the same. A failure for a `person` is not mended by running again. `refused` means
    that KMS said that these bytes are others. `unsent` means that nothing was sent, as what was seen had become old.
    """

    result: Result
    message: str = ""
    material_id: MaterialId | None = None
    opened: tuple[MaterialId, ...] = ()
    skipped: tuple[str, ...] = ()
    final: bool = False
    doubt: bool = False
    person: bool = False
    refused: bool = False
    hint: str = ""
    unsent: bool = False
