"""Every open question has a switch, and both answers can be had."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from sim_cloud import PRIMARY, REPLICA, THIRD, Cloud, bytes_of, refusal

from orchestrator.simulator import Switches

FIRST, SECOND, OTHER = bytes_of("first"), bytes_of("second"), bytes_of("other")
PMR, READY = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "PENDING_ROTATION"
NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
Make = Callable[..., Cloud]


def with_switch(make_cloud: Make, rotation_seconds: float | None = None, **switches: Any) -> Cloud:
    return make_cloud(switches=Switches(**switches), rotation_seconds=rotation_seconds)


@pytest.mark.parametrize("answer", ["refused", "accepted"])
def test_u4b_token_of_a_related_key(make_cloud: Make, answer: str) -> None:
    cloud = with_switch(make_cloud, tokens_across_regions=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    request = {"KeyId": key, **NEVER, **cloud.wrap(REPLICA, key, FIRST)}
    if answer == "accepted":
        cloud.kms().import_key_material(**request)
    else:
        assert refusal(cloud.kms().import_key_material, **request)[0] == "InvalidImportTokenException"


@pytest.mark.parametrize(("answer", "state"), [("back", PMR), ("stays", READY)])
def test_u7b_replica_loses_pending_material(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, replica_loses_pending=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    second = cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    assert cloud.states(key)[1][0] == state


@pytest.mark.parametrize(("answer", "state"), [("blocks", PMR), ("ignored", READY)])
def test_u9_replica_added_while_pending(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, replica_added_while_pending=answer)
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.new(key, SECOND)
    cloud.clock.advance(1)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    assert cloud.states(key)[1][0] == state


@pytest.mark.parametrize(("answer", "state"), [("blocks", PMR), ("ignored", READY)])
def test_u9_replica_deleting_while_pending(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, replica_deleting_while_pending=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    cloud.new(key, SECOND)
    cloud.kms(REPLICA).schedule_key_deletion(KeyId=key)
    assert cloud.states(key)[1][0] == state


@pytest.mark.parametrize("answer", ["carried", "refused"])
def test_u10_promotion_with_pending_material(make_cloud: Make, answer: str) -> None:
    cloud = with_switch(make_cloud, promote_with_pending=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    second = cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    if answer == "refused":
        refused = refusal(cloud.kms().update_primary_region, KeyId=key, PrimaryRegion=REPLICA)
        assert refused[0] == "KMSInvalidStateException"
        return
    cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
    cloud.kms(REPLICA).rotate_key_on_demand(KeyId=key)
    assert cloud.describe(key)["CurrentKeyMaterialId"] == second


@pytest.mark.parametrize(("answer", "spent"), [("set", 1), ("primary", 0)])
def test_u10_rotation_counter(make_cloud: Make, answer: str, spent: int) -> None:
    cloud = with_switch(make_cloud, rotations_counted_per=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    assert len(cloud.rows(key)) == 2
    cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
    truth = cloud.sim.key(REPLICA, key)
    assert truth is not None
    assert truth.rotations_spent == spent


@pytest.mark.parametrize("there", [True, False])
def test_u18_feature_by_partition(make_cloud: Make, there: bool) -> None:
    cloud = with_switch(make_cloud, partitions_without_multi_region_import=frozenset({"aws"} if there else {"aws-cn"}))
    key = cloud.key("cn-north-1", MultiRegion=True)
    cloud.new(key, FIRST, "cn-north-1")
    assert cloud.describe(key, "cn-north-1")["Arn"].startswith("arn:aws-cn:kms:cn-north-1:")
    request = {"KeyId": key, **NEVER, **cloud.wrap("cn-north-1", key, SECOND), "ImportType": "NEW_KEY_MATERIAL"}
    if there:
        cloud.kms("cn-north-1").import_key_material(**request)
    else:
        refused = refusal(cloud.kms("cn-north-1").import_key_material, **request)
        assert refused[0] == "UnsupportedOperationException"


@pytest.mark.parametrize(("answer", "state"), [("counts", PMR), ("ignored", READY)])
def test_u19_disabled_replica(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, disabled_replica=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    cloud.kms(REPLICA).disable_key(KeyId=key)
    cloud.new(key, SECOND)
    assert cloud.states(key)[1][0] == state


@pytest.mark.parametrize(("answer", "state"), [("ready", READY), ("waits", PMR)])
def test_u20_primary_without_replicas(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, new_without_replicas=answer)
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.new(key, SECOND)
    assert cloud.states(key)[1][0] == state


@pytest.mark.parametrize(("answer", "spent"), [("free", 0), ("counted", 1)])
def test_u22_cost_of_an_evaporated_rotation(make_cloud: Make, answer: str, spent: int) -> None:
    cloud = with_switch(make_cloud, rotation_seconds=50, evaporated_rotation=answer)
    key = cloud.ready_key(FIRST)
    second = cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    cloud.clock.advance(1000)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert truth.rotations_spent == spent


@pytest.mark.parametrize(("seconds", "state"), [(0.0, "PENDING_IMPORT"), (86400.0, "IMPORTED")])
def test_u23_row_of_expired_material(make_cloud: Make, seconds: float, state: str) -> None:
    cloud = with_switch(make_cloud, expired_row_sweep_seconds=seconds)
    key = cloud.key()
    cloud.new(key, FIRST, ValidTo=cloud.clock() + 10)
    cloud.clock.advance(100)
    assert cloud.rows(key)[0]["ImportState"] == state
    assert cloud.state(key) == "PendingImport"


@pytest.mark.parametrize("state", [PMR, READY])
def test_u24_replica_row_when_all_have_it(make_cloud: Make, state: str) -> None:
    cloud = with_switch(make_cloud, replica_row_when_ready=state)
    key = cloud.set_of(REPLICA, content=FIRST)
    cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    assert cloud.states(key)[1][0] == READY
    assert cloud.states(key, REPLICA)[1][0] == state


@pytest.mark.parametrize(("answer", "row"), [("oldest", 0), ("current", 1), ("pending", 2)])
def test_u25_id_named_for_wrong_bytes(make_cloud: Make, answer: str, row: int) -> None:
    cloud = with_switch(make_cloud, wrong_bytes_name=answer)
    key = cloud.ready_key(FIRST)
    cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.new(key, bytes_of("third"))
    request = {"KeyId": key, **NEVER, **cloud.wrap(PRIMARY, key, OTHER)}
    _, message = refusal(cloud.kms().import_key_material, **request)
    assert cloud.rows(key)[row]["KeyMaterialId"] in message


@pytest.mark.parametrize(("answer", "state"), [("enables", "Enabled"), ("stays", "Disabled")])
def test_u26_pending_import_into_a_disabled_key(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, incomplete_import_into_disabled=answer)
    key = cloud.ready_key(FIRST)
    cloud.kms().disable_key(KeyId=key)
    cloud.new(key, SECOND)
    assert cloud.state(key) == state


@pytest.mark.parametrize("lost", ["PendingImport", "Disabled"])
@pytest.mark.parametrize("back", ["Enabled", "Disabled"])
def test_u27_loss_and_reimport_while_disabled(make_cloud: Make, lost: str, back: str) -> None:
    cloud = with_switch(make_cloud, loss_while_disabled=lost, reimport_after_loss_while_disabled=back)
    key = cloud.ready_key(FIRST)
    cloud.kms().disable_key(KeyId=key)
    cloud.kms().delete_imported_key_material(KeyId=key)
    assert cloud.state(key) == lost
    cloud.existing(key, FIRST)
    assert cloud.state(key) == back


@pytest.mark.parametrize("answer", ["success", "refused"])
def test_u28_rotate_while_rotating(make_cloud: Make, answer: str) -> None:
    cloud = with_switch(make_cloud, rotation_seconds=50, rotate_while_rotating=answer)
    key = cloud.ready_key(FIRST)
    cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    if answer == "success":
        cloud.kms().rotate_key_on_demand(KeyId=key)
    else:
        assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key)[0] == "KMSInvalidStateException"


@pytest.mark.parametrize(("first", "code"), [(True, "InvalidImportTokenException"), (False, "ValidationException")])
def test_u29_order_of_import_checks(make_cloud: Make, first: bool, code: str) -> None:
    cloud = with_switch(make_cloud, tokens_first=first)
    key = cloud.key()
    refused = refusal(cloud.kms().import_key_material, KeyId=key, ImportToken=b"x", EncryptedKeyMaterial=b"x")
    assert refused[0] == code


@pytest.mark.parametrize("code", ["ExpiredImportTokenException", "InvalidImportTokenException"])
def test_u30_expired_token(make_cloud: Make, code: str) -> None:
    cloud = with_switch(make_cloud, expired_tokens=code)
    key = cloud.key()
    request = {"KeyId": key, **NEVER, **cloud.wrap(PRIMARY, key, FIRST)}
    cloud.clock.advance(86400)
    assert refusal(cloud.kms().import_key_material, **request)[0] == code


@pytest.mark.parametrize(("answer", "state"), [("no", READY), ("yes", PMR)])
def test_u31_material_in_the_place_of_what_was_deleted_under_way(make_cloud: Make, answer: str, state: str) -> None:
    cloud = with_switch(make_cloud, rotation_seconds=100, replacement_needs_readiness=answer)
    key = cloud.set_of(REPLICA, content=FIRST)
    second = cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    other = cloud.new(key, OTHER)
    assert cloud.states(key)[1][0] == state
    if answer == "no":
        cloud.kms().rotate_key_on_demand(KeyId=key)
    else:
        refused = refusal(cloud.kms().rotate_key_on_demand, KeyId=key)
        assert refused[1].startswith("Cannot perform key material rotation")
        cloud.clock.advance(50)
        cloud.existing(key, OTHER, REPLICA)
        assert cloud.states(key)[1][0] == READY
    cloud.clock.advance(100)
    assert cloud.describe(key)["CurrentKeyMaterialId"] == other


def test_u31_an_old_request_runs_out_where_a_replica_never_gets_the_replacement(make_cloud: Make) -> None:
    cloud = with_switch(make_cloud, rotation_seconds=100, replacement_needs_readiness="yes")
    key = cloud.set_of(REPLICA, content=FIRST)
    second = cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    cloud.new(key, OTHER)
    cloud.clock.advance(1000)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert (truth.rotations, truth.rotations_spent, truth.rotating) == (0, 0, False)
    cloud.existing(key, OTHER, REPLICA)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.clock.advance(100)
    assert cloud.state(key, REPLICA) == "Enabled"


def test_u31_a_single_region_key_has_its_replacement_rotated_in_either_way(make_cloud: Make) -> None:
    """Recorded: imports_rotation_replacement."""
    for answer in ("no", "yes"):
        cloud = with_switch(make_cloud, rotation_seconds=100, replacement_needs_readiness=answer)
        key = cloud.ready_key(FIRST)
        second = cloud.new(key, SECOND)
        cloud.kms().rotate_key_on_demand(KeyId=key)
        cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
        other = cloud.new(key, OTHER)
        cloud.clock.advance(100)
        assert cloud.describe(key)["CurrentKeyMaterialId"] == other


def test_u32_a_grant_id_that_is_none(make_cloud: Make) -> None:
    for answer, code in (("unknown", "NotFoundException"), ("invalid", "InvalidGrantIdException")):
        cloud = with_switch(make_cloud, malformed_grant_ids=answer)
        key = cloud.key()
        for call in (cloud.kms().revoke_grant, cloud.kms().retire_grant):
            assert refusal(call, KeyId=key, GrantId="aabbccdd")[0] == code
            assert refusal(call, KeyId=key, GrantId="0" * 64)[0] == "NotFoundException"
        if answer == "invalid":
            assert refusal(cloud.kms().list_grants, KeyId=key, GrantId="aabbccdd")[0] == code
        else:
            assert cloud.kms().list_grants(KeyId=key, GrantId="aabbccdd")["Grants"] == []


def test_every_switch_is_named_in_the_documentation_and_tested_here() -> None:
    from pathlib import Path  # noqa: PLC0415

    here = Path(__file__)
    manual = (here.parents[2] / "docs" / "simulator.md").read_text()
    for switch in fields(Switches):
        assert f"`{switch.name}`" in manual, switch.name
        assert switch.name in here.read_text(), switch.name


def test_more_replicas_more_to_wait_for(make_cloud: Make) -> None:
    cloud = with_switch(make_cloud)
    key = cloud.set_of(REPLICA, THIRD, content=FIRST)
    cloud.new(key, SECOND)
    for region, state in ((REPLICA, PMR), (THIRD, READY)):
        cloud.existing(key, SECOND, region)
        assert cloud.states(key)[1][0] == state
