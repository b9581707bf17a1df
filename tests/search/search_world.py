"""A small world to search: what KMS and a store do, written from what was recorded of them.

It shares nothing with the product, so that a mistake in `effects` cannot hide itself. Key materials are letters: `a` is
CURRENT at the start, `z` is older, `f` is somebody else's; `n`, `p` and `r` are what the store makes, attempt by
attempt, and `m`, `q` and `s` what a second store makes. Every
value is immutable, and there is no time in it: what takes time is a step of its own.
"""

from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

Said = Literal["ok", "no", "never", "known bytes", "other bytes"]
"""An answer of KMS: done; not as things stand; not of a replica; or these bytes are not the ones that were named."""

NEW_IN_STORE = ("npr", "mqs")

NOT, JUST_NOW, LONG_AGO = 0, 1, 2
"""When an attempt was given up: long ago is 15 min, in which any rotation is over."""


class WrongError(AssertionError):
    """Something happened that must never happen."""


class Kept(NamedTuple):
    """One entry of a store. KMS derives a material's id from its bytes, so that one letter stands for both.

    `claim` is the material that a link beside it names which is of other bytes: somebody merged copies of a store.
    Attempt 0 is no entry, but the note that pending material was withdrawn from KMS; `discarded` tells when. Attempts
    below it are none either, but tell of Regions that their owner was seen to have switched off, while `discarded`.
    """

    replaces: str | None
    material: str
    linked: bool = False
    proven: bool = False
    probe: bool = False
    attempt: int = 1
    discarded: int = NOT
    claim: str = ""


class Row(NamedTuple):
    """One row of ListKeyRotations in one Region."""

    material: str
    state: str
    imported: bool
    expired: bool
    rotated_in: bool
    ending: bool = False


class Seen(NamedTuple):
    """All that one look at a Region can show."""

    key_state: str
    rows: tuple[Row, ...]
    rotation_shows: bool
    primary: int = 0
    members: int = 1


NO_KEY = Seen("there is no such key", (), rotation_shows=False, members=0)
"""What a look shows where the key has no member, or has it no more."""

SILENT = Seen("no answer", (), rotation_shows=False, members=0)
"""What a look shows of a Region that does not answer."""

Store = tuple[Kept, ...]


class Answers(NamedTuple):
    """How the open questions are answered in which the world matters here; false is what is likeliest."""

    promotion_refused: bool = False  # U10: UpdatePrimaryRegion while material is pending
    replica_rows_stay: bool = False  # U24: a replica's row never reads PENDING_ROTATION
    disabled_stays: bool = False  # U26: an import of pending material leaves a Disabled key Disabled
    rotation_refused: bool = False  # U28: RotateKeyOnDemand while one is under way


class Truth(NamedTuple):
    """How things really stand: the set's materials, each Region's bytes, a rotation under way, and the stores.

    `ending` is what expires soon in each Region, and is usable until then; where nothing does, it is empty. A Region
    that is `silent` answers nobody, and one that is `deleting` takes no import any more.
    """

    held: tuple[frozenset[str], ...]
    expired: tuple[frozenset[str], ...]
    disabled: tuple[bool, ...]
    stores: tuple[Store, ...]
    past: tuple[str, ...] = ()
    current: str = "a"
    pending: str | None = None
    rotating: bool = False
    rotation_shows: bool = False
    rotations: int = 0
    sent_new: frozenset[tuple[int, str | None, int, str]] = frozenset()
    primary: int = 0
    answers: Answers = Answers()
    ending: tuple[frozenset[str], ...] = ()
    silent: frozenset[int] = frozenset()
    deleting: frozenset[int] = frozenset()

    @property
    def permanent(self) -> tuple[str, ...]:
        """What the key needs for ever, oldest first."""
        return (*self.past, self.current)

    @property
    def ready(self) -> bool:
        """Whether KMS counts the pending material as imported everywhere; expired counts, too."""
        return self.pending is not None and all(self.pending in held for held in self.held)

    def usable(self, region: int, material: str) -> bool:
        """Whether a Region can use the bytes of a material."""
        return material in self.held[region] and material not in self.expired[region]

    def ends(self, region: int, material: str) -> bool:
        """Whether a material expires soon in a Region."""
        return region < len(self.ending) and material in self.ending[region]

    def key_state(self, region: int) -> str:
        """Missing permanent material outranks Disabled; a member that is gone has no state."""
        if region >= len(self.held):
            return NO_KEY.key_state
        if region in self.deleting:
            return "PendingDeletion"
        if not all(self.usable(region, material) for material in self.permanent):
            return "PendingImport"
        return "Disabled" if self.disabled[region] else "Enabled"

    def whole(self) -> bool:
        """Whether every Region is Enabled, which it is not where it lacks permanent material."""
        return all(self.key_state(region) == "Enabled" for region in range(len(self.held)))

    def kept(self, store: int, replaces: str | None, attempt: int) -> Kept | None:
        """Find the entry of one store that is to replace a material."""
        named = (replaces, attempt)
        return next((entry for entry in self.stores[store] if (entry.replaces, entry.attempt) == named), None)

    def holding(self, store: int, material: str) -> Kept | None:
        """Find the entry of one store with these bytes."""
        return next((entry for entry in self.stores[store] if entry.material == material), None)


