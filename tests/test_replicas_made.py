"""`replicate: auto`: a Region that the config lists and KMS lacks becomes a member that has all and proves it (P11)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.model import KeyArn, MissingOld, Policy, Reason, Region, Repair, Replicate
from orchestrator.plan import predict
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from orchestrator.simulator import Call
from workflows import jobs
from worlds import REGIONS, World

NEW = "sa-east-1"
WANTED = (*REGIONS, NEW)
OWN_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}],
}


def policy(world: World, regions: Sequence[str] = WANTED, **more: Any) -> Policy:
    listed = frozenset(Region(region) for region in regions)
    usual = {"regions": listed, "rotate_every": timedelta(days=90), "replicate": Replicate.AUTO}
    return replace(world.policy, **(usual | more))


def job(make: Callable[..., Job], world: World, arn: KeyArn, **more: Any) -> Job:
    return make("payments", KeySettings(arn=str(arn)), policy(world, **more))


def run(world: World, arn: KeyArn, **more: Any) -> Report:
    return world.runner().run([job(jobs.run, world, arn, **more)])[0]


def repair(world: World, arn: KeyArn, **more: Any) -> Report:
    return world.runner().run([job(jobs.repair, world, arn, **more)])[0]


def proven_key(world: World) -> KeyArn:
    """A key whose CURRENT material was proven in its three Regions, as mrk marks it."""
    arn = world.make_key()
    [entry] = world.store.entries()
    world.store.mark_proven(entry.name, {"regions": list(REGIONS), "proof": "full"})
    return arn


def whole(world: World, arn: KeyArn, rotations: int = 0, regions: Sequence[str] = WANTED) -> None:
    """The end that is wanted: every Region a member, Enabled and with everything, proven; no rotation too many."""
    seen = world.everywhere(arn)
    assert set(seen) == set(regions)
    assert {str(key.key_state) for key in seen.values()} == {"Enabled"}
    assert all(row.usable for key in seen.values() for row in key.rows)
    assert {len(key.rows) for key in seen.values()} == {rotations + 1}
    assert world.true(arn).rotations == rotations
    [held] = [entry for entry in world.store.entries() if entry.linked == world.true(arn).current]
    assert held.proven
    assert held.proofs.keys() >= set(regions)


def lose(world: World, arn: KeyArn, region: str) -> None:
    current = world.true(arn).current
    world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)


@pytest.mark.parametrize("command", [run, repair])
def test_a_region_that_kms_lacks_is_replicated_filled_and_proven_and_nothing_rotated(
    world: World, command: Callable[..., Report]
) -> None:
    """P11, P14: also with `repair: ask`: the new replica lost nothing, it never had anything."""
    arn = proven_key(world)

    report = command(world, arn)

    assert report.status == "finished", report
    whole(world, arn)
    assert [action.kind for action in report.done] == ["replicate", "import", "keep-probe", "prove", "mark-proven"]
    assert [call.region for call in world.calls("ReplicateKey")[-1:]] == [REGIONS[0]]
    assert run(world, arn).status == "idle"


def test_several_regions_at_once_with_every_generation(world: World) -> None:
    """Two generations of key material go into three new Regions; the older one's probe is opened there, too."""
    arn = proven_key(world)
    assert world.rotate(arn).status == "finished"
    world.clock.advance(days=2)
    wanted = (*WANTED, "ca-central-1", "eu-west-2")

    report = repair(world, arn, regions=wanted)

    assert report.status == "finished", report
    whole(world, arn, rotations=1, regions=wanted)
    assert [action.kind for action in report.done].count("import") == 6


def test_the_replica_gets_the_primarys_own_policy(world: World) -> None:
    """P11: never the default, which would widen access, and never without AWS's check against being locked out."""
    arn = proven_key(world)
    world.client().put_key_policy(KeyId=str(arn), Policy=json.dumps(OWN_POLICY))

    assert run(world, arn).status == "finished"

    given = world.client(NEW).get_key_policy(KeyId=arn.key_id)["Policy"]
    assert json.loads(given) == OWN_POLICY
    sent = world.calls("ReplicateKey")[-1].parameters
    assert set(sent) == {"KeyId", "ReplicaRegion", "Policy"}


