"""RotateKeyOnDemand: what it needs, what happens while it runs, and what it leaves, as recorded."""

from collections.abc import Callable
from datetime import UTC, datetime

from sim_cloud import PRIMARY, REPLICA, THIRD, Cloud, bytes_of, refusal

FIRST, SECOND, OTHER = bytes_of("first"), bytes_of("second"), bytes_of("other")
NONE_PENDING = "No available key material pending rotation for the key: {}."
LACKING = (
    "Cannot perform key material rotation: Key material has not been imported for replicas of the Multi-Region key."
)


def rotating(make_cloud: Callable[..., Cloud], *replicas: str) -> tuple[Cloud, str, str]:
    """Return a set with a rotation of 100 seconds under way, and the id that it rotates in."""
    cloud = make_cloud(rotation_seconds=100)
    key = cloud.set_of(*replicas, content=FIRST)
    second = cloud.new(key, SECOND)
    for region in replicas:
        cloud.existing(key, SECOND, region)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    return cloud, key, second


def started(cloud: Cloud, key: str, region: str = PRIMARY) -> bool:
    return "OnDemandRotationStartDate" in cloud.kms(region).get_key_rotation_status(KeyId=key)


def test_nothing_pending_nothing_rotated(cloud: Cloud) -> None:
    key = cloud.ready_key(FIRST)
    expected = ("KMSInvalidStateException", NONE_PENDING.format(cloud.arn(key)))
    assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == expected


def test_every_replica_must_have_the_pending_material(cloud: Cloud) -> None:
    """Recorded: imports_multi_region:primary_missing_replica_history."""
    key = cloud.set_of(REPLICA, THIRD, content=FIRST)
    cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == ("KMSInvalidStateException", LACKING)


def test_a_replica_that_lacks_old_material_does_not_block(cloud: Cloud) -> None:
    """Recorded: imports_multi_region:rotate_imported_multi, rotated_replica_history."""
    key = cloud.set_of(REPLICA, content=FIRST)
    first = cloud.describe(key)["CurrentKeyMaterialId"]
    cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=first)
    answer = cloud.kms().rotate_key_on_demand(KeyId=key)
    assert answer["KeyId"] == cloud.arn(key)
    assert cloud.states(key, REPLICA) == [("NON_CURRENT", "PENDING_IMPORT"), ("CURRENT", "IMPORTED")]
    assert (cloud.state(key), cloud.state(key, REPLICA)) == ("Enabled", "PendingImport")


def test_the_rotation_date_is_the_completion_and_the_same_everywhere(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports_multi_region:multi_rotation_poll, rotated_replica_history."""
    cloud, key, second = rotating(make_cloud, REPLICA)
    begun = cloud.clock()
    cloud.clock.advance(1000)
    for region in (PRIMARY, REPLICA):
        row = cloud.rows(key, region)[1]
        assert (row["KeyMaterialId"], row["RotationType"]) == (second, "ON_DEMAND")
        assert row["RotationDate"] == datetime.fromtimestamp(begun + 100, UTC)
        assert "RotationDate" not in cloud.rows(key, region)[0]


def test_nothing_changes_until_it_completes(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports:rotation_complete_poll; imports_rotation_replacement:status_second_started."""
    cloud, key, second = rotating(make_cloud)
    status = cloud.kms().get_key_rotation_status(KeyId=key)
    del status["ResponseMetadata"]
    assert status == {
        "KeyRotationEnabled": False,
        "KeyId": cloud.arn(key),
        "OnDemandRotationStartDate": datetime.fromtimestamp(cloud.clock(), UTC),
    }
    cloud.clock.advance(99)
    assert cloud.states(key) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]
    data_key = cloud.kms().generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=32)
    assert data_key["KeyMaterialId"] == cloud.rows(key)[0]["KeyMaterialId"]
    cloud.clock.advance(1)
    assert cloud.states(key) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
    assert not started(cloud, key)
    data_key = cloud.kms().generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=32)
    assert data_key["KeyMaterialId"] == second


