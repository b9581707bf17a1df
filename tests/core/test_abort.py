"""Abort (P9): mark, wait until no rotation can be under way, delete once by id, see it gone; bytes are kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from core_building import (
    EU,
    NOW,
    A,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    current,
    days,
    deciding,
    entry,
    first,
    marked,
    past,
    pending,
    settled_everywhere,
    told,
)

from orchestrator.model import (
    ADOPTED,
    DeletePendingMaterial,
    Entry,
    EntryName,
    Failed,
    Goal,
    Idle,
    KeyArn,
    MaterialRow,
    Policy,
    Reason,
    Streak,
    Wait,
)
from orchestrator.plan import predict
from orchestrator.progress import Report
from orchestrator.simulator import Call, Lag
from workflows.abort import ABORT, abort, whatever_is_begun
from workflows.jobs import up_to
from workflows.rotate import ROTATE
from worlds import REGIONS, World

BEGUN = [current("a"), pending("b")]
LONG_AGO = NOW - timedelta(minutes=16)
IMPORT, SECOND = timedelta(minutes=3), timedelta(seconds=1)
GIVEN_UP = entry("a", "b", discarded_at=LONG_AGO)
QUIET = {"quiet": Streak(3, NOW)}


def aborting(
    rows: Sequence[MaterialRow],
    *stored: Entry,
    us: Any = MappingProxyType({}),
    eu: Any = MappingProxyType({}),
    watching: datetime = NOW - timedelta(minutes=15),
    **memory: Any,
) -> list[str]:
    """What the workflow says after 15 minutes of watching, or since `watching`; `us` and `eu`: how a Region differs."""
    key = a_key(rows, **({"us": us} if us else {}), **({"eu": eu} if eu else {}))
    return told(deciding(a_view(key, *stored), a_run(a_goal(aborting=True, pinned_at=watching), **memory), ABORT))


def test_the_mark_comes_first_and_the_deletion_only_after_15_quiet_minutes() -> None:
    """P9, I3: KMS would cancel an accepted rotation in effect, and rotate in what is imported next."""
    waits = ["quiet: going", "wait: rotating in us-east-1"]
    assert aborting(BEGUN, first(), entry("a", "b")) == ["discarded: going", "discard a.1"]
    assert aborting(BEGUN, first(), entry("a", "b", discarded_at=NOW), **QUIET) == waits
    assert aborting(BEGUN, first(), GIVEN_UP) == waits, "K looks without a sign are needed, too"
    assert aborting(BEGUN, first(), GIVEN_UP, quiet=Streak(2, NOW)) == waits
    assert aborting(BEGUN, first(), GIVEN_UP, rotation_seen=NOW - timedelta(minutes=14), **QUIET) == waits
    assert aborting(BEGUN, first(), GIVEN_UP, **QUIET) == ["withdrawn: going", "delete b from us-east-1"]


def test_a_mark_alone_does_not_shorten_the_watch() -> None:
    """P9: another machine may have written it, whose clock is an hour behind."""
    waits = ["quiet: going", "wait: rotating in us-east-1"]
    assert aborting(BEGUN, first(), GIVEN_UP, watching=NOW - timedelta(minutes=14), **QUIET) == waits


def test_nothing_is_deleted_while_a_rotation_shows() -> None:
    """I3: whatever the clock says."""
    shown = {"rotation_started_at": NOW - timedelta(days=1)}

    assert aborting(BEGUN, first(), GIVEN_UP, us=shown, **QUIET) == ["quiet: going", "wait: rotating in us-east-1"]


def test_the_deletion_needs_a_fresh_look() -> None:
    """P9: the id must be pending still."""
    late = {"seen_at": NOW - timedelta(seconds=11)}

    assert aborting(BEGUN, first(), GIVEN_UP, us=late, **QUIET) == ["withdrawn: going", "wait: looking in us-east-1"]


def test_the_deletion_is_sent_once() -> None:
    """P9: what is listed still may be read late; the wait has an end, and another run looks anew."""
    wait = ["withdrawn: going", "wait: inconsistent in us-east-1"]
    waiting = {"withdrawn:us-east-1:inconsistent": NOW - timedelta(minutes=3)}

    assert aborting(BEGUN, first(), GIVEN_UP, deletion_sent=NOW, **QUIET) == wait
    over = aborting(BEGUN, first(), GIVEN_UP, deletion_sent=NOW, waiting=waiting, **QUIET)
    assert over == ["withdrawn: failed", "fail: inconsistent in us-east-1"]


def test_pending_material_without_a_link_is_asked_about_before_it_is_taken_for_ours() -> None:
    """P2: a lost reply of the import."""
    unlinked = entry("a", discarded_at=LONG_AGO)
    proof = f"import:us-east-1:EXISTING_KEY_MATERIAL:{B}.1"
    refused = {proof: Failed(2, "the bytes are others", "", NOW, final=True, refusals=2)}

    assert aborting(BEGUN, first(), unlinked, **QUIET) == ["owned: going", "import EXISTING b into us-east-1"]
    assert aborting(BEGUN, first(), unlinked, failed=refused) == [
        "owned: blocked",
        "block: foreign-pending in us-east-1",
    ]
    linked_to_another = entry("a", "c", discarded_at=LONG_AGO)
    assert aborting(BEGUN, first(), linked_to_another) == ["owned: blocked", "block: foreign-pending in us-east-1"]


def test_success_is_nothing_pending_in_every_region_k_times() -> None:
    """I8, P8."""
    assert aborting([current("a")], first(), GIVEN_UP)[0] == "gone: going"
    assert aborting([current("a")], first(), GIVEN_UP, settled=settled_everywhere(2))[0] == "gone: going"
    assert aborting([current("a")], first(), GIVEN_UP, settled=settled_everywhere(3)) == ["done: finished"]


ROTATED_IN = [past("a"), current("b")]
RESCUES = [
    (
        "the deletion hit what had just become CURRENT",
        [past("a"), current("b", imported=False)],
        GIVEN_UP,
        ["rescued: going", *(f"import EXISTING b into {region}" for region in sorted(REGIONS))],
    ),
    (
        "all its bytes are there",
        ROTATED_IN,
        GIVEN_UP,
        ["rescued: going", "reinstate a.1"],
    ),
    ("and the mark is taken back", ROTATED_IN, entry("a", "b"), ["rescued: blocked", "block: rotated-in in us-east-1"]),
]


@pytest.mark.parametrize(("claim", "rows", "kept", "says"), RESCUES, ids=[row[0] for row in RESCUES])
def test_material_that_was_rotated_in_is_brought_back_at_once(
    claim: str, rows: list[MaterialRow], kept: Entry, says: list[str]
) -> None:
    """P9: if the id reads CURRENT, import it again and clear the mark."""
    assert aborting(rows, first(), kept, **QUIET) == says, claim


def test_one_region_that_says_current_is_enough_to_delete_nothing() -> None:
    """P9: KMS never goes back; the primary may be read late."""
    assert aborting(BEGUN, first(), GIVEN_UP, eu=ROTATED_IN, **QUIET) == ["rescued: going", "reinstate a.1"]


def test_a_run_that_proves_what_was_given_up_takes_the_mark_back() -> None:
    """P9: it is CURRENT: the key needs it for ever."""
    proofs = dict.fromkeys(settled_everywhere(), B)
    run = a_run(settled=settled_everywhere(), proofs=proofs)

    assert told(deciding(a_view(a_key(ROTATED_IN), first(), GIVEN_UP), run)) == ["proven: going", "reinstate a.1"]


# ---- pinning ------------------------------------------------------------------------------------------------------

POLICY = Policy()


def pinned(rows: Sequence[MaterialRow], *stored: Entry, material: Any = None, policy: Policy = POLICY) -> Any:
    found = whatever_is_begun(a_view(a_key(rows), *stored), policy, material, unheld=True)
    if isinstance(found, Goal):
        return found.entry.attempt, found.named
    return "idle" if isinstance(found, Idle) else [str(step.reason) for step in found]


PINNED: list[tuple[str, Callable[[], Any], Any]] = [
    ("nothing is begun", lambda: pinned([current("a")], first(**marked())), "idle"),
    ("a rotation is over", lambda: pinned(ROTATED_IN, first(), entry("a", "b")), "idle"),
    ("deposited and never imported", lambda: pinned([current("a")], first(), entry("a")), (1, None)),
    ("given up already", lambda: pinned([current("a")], first(), entry("a", discarded_at=days(-1))), "idle"),
    (
        "given up just now: an import may show yet",
        lambda: pinned([current("a")], first(), entry("a", discarded_at=NOW)),
        (1, None),
    ),
    (
        "a wrong file was set aside just now",
        lambda: pinned([current("a")], first(), entry("a", attempt=ADOPTED, discarded_at=NOW)),
        "idle",
    ),
    ("ours is pending", lambda: pinned(BEGUN, first(), entry("a", "b")), (1, None)),
    ("ours is pending, without a link", lambda: pinned(BEGUN, first(), entry("a")), (1, None)),
    ("an abort was interrupted", lambda: pinned(BEGUN, first(), entry("a", "b", discarded_at=NOW)), (1, None)),
    ("interrupted before the link was known", lambda: pinned(BEGUN, first(), entry("a", discarded_at=NOW)), (1, None)),
    ("imported, and deleted by somebody since", lambda: pinned([current("a")], first(), entry("a", "b")), (1, None)),
    (
        "given up twice just now: the later one",
        lambda: pinned([current("a")], first(), entry("a", discarded_at=NOW), entry("a", attempt=2, discarded_at=NOW)),
        (2, None),
    ),
    (
        "given up a moment less than 3 minutes ago",
        lambda: pinned([current("a")], first(), entry("a", discarded_at=NOW - IMPORT + SECOND)),
        (1, None),
    ),
    ("given up 3 minutes ago", lambda: pinned([current("a")], first(), entry("a", discarded_at=NOW - IMPORT)), "idle"),
    (
        "a later attempt is pending",
        lambda: pinned(BEGUN, first(), entry("a", "c", discarded_at=NOW), entry("a", "b", attempt=2)),
        (2, None),
    ),
    (
        "it was rotated in all the same",
        lambda: pinned(ROTATED_IN, first(), entry("a", "b", discarded_at=NOW)),
        (1, None),
    ),
    ("foreign", lambda: pinned(BEGUN, first()), ["foreign-pending"]),
    ("foreign, beside an attempt to replace another", lambda: pinned(BEGUN, first(), entry("c")), ["foreign-pending"]),
    (
        "foreign, beside one that was given up",
        lambda: pinned(BEGUN, first(), entry("c", discarded_at=NOW)),
        ["foreign-pending"],
    ),
    (
        "foreign, beside what is known to be other material",
        lambda: pinned(BEGUN, first(), entry("a", "c", discarded_at=NOW)),
        ["foreign-pending"],
    ),
    ("foreign, and named", lambda: pinned(BEGUN, first(), material=B), (1, B)),
    ("foreign, and named in short", lambda: pinned(BEGUN, first(), material=B[:8]), (1, B)),
    (
        "foreign, named, with too short a run",
        lambda: pinned(BEGUN, first(), material=B, policy=Policy(deadline=timedelta(minutes=15))),
        ["too-late"],
    ),
    ("ours, and named all the same", lambda: pinned(BEGUN, first(), entry("a", "b"), material=B), (1, None)),
    ("CURRENT is named", lambda: pinned(BEGUN, first(), entry("a", "b"), material=A), ["inconsistent"]),
]


@pytest.mark.parametrize(("claim", "found", "wanted"), PINNED, ids=[row[0] for row in PINNED])
def test_what_is_given_up(claim: str, found: Callable[[], Any], wanted: Any) -> None:
    """P9, I5: only what is pending; foreign material only by its id."""
    assert found() == wanted, claim


def test_nothing_is_begun_only_where_every_region_was_seen() -> None:
    """P5: what an abort left in a Region that was down may be there still."""
    key = {region: seen for region, seen in a_key([current("a")]).items() if region != EU}
    found = whatever_is_begun(a_view(key, first(**marked())), POLICY, None)

    assert isinstance(found, Sequence)
    assert [step.region for step in found if isinstance(step, Wait)] == [EU]


# ---- in the simulated world --------------------------------------------------------------------------------------


def giving_up(world: World, arn: KeyArn, material: Any = None, **more: Any) -> Report:
    job = abort("payments", arn, replace(world.policy, **more), material, unheld=True)
    return world.runner().run([job])[0]


def begun(world: World, until: str = "ready") -> KeyArn:
    """A key whose rotation was begun, and stopped before this stage's successor."""
    arn = world.make_key()
    world.rotate(arn, stages=up_to(ROTATE, until))
    assert world.true(arn).rotations == 0
    return arn


