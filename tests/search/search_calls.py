"""What the calls of one action bring about in the small world, one step at a time, and what must never come of them.

It follows `perform`: NEW looks at the entry first, and a successful import on the primary links the entry afterwards. A
crash, or the other run, may come between any two of these steps.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from search_world import (
    JUST_NOW,
    NOT,
    Kept,
    Truth,
    WrongError,
    delete,
    deposit,
    import_existing,
    import_new,
    keep,
    note_switch,
    note_withdrawal,
    rotate,
    withdrawn,
)

from orchestrator.model import (
    Action,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    EntryName,
    ImportMaterial,
    ImportType,
    KeepProbe,
    MarkProven,
    MaterialId,
    NoteSwitch,
    Outcome,
    ProveRegion,
    Region,
    ReinstateMaterial,
    Result,
    RotateOnDemand,
)

REGIONS = (Region("us-east-1"), Region("eu-west-1"), Region("eu-west-2"))
Step = Literal["check", "send", "link"]


class Call(NamedTuple):
    """An action under way, and the step that comes next."""

    action: Action
    step: Step
    rotation_ran: bool = False  # whether one ran when the entry was looked at, which is the last that the run can know

    @property
    def can_be_lost(self) -> bool:
        """Whether this step changes something in KMS by a request whose reply can be lost."""
        sent = isinstance(self.action, ImportMaterial | RotateOnDemand | DeletePendingMaterial)
        return self.step == "send" and sent


def begun(action: Action) -> Call:
    """Begin an action."""
    new = isinstance(action, ImportMaterial) and action.import_type is ImportType.NEW
    return Call(action, "check" if new else "send")


DONE = Outcome(Result.DONE)
NOT_NOW = Outcome(Result.FAILED, "KMS refuses it as things stand")
KNOWN_BYTES = Outcome(Result.FAILED, "KMS says that it has these bytes already", refused=True)
OTHER_BYTES = Outcome(Result.FAILED, "KMS says that these are other bytes", final=True, refused=True)
NEVER = Outcome(Result.FAILED, "KMS does not do this with a replica", final=True)
REFUSALS = {"no": NOT_NOW, "never": NEVER, "known bytes": KNOWN_BYTES, "other bytes": OTHER_BYTES}
LOST = Outcome(Result.FAILED, "no answer", doubt=True)
ANOTHER_RUN = Outcome(Result.SKIPPED, "another run has imported this entry")
NO_RECEIPT = Outcome(Result.FAILED, "the store gives no receipt", final=True)


class Came(NamedTuple):
    """What came of a step: how things stand now, and the next step of the call or its outcome."""

    truth: Truth
    then: Call | Outcome


@dataclass(frozen=True)
class Rules:
    """What is expected of a scenario beyond what always holds."""

    may_rotate: bool = True
    may_import: frozenset[int] = frozenset({0, 1, 2})
    heals: bool = False  # a run repairs or renews, and proves CURRENT without a rotation
    may_misjudge: bool = False  # whether a run may take its own bytes for foreign: KMS refused them once
    hands_off: bool = True  # nobody but the runs changes anything, so that each look stays true until a run acts


ALWAYS = Rules()


def carry_out(truth: Truth, call: Call, store: int, rules: Rules) -> Came:
    """Do the next step of a call."""
    match call.action:
        case DepositMaterial(entry=name):
            return Came(deposit(truth, store, name.replaces, name.attempt), DONE)
        case KeepProbe() | MarkProven() | DiscardMaterial() | ReinstateMaterial():
            return _marked(truth, call.action, store, rules)
        case NoteSwitch(key=arn, off=off):
            return Came(note_switch(truth, store, REGIONS.index(arn.region), off=off), DONE)
        case ImportMaterial(import_type=ImportType.NEW) if call.step == "check":
            return Came(truth, _checked(truth, call, call.action, store, rules))
        case ImportMaterial() if call.step == "send":
            return _imported(truth, call, call.action, store, rules)
        case ImportMaterial(entry=name):
            return Came(_linked(truth, store, name), DONE)
        case RotateOnDemand():
            return _rotated(truth, call.action, store, rules)
        case ProveRegion(arn=arn, material_id=material):
            usable = truth.key_state(REGIONS.index(arn.region)) == "Enabled" and truth.current == material
            return Came(truth, DONE if usable else NOT_NOW)
        case DeletePendingMaterial():
            return _deleted(note_withdrawal(truth, store), call.action, rules)
    raise WrongError(f"an action that no rotation needs: {call.action}")


def _marked(
    truth: Truth, action: KeepProbe | MarkProven | DiscardMaterial | ReinstateMaterial, store: int, rules: Rules
) -> Came:
    entry = _entry(truth, store, action.entry)
    match action:
        case KeepProbe(material_id=material):
            if truth.current != material or truth.key_state(REGIONS.index(action.arn.region)) != "Enabled":
                return Came(truth, NOT_NOW)
            return Came(keep(truth, store, entry._replace(probe=True)), DONE)
        case MarkProven():
            marked = keep(truth, store, entry._replace(proven=True))
            check_end("repair" if rules.heals else "rotate", "finished", marked, store, rules)
            return Came(marked, DONE)
        case DiscardMaterial():
            return Came(keep(truth, store, entry._replace(discarded=entry.discarded or JUST_NOW)), DONE)
        case ReinstateMaterial():
            return Came(keep(truth, store, entry._replace(discarded=NOT)), DONE)


def _entry(truth: Truth, store: int, name: EntryName) -> Kept:
    entry = truth.kept(store, name.replaces, name.attempt)
    if entry is None:
        raise WrongError(f"the store was asked for an entry that it does not have: to replace {name.replaces}")
    return entry


def _deleted(truth: Truth, action: DeletePendingMaterial, rules: Rules) -> Came:
    material = action.material_id
    after, said = delete(truth, REGIONS.index(action.arn.region), material)
    if said == "ok" and rules.hands_off and truth.rotating:
        raise WrongError("pending material was deleted while an accepted rotation runs (I3, P9)")
    if said == "ok" and rules.hands_off and material != truth.pending:
        raise WrongError("material that the key needs for ever was deleted (I5)")
    return Came(after, DONE if said == "ok" else NOT_NOW)


def _can_be_known(truth: Truth, store: int, rules: Rules) -> bool:
    """Whether a rotation runs that a run has begun, or that shows, or that a withdrawal warns of.

    One begun by hand, of material that was deleted by hand, may show no more.
    """
    return truth.rotating and (rules.hands_off or truth.rotation_shows or withdrawn(truth, store) == JUST_NOW)


def _checked(truth: Truth, call: Call, action: ImportMaterial, store: int, rules: Rules) -> Call | Outcome:
    entry = truth.kept(store, action.entry.replaces, action.entry.attempt)
    if entry is None:
        return NO_RECEIPT
    return (
        ANOTHER_RUN
        if entry.linked or entry.discarded
        else call._replace(step="send", rotation_ran=_can_be_known(truth, store, rules))
    )


def _imported(truth: Truth, call: Call, action: ImportMaterial, store: int, rules: Rules) -> Came:
    region, name = REGIONS.index(action.arn.region), action.entry
    entry = truth.kept(store, name.replaces, name.attempt)
    if entry is None:
        raise WrongError("an import was sent of material that the store was never given (I1)")
    if action.import_type is ImportType.NEW:
        after, said = import_new(truth, region, entry.material)
        after = _noted_new(after, store, entry, call) if said == "ok" else after
    else:
        after, said = import_existing(truth, region, entry.material, action.material_id)
    if said == "ok" and region not in rules.may_import:
        raise WrongError(f"an import into Region {region}, which its owner has Disabled (I3)")
    if said != "ok":
        return Came(after, REFUSALS[said])
    return Came(after, DONE if entry.linked else call._replace(step="link"))


def check_begun(action: Action, store: object, newer: frozenset[int]) -> None:
    """Nothing is begun to be imported into a Region that by the store its owner has switched off, and not on again.

    `newer` are the Regions that were looked at since the store was; what a person allows is not searched.
    """
    if not isinstance(action, ImportMaterial) or not isinstance(store, tuple):
        return
    region = REGIONS.index(action.arn.region)
    off = any(isinstance(kept, Kept) and kept.attempt == -1 - region and kept.discarded for kept in store)
    if off and region not in newer:
        raise WrongError(f"an import into Region {region}, which its owner has switched off, as is noted (I3, P10)")


def _noted_new(truth: Truth, store: int, entry: Kept, call: Call) -> Truth:
    if truth.rotating and call.rotation_ran:
        raise WrongError("NEW was imported while an accepted rotation runs, which will rotate it in (I3, P6)")
    goal = (store, entry.replaces, entry.attempt)
    if any(sent[:3] == goal and sent[3] != entry.material for sent in truth.sent_new):
        raise WrongError(f"NEW was sent with other bytes to replace {entry.replaces} (I6)")
    return truth._replace(sent_new=truth.sent_new | {(*goal, entry.material)})


def _linked(truth: Truth, store: int, name: EntryName) -> Truth:
    return keep(truth, store, _entry(truth, store, name)._replace(linked=True))


def _rotated(truth: Truth, action: RotateOnDemand, store: int, rules: Rules) -> Came:
    after, said = rotate(truth, REGIONS.index(action.arn.region))
    if said != "ok":
        return Came(after, REFUSALS[said])
    if truth.rotating:
        return Came(after, DONE)
    if not rules.may_rotate:
        raise WrongError("a rotation was accepted that had to be refused (I3)")
    held = truth.holding(store, truth.pending or "")
    if rules.hands_off and (truth.pending != action.material_id or held is None or not held.linked):
        raise WrongError(
            f"a rotation was accepted onto {truth.pending}, which the store does not hold and link (I3, P7)"
        )
    if rules.hands_off and not (truth.whole() and all(_lasts(truth, region) for region in range(len(truth.held)))):
        raise WrongError("a rotation was accepted while a Region lacks key material (I3)")
    return Came(after, DONE)


def _lasts(truth: Truth, region: int) -> bool:
    return truth.pending is not None and truth.usable(region, truth.pending)


def check_rotations(truth: Truth) -> None:
    """At most one rotation comes of one goal (I4)."""
    if truth.rotations > 1:
        raise WrongError("the key was rotated twice (I4)")


def check_end(kind: str, end: str, truth: Truth, store: int, rules: Rules) -> None:
    """A run claims success only where it is true (I8); idle is the success of a run that has nothing to do."""
    if kind == "abort":
        return check_withdrawn(truth, store, rules) if end == "finished" else None
    if kind == "rotate":
        return check_success(truth, store, rules) if end == "finished" else None
    return check_healed(kind, end, truth, store, rules)


def check_healed(kind: str, end: str, truth: Truth, store: int, rules: Rules) -> None:
    """A repair, a renewal, or what cron calls: no Region lacks anything, and nothing is about to be lost (I8)."""
    last = truth.holding(store, truth.current)
    if kind != "renew" and not truth.rotations and (last is None or not last.proven):
        raise WrongError("success was claimed, but CURRENT is not proven in the store (I8)")
    if kind == "renew" and end == "idle" and not truth.whole():
        return  # what is missing is for repair to tell
    if rules.hands_off and not truth.whole():
        raise WrongError("success was claimed, but a Region lacks key material or is not Enabled (I8)")
    ending = [m for region in range(len(truth.held)) for m in truth.permanent if truth.ends(region, m)]
    if kind != "repair" and ending:
        raise WrongError(f"success was claimed, but {ending} is about to expire (I8, P10)")


def check_kept_alive(kind: str, truth: Truth, store: int, listed: int, *, repairs: bool) -> None:
    """However a run ends that nothing goes wrong with: each Region by itself has what the store can give it (I11).

    `listed` tells how many Regions the owner wants the key in; what he has switched off, and what is silent, is his.
    """
    if kind not in {"run", "repair", "renew"}:
        return
    for region in range(min(len(truth.held), listed)):
        if truth.disabled[region] or region in truth.silent | truth.deleting:
            continue
        held = [m for m in truth.permanent if (entry := truth.holding(store, m)) is not None and entry.linked]
        lost = [m for m in held if not truth.usable(region, m)] if repairs and kind != "renew" else []
        ending = [m for m in held if truth.ends(region, m) and truth.usable(region, m)] if kind != "repair" else []
        if lost or ending:
            raise WrongError(f"Region {region} was let die: it lacks {lost}, and will soon lack {ending} (I11)")


def check_remembered(kind: str, truth: Truth, store: int) -> None:
    """However a run ends that nothing goes wrong with: what its owner has switched off is noted (P10).

    Not by an abort that finds nothing to give up, nor by a rotation that is not begun: they change nothing.
    """
    if kind == "abort" or truth.silent:
        return
    for region, off in enumerate(truth.disabled):
        noted = any(kept.attempt == -1 - region and kept.discarded for kept in truth.stores[store])
        if off and truth.key_state(region) == "Disabled" and not noted:
            raise WrongError(f"Region {region} is switched off, and nothing notes it: KMS will forget it (P10)")


def check_success(truth: Truth, store: int, rules: Rules) -> None:
    """Success is claimed only where it is true: of CURRENT, of every Region and of the store (I8)."""
    entry = truth.holding(store, truth.current)
    if truth.rotations != 1 or truth.rotating or truth.holding(store, truth.pending or "") is not None:
        raise WrongError("success was claimed, but the rotation is not over (I8)")
    if entry is None or not entry.linked or not entry.proven:
        raise WrongError("success was claimed, but CURRENT is not linked and proven in the store (I8)")
    if rules.hands_off and not truth.whole():
        raise WrongError("success was claimed, but a Region lacks key material or is not Enabled (I8)")


def check_withdrawn(truth: Truth, store: int, rules: Rules) -> None:
    """An abort claims success only where nothing of the store's is pending, and the key has lost nothing (P9)."""
    held = truth.holding(store, truth.pending or "")
    if rules.hands_off and held is not None and held.discarded:
        raise WrongError("success was claimed, but what was given up is pending still (I8, P9)")
    if rules.hands_off and not truth.whole():
        raise WrongError("success was claimed, but a Region lacks key material or is not Enabled (I8)")


def material_of(truth: Truth, call: Call, store: int) -> MaterialId | None:
    """Tell which material an action was about, as its outcome would."""
    if isinstance(call.action, DepositMaterial | DiscardMaterial | ReinstateMaterial | NoteSwitch):
        return None
    if isinstance(call.action, ImportMaterial):
        entry = truth.kept(store, call.action.entry.replaces, call.action.entry.attempt)
        return MaterialId(entry.material) if entry else None
    return call.action.material_id