def test_asking_again_while_it_runs_is_still_one_rotation(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: rotation:rotate_immediate_repeat, all_rotated; imports_rotation_replacement:rotate_third."""
    cloud, key, _ = rotating(make_cloud)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.clock.advance(100)
    expected = ("KMSInvalidStateException", NONE_PENDING.format(cloud.arn(key)))
    assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == expected
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert (truth.rotations, truth.rotations_spent) == (1, 1)


def test_deleting_the_pending_material_cancels_in_effect(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports_rotation_expiry:delete_pending_during_rotation, after_pending_delete_history."""
    cloud, key, second = rotating(make_cloud, REPLICA)
    cloud.clock.advance(10)
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    for region in (PRIMARY, REPLICA):
        assert cloud.states(key, region) == [("CURRENT", "IMPORTED")]
    assert started(cloud, key)
    cloud.clock.advance(1000)
    assert not started(cloud, key)
    truth = cloud.sim.key(PRIMARY, key)
    assert truth is not None
    assert (truth.rotations, truth.rotations_spent, truth.rotating) == (0, 0, False)


def test_new_material_in_that_window_is_rotated_in_by_the_old_request(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports_rotation_replacement."""
    cloud, key, second = rotating(make_cloud, REPLICA)
    cloud.clock.advance(10)
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    other = cloud.new(key, OTHER)
    cloud.clock.advance(100)
    assert cloud.describe(key)["CurrentKeyMaterialId"] == other
    assert cloud.states(key, REPLICA)[1] == ("CURRENT", "PENDING_IMPORT")
    assert cloud.state(key, REPLICA) == "PendingImport"
    cloud.existing(key, OTHER, REPLICA)
    assert cloud.state(key, REPLICA) == "Enabled"


def test_a_replica_that_loses_its_copy_does_not_stop_it(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports_rotation_replica."""
    cloud, key, second = rotating(make_cloud, REPLICA)
    cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    cloud.clock.advance(100)
    assert cloud.describe(key)["CurrentKeyMaterialId"] == second
    assert cloud.states(key, REPLICA) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "PENDING_IMPORT")]
    assert cloud.state(key, REPLICA) == "PendingImport"
    cloud.existing(key, SECOND, REPLICA, KeyMaterialId=second)
    assert cloud.state(key, REPLICA) == "Enabled"