def second(world: World, arn: KeyArn, attempt: int = 1) -> Entry:
    """The entry of the first rotation."""
    found = world.store.find(EntryName(arn.identity, world.store.find(EntryName(arn.identity, None)).linked, attempt))
    assert found is not None
    return found


def deletions(world: World) -> int:
    return len(world.calls("DeleteImportedKeyMaterial"))


def well(world: World, arn: KeyArn) -> None:
    """The key can be used everywhere, and nothing is pending."""
    everywhere = world.everywhere(arn)
    assert {str(key.key_state) for key in everywhere.values()} == {"Enabled"}
    assert all(row.state in {"CURRENT", "NON_CURRENT"} for key in everywhere.values() for row in key.rows)


def test_what_is_pending_is_withdrawn_and_the_next_rotation_takes_other_bytes(world: World) -> None:
    """I5, P9: one deletion, by id, on the primary; the bytes stay in the store."""
    arn = begun(world)
    began = world.clock.now()

    report = giving_up(world, arn)

    assert report.status == "finished", report
    assert world.clock.now() - began >= timedelta(minutes=15)
    well(world, arn)
    (call,) = world.calls("DeleteImportedKeyMaterial")
    given_up = second(world, arn)
    assert (call.region, call.parameters["KeyMaterialId"]) == (arn.region, given_up.linked)
    assert (given_up.receipt is not None, given_up.discarded_at is not None) == (True, True)
    assert giving_up(world, arn).status == "idle"
    assert world.rotate(arn).status == "finished"
    assert world.true(arn).rotations == 1
    assert second(world, arn, attempt=2).linked == world.true(arn).current