def test_a_rotation_that_is_due_follows(world: World) -> None:
    """P11: first the replica, then the rotation, with the new Region in it."""
    arn = proven_key(world)
    world.clock.advance(days=91)

    report = run(world, arn)

    assert report.status == "finished", report
    whole(world, arn, rotations=1)
    kinds = [action.kind for action in report.done]
    assert kinds.index("replicate") < kinds.index("deposit") < kinds.index("rotate")


ASKED: list[tuple[str, Callable[..., Job], Replicate]] = [
    ("run, with ask", jobs.run, Replicate.ASK),
    ("repair, with ask", jobs.repair, Replicate.ASK),
    ("rotate never does", jobs.rotate, Replicate.AUTO),
    ("renew never does", jobs.renew, Replicate.AUTO),
    ("verify never does", jobs.verify, Replicate.AUTO),
]


@pytest.mark.parametrize(("claim", "make", "replicate"), ASKED, ids=[row[0] for row in ASKED])
def test_otherwise_it_blocks_and_names_the_way_out(
    world: World, claim: str, make: Callable[..., Job], replicate: Replicate
) -> None:
    """P11, I9: nothing is made, imported or rotated."""
    arn = proven_key(world)
    world.clock.advance(days=91)

    [report] = world.runner().run([job(make, world, arn, replicate=replicate)])

    assert report.status == "blocked", claim
    [block] = report.blocks
    assert (block.reason, block.region) == (Reason.REGION_LACKING, NEW)
    assert "mrk repair payments" in block.way_out
    assert ("replicate: auto" in block.way_out) is (replicate is Replicate.ASK)
    assert set(world.everywhere(arn)) == set(REGIONS)
    assert world.true(arn).rotations == 0


def test_other_regions_losses_block_as_before_where_repair_asks(world: World) -> None:
    """P10: the new replica is finished all the same (I10)."""
    arn = proven_key(world)
    lose(world, arn, REGIONS[1])

    report = run(world, arn, repair=Repair.ASK)

    assert report.status == "blocked", report
    assert {(block.reason, block.region) for block in report.blocks} == {(Reason.MATERIAL_MISSING, REGIONS[1])}
    assert world.true(arn, NEW).key_state == "Enabled"
    assert world.true(arn, REGIONS[1]).key_state == "PendingImport"


def test_what_a_replica_loses_later_is_not_brought_back_unasked(world: World) -> None:
    """P10: once it was proven, what it lacks was lost, and somebody may have meant that."""
    arn = proven_key(world)
    assert run(world, arn).status == "finished"
    lose(world, arn, NEW)

    report = run(world, arn, repair=Repair.ASK)

    assert report.status == "blocked"
    assert {(block.reason, block.region) for block in report.blocks} == {(Reason.MATERIAL_MISSING, NEW)}
    assert world.true(arn, NEW).key_state == "PendingImport"


def test_a_primary_that_lost_its_material_is_repaired_before_it_is_replicated(world: World) -> None:
    """KMS replicates an Enabled primary only: `mrk repair` leads out of both."""
    arn = proven_key(world)
    lose(world, arn, arn.region)

    assert run(world, arn, repair=Repair.ASK).status == "blocked"
    assert set(world.everywhere(arn)) == set(REGIONS)
    assert repair(world, arn).status == "finished"
    whole(world, arn)


KILLED = ["ReplicateKey", "GetParametersForImport", "ImportKeyMaterial", "GenerateDataKeyWithoutPlaintext"]