def test_readiness_is_judged_when_the_rotation_is_asked_for_not_later(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports:rotation_complete_poll, imports_rotation_replica: the row stays PENDING_ROTATION."""
    cloud, key, second = rotating(make_cloud, REPLICA)
    cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    assert cloud.states(key) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]
    assert cloud.states(key, REPLICA)[1] == ("PENDING_ROTATION", "PENDING_IMPORT")
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=THIRD)
    assert cloud.states(key) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]
    cloud.clock.advance(100)
    assert cloud.states(key) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
    assert cloud.states(key, THIRD) == [("NON_CURRENT", "PENDING_IMPORT"), ("CURRENT", "PENDING_IMPORT")]


def test_importing_the_current_material_again_is_fine(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: imports_edges:reimport_during_rotation."""
    cloud, key, second = rotating(make_cloud)
    cloud.existing(key, FIRST)
    cloud.clock.advance(100)
    assert cloud.describe(key)["CurrentKeyMaterialId"] == second


def test_disabling_or_deleting_the_key_does_not_stop_it(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: rotation:disabled_rotation_list, deleting_rotation_poll."""
    for operation in ("disable_key", "schedule_key_deletion"):
        cloud, key, second = rotating(make_cloud)
        getattr(cloud.kms(), operation)(KeyId=key)
        cloud.clock.advance(100)
        assert cloud.describe(key)["CurrentKeyMaterialId"] == second


def test_a_key_has_25_rotations_for_life(cloud: Cloud) -> None:
    key = cloud.ready_key(bytes_of("0"))
    for number in range(1, 26):
        cloud.new(key, bytes_of(f"{number}"))
        cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.new(key, bytes_of("26"))
    assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == (
        "LimitExceededException",
        (
            "The on-demand rotations limit has been reached for the given keyId. "
            f"No more on-demand rotations can be performed for this key: {cloud.arn(key)}"
        ),
    )
    assert len([row for row in cloud.rows(key) if row.get("RotationType") == "ON_DEMAND"]) == 25


def test_aliases_are_not_taken_by_the_rotation_operations(cloud: Cloud) -> None:
    key = cloud.ready_key(MultiRegion=True)
    cloud.kms().create_alias(AliasName="alias/a", TargetKeyId=key)
    expected = ("InvalidArnException", "Key Aliases are not supported for this operation.")
    wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    for operation, given in {
        "rotate_key_on_demand": {},
        "list_key_rotations": {},
        "get_key_rotation_status": {},
        "enable_key_rotation": {},
        "disable_key_rotation": {},
        "replicate_key": {"ReplicaRegion": REPLICA},
        "update_primary_region": {"PrimaryRegion": REPLICA},
        "get_parameters_for_import": wrapping,
    }.items():
        for name in ("alias/a", cloud.arn(key).replace(f"key/{key}", "alias/a")):
            assert refusal(getattr(cloud.kms(), operation), KeyId=name, **given) == expected


class TestKeysThatKmsMade:
    def test_rows_have_no_import_fields(self, cloud: Cloud) -> None:
        key = cloud.key(Origin="AWS_KMS")
        first = cloud.describe(key)["CurrentKeyMaterialId"]
        assert cloud.rows(key) == [{"KeyId": cloud.arn(key), "KeyMaterialId": first, "KeyMaterialState": "CURRENT"}]
        old = cloud.kms().encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
        cloud.kms().rotate_key_on_demand(KeyId=key)
        first_row, second_row = cloud.rows(key)
        assert first_row["KeyMaterialState"] == "NON_CURRENT"
        assert second_row.keys() == {"KeyId", "KeyMaterialId", "KeyMaterialState", "RotationDate", "RotationType"}
        assert cloud.kms().decrypt(CiphertextBlob=old)["KeyMaterialId"] == first

    def test_a_rotation_reaches_every_replica(self, make_cloud: Callable[..., Cloud]) -> None:
        """Recorded: multi_region:replica_rotation_sync_poll."""
        cloud = make_cloud(rotation_seconds=50)
        key = cloud.key(Origin="AWS_KMS", MultiRegion=True)
        cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
        assert cloud.state(key, REPLICA) == "Enabled"
        cloud.kms().rotate_key_on_demand(KeyId=key)
        assert len(cloud.rows(key)) == 1
        cloud.clock.advance(50)
        blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        assert cloud.kms(REPLICA).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        assert len(cloud.rows(key, REPLICA)) == 2
        for operation in ("rotate_key_on_demand", "enable_key_rotation", "disable_key_rotation"):
            name = "".join(word.title() for word in operation.split("_"))
            assert refusal(getattr(cloud.kms(REPLICA), operation), KeyId=key) == (
                "UnsupportedOperationException",
                f"{cloud.arn(key, REPLICA)} is a multi-region replica key which is not valid for {name}.",
            )

    def test_automatic_rotation_comes_by_itself(self, cloud: Cloud) -> None:
        key = cloud.key(Origin="AWS_KMS")
        cloud.kms().enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
        status = cloud.kms().get_key_rotation_status(KeyId=key)
        assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
        cloud.clock.advance(90 * 86400 - 600)
        assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key)[0] == "ConflictException"
        cloud.clock.advance(91 * 86400)
        assert [row.get("RotationType") for row in cloud.rows(key)] == [None, "AUTOMATIC", "AUTOMATIC"]
        cloud.kms().disable_key_rotation(KeyId=key)
        cloud.clock.advance(400 * 86400)
        assert len(cloud.rows(key)) == 3
        assert not cloud.kms().get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]

    def test_automatic_rotation_waits_for_a_disabled_or_deleting_key(self, cloud: Cloud) -> None:
        key = cloud.key(Origin="AWS_KMS")
        cloud.kms().enable_key_rotation(KeyId=key, RotationPeriodInDays=100)
        cloud.kms().disable_key(KeyId=key)
        cloud.clock.advance(150 * 86400)
        assert len(cloud.rows(key)) == 1
        cloud.kms().enable_key(KeyId=key)
        begun = cloud.clock()
        assert cloud.rows(key)[1]["RotationDate"].timestamp() == begun
        cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
        assert cloud.kms().get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
        cloud.kms().cancel_key_deletion(KeyId=key)
        assert cloud.kms().get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True

    def test_a_disabled_key_is_told_before_a_wrong_family(self, cloud: Cloud) -> None:
        key = cloud.key(Origin="AWS_KMS", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        expected = ("UnsupportedOperationException", "")
        assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == expected
        cloud.kms().disable_key(KeyId=key)
        expected = ("DisabledException", f"{cloud.arn(key)} is disabled.")
        assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == expected
