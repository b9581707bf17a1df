"""Lag: what other Regions see late, what reads tell late and flapping, and how long things take."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sim_cloud import ACCOUNT, POLICY, PRIMARY, REPLICA, Cloud, Hand, bytes_of, refusal

from orchestrator.simulator import ClockNotOwnedError, Lag, ServiceError, Simulator

FIRST, SECOND = bytes_of("first"), bytes_of("second")
PMR = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
LATE = replace(Lag.instant(), propagation=10)


def test_a_replicas_slot_appears_late_and_the_import_is_refused_until_then(make_cloud: Callable[..., Cloud]) -> None:
    """Seen by others: IncorrectKeyMaterialException until the slot is there."""
    cloud = make_cloud(lag=LATE)
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    cloud.clock.advance(10)
    cloud.existing(key, FIRST, REPLICA)
    second = cloud.new(key, SECOND)
    assert cloud.states(key, REPLICA) == [("CURRENT", "IMPORTED")]
    request = {"KeyId": key, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", **cloud.wrap(REPLICA, key, SECOND)}
    assert refusal(cloud.kms(REPLICA).import_key_material, **request)[0] == "IncorrectKeyMaterialException"
    cloud.clock.advance(10)
    assert cloud.states(key, REPLICA)[1] == (PMR, "PENDING_IMPORT")
    cloud.kms(REPLICA).import_key_material(**request)

    assert cloud.states(key)[1] == (PMR, "IMPORTED")
    assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key)[0] == "KMSInvalidStateException"
    cloud.clock.advance(10)
    assert cloud.states(key)[1] == ("PENDING_ROTATION", "IMPORTED")
    cloud.kms().rotate_key_on_demand(KeyId=key)
    assert cloud.describe(key)["CurrentKeyMaterialId"] == second


def test_a_deleted_slot_goes_late_too(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=LATE)
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    second = cloud.new(key, SECOND)
    cloud.clock.advance(10)
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    assert len(cloud.rows(key)) == 1
    assert len(cloud.rows(key, REPLICA)) == 2
    # An import that comes in between is taken, and leaves nothing behind.
    cloud.existing(key, SECOND, REPLICA)
    cloud.clock.advance(10)
    assert len(cloud.rows(key, REPLICA)) == 1
    assert cloud.sim.material(REPLICA, key, second) is None


def test_reads_flap_after_a_change_and_settle(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=replace(Lag.instant(), staleness=10, stale_share=0.5), seed=3)
    key = cloud.ready_key(FIRST)
    cloud.clock.advance(60)
    cloud.kms().disable_key(KeyId=key)
    cloud.clock.advance(1)
    seen = [cloud.state(key) for _ in range(40)]
    assert set(seen) == {"Enabled", "Disabled"}
    assert any(before == "Disabled" and after == "Enabled" for before, after in itertools.pairwise(seen))
    # What is judged is the truth, never a stale read.
    assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x")[0] == "DisabledException"
    cloud.clock.advance(10)
    assert {cloud.state(key) for _ in range(40)} == {"Disabled"}


def test_a_new_key_may_not_be_found_at_first(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=replace(Lag.instant(), staleness=10, stale_share=1.0))
    key = cloud.key()
    cloud.clock.advance(0.001)
    expected = ("NotFoundException", f"Key '{cloud.arn(key)}' does not exist")
    assert refusal(cloud.kms().describe_key, KeyId=key) == expected
    cloud.clock.advance(10)
    assert cloud.state(key) == "PendingImport"


STALE = replace(Lag.instant(), staleness=10, stale_share=1.0)
NEED_A_KEY: dict[str, dict[str, Any]] = {
    "CancelKeyDeletion": {},
    "CreateGrant": {"GranteePrincipal": "arn:aws:iam::111122223333:root", "Operations": ["Decrypt"]},
    "Decrypt": {"CiphertextBlob": "AAAA"},
    "DeleteImportedKeyMaterial": {},
    "DescribeKey": {},
    "DisableKey": {},
    "DisableKeyRotation": {},
    "EnableKey": {},
    "EnableKeyRotation": {},
    "Encrypt": {"Plaintext": "AAAA"},
    "GenerateDataKey": {"NumberOfBytes": 16},
    "GenerateMac": {"Message": "AAAA", "MacAlgorithm": "HMAC_SHA_256"},
    "GetKeyLastUsage": {},
    "GetKeyPolicy": {},
    "GetKeyRotationStatus": {},
    "GetParametersForImport": {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
    "GetPublicKey": {},
    "ImportKeyMaterial": {"ImportToken": "AAAA", "EncryptedKeyMaterial": "AAAA"},
    "ListAliases": {},
    "ListGrants": {},
    "ListKeyPolicies": {},
    "ListKeyRotations": {},
    "ListResourceTags": {},
    "PutKeyPolicy": {"Policy": "{}"},
    "ReplicateKey": {"ReplicaRegion": REPLICA},
    "RotateKeyOnDemand": {},
    "ScheduleKeyDeletion": {},
    "Sign": {"Message": "AAAA", "SigningAlgorithm": "ECDSA_SHA_256"},
    "TagResource": {"Tags": []},
    "UntagResource": {"TagKeys": []},
    "UpdateKeyDescription": {"Description": ""},
    "UpdatePrimaryRegion": {"PrimaryRegion": REPLICA},
}


@pytest.mark.parametrize("operation", NEED_A_KEY)
def test_a_new_key_or_replica_may_not_be_found_by_any_operation(operation: str) -> None:
    clock = Hand()
    sim = Simulator(now=clock, lag=STALE)
    key = sim.call("CreateKey", PRIMARY, ACCOUNT, {"MultiRegion": True})["KeyMetadata"]["KeyId"]

    def told(region: str) -> str:
        try:
            sim.call(operation, region, ACCOUNT, {"KeyId": key, **NEED_A_KEY[operation]})
        except ServiceError as error:
            return error.code
        return "ok"

    clock.advance(0.001)
    assert told(PRIMARY) == "NotFoundException"
    clock.advance(10)
    sim.call("ReplicateKey", PRIMARY, ACCOUNT, {"KeyId": key, "ReplicaRegion": REPLICA})
    clock.advance(0.001)
    assert told(REPLICA) == "NotFoundException"
    clock.advance(10)
    assert told(REPLICA) != "NotFoundException"


def test_lists_lag_too(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=STALE)
    key = cloud.key()
    cloud.clock.advance(10)
    cloud.kms().create_alias(AliasName="alias/a", TargetKeyId=key)
    cloud.key()
    cloud.clock.advance(0.001)
    assert [one["KeyId"] for one in cloud.kms().list_keys()["Keys"]] == [key]
    assert cloud.aliases() == []
    assert refusal(cloud.kms().describe_key, KeyId="alias/a")[0] == "NotFoundException"
    cloud.clock.advance(10)
    assert len(cloud.kms().list_keys()["Keys"]) == 2
    assert len(cloud.aliases()) == 1
    assert cloud.kms().describe_key(KeyId="alias/a")["KeyMetadata"]["KeyId"] == key


def test_tags_and_policies_are_read_late(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=STALE)
    key = cloud.key()
    cloud.clock.advance(10)
    before = cloud.kms().get_key_policy(KeyId=key)["Policy"]
    cloud.kms().put_key_policy(KeyId=key, Policy=POLICY)
    cloud.kms().tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}])
    cloud.clock.advance(0.001)
    assert cloud.kms().get_key_policy(KeyId=key)["Policy"] == before
    assert cloud.kms().list_resource_tags(KeyId=key)["Tags"] == []
    cloud.clock.advance(10)
    assert cloud.kms().get_key_policy(KeyId=key)["Policy"] != before
    assert len(cloud.kms().list_resource_tags(KeyId=key)["Tags"]) == 1


def test_a_single_operation_may_lag_more_or_less_than_the_others(make_cloud: Callable[..., Cloud]) -> None:
    lag = replace(Lag.instant(), of_operations={"DescribeKey": (60, 1.0)})
    cloud = make_cloud(lag=lag)
    key = cloud.key()
    cloud.clock.advance(0.001)
    assert refusal(cloud.kms().describe_key, KeyId=key)[0] == "NotFoundException"
    cloud.kms().get_key_policy(KeyId=key)
    cloud.clock.advance(60)
    cloud.kms().update_key_description(KeyId=key, Description="new")
    cloud.clock.advance(0.001)
    assert cloud.describe(key)["Description"] == ""
    cloud.clock.advance(60)
    assert cloud.describe(key)["Description"] == "new"


def test_a_stale_read_is_stale_about_expiry_too(make_cloud: Callable[..., Cloud]) -> None:
    cloud = make_cloud(lag=replace(Lag.instant(), staleness=10, stale_share=1.0), seed=2)
    key = cloud.key()
    cloud.clock.advance(10)
    cloud.new(key, FIRST, ValidTo=cloud.clock() + 60)
    cloud.clock.advance(61)
    assert {cloud.state(key) for _ in range(30)} == {"Enabled", "PendingImport"}
    cloud.clock.advance(10)
    assert {cloud.state(key) for _ in range(30)} == {"PendingImport"}


def test_the_same_seed_flaps_the_same_way(make_cloud: Callable[..., Cloud]) -> None:
    histories = []
    for _ in range(2):
        cloud = make_cloud(lag=replace(Lag.instant(), staleness=10, stale_share=0.5), seed=7)
        key = cloud.ready_key(FIRST)
        cloud.clock.advance(60)
        cloud.kms().disable_key(KeyId=key)
        cloud.clock.advance(1)
        histories.append([cloud.state(key) for _ in range(20)])
    assert histories[0] == histories[1]


def aws_like(make_cloud: Callable[..., Cloud], seed: int) -> tuple[Cloud, str]:
    cloud = make_cloud(lag="aws-like", seed=seed)
    key = cloud.key()
    cloud.clock.advance(60)
    cloud.new(key, FIRST)
    cloud.new(key, SECOND)
    cloud.clock.advance(60)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    return cloud, key


@pytest.mark.parametrize("seed", range(4))
def test_rotations_take_as_long_as_measured(make_cloud: Callable[..., Cloud], seed: int) -> None:
    cloud, key = aws_like(make_cloud, seed)
    cloud.clock.advance(19)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert truth.rotating
    cloud.clock.advance(442)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert (truth.rotating, truth.rotations) == (False, 1)


def test_a_start_date_may_vanish_long_before_the_switch_shows(make_cloud: Callable[..., Cloud]) -> None:
    """Seen by others: gone after 5 s, switched after 60 s; so the flag proves nothing."""
    vanished = []
    for seed in range(6):
        cloud, key = aws_like(make_cloud, seed)
        cloud.clock.advance(18)
        shown = "OnDemandRotationStartDate" in cloud.kms().get_key_rotation_status(KeyId=key)
        truth = cloud.sim.key(PRIMARY, key)
        assert truth is not None
        assert truth.rotating
        vanished.append(not shown)
    assert set(vanished) == {True, False}


def test_a_vanished_start_date_does_not_come_back(make_cloud: Callable[..., Cloud]) -> None:
    for seed in range(6):
        cloud, key = aws_like(make_cloud, seed)
        cloud.clock.advance(18)
        before = "OnDemandRotationStartDate" in cloud.kms().get_key_rotation_status(KeyId=key)
        truth = cloud.sim.key(PRIMARY, key)
        assert truth is not None
        assert truth.pending is not None
        cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=truth.pending)
        cloud.clock.advance(18)
        assert ("OnDemandRotationStartDate" in cloud.kms().get_key_rotation_status(KeyId=key)) == before


def test_a_cancelled_rotation_keeps_its_start_date_for_minutes(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports_rotation_expiry: about 4 minutes."""
    cloud, key = aws_like(make_cloud, 0)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert truth.pending is not None
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=truth.pending)
    cloud.clock.advance(230)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert truth.rotating
    cloud.clock.advance(600)
    assert "OnDemandRotationStartDate" not in cloud.kms().get_key_rotation_status(KeyId=key)