@pytest.mark.parametrize("operation", KILLED)
@pytest.mark.parametrize("command", [run, repair])
def test_a_run_that_was_stopped_anywhere_is_finished_by_the_next(
    world: World, operation: str, command: Callable[..., Report]
) -> None:
    """I6: with `repair: ask`, too: that the replica is new shows in the store's mark, not in a run's memory."""
    arn = proven_key(world)
    runner = world.runner()

    def stop(call: Call, when: str) -> None:
        if call.operation == operation and when == "after":
            runner.stop()

    world.simulator.hooks.append(stop)
    make = jobs.run if command is run else jobs.repair
    assert runner.run([job(make, world, arn)])[0].status == "interrupted"
    world.simulator.hooks.clear()

    report = command(world, arn)

    assert report.status == "finished", report
    whole(world, arn)
    assert len([call for call in world.calls("ReplicateKey") if call.parameters["ReplicaRegion"] == NEW]) == 1


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"error": "KMSInternalException", "after_effect": True}])
def test_a_lost_reply_is_no_error(world: World, fault: dict[str, Any]) -> None:
    """I4: sent again, KMS says that there is one already; it is looked at, and that is all."""
    arn = proven_key(world)
    world.simulator.faults.add(operation="ReplicateKey", times=1, **fault)

    report = run(world, arn)

    assert report.status == "finished", report
    whole(world, arn)


@pytest.mark.parametrize("seed", range(6))
def test_under_lag_and_flapping_reads_the_end_is_the_same(make_world: Callable[..., World], seed: int) -> None:
    """The new Region does not know of the key for a while, and says so again later: patience, not a verdict."""
    world = make_world(lag="aws-like", seed=seed)
    arn = proven_key(world)
    world.clock.advance(days=91)

    reports = [run(world, arn)]
    while reports[-1].status == "failed" and len(reports) < 3:
        reports.append(run(world, arn))

    assert reports[-1].status == "finished", reports
    whole(world, arn, rotations=1)
    replicated = [call for call in world.calls("ReplicateKey") if call.parameters["ReplicaRegion"] == NEW]
    assert len(replicated) <= 2


def test_nothing_is_replicated_while_anything_is_pending(world: World) -> None:
    """P11: the rotation is finished first, without that Region in the config."""
    arn = proven_key(world)
    assert world.rotate(arn, stages=jobs.up_to(jobs.ROTATE, "primary_imported")).status == "finished"

    report = run(world, arn)

    assert report.status == "blocked", report
    assert [(block.reason, block.region) for block in report.blocks] == [(Reason.REGION_LACKING, REGIONS[0])]
    assert set(world.everywhere(arn)) == set(REGIONS)
    assert run(world, arn, regions=REGIONS).status == "finished"
    world.clock.advance(days=2)
    assert run(world, arn).status == "finished"
    whole(world, arn, rotations=1)


@pytest.mark.parametrize("missing_old", MissingOld)
def test_no_dead_replica_is_made_where_the_store_lacks_a_material(world: World, missing_old: MissingOld) -> None:
    """`missing_old: allow` is about rotating; a replica needs every material."""
    arn = world.make_key(deposited=False)

    report = run(world, arn, missing_old=missing_old)

    assert report.status == "blocked"
    assert Reason.STORE_LACKS in {block.reason for block in report.blocks}
    assert any("mrk adopt payments FILE --material-id" in block.way_out for block in report.blocks)
    assert set(world.everywhere(arn)) == set(REGIONS)


def test_a_disabled_primary_blocks(world: World) -> None:
    arn = proven_key(world)
    world.client().disable_key(KeyId=str(arn))

    report = run(world, arn)

    assert report.status == "blocked"
    assert {(block.reason, block.region) for block in report.blocks} == {(Reason.DISABLED, REGIONS[0])}
    assert set(world.everywhere(arn)) == set(REGIONS)


def test_a_single_region_key_cannot_be_replicated(world: World) -> None:
    arn = world.make_key(REGIONS[:1])

    report = run(world, arn, regions=REGIONS[:2])

    [block] = report.blocks
    assert (report.status, block.reason) == ("blocked", Reason.REGION_LACKING)
    assert "make a multi-Region key" in block.way_out


