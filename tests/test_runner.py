"""The runner: one coordinator for several keys, in which no Region and no key waits for another."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator import goals
from orchestrator.model import EntryName, Goal, MaterialId, Memory, Reason, Run, Turn, View, from_json, to_json
from orchestrator.progress import Job
from orchestrator.simulator import Call
from orchestrator.stores.layout import Kind, path_of
from workflows.abort import abort
from workflows.repair import REPAIR
from workflows.rotate import ROTATE
from worlds import REGIONS, World


def through_json(run: Run, turn: Turn) -> tuple[Run, Turn]:
    """Carry a run as Step Functions does: as small JSON between every two turns."""
    goal, memory, told = to_json(run.goal), to_json(run.memory), to_json(turn)
    assert len(goal) + len(memory) + len(told) < 32_000
    return Run(from_json(Goal, goal), from_json(Memory, memory)), from_json(Turn, told)


def test_two_keys_in_one_runner_end_alike_with_and_without_json_between_the_turns(world: World) -> None:
    """Goal, Memory and Turn round-trip between every two turns, with the same end."""
    keys = [world.make_key(), world.make_key(REGIONS[:2])]

    reports = world.runner(carry=through_json).run([world.job(arn) for arn in keys])

    assert [report.status for report in reports] == ["finished", "finished"]
    for arn in keys:
        assert world.true(arn).rotations == 1
        assert {key.key_state for key in world.everywhere(arn).values()} == {"Enabled"}


def test_one_blocked_key_never_stops_another_and_is_not_hidden(world: World) -> None:
    """I10: the disabled key is blocked with its reason, the other one is rotated."""
    good, bad = world.make_key(), world.make_key()
    world.client(REGIONS[1]).disable_key(KeyId=bad.key_id)

    blocked, finished = world.runner().run([world.job(bad), world.job(good)])

    assert (blocked.status, finished.status) == ("blocked", "finished")
    assert [block.reason for block in blocked.blocks] == [Reason.DISABLED]
    assert world.true(bad).rotations == 0
    assert world.true(bad).pending is None
    assert world.true(good).rotations == 1


def test_one_bad_region_never_stops_the_imports_of_the_others(world: World) -> None:
    """I10: two Regions import while a third refuses for good; nothing is rotated, and the run says why."""
    arn = world.make_key()
    world.simulator.faults.add(operation="ImportKeyMaterial", region=REGIONS[1], error="AccessDeniedException")

    report = world.rotate(arn)

    assert report.status == "failed"
    assert [block.region for block in report.blocks] == [REGIONS[1]]
    assert "AccessDenied" in report.blocks[0].message
    states = {region: key.rows[-1].import_state for region, key in world.everywhere(arn).items()}
    assert states == {REGIONS[0]: "IMPORTED", REGIONS[1]: "PENDING_IMPORT", REGIONS[2]: "IMPORTED"}
    assert world.true(arn).rotations == 0


LOST = {
    "the import of NEW": ("ImportKeyMaterial", REGIONS[0]),
    "the import into a replica": ("ImportKeyMaterial", REGIONS[1]),
    "the rotation": ("RotateKeyOnDemand", REGIONS[0]),
    "the proof of a Region": ("GenerateDataKeyWithoutPlaintext", REGIONS[2]),
}


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("where", LOST.values(), ids=LOST)
def test_a_lost_reply_or_request_is_looked_into_and_never_blindly_sent_again(
    world: World, where: tuple[str, str], drop: str
) -> None:
    """I4: after any doubt, look, then decide; one material, one rotation."""
    arn = world.make_key()
    operation, region = where
    world.simulator.faults.add(operation=operation, region=region, times=1, drop=drop)

    report = world.rotate(arn)

    assert report.status == "finished", report
    assert world.true(arn).rotations == 1
    assert len(world.true(arn).rows) == 2
    assert {key.key_state for key in world.everywhere(arn).values()} == {"Enabled"}


@pytest.mark.parametrize("error", ["ThrottlingException", "KMSInternalException", "DependencyTimeoutException"])
def test_passing_errors_of_every_operation_only_cost_time(world: World, error: str) -> None:
    """One failure of each operation in each Region, and the end is the same."""
    arn = world.make_key()
    for operation in (
        "DescribeKey",
        "ListKeyRotations",
        "GetKeyRotationStatus",
        "GetParametersForImport",
        "ImportKeyMaterial",
        "RotateKeyOnDemand",
        "Encrypt",
        "Decrypt",
        "GenerateDataKeyWithoutPlaintext",
    ):
        for region in REGIONS:
            world.simulator.faults.add(operation=operation, region=region, times=1, error=error)

    report = world.rotate(arn)

    assert report.status == "finished", report
    assert world.true(arn).rotations == 1


def test_stale_import_parameters_are_fetched_anew_once(world: World) -> None:
    """A refused token costs one more GetParametersForImport, not the run."""
    arn = world.make_key()
    for region in REGIONS:
        world.simulator.faults.add(
            operation="ImportKeyMaterial", region=region, times=1, error="ExpiredImportTokenException"
        )

    assert world.rotate(arn).status == "finished"
    assert world.true(arn).rotations == 1


def test_import_parameters_are_fetched_once_per_region(world: World) -> None:
    """1 request/s per account and Region: one pair serves every import of the run there."""
    arn = world.make_key()
    before = len(world.calls("GetParametersForImport"))

    world.rotate(arn)

    fetched = [call.region for call in world.calls("GetParametersForImport")[before:]]
    assert sorted(fetched) == sorted(REGIONS)


def test_a_region_that_is_down_past_patience_fails_the_run_and_nothing_was_deposited(world: World) -> None:
    """P7: every Region is seen before anything is deposited; exit 3, a rerun resumes."""
    arn = world.make_key()
    world.simulator.faults.add(operation="DescribeKey", region=REGIONS[2], error="KMSInternalException")

    report = world.rotate(arn)

    assert report.status == "failed"
    assert {block.reason for block in report.blocks} == {Reason.ACCESS}
    assert world.true(arn).pending is None
    assert len(world.store.entries()) == 1


def test_a_rotation_that_never_shows_ends_with_the_deadline_and_is_resumed(world: World) -> None:
    """No fault makes a run outlive its deadline; the next run finishes what it finds."""
    arn = world.make_key()
    world.simulator.faults.add(operation="RotateKeyOnDemand", times=200, error="ThrottlingException")
    policy = replace(world.policy, deadline=timedelta(minutes=2))

    report = world.rotate(arn, policy=policy)
    world.simulator.faults.clear()

    assert report.status == "failed"
    assert Reason.TOO_LATE in {block.reason for block in report.blocks}
    assert world.true(arn).rotations == 0
    assert world.rotate(arn).status == "finished"
    assert world.true(arn).rotations == 1
    assert len(world.store.entries()) == 2


def test_a_stop_finishes_the_call_in_flight_and_says_where_things_stand(world: World) -> None:
    """Ctrl-C and SIGTERM: begin nothing more, report `interrupted`, resume later."""
    arn = world.make_key()
    runner = world.runner()

    def stop(call: Call, when: str) -> None:
        if call.operation == "ImportKeyMaterial" and call.region == REGIONS[0] and when == "before":
            runner.stop()

    world.simulator.hooks.append(stop)
    report = runner.run([world.job(arn)])[0]
    world.simulator.hooks.clear()

    assert report.status == "interrupted"
    assert world.true(arn).pending is not None
    assert all(call.result != "" for call in world.simulator.calls)
    assert world.rotate(arn).status == "finished"
    assert world.true(arn).rotations == 1


def test_a_material_lost_in_a_replica_is_repaired_from_the_store(world: World) -> None:
    """A rotation refuses, repair imports the same bytes again, and then the rotation goes through."""
    arn = world.make_key()
    lost = world.true(arn).current
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=lost)
    assert world.true(arn, REGIONS[1]).key_state == "PendingImport"

    refused = world.rotate(arn)
    assert {block.reason for block in refused.blocks} == {Reason.MATERIAL_MISSING}

    job = Job("payments", arn, world.policy, REPAIR, lambda view: goals.as_it_stands(view, world.policy))
    repaired = world.runner().run([job])[0]

    assert repaired.status == "finished", repaired
    assert world.true(arn, REGIONS[1]).key_state == "Enabled"
    assert world.rotate(arn).status == "finished"


@pytest.mark.parametrize("seed", range(5))
def test_a_run_under_lag_and_flapping_reads_ends_as_without(make_world: Callable[..., World], seed: int) -> None:
    """Reads lag and flap, and the start date vanishes early: all of it costs patience only (P6, P8)."""
    world = make_world(lag="aws-like", seed=seed)
    arn = world.make_key()

    report = world.rotate(arn)

    assert report.status == "finished", report
    assert world.true(arn).rotations == 1
    assert {key.key_state for key in world.everywhere(arn).values()} == {"Enabled"}


def test_after_pending_material_was_deleted_the_attempt_is_given_up_and_another_one_rotates(world: World) -> None:
    """P6, P9: nothing is imported again until the attempt is discarded, and then only after 15 quiet minutes."""
    arn = world.make_key()
    world.rotate(arn, stages=ROTATE[:4])
    vanished = world.true(arn).pending
    world.client().delete_imported_key_material(KeyId=str(arn), KeyMaterialId=vanished)

    blocked = world.rotate(arn)
    aborted = world.runner().run([abort("payments", arn, world.policy)])[0]
    before = world.clock.now()
    report = world.rotate(arn)

    assert [block.reason for block in blocked.blocks] == [Reason.PENDING_VANISHED]
    assert "mrk abort payments" in blocked.blocks[0].way_out
    assert (aborted.status, report.status) == ("finished", "finished"), report
    assert report.run.goal.entry.attempt == 2
    assert world.clock.now() - before >= timedelta(minutes=15)
    assert vanished not in {row.material_id for row in world.true(arn).rows}
    assert world.true(arn).rotations == 1


def test_what_is_due_is_rotated_and_what_is_not_is_left_alone(world: World) -> None:
    """P5: nothing due is exit 0 only with a clean view; due counts from the creation of a never-rotated key."""
    arn = world.make_key()
    policy = replace(world.policy, rotate_every=timedelta(days=90))
    job = Job("payments", arn, policy, ROTATE, lambda view: goals.whatever_is_due(view, policy))

    assert world.runner().run([job])[0].status == "idle"
    world.clock.advance(days=91)
    assert world.runner().run([job])[0].status == "finished"
    assert world.true(arn).rotations == 1
    assert world.runner().run([job])[0].status == "idle"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (TypeError("cannot compare"), "error", "a defect in mrk: TypeError: cannot compare"),
        (OSError(5, "I/O error", "/x"), "failed", "/x cannot be used: I/O error; see that it is there, and"),
    ],
)
def test_what_one_key_brings_to_light_stops_that_key_alone(
    world: World, error: Exception, status: str, said: str
) -> None:
    """I10: exit 1 for a defect, 3 for what the system refused, and the other key is rotated."""

    def broken(_: View) -> Goal:
        raise error

    bad, good = world.make_key(), world.make_key()

    failed, finished = world.runner().run([replace(world.job(bad), pin=broken), world.job(good)])

    assert (failed.status, finished.status) == (status, "finished")
    assert failed.message.startswith(said)
    assert (world.true(bad).rotations, world.true(good).rotations) == (0, 1)


def test_a_note_of_a_withdrawal_that_cannot_be_read_holds_up_no_repair(world: World) -> None:
    """I10: it matters to new material alone."""
    arn = world.make_key()
    current = MaterialId(str(world.true(arn).current))
    name = EntryName(arn.identity, current)
    world.store.withdraw(name, MaterialId("a" * 64))
    path_of(world.directory / "store", name, Kind.WITHDRAWN).write_text("garbage")
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)

    repaired = world.runner().run([world.job(arn, stages=REPAIR)])[0]
    blocked = world.rotate(arn)

    assert world.true(arn, REGIONS[1]).key_state == "Enabled", repaired
    assert [block.reason for block in blocked.blocks] == [Reason.STORE_UNREADABLE]
    assert world.true(arn).pending is None
