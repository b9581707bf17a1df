"""What the store holds of a key: one answer for adopt, repair, renew, ready and status (I12). Pure.

Held means: the bytes opened in this look, and are those of the material that KMS named.
"""

from collections.abc import Iterable, Sequence

from orchestrator import lasting
from orchestrator.looks import not_seen
from orchestrator.model import (
    STORE,
    Act,
    Block,
    Entry,
    ImportMaterial,
    ImportType,
    KeyArn,
    MaterialId,
    MaterialRow,
    Purpose,
    Reason,
    Region,
    RegionView,
    Run,
    Step,
    View,
    Wait,
    name_of,
    short,
)


def holds(view: View, material: MaterialId | None) -> Entry | None:
    """Find the entry that holds a material; of several any good one will do."""
    entry = view.store.holding(material) if view.store else None
    return entry if entry is not None and entry.held else None


def predecessor(view: View, material: MaterialId) -> MaterialId | None:
    """Tell which material came before one, as ListKeyRotations orders them: oldest first, pending last."""
    ids = view.order()
    at = ids.index(material) if material in ids else 0
    return ids[at - 1] if at else None


def may_hold(view: View, run: Run, arn: KeyArn, material: MaterialId) -> tuple[Entry, ...]:
    """Find what may hold a material as far as nobody knows, and KMS has not said in this Region that it does not."""
    if view.store is None:
        return ()
    unknown = view.store.may_hold(material, predecessor(view, material))
    return tuple(entry for entry in unknown if not refused(run, arn, entry, material))


def refused(run: Run, arn: KeyArn, entry: Entry, material: MaterialId) -> bool:
    """Whether KMS has said, and again after another look, that the bytes of an entry are not this material."""
    failure = run.memory.failed.get(name_of(ImportMaterial(arn, entry.name, ImportType.EXISTING, material, None)))
    return failure is not None and failure.refused


def import_of(view: View, run: Run, seen: RegionView, material: MaterialId, purpose: Purpose) -> Sequence[Step]:
    """Import what the store holds, or may hold, of a material into a Region: KMS compares the bytes with the id."""
    held = holds(view, material)
    entry = held or next(iter(may_hold(view, run, seen.arn, material)), None)
    if entry is None:
        return cannot_give(view, run, material, f"{seen.region} needs", seen.region)
    if ended := lasting.over(view, run.goal, seen, material):
        return ended
    until = lasting.of_known(view, run.goal, seen.region, material)
    return [Act(ImportMaterial(seen.arn, entry.name, ImportType.EXISTING, material, until, purpose))]


def to_identify(view: View, run: Run, seen: RegionView) -> Iterable[tuple[Entry, MaterialRow]]:
    """Find the entries whose bytes only KMS can name, for materials that nothing in the store is known to hold."""
    for row in seen.permanent:
        if holds(view, row.material_id) is None:
            for entry in may_hold(view, run, seen.arn, row.material_id)[:1]:
                yield entry, row


def cannot_give(view: View, run: Run, material: MaterialId, why: str, region: Region | None = None) -> list[Step]:
    """Say why the store cannot give a material, and how its bytes come back; nothing where it can."""
    store, name = view.store, short(material)
    if store is None:
        return [not_seen(view, STORE)]
    entry = store.holding(material)
    if entry is not None and entry.held:
        return []
    adopt = f"mrk adopt NAME FILE --material-id {material}"
    if entry is not None:
        message = f"{why} key material {name}, and the store cannot read it: {entry.problem}"
        mend = entry.mend or "restore that from a copy of the store"
        return [Block(Reason.STORE_UNREADABLE, message, f"{mend}; or bring the bytes: {adopt}", region)]
    if behind := store_behind(view, material):
        return behind
    if other := _refused_by_kms(view, run, material):
        message = f"{why} key material {name}; the store has other bytes in its place ({other.name}), as KMS says"
        return [Block(Reason.OTHER_BYTES, message, f"bring the right ones: {adopt}", region)]
    if in_doubt(view, run, material):
        message = f"{why} key material {name}; what the store has in its place is not known to be that"
        return [Block(Reason.STORE_LACKS, message, "let KMS compare the bytes: mrk repair NAME", region)]
    message = f"{why} key material {name}, and the store does not hold it"
    return [Block(Reason.STORE_LACKS, message, f"bring the bytes: {adopt}", region)]


def _refused_by_kms(view: View, run: Run, material: MaterialId) -> Entry | None:
    entries = view.store.may_hold(material, predecessor(view, material)) if view.store else ()
    arns = [seen.arn for seen in view.regions.values()]
    return next((one for one in entries if any(refused(run, arn, one, material) for arn in arns)), None)


def foreign_current(view: View, current: MaterialRow) -> Block:
    """Say that CURRENT came from elsewhere, in the same words wherever that shows."""
    primary = view.primary.region if view.primary else view.key.region
    which = f"CURRENT in {primary} is {short(current.material_id)}"
    message = f"{which}, which is not in this store: somebody else rotated this key"
    way = f"adopt its material: mrk adopt NAME FILE --material-id {current.material_id}"
    return Block(Reason.FOREIGN_CURRENT, message, f"{way}; or bring its entry from the store that made it", primary)


def in_doubt(view: View, run: Run, material: MaterialId) -> bool:
    """Whether an entry may hold a material as far as nobody knows: only KMS can say it."""
    return any(may_hold(view, run, seen.arn, material) for seen in view.regions.values())


def store_behind(view: View, material: MaterialId) -> list[Step]:
    """Another run may have put material into the store since that was looked at: look again first (I7, I15)."""
    listed = [seen.told_at or seen.seen_at for seen in view.regions.values() if seen.row(material)]
    if view.store is None or not listed or view.store.seen_at >= max(listed):
        return []
    return [Wait(Reason.LOOKING, "looking whether another run has put it into the store", look=(STORE,))]