def test_a_replica_that_is_to_be_deleted_is_no_missing_one(world: World) -> None:
    """KMS lists it still, and makes no other one beside it."""
    arn = world.make_key(WANTED)
    world.client(NEW).schedule_key_deletion(KeyId=arn.key_id)

    report = run(world, arn)

    assert report.status == "blocked"
    assert {(block.reason, block.region) for block in report.blocks} == {(Reason.KEY_STATE, NEW)}
    assert len([call for call in world.calls("ReplicateKey") if call.parameters["ReplicaRegion"] == NEW]) == 1


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no permission", {"operation": "ReplicateKey", "error": "AccessDeniedException"}, "failed", "kms:CreateKey"),
    ("the policy may not be read", {"operation": "GetKeyPolicy", "error": "AccessDeniedException"}, "failed", "grant"),
    ("too many keys", {"operation": "ReplicateKey", "error": "LimitExceededException"}, "blocked", "quota"),
    (
        "a Region that may not be looked at",
        {"operation": "DescribeKey", "region": NEW, "error": "AccessDeniedException"},
        "failed",
        "grant",
    ),
    (
        "a Region that is not enabled",
        {"operation": "DescribeKey", "region": NEW, "error": "UnrecognizedClientException"},
        "failed",
        "Region is enabled",
    ),
]


@pytest.mark.parametrize(("why", "fault", "status", "hint"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_aws_refuses_is_told_with_a_way_out(
    world: World, why: str, fault: dict[str, Any], status: str, hint: str
) -> None:
    """I9."""
    arn = proven_key(world)
    world.simulator.faults.add(**fault)

    report = run(world, arn)

    assert report.status == status, why
    assert any(hint in block.way_out for block in report.blocks), report.blocks
    assert set(world.everywhere(arn)) == set(REGIONS)


def test_a_policy_that_locks_its_sender_out_is_told_as_one(world: World) -> None:
    """I9: KMS takes no replica whose policy does not let its maker send the next one; nothing is made or rotated."""
    arn = proven_key(world)
    admin = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{arn.account}:role/admin"}, "Resource": "*"}
    locking = json.dumps({"Statement": admin | {"Action": "kms:*"}})
    world.client().put_key_policy(KeyId=str(arn), Policy=locking, BypassPolicyLockoutSafetyCheck=True)

    report = run(world, arn)

    assert report.status == "failed"
    (block,) = report.blocks
    assert "The new key policy will not allow you to update the key policy in the future." in block.message
    assert "kms:PutKeyPolicy" in block.way_out
    assert set(world.everywhere(arn)) == set(REGIONS)


@pytest.mark.parametrize("region", ["cn-north-1", "xx-nowhere-1"])
def test_a_region_that_cannot_be_is_told(world: World, region: str) -> None:
    """Another partition, or none at all: KMS says so, and nothing is made."""
    arn = proven_key(world)

    report = run(world, arn, regions=(*REGIONS, region))

    assert report.status in {"failed", "blocked"}, report
    assert any(block.way_out for block in report.blocks)
    assert set(world.everywhere(arn)) == set(REGIONS)


@pytest.mark.parametrize("days", [0, 91])
def test_the_plan_is_what_is_then_done(world: World, days: int) -> None:
    """One idea: the plan names the call in its place."""
    arn = proven_key(world)
    world.clock.advance(days=days)
    wanted = job(jobs.run, world, arn)
    looked = world.runner().run([replace(wanted, stages=())])[0]
    assert looked.view is not None
    assert looked.run is not None
    planned = predict(wanted.stages, looked.view, looked.run, looked.view.at)

    report = world.runner().run([wanted])[0]

    assert planned.end.status == "finished", planned.end
    assert [step.stage for step in planned.steps[:2]] == ["replicated", "kept_alive"]
    # Where the primary is seen before the store is, an import that has no link yet is asked about once more (P2).
    assert {step.action.kind for step in planned.steps} == {action.kind for action in report.done}