def test_what_was_deposited_and_never_imported_is_marked_and_kms_is_asked_for_nothing(world: World) -> None:
    arn = begun(world, "deposited")

    assert giving_up(world, arn).status == "finished"
    assert second(world, arn).discarded_at is not None
    assert deletions(world) == 0
    well(world, arn)


def test_an_interrupted_abort_stops_every_run_and_goes_on_by_itself(world: World) -> None:
    """P9: a run that meets a discarded attempt stops, and names the way out."""
    arn = begun(world)
    job = abort("payments", arn, world.policy)
    world.runner().run([replace(job, stages=up_to(ABORT, "discarded"))])

    stopped = world.rotate(arn)
    assert stopped.status == "blocked"
    assert [block.way_out for block in stopped.blocks] == ["finish giving it up: mrk abort payments"]
    assert giving_up(world, arn).status == "finished"
    well(world, arn)


def foreign(world: World) -> tuple[KeyArn, Any]:
    """Pending material that was imported from another store."""
    arn = world.make_key()
    stranger = world.open_store(f"file:{world.directory / 'stranger'}")
    name = EntryName(arn.identity, None)
    stranger.deposit(name)
    return arn, world.send(stranger, arn, name, "NEW_KEY_MATERIAL")


def test_foreign_material_is_withdrawn_only_by_its_id(world: World) -> None:
    """Issue: foreign pending material, with an explicit --material-id."""
    arn, material = foreign(world)

    blocked = giving_up(world, arn)
    assert blocked.status == "blocked"
    assert f"mrk abort payments --material-id {material}" in blocked.blocks[0].way_out
    assert deletions(world) == 0
    assert giving_up(world, arn, material).status == "finished"
    well(world, arn)
    assert world.rotate(arn).status == "finished"


