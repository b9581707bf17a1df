"""Adopt: bring material that was made elsewhere into the store, proven by KMS to be what it seems.

KMS never tells what it holds, but it accepts an import under a given id only if the bytes are that id's (P2).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator import kinds, lasting
from orchestrator.goals import Pinned, full_id, unseen
from orchestrator.holding import holds, predecessor, refused
from orchestrator.importable import importable, off_since, switches
from orchestrator.looks import LAG, not_seen, seen_everywhere
from orchestrator.model import (
    ADOPTED,
    STORE,
    Act,
    AdoptMaterial,
    Block,
    DiscardMaterial,
    Entry,
    EntryName,
    Goal,
    Idle,
    KeyArn,
    MaterialId,
    MaterialRow,
    Policy,
    Purpose,
    Reason,
    Region,
    Run,
    Stage,
    Step,
    StoreView,
    View,
    Wait,
    short,
)
from orchestrator.progress import Job
from orchestrator.settling import proven, settled
from orchestrator.stages import proof_of


def adopt(
    name: str,
    key: KeyArn,
    policy: Policy,
    source: Path,
    material: MaterialId | None,
    same_as: EntryName | None = None,
) -> Job:
    """Adopt one file of 32 bytes as one material of one key; CURRENT material is proven, too."""

    def pin(view: View) -> Pinned:
        return pinned(view, policy, material, same_as)

    return Job(name, key, policy, stages(source), pin, "adopted: KMS confirmed the bytes, and the store holds them now")


def stages(source: Path) -> Sequence[Stage]:
    """Return the workflow for one file."""

    def adopted(view: View, run: Run) -> Sequence[Step]:
        """Keep the file's bytes in the store before KMS is asked about them."""
        if view.store is None or view.store.get(run.goal.entry):
            return []
        return [Act(AdoptMaterial(run.goal.entry, str(source)))]

    return (sound, adopted, accepted, current_settled, current_proven)


def sound(view: View, run: Run) -> Sequence[Step]:
    """Know the store and the key, as the run began with them; what is odd elsewhere stops no adoption."""
    if view.store is None or not view.regions:
        return [not_seen(view, STORE if view.store is None else run.goal.primary)]
    return [*switches(view), *kinds.right_kind(view)]


def accepted(view: View, run: Run) -> Sequence[Step]:
    """Let the primary say whose bytes these are: it accepts them only as the material that they are."""
    if view.store is None or view.primary is None:  # a primary that cannot be seen has confirmed nothing (I8)
        return [not_seen(view, STORE if view.store is None else run.goal.primary)]
    entry, row = view.store.get(run.goal.entry), _row(view, run.goal)
    if entry is None or entry.linked is not None:
        return []
    if row is None:
        message = f"{view.primary.region} does not list the key material that is adopted"
        return [Wait(Reason.INCONSISTENT, message, view.primary.region, LAG, look=(view.primary.region,))]
    if refused(run, view.primary.arn, entry, row.material_id):
        return _other_bytes(view, view.primary.region, entry, row)
    off = off_since(view, run.goal.policy, view.primary.region)
    if closed := importable(view.primary, healing=True, off=off):
        return closed
    if row.permanent and (ended := lasting.over(view, run.goal, view.primary, row.material_id)):
        return ended
    purpose = Purpose.IDENTIFY if row.usable(view.at) else Purpose.RESTORE
    return [Act(replace(proof_of(view.primary, entry, row, view, run), purpose=purpose))]


def _other_bytes(view: View, primary: Region, entry: Entry, row: MaterialRow) -> Sequence[Step]:
    """Set the attempt aside, lest a later rotation take its bytes for new ones; then tell."""
    if entry.discarded_at is None:
        return [Act(DiscardMaterial(entry.name, view.at))]
    message = f"KMS says that the file does not hold key material {short(row.material_id)}: nothing was changed in KMS"
    way = "keep the file, and adopt the right one; or name the id that this one has: --material-id ID (mrk status)"
    return [Block(Reason.OTHER_BYTES, message, way, primary)]


