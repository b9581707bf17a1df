"""Ways out of a rotation that cannot begin, or cannot go on: pending material, attempts, the budget, the time."""

import os
from collections.abc import Callable, Mapping

from orchestrator.model import EntryName, Reason
from ways.stand import OTHER, PRIMARY, REPLICA, Stand, store_of
from ways.way import TERMINAL, Way

ROTATE = "rotate payments --yes"


def rotation(stand: Stand, attempt: int = 1) -> EntryName:
    """Name the entry of the rotation away from CURRENT."""
    return EntryName(stand.arn.identity, stand.current, attempt)  # type: ignore[arg-type]


def foreign(stand: Stand) -> None:
    stand.notes["foreign"] = stand.bring_in()


def theirs(_: Stand) -> Mapping[str, str]:
    return {"FILE": "other.bin"}


def begun(stand: Stand) -> None:
    stand.notes["pending"] = stand.begin()


def begun_in_a_hurry(stand: Stand) -> None:
    """A rotation is begun, and a run may take ten minutes only."""
    begun(stand)
    stand.set_more("run", deadline="10m")


def run_may_take(deadline: str) -> Callable[[Stand], None]:
    return lambda stand: stand.set_more("run", deadline=deadline)


def rotated_beside_an_abort(stand: Stand) -> None:
    """A rotation is begun; while it is given up, somebody rotates the key after all."""
    begun(stand)
    stand.once("GetKeyRotationStatus", lambda: _rotated(stand))


def _rotated(stand: Stand) -> None:
    stand.client().rotate_key_on_demand(KeyId=stand.arn.key_id)


def foreign_rotated_beside_an_abort(stand: Stand) -> None:
    foreign(stand)
    for region in (REPLICA, OTHER):
        there = str(stand.arn.within(region))  # type: ignore[arg-type]
        stand.machine.import_quickly(there, stand.kept[-1], "EXISTING_KEY_MATERIAL", region)
    stand.once("GetKeyRotationStatus", lambda: _rotated(stand))


def moved(stand: Stand) -> None:
    """While a command runs, the owner moves the primary key."""
    stand.once("GetKeyRotationStatus", lambda: _moved(stand))


def _moved(stand: Stand) -> None:
    stand.client().update_primary_region(KeyId=str(stand.arn), PrimaryRegion=REPLICA)


def begun_and_moved(stand: Stand) -> None:
    begun(stand)
    moved(stand)


def joined(stand: Stand) -> None:
    """While a command runs, somebody makes a replica; the config names no Regions."""
    stand.set_key(regions=None)
    stand.once("GetParametersForImport", lambda: _joined(stand))


def _joined(stand: Stand) -> None:
    stand.client().replicate_key(KeyId=str(stand.arn), ReplicaRegion="sa-east-1")


def repaired(stand: Stand) -> None:
    stand.well("repair", "payments")


def given_up_beside(stand: Stand) -> None:
    """Right before a rotation's first import is sent, another machine gives its attempt up."""
    name = rotation(stand)
    stand.once("ImportKeyMaterial", lambda: stand.store.discard(name, stand.store._now()), moment="before")


def finished_giving_up(stand: Stand) -> None:
    """The import landed all the same: finish giving it up, as the run after it advises."""
    told = stand.mrk("rotate", "payments", "--yes")
    assert "finish giving it up: mrk abort payments" in told.advice, told.text
    stand.well("abort", "payments", "--yes")


def current_given_up(stand: Stand) -> None:
    """The attempt whose material the key needs is marked as given up."""
    stand.store.discard(EntryName(stand.arn.identity, None), stand.store._now())


def made_elsewhere(stand: Stand) -> None:
    """New key material was put into the store by somebody with another identity."""
    other = store_of(stand.machine, identity="recovery.txt")
    other.deposit(rotation(stand))


def taken_back_beside(stand: Stand) -> None:
    """An attempt was given up; while a run waits for whose the next one is, it is taken back."""
    first = rotation(stand)
    stand.store.deposit(first)
    stand.store.discard(first, stand.store._now())
    store_of(stand.machine, identity="recovery.txt").deposit(rotation(stand, attempt=2))
    stand.pass_time(minutes=120)
    stand.once("GetKeyRotationStatus", lambda: stand.store.reinstate(first, stand.store._now()), after=18)


def not_new(stand: Stand) -> None:
    """What lies in the store as new key material is what KMS has as CURRENT."""
    stand.store.adopt(rotation(stand), stand.file)


