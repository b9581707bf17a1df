"""Adopt: bring material that was made elsewhere into the store, proven by KMS to be what it seems.

KMS never tells what it holds, but it accepts an import under a given id only if the bytes are that id's (P2).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator import checks
from orchestrator.goals import Pinned, full_id, predecessor
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
    Reason,
    Region,
    RegionView,
    Run,
    Stage,
    Step,
    StoreView,
    View,
    Wait,
    short,
)
from orchestrator.progress import Job
from orchestrator.stages import LAG, proof_of, proven, settled
from workflows.repair import sound


def adopt(name: str, key: KeyArn, policy: Policy, source: Path, material: MaterialId | None) -> Job:
    """Adopt one file of 32 bytes as one material of one key; CURRENT material is proven, too."""

    def pin(view: View) -> Pinned:
        return pinned(view, policy, material)

    return Job(name, key, policy, stages(source), pin, "adopted: KMS confirmed the bytes, and the store holds them now")


def stages(source: Path) -> Sequence[Stage]:
    """Return the workflow for one file."""

    def adopted(view: View, run: Run) -> Sequence[Step]:
        """Keep the file's bytes in the store before KMS is asked about them."""
        if view.store is None or view.store.get(run.goal.entry):
            return []
        return [Act(AdoptMaterial(run.goal.entry, str(source)))]

    return (sound, adopted, accepted, current_settled, current_proven)


def accepted(view: View, run: Run) -> Sequence[Step]:
    """Let the primary say whose bytes these are: it accepts them only as the material that they are."""
    if view.store is None or view.primary is None:  # a primary that cannot be seen has confirmed nothing (I8)
        return [checks.not_seen(view, STORE if view.store is None else run.goal.primary)]
    entry, row = view.store.get(run.goal.entry), _row(view, run.goal)
    if entry is None or entry.linked is not None:
        return []
    if row is None:
        message = f"{view.primary.region} does not list the key material that is adopted"
        return [Wait(Reason.INCONSISTENT, message, view.primary.region, LAG, look=(view.primary.region,))]
    if checks.refused(run, view.primary.arn, row.material_id):
        return _other_bytes(view, view.primary.region, entry, row)
    if closed := checks.importable(view.primary, healing=True):
        return closed
    return [Act(proof_of(view.primary, entry, row, view, run))]


def _other_bytes(view: View, primary: Region, entry: Entry, row: MaterialRow) -> Sequence[Step]:
    """Set the attempt aside, lest a later rotation take its bytes for new ones; then tell."""
    if entry.discarded_at is None:
        return [Act(DiscardMaterial(entry.name, view.at))]
    message = f"KMS says that the bytes of attempt {entry.name.attempt} are not key material {short(row.material_id)}"
    way = "nothing was changed in KMS, and the attempt was set aside: adopt the right file, or name --material-id"
    return [Block(Reason.FOREIGN_PENDING, message, way, primary)]


def current_settled(view: View, run: Run) -> Sequence[Step]:
    """See CURRENT material usable everywhere, if it is what was adopted."""
    return settled(view, run) if _is_current(view, run) else []


def current_proven(view: View, run: Run) -> Sequence[Step]:
    """Prove CURRENT material, if it is what was adopted."""
    return proven(view, run) if _is_current(view, run) else []


def _is_current(view: View, run: Run) -> bool:
    row = _row(view, run.goal)
    return row is not None and row is view.current


def _row(view: View, goal: Goal) -> MaterialRow | None:
    """Find the row that the goal's entry is to hold: the one that came after the material it replaced."""
    rows = view.primary.rows if view.primary else ()
    return next((row for row in rows if predecessor(view, row.material_id) == goal.replaces), None)


def pinned(view: View, policy: Policy, material: MaterialId | None) -> Pinned:
    """Pin which material is adopted: the one that was named, or the only one that the store lacks."""
    primary, store = view.primary, view.store
    if primary is None or store is None:
        return list(checks.seen_everywhere(view, view.members))
    rows = [row for row in primary.rows if material is None or row.material_id == full_id(view, material)]
    lacking = [row for row in rows if store.holding(row.material_id) is None]
    if not primary.rows:
        way = "import its first key material, then adopt that"
        return [Block(Reason.NEVER_IMPORTED, f"{view.key} has no imported key material", way, primary.region)]
    if not rows:
        way = "see the ids with mrk status"
        return [Block(Reason.INCONSISTENT, f"the key has no key material {short(material)}", way, primary.region)]
    if not lacking and (unproven := _unproven(rows, primary, store)) is not None:
        return _goal(view, policy, unproven.name)
    if not lacking:
        return Idle("the store holds this material already, proven by KMS; the file was not read")
    if len(lacking) > 1:
        ids = ", ".join(row.material_id for row in lacking)
        return [
            Block(Reason.STORE_LACKS, "the store lacks several materials of this key", f"name one: --material-id {ids}")
        ]
    replaced = predecessor(view, lacking[0].material_id)
    return _goal(view, policy, _first_free(store, EntryName(view.key.identity, replaced, ADOPTED)))


def _unproven(rows: Sequence[MaterialRow], primary: RegionView, store: StoreView) -> Entry | None:
    """Find what an adoption that was cut short did not finish: CURRENT, linked and not proven (I6)."""
    current = primary.current
    held = store.holding(current.material_id) if current is not None and current in rows else None
    return held if held is not None and held.name.attempt >= ADOPTED and not held.proven else None


def _goal(view: View, policy: Policy, name: EntryName) -> Goal:
    primary = view.primary.region if view.primary else view.key.region
    valid_to = None if policy.expires is None else (view.at + policy.expires).replace(microsecond=0)
    return Goal(view.key, name, primary, view.members, valid_to, view.at + policy.deadline, policy)


def _first_free(store: StoreView, name: EntryName) -> EntryName:
    """Take an attempt of its own, which no rotation takes for its new bytes, whatever becomes of this run."""
    while store.get(name) is not None:
        name = replace(name, attempt=name.attempt + 1)
    return name
