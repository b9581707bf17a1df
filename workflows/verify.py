"""Verify: judge a key as it stands, and do nothing.

What needs a person blocks. A rotation that was begun and is not finished needs none, for the next `mrk run` finishes
it: that is a failure which running again mends, and is never passed over in silence.
"""

from collections.abc import Iterable, Sequence
from typing import TypeGuard

from orchestrator import checks
from orchestrator.goals import Pinned, verified
from orchestrator.importable import off_since, switched_off
from orchestrator.lasting import seen_over
from orchestrator.model import Block, EntryName, KeyState, Policy, Reason, Step, StoreView, View, short

_FINISHED = "the next run finishes it: mrk run NAME"


def judged(view: View, policy: Policy) -> Pinned:
    """Pin nothing: Idle is healthy, anything else says what is not."""
    verdict, ending = verified(view, policy), _ending(view, policy)
    if not isinstance(verdict, Sequence):
        return ending or verdict
    found = [*verdict, *(block for block in ending if block not in verdict)]
    lacking = list(_lacking(view, policy))
    dead = {block.region for block in lacking}
    others = [step for step in found if not (_about(step, Reason.MATERIAL_MISSING) and step.region in dead)]
    stands = [*lacking, *(step for step in others if not _about(step, Reason.NOT_PROVEN))]
    begun = _begun(view) or next((step.message for step in others if _about(step, Reason.NOT_PROVEN)), "")
    if not begun or any(_about(step, Reason.FOREIGN_PENDING) for step in stands):
        return stands
    person = any(isinstance(step, Block) and step.person for step in stands)
    way = "once that is mended, the next run finishes it: mrk run NAME" if person else _FINISHED
    return [*stands, Block(Reason.NOT_PROVEN, begun, way, view.key.region, person=False)]


def _ending(view: View, policy: Policy) -> list[Block]:
    """Name what no run renews in time: that needs a person, as every run says."""
    regions = [seen for region, seen in sorted(view.regions.items()) if policy.lists(region)]
    return [block for seen in regions for block in checks.not_to_be_renewed(seen, view.at, policy)]


def _about(step: Step, reason: Reason) -> TypeGuard[Block]:
    return isinstance(step, Block) and step.reason is reason


def _lacking(view: View, policy: Policy) -> Iterable[Block]:
    """Name what each Region lacks: KMS stops the whole key there, for old ciphertext and new."""
    for region, seen in sorted(view.regions.items()):
        off = off_since(view, policy, region)
        if not policy.lists(region):
            continue  # told as unlisted: a repair brings nothing there
        for material in view.permanent_ids():
            row = seen.row(material)
            if row is None or row.usable(view.at):
                continue
            if off is not None and seen.key_state is KeyState.PENDING_IMPORT:
                yield switched_off(seen, off)  # a repair leaves it alone, unless its owner wants it back
                continue
            if ended := seen_over(view, policy, seen, material):
                yield from ended
                continue
            message = f"{region} lacks key material {short(material)}: the key encrypts and decrypts nothing there"
            yield Block(Reason.MATERIAL_MISSING, message, "import it again: mrk repair NAME", region)


def _begun(view: View) -> str:
    """Say how far a rotation came that was begun and is not finished; nothing where none was."""
    current, pending, store = view.current, view.pending, view.store or StoreView(view.at)
    if current is None:
        return ""
    if pending is not None:
        ours = store.holding(pending.material_id) is not None
        goes_on = "is pending, and the next run makes it CURRENT"
        return f"a rotation was begun: key material {short(pending.material_id)} {goes_on}" if ours else ""
    held = store.holding(current.material_id)
    if held is not None and held.held and not held.proven:
        return f"a rotation was not finished: CURRENT key material {short(current.material_id)} is not proven yet"
    if store.get(store.first_attempt(EntryName(view.key.identity, current.material_id))):
        return "a rotation was begun: the store holds new key material, and the next run imports it and rotates"
    return ""