def a_key(replicas: int, *, stores: int = 1, past: str = "", pending: str | None = None) -> Truth:
    """A key whose permanent materials are in every Region and in every store, finished and proven."""
    materials = [*past, "a"]
    before = [None, *materials[:-1]]
    store = tuple(Kept(old, new, linked=True, proven=True) for old, new in zip(before, materials, strict=True))
    regions = replicas + 1
    return Truth(
        held=(frozenset([*materials, *(pending or "")]), *(frozenset(materials),) * replicas),
        expired=(frozenset(),) * regions,
        disabled=(False,) * regions,
        stores=(store,) * stores,
        past=tuple(past),
        pending=pending,
    )


# ---- looks --------------------------------------------------------------------------------------------------------


def look(truth: Truth, region: int) -> Seen:
    """DescribeKey, ListKeyRotations and GetKeyRotationStatus of one Region; the start date shows on the primary."""
    members = len(truth.held)
    if region in truth.silent:
        return SILENT
    if region >= members:
        return NO_KEY
    states = dict.fromkeys(truth.past, "NON_CURRENT") | {truth.current: "CURRENT"}
    if truth.pending is not None:
        waits = not truth.ready or (truth.answers.replica_rows_stay and region != truth.primary)
        states[truth.pending] = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION" if waits else "PENDING_ROTATION"
    rotated_in = truth.permanent[1:]
    rows = tuple(
        Row(m, state, m in truth.held[region], m in truth.expired[region], m in rotated_in, truth.ends(region, m))
        for m, state in states.items()
    )
    shows = truth.rotation_shows and region == truth.primary
    return Seen(truth.key_state(region), rows, shows, truth.primary, members)


# ---- KMS ----------------------------------------------------------------------------------------------------------


def import_new(truth: Truth, region: int, material: str) -> tuple[Truth, Said]:
    """NEW, on the primary: refused for bytes that the key has, and while anything is pending."""
    if region != truth.primary:
        return truth, "never"
    if material in (*truth.permanent, truth.pending):
        return truth, "known bytes"
    if truth.pending is not None:
        return truth, "no"
    return _imported(truth._replace(pending=material), region, material), "ok"


def import_existing(truth: Truth, region: int, material: str, named: str | None) -> tuple[Truth, Said]:
    """EXISTING: accepted for bytes that the key knows, and only if they are the ones named."""
    if region >= len(truth.held) or region in truth.silent | truth.deleting:
        return truth, "no"
    if material != named or material not in (*truth.permanent, truth.pending):
        return truth, "other bytes"
    return _imported(truth, region, material), "ok"


def _imported(truth: Truth, region: int, material: str) -> Truth:
    """The bytes are there, with a new expiry; and a Disabled key is enabled by it, silently, or by some only (U26)."""
    held = _at(truth.held, region, truth.held[region] | {material})
    expired = _at(truth.expired, region, truth.expired[region] - {material})
    stays = truth.answers.disabled_stays and material == truth.pending and truth.disabled[region]
    ending = _at(truth.ending, region, truth.ending[region] - {material}) if truth.ending else ()
    return truth._replace(held=held, expired=expired, disabled=_at(truth.disabled, region, new=stays), ending=ending)