def current_settled(view: View, run: Run) -> Sequence[Step]:
    """See CURRENT material usable everywhere, if it is what was adopted."""
    return settled(view, run) if _is_current(view, run) else []


def current_proven(view: View, run: Run) -> Sequence[Step]:
    """Prove CURRENT material, if it is what was adopted."""
    return proven(view, run) if _is_current(view, run) else []


def _is_current(view: View, run: Run) -> bool:
    row, current = _row(view, run.goal), view.current
    return row is not None and current is not None and row.material_id == current.material_id


def _row(view: View, goal: Goal) -> MaterialRow | None:
    """Find the row that the goal's entry is to hold: the one that came after the material it replaced."""
    rows = view.primary.rows if view.primary else ()
    return next((row for row in rows if predecessor(view, row.material_id) == goal.replaces), None)


def pinned(view: View, policy: Policy, material: MaterialId | None, same_as: EntryName | None = None) -> Pinned:
    """Pin which material is adopted: the one that was named, or the only one that the store lacks.

    `same_as` is the entry of this key that holds the file's bytes, as far as the store could open and compare them.
    """
    primary, store = view.primary, view.store
    if primary is None or store is None:
        return seen_everywhere(view, [primary.region if primary else Region(unseen(view))])
    if wrong := kinds.right_kind(view):
        return wrong
    if not primary.rows:
        way = "import its first key material, then adopt that"
        return [Block(Reason.NEVER_IMPORTED, f"{view.key} has no imported key material", way, primary.region)]
    rows = [row for row in primary.rows if material is None or row.material_id == full_id(view, material)]
    if not rows:
        way = "see the ids with mrk status"
        return [Block(Reason.INCONSISTENT, f"the key has no key material {short(material)}", way, primary.region)]
    same = store.get(same_as) if same_as else None
    if same is not None and same.held:
        return _held_already(view, policy, same, rows)
    lacking = [row for row in rows if not holds(view, row.material_id)]
    if len(lacking) > 1:
        ids = ", ".join(row.material_id for row in lacking)
        message = "the store lacks several key materials of this key"
        return [Block(Reason.STORE_LACKS, message, f"name the one that the file holds: --material-id {ids}")]
    if not lacking:
        return [_none_of_them(view, rows)]
    replaced = predecessor(view, lacking[0].material_id)
    resumed = same is not None and same.name.replaces == replaced and not same.discarded_at
    free = _first_free(store, EntryName(view.key.identity, replaced, ADOPTED))
    return _goal(view, policy, same.name if same and resumed else free)


def _held_already(view: View, policy: Policy, same: Entry, rows: Sequence[MaterialRow]) -> Pinned:
    """The store holds the file's bytes; what an adoption that was cut short did not finish is finished (I6)."""
    if same.linked not in {row.material_id for row in rows}:
        return [_none_of_them(view, rows)]
    current = view.current.material_id if view.current else None
    if same.linked == current and same.name.attempt >= ADOPTED and not same.proven:
        return _goal(view, policy, same.name)
    return Idle(f"the file holds key material {short(same.linked)}, which the store holds already: opened and compared")


def _none_of_them(view: View, rows: Sequence[MaterialRow]) -> Block:
    """Say that the file is of something else: nobody may take it for safe to destroy."""
    which = f"key material {short(rows[0].material_id)}" if len(rows) == 1 else "any key material of this key"
    message = f"the file does not hold {which}, which the store holds: its bytes are others, and were not taken"
    way = f"keep the file, and find out which key it belongs to; not {view.key.key_id}, or not under that --material-id"
    return Block(Reason.OTHER_BYTES, message, way)


def _goal(view: View, policy: Policy, name: EntryName) -> Goal:
    primary = view.primary.region if view.primary else view.key.region
    valid_to = lasting.pinned(view, policy)
    return Goal(view.key, name, primary, view.members, valid_to, view.at + policy.deadline, policy)


def _first_free(store: StoreView, name: EntryName) -> EntryName:
    """Take an attempt of its own, which no rotation takes for its new bytes, whatever becomes of this run."""
    while store.get(name) is not None:
        name = replace(name, attempt=name.attempt + 1)
    return name