@pytest.mark.parametrize("name", ["instant", "small", "aws-like"])
def test_profiles_go_by_name(name: str) -> None:
    assert Lag.named(name).name == name
    assert Simulator(lag=name, rotation_seconds=5).key(PRIMARY, "none") is None


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="instant, small or aws-like"):
        Lag.named("big")


class TestClock:
    def test_the_own_clock_moves_forward_freezes_and_runs_on(self) -> None:
        sim = Simulator()
        before = sim.clock()
        sim.advance(3600)
        assert sim.clock() >= before + 3600
        sim.clock.freeze()
        frozen = sim.clock()
        assert sim.clock() == frozen
        sim.advance(10)
        assert sim.clock() == frozen + 10
        sim.clock.resume()
        assert sim.clock() >= frozen + 10
        with pytest.raises(ValueError, match="forward"):
            sim.advance(-1)

    def test_a_clock_that_was_given_is_not_the_simulators_to_move(self) -> None:
        sim = Simulator(now=lambda: 0.0)
        for change in (lambda: sim.advance(1), sim.clock.freeze, sim.clock.resume):
            with pytest.raises(ClockNotOwnedError, match="given its clock"):
                change()


def test_listing_tells_the_truth_about_keys(cloud: Cloud) -> None:
    keys = {cloud.key() for _ in range(3)}
    pages = cloud.kms().get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2})
    assert {entry["KeyId"] for page in pages for entry in page["Keys"]} == keys
    with pytest.raises(ClientError):
        cloud.kms().list_keys(Marker="nonsense")