def test_an_accepted_rotation_is_never_cancelled(make_world: Callable[..., World]) -> None:
    """I3, P9: rotated by hand just before; its key material is kept, and the next run finishes."""
    world = make_world(Lag.named("instant").with_rotation(300))
    arn = begun(world)
    world.client().rotate_key_on_demand(KeyId=str(arn))

    report = giving_up(world, arn)

    assert report.status == "blocked"
    assert [block.reason for block in report.blocks] == [Reason.ROTATED_IN]
    assert deletions(world) == 0
    assert second(world, arn).discarded_at is None, "the mark was taken back"
    assert world.rotate(arn).status == "finished"
    well(world, arn)


def test_a_rotation_in_the_midst_of_the_wait_is_never_cancelled(world: World) -> None:
    arn = begun(world)
    looks = iter(range(1000))

    def by_hand(call: Call, when: str) -> None:
        if call.operation == "DescribeKey" and when == "after" and next(looks) == 100:
            world.simulator.hooks.clear()
            world.client().rotate_key_on_demand(KeyId=str(arn))

    world.simulator.hooks.append(by_hand)
    report = giving_up(world, arn)

    assert [block.reason for block in report.blocks] == [Reason.ROTATED_IN], report
    assert deletions(world) == 0
    assert world.rotate(arn).status == "finished"
    well(world, arn)