def vanished(stand: Stand) -> None:
    """Somebody deletes the pending material of ours."""
    begun(stand)
    stand.lose(PRIMARY, stand.notes["pending"])


def rotated_beside(stand: Stand) -> None:
    """While a rotation runs, a colleague makes one of his own."""
    stand.once("GetParametersForImport", lambda: stand.notes.update(foreign=stand.rotate_by_hand()))


def lost_after_the_rotation(stand: Stand) -> None:
    """Right after the rotation was sent, a replica loses the older material."""
    older = stand.current
    stand.once("RotateKeyOnDemand", lambda: stand.lose(REPLICA, older))


def import_forbidden(stand: Stand) -> None:
    stand.simulator.faults.add(region=REPLICA, operation="ImportKeyMaterial", error="AccessDeniedException")


def in_no_state(stand: Stand) -> None:
    """KMS says of a Region, for as long as anybody waits, that the key is not in the right state to be looked at."""
    stand.simulator.faults.add(region=REPLICA, operation="ListKeyRotations", error="KMSInvalidStateException")


def in_no_state_in_a_hurry(stand: Stand) -> None:
    in_no_state(stand)
    stand.set_more("run", deadline="2m")


def mended(stand: Stand) -> None:
    stand.simulator.faults.clear()


def accepted(stand: Stand) -> None:
    """The rotation was accepted, and KMS is still at it."""
    begun(stand)
    _rotated(stand)


def rotated_lately(stand: Stand) -> None:
    stand.well("rotate", "payments", "--yes")


def unproven(stand: Stand) -> None:
    """CURRENT material was never proven, as far as its marks tell."""
    for mark in stand.folder().glob("first.1.proven*"):
        mark.unlink()


def used_up(stand: Stand) -> None:
    """All 25 rotations of another key are used."""
    arn, file = stand.machine.make_key_quickly((PRIMARY,), name="orders")
    client = stand.client()
    for _ in range(25):
        file.write_bytes(os.urandom(32))
        stand.machine.import_quickly(arn, file, "NEW_KEY_MATERIAL")
        client.rotate_key_on_demand(KeyId=arn)
        stand.pass_time(minutes=2)
    stand.pass_time(days=30)
    stand.set_key("orders", missing_old="allow", rotate_every="10d")
    stand.well("adopt", "orders", "orders.bin", "--material-id", str(stand.simulator.key(PRIMARY, arn).current))


def a_new_key(stand: Stand) -> None:
    stand.machine.make_key_quickly((PRIMARY,), name="orders")
    stand.well("adopt", "orders", "orders.bin")


def reserved(stand: Stand) -> None:
    stand.set_more("defaults", proof="full", reserve=25)


def less_reserved(stand: Stand) -> None:
    stand.set_more("defaults", proof="full", reserve=2)


AT_ONCE = {"run again": ()}
ATTEMPTS: dict[str, Way] = {
    "an attempt that another machine gives up": Way(
        site="orchestrator.checks.given_up",
        reason=Reason.DISCARDED,
        state=given_up_beside,
        command=ROTATE,
        once=True,
        advised="nothing more is done with it; run again",
        rotations=1,
        ways={"run again": (finished_giving_up,)},
    ),
    "needed material of an attempt that was given up": Way(
        site="orchestrator.checks._held",
        reason=Reason.DISCARDED,
        state=current_given_up,
        ways={"take it back": ("mrk abort",)},
    ),
    "new key material that was made elsewhere": Way(
        site="orchestrator.stages._made_elsewhere",
        reason=Reason.MADE_ELSEWHERE,
        region=PRIMARY,
        state=made_elsewhere,
        rotations=1,
        ways={"it is ours": ("mrk rotate",), "nobody knows": ("mrk abort",)},
    ),
    "an earlier attempt that goes on after all": Way(
        site="orchestrator.stages._taken_back",
        reason=Reason.DISCARDED,
        region=PRIMARY,
        state=taken_back_beside,
        command=ROTATE,
        code=3,
        once=True,
        advised="run again: the next run goes on with it",
        rotations=1,
        ways=AT_ONCE,
    ),
    "new key material that KMS has already": Way(
        site="orchestrator.stages._not_new",
        reason=Reason.NOT_NEW,
        region=PRIMARY,
        state=not_new,
        ways={"give it up": ("mrk abort",)},
    ),
    "a colleague's rotation beside ours": Way(
        site="orchestrator.holding.foreign_current",
        reason=Reason.FOREIGN_CURRENT,
        region=PRIMARY,
        state=rotated_beside,
        command=ROTATE,
        once=True,
        advised="adopt its material",
        files=theirs,
        rotations=1,
        ways={"adopt it": ("mrk adopt",)},
        again="run payments",
    ),
    "older material that is lost right after the rotation": Way(
        site="orchestrator.importable._closed",
        reason=Reason.MATERIAL_MISSING,
        region=REPLICA,
        state=lost_after_the_rotation,
        command=ROTATE,
        once=True,
        advised="import what is missing",
        rotations=1,
        ways={"repair it": ("mrk repair",)},
        again="run payments",
    ),
    "a rotation that was begun, verified": Way(
        site="workflows.verify.judged",
        reason=Reason.NOT_PROVEN,
        region=PRIMARY,
        state=begun,
        command="verify payments",
        code=3,
        rotations=1,
        ways={"finish it": ("mrk run",)},
    ),
    "an earlier rotation that was finished first": Way(
        site="workflows.rotate.replaced",
        reason=Reason.NOT_PROVEN,
        state=unproven,
        command="rotate payments --yes --replaces {current}",
        code=3,
        once=True,
        advised="run again: mrk rotate payments --replaces",
        rotations=1,
        ways={"rotate it now": ("mrk rotate",)},
        again="run payments",
    ),
}