def rotate(truth: Truth, region: int) -> tuple[Truth, Said]:
    """RotateKeyOnDemand: gated on the pending material alone; a repeat while one runs is accepted and does nothing."""
    if region != truth.primary:
        return truth, "never"
    if truth.key_state(region) != "Enabled" or not truth.ready:
        return truth, "no"
    if truth.rotating and truth.answers.rotation_refused:
        return truth, "no"
    return truth._replace(rotating=True, rotation_shows=truth.rotation_shows or not truth.rotating), "ok"


def rotation_ends(truth: Truth) -> Truth:
    """Whatever is pending by then becomes CURRENT; nothing does where it was deleted in the meantime."""
    over = truth._replace(rotating=False, rotation_shows=False)
    if truth.pending is None:
        return over
    return over._replace(past=truth.permanent, current=truth.pending, pending=None, rotations=truth.rotations + 1)


def delete(truth: Truth, region: int, material: str) -> tuple[Truth, Said]:
    """DeleteImportedKeyMaterial: of any material, also while an accepted rotation runs; on a replica it is local."""
    if material == truth.pending and region == truth.primary:
        return pending_deleted(truth), "ok"
    if material not in (*truth.permanent, truth.pending):
        return truth, "no"
    return truth._replace(held=_at(truth.held, region, truth.held[region] - {material})), "ok"


def pending_deleted(truth: Truth) -> Truth:
    """Somebody deletes the pending material on the primary: it is gone everywhere, but an accepted rotation runs on."""
    held = tuple(held - {truth.pending} for held in truth.held)
    return truth._replace(held=held, pending=None)


# ---- the store ----------------------------------------------------------------------------------------------------


def deposit(truth: Truth, store: int, replaces: str | None, attempt: int) -> Truth:
    """Put fresh bytes under a name, unless something is there."""
    if truth.kept(store, replaces, attempt) is not None:
        return truth
    return keep(truth, store, Kept(replaces, NEW_IN_STORE[store][attempt - 1], attempt=attempt))


def note_withdrawal(truth: Truth, store: int) -> Truth:
    """Note that what is pending is about to be deleted."""
    return keep(truth, store, Kept(truth.current, "withdrawn", attempt=0, discarded=JUST_NOW))


def note_switch(truth: Truth, store: int, region: int, *, off: bool) -> Truth:
    """Note that the owner was seen to have switched a Region off, or on again."""
    return keep(truth, store, Kept(None, "switch", attempt=-1 - region, discarded=JUST_NOW if off else NOT))


def merged(truth: Truth, into: int, source: int) -> Truth:
    """Somebody completes a store from another one's copy, where files are missing: marks come beside other bytes."""
    for entry in truth.stores[into]:
        copied = truth.kept(source, entry.replaces, entry.attempt)
        other = copied is not None and copied.material != entry.material and copied.linked and not entry.linked
        if copied is not None and other and entry.attempt > 0:
            truth = keep(truth, into, entry._replace(claim=copied.material, discarded=copied.discarded))
    return truth


def withdrawn(truth: Truth, store: int) -> int:
    """Tell when anything pending was last withdrawn."""
    note = truth.kept(store, truth.current, 0)
    return note.discarded if note else NOT


def keep(truth: Truth, store: int, entry: Kept) -> Truth:
    """Put one entry in the place of its like, or at the end."""
    named = (entry.replaces, entry.attempt)
    others = tuple(old for old in truth.stores[store] if (old.replaces, old.attempt) != named)
    return truth._replace(stores=_at(truth.stores, store, (*others, entry)))


def old(truth: Truth) -> Truth:
    """How things stand a quarter of an hour later."""
    return truth._replace(stores=tuple(aged(store) for store in truth.stores))


def aged(store: Store) -> Store:
    """What was given up just now was given up long ago: a quarter of an hour has passed."""
    return tuple(entry._replace(discarded=LONG_AGO) if entry.discarded else entry for entry in store)


def _at(items: tuple[T, ...], index: int, new: T) -> tuple[T, ...]:
    return (*items[:index], new, *items[index + 1 :])


def swapped(items: tuple[T, ...], one: int, other: int) -> tuple[T, ...]:
    """Exchange two places."""
    changed = list(items)
    changed[one], changed[other] = changed[other], changed[one]
    return tuple(changed)