def test_material_that_was_deleted_after_it_had_become_current_is_brought_back(world: World) -> None:
    """P9: the deletion and the switch crossed; the key is dead until the bytes are imported again."""
    arn = begun(world)
    job = abort("payments", arn, world.policy)
    world.runner().run([replace(job, stages=up_to(ABORT, "discarded"))])
    world.client().rotate_key_on_demand(KeyId=str(arn))
    world.clock.advance(minutes=10)
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=second(world, arn).linked)
    assert world.true(arn).key_state == "PendingImport"

    report = giving_up(world, arn)

    assert [block.reason for block in report.blocks] == [Reason.ROTATED_IN], report
    well(world, arn)
    assert world.rotate(arn).status == "finished"


@pytest.mark.parametrize(("drop", "first_end", "sent"), [("after", "finished", 1), ("before", "failed", 2)])
def test_a_deletion_in_doubt_is_not_sent_again_by_the_same_run(
    world: World, drop: str, first_end: str, sent: int
) -> None:
    """P9: after a lost reply the key tells; after a lost request another run, with looks of its own, sends it."""
    arn = begun(world)
    world.simulator.faults.add(operation="DeleteImportedKeyMaterial", times=1, drop=drop)

    report = giving_up(world, arn)
    assert report.status == first_end, report
    assert giving_up(world, arn).status == ("idle" if first_end == "finished" else "finished")
    assert deletions(world) == sent
    well(world, arn)


def test_the_link_that_a_lost_reply_cost_is_found_again(world: World) -> None:
    """P2: NEW had its effect, the entry has no link."""
    arn = begun(world, "deposited")
    name = second(world, arn).name
    material = world.send(world.store, arn, name, "NEW_KEY_MATERIAL")

    assert giving_up(world, arn).status == "finished"
    assert second(world, arn).linked == material
    well(world, arn)


@pytest.mark.parametrize("poll", [timedelta(milliseconds=200), timedelta(seconds=5), timedelta(minutes=1)])
def test_the_plan_of_an_abort_names_the_deletion_and_ends(world: World, poll: timedelta) -> None:
    """However often a run would look in the 15 minutes."""
    arn = begun(world)
    job = abort("payments", arn, replace(world.policy, poll=poll))
    looked = world.runner().run([replace(job, stages=())])[0]
    assert looked.view is not None
    assert looked.run is not None
    planned = predict(ABORT, looked.view, looked.run, looked.view.at)

    assert planned.end.status == "finished", planned.end
    assert [step.stage for step in planned.steps] == ["discarded", "withdrawn"]
    assert isinstance(planned.steps[1].action, DeletePendingMaterial)


@pytest.mark.parametrize("seed", range(5))
def test_an_abort_under_lag_and_flapping_reads_ends_as_without(make_world: Callable[..., World], seed: int) -> None:
    world = make_world(lag="aws-like", seed=seed)
    arn = begun(world)

    report = giving_up(world, arn)

    world.clock.advance(minutes=10)
    assert report.status == "finished", report
    assert deletions(world) == 1
    well(world, arn)