TIMES: dict[str, Way] = {
    "the primary moves in mid-run": Way(
        site="orchestrator.checks.topology",
        reason=Reason.TOPOLOGY,
        state=moved,
        command=ROTATE,
        code=3,
        once=True,
        advised="run again: the next run follows it",
        rotations=1,
        ways=AT_ONCE,
    ),
    "a replica joins in mid-run": Way(
        site="orchestrator.checks.topology",
        reason=Reason.TOPOLOGY,
        state=joined,
        command=ROTATE,
        code=3,
        once=True,
        advised="run again: the next run follows it",
        rotations=1,
        ways={"run again": (), "repair the replica": (repaired,)},
        next={"run again": Reason.MATERIAL_MISSING},
    ),
    "an import that is not allowed": Way(
        site="orchestrator.decide._given_up",
        reason=Reason.CALL_FAILED,
        region=REPLICA,
        state=import_forbidden,
        command=ROTATE,
        code=3,
        rotations=1,
        ways={"grant it": (mended,)},
    ),
    "a Region that nobody can look at for long": Way(
        site="orchestrator.decide._lost_patience",
        reason=Reason.ACCESS,
        region=REPLICA,
        state=in_no_state,
        command=ROTATE,
        code=3,
        rotations=1,
        ways={"run again": (mended,)},
    ),
    "a Region that nobody can look at within the deadline": Way(
        site="orchestrator.decide._too_late",
        reason=Reason.TOO_LATE,
        state=in_no_state_in_a_hurry,
        command=ROTATE,
        code=3,
        rotations=1,
        ways={"run again": (mended, run_may_take("40m"))},
    ),
    "a plan while a rotation is under way": Way(
        site="orchestrator.report.telling._waiting",
        reason=Reason.ROTATING,
        region=PRIMARY,
        state=accepted,
        command="plan payments",
        code=3,
        rotations=1,
        ways={"begin it": (lambda stand: stand.well("run", "payments"),)},  # type: ignore[dict-item]
    ),
    "a rotation away from what never was CURRENT": Way(
        site="orchestrator.goals.rotate_now",
        reason=Reason.INCONSISTENT,
        state=lambda _: None,
        command="rotate payments --yes --replaces " + 8 * "deadbeef",
        rotations=1,
        ways={"name the right one": ("mrk status",)},
        again="rotate payments --yes --replaces {current}",
    ),
    "a rotation soon after another": Way(
        site="orchestrator.goals._recently",
        reason=Reason.RECENTLY_ROTATED,
        state=rotated_lately,
        command=ROTATE,
        rotations=2,
        ways={"rotate it all the same": ("mrk rotate",)},
        again="run payments",
    ),
    "all rotations used up": Way(
        site="orchestrator.spending.budget",
        reason=Reason.BUDGET_SPENT,
        state=used_up,
        command="run orders",
        ways={"make a new key": (a_new_key,)},
    ),
    "the last rotations": Way(
        site="orchestrator.spending.reserved",
        reason=Reason.RESERVED,
        state=reserved,
        command=ROTATE,
        rotations=2,
        ways={"on a terminal": (TERMINAL, "mrk rotate"), "lower the reserve": (less_reserved,)},
        next={"on a terminal": Reason.RECENTLY_ROTATED},
    ),
}
