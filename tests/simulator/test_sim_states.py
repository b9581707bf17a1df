"""Key states: which operation is legal where, with which code and message."""

from collections.abc import Callable
from typing import Any

import pytest
from sim_cloud import POLICY, PRIMARY, REPLICA, Cloud, bytes_of, refusal

from orchestrator.simulator import Lag

KMS_STATE, DISABLED = "KMSInvalidStateException", "DisabledException"
IMPORT, DELETE, OFF, REPLICA_DELETE = "pending import", "pending deletion", "disabled", "pending replica deletion"


def pending_import(cloud: Cloud) -> str:
    return cloud.key(MultiRegion=True)


def enabled(cloud: Cloud) -> str:
    return cloud.ready_key(MultiRegion=True)


def disabled(cloud: Cloud) -> str:
    key = enabled(cloud)
    cloud.kms().disable_key(KeyId=key)
    return key


def deleting(cloud: Cloud) -> str:
    key = enabled(cloud)
    cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return key


def deleting_primary(cloud: Cloud) -> str:
    key = cloud.set_of(REPLICA)
    cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return key


STATES: dict[str, Callable[[Cloud], str]] = {
    "PendingImport": pending_import,
    "Enabled": enabled,
    "Disabled": disabled,
    "PendingDeletion": deleting,
    "PendingReplicaDeletion": deleting_primary,
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "get_parameters_for_import": {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
    "replicate_key": {"ReplicaRegion": "eu-west-1"},
    "update_primary_region": {"PrimaryRegion": PRIMARY},
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": {"NumberOfBytes": 16},
    "generate_data_key_pair": {"KeyPairSpec": "ECC_NIST_P256"},
    "tag_resource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "untag_resource": {"TagKeys": ["a"]},
    "put_key_policy": {"Policy": POLICY},
    "create_grant": {"GranteePrincipal": "arn:aws:iam::111122223333:root", "Operations": ["Decrypt"]},
    "update_key_description": {"Description": "d"},
}
OK = "ok"
# operation: PendingImport, Enabled, Disabled, PendingDeletion, PendingReplicaDeletion
LEGAL: dict[str, tuple[str, str, str, str, str]] = {
    "describe_key": (OK, OK, OK, OK, OK),
    "get_key_last_usage": (OK, OK, OK, OK, OK),
    "list_grants": (OK, OK, OK, OK, OK),
    "create_grant": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "get_key_policy": (OK, OK, OK, OK, OK),
    "put_key_policy": (OK, OK, OK, OK, OK),
    "list_key_policies": (OK, OK, OK, OK, OK),
    "list_resource_tags": (OK, OK, OK, OK, OK),
    "list_key_rotations": (OK, OK, OK, OK, OK),
    "get_key_rotation_status": (OK, OK, OK, OK, OK),
    "delete_imported_key_material": (OK, OK, OK, OK, OK),
    "get_parameters_for_import": (OK, OK, OK, DELETE, REPLICA_DELETE),
    "rotate_key_on_demand": (IMPORT, "", OFF, DELETE, REPLICA_DELETE),
    "replicate_key": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "update_primary_region": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "enable_key": (IMPORT, OK, OK, DELETE, REPLICA_DELETE),
    "disable_key": (IMPORT, OK, OK, DELETE, REPLICA_DELETE),
    "schedule_key_deletion": (OK, OK, OK, DELETE, REPLICA_DELETE),
    "encrypt": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "generate_data_key": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "generate_data_key_without_plaintext": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "generate_data_key_pair": (IMPORT, OK, OFF, DELETE, REPLICA_DELETE),
    "tag_resource": (OK, OK, OK, DELETE, REPLICA_DELETE),
    "untag_resource": (OK, OK, OK, DELETE, REPLICA_DELETE),
}


@pytest.mark.parametrize("state", STATES)
def test_every_operation_is_legal_or_refused_as_the_table_says(cloud: Cloud, state: str) -> None:
    column = list(STATES).index(state)
    for operation, verdicts in LEGAL.items():
        key = STATES[state](cloud)
        assert cloud.state(key) == state
        call = getattr(cloud.kms(), operation)
        reason = verdicts[column]
        if reason == OK:
            call(KeyId=key, **PARAMETERS.get(operation, {}))
        elif reason:
            expected = (DISABLED if reason == OFF else KMS_STATE, f"{cloud.arn(key)} is {reason}.")
            assert refusal(call, KeyId=key, **PARAMETERS.get(operation, {})) == expected, operation


@pytest.mark.parametrize(("state", "reason"), [("PendingDeletion", DELETE), ("PendingReplicaDeletion", REPLICA_DELETE)])
def test_import_into_a_deleting_key_is_refused(cloud: Cloud, state: str, reason: str) -> None:
    key = STATES[state](cloud)
    sent = {"ImportToken": b"x", "EncryptedKeyMaterial": b"x", "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    expected = (KMS_STATE, f"{cloud.arn(key)} is {reason}.")
    assert refusal(cloud.kms().import_key_material, KeyId=key, **sent) == expected


@pytest.mark.parametrize("state", ["PendingImport", "Enabled", "Disabled"])
def test_cancelling_a_deletion_that_was_not_asked_for_is_refused(cloud: Cloud, state: str) -> None:
    key = STATES[state](cloud)
    assert refusal(cloud.kms().cancel_key_deletion, KeyId=key)[0] == KMS_STATE


@pytest.mark.parametrize("state", ["PendingDeletion", "PendingReplicaDeletion"])
def test_a_cancelled_deletion_leaves_the_key_disabled(cloud: Cloud, state: str) -> None:
    """Recorded: multi_region:primary_after_cancel."""
    key = STATES[state](cloud)
    assert cloud.kms().cancel_key_deletion(KeyId=key)["KeyId"] == cloud.arn(key)
    assert cloud.state(key) == "Disabled"


def test_a_cancelled_deletion_with_missing_material_reads_pending_import(cloud: Cloud) -> None:
    """Recorded: imports:after_cancel_missing_material; then the material switches it on again."""
    key = cloud.ready_key(bytes_of("m"))
    cloud.kms().schedule_key_deletion(KeyId=key)
    cloud.kms().delete_imported_key_material(KeyId=key)
    assert cloud.state(key) == "PendingDeletion"
    cloud.kms().cancel_key_deletion(KeyId=key)
    assert cloud.state(key) == "PendingImport"
    cloud.existing(key, bytes_of("m"))
    assert cloud.state(key) == "Enabled"


def test_importing_known_material_enables_a_disabled_key(cloud: Cloud) -> None:
    """Recorded: imports:reimport_disabled, after_disabled_import."""
    key = disabled(cloud)
    cloud.existing(key, b"a" * 32)
    assert cloud.state(key) == "Enabled"


def test_automatic_rotation_judges_origin_before_state(cloud: Cloud) -> None:
    """Recorded: imports:pending_enable-key-rotation."""
    for state in ("PendingImport", "Enabled", "Disabled", "PendingDeletion"):
        key = STATES[state](cloud)
        expected = (
            "UnsupportedOperationException",
            f"{cloud.arn(key)} origin is EXTERNAL which is not valid for this operation.",
        )
        assert refusal(cloud.kms().enable_key_rotation, KeyId=key) == expected
        assert refusal(cloud.kms().disable_key_rotation, KeyId=key) == expected


def test_rotation_status_of_a_key_without_material_is_false(cloud: Cloud) -> None:
    """Recorded: imports:pending_get-key-rotation-status."""
    key = cloud.key()
    answer = cloud.kms().get_key_rotation_status(KeyId=key)
    del answer["ResponseMetadata"]
    assert answer == {"KeyRotationEnabled": False, "KeyId": cloud.arn(key)}


@pytest.mark.parametrize("days", [1, 6, 31, 365])
def test_the_waiting_period_is_7_to_30_days(cloud: Cloud, days: int) -> None:
    key = cloud.ready_key()
    refused = refusal(cloud.kms().schedule_key_deletion, KeyId=key, PendingWindowInDays=days)
    assert refused[0] == "ValidationException"
    assert cloud.state(key) == "Enabled"


def test_descriptions_are_replaced(cloud: Cloud) -> None:
    key = cloud.key(Description="old")
    cloud.kms().update_key_description(KeyId=key, Description="new")
    assert cloud.describe(key)["Description"] == "new"


def test_a_deleted_key_is_gone_after_its_window(cloud: Cloud) -> None:
    key = cloud.ready_key()
    answer = cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyState"], answer["PendingWindowInDays"]) == ("PendingDeletion", 7)
    described = cloud.describe(key)
    assert described["DeletionDate"] == answer["DeletionDate"]
    assert "PendingDeletionWindowInDays" not in described
    cloud.clock.advance(7 * 86400 - 1)
    assert cloud.state(key) == "PendingDeletion"
    cloud.clock.advance(1)
    expected = ("NotFoundException", f"Key '{cloud.arn(key)}' does not exist")
    assert refusal(cloud.kms().describe_key, KeyId=key) == expected


def test_a_primary_waits_for_its_replicas_and_then_its_own_window(cloud: Cloud) -> None:
    """Recorded: multi_region:delete_primary_with_replica, primary_waiting_replicas, cleanup_followup."""
    key = cloud.set_of(REPLICA)
    answer = cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=8)
    assert answer["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in answer
    described = cloud.describe(key)
    assert described["PendingDeletionWindowInDays"] == 8
    assert "DeletionDate" not in described
    assert cloud.state(key, REPLICA) == "Enabled"
    cloud.kms(REPLICA).encrypt(KeyId=key, Plaintext=b"x")

    cloud.kms(REPLICA).schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert len(cloud.describe(key)["MultiRegionConfiguration"]["ReplicaKeys"]) == 1
    cloud.clock.advance(7 * 86400)
    assert cloud.state(key) == "PendingDeletion"
    assert "PendingDeletionWindowInDays" not in cloud.describe(key)
    cloud.clock.advance(8 * 86400)
    assert refusal(cloud.kms().describe_key, KeyId=key)[0] == "NotFoundException"


def test_a_replica_is_creating_and_cannot_be_used(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: multi_region:replica_initial."""
    cloud = make_cloud(lag=Lag.aws_like(), seed=1)
    made = cloud.kms().create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    cloud.clock.advance(60)
    cloud.kms().replicate_key(KeyId=made, ReplicaRegion=REPLICA)
    cloud.settle()
    truth = cloud.sim.key(REPLICA, made)
    assert truth is not None
    assert truth.key_state == "Creating"
    for operation in ("encrypt", "disable_key", "get_parameters_for_import", "replicate_key"):
        code, _ = refusal(getattr(cloud.kms(REPLICA), operation), KeyId=made, **PARAMETERS.get(operation, {}))
        assert code in (KMS_STATE, "UnsupportedOperationException"), operation
    cloud.clock.advance(60)
    assert cloud.state(made, REPLICA) == "Enabled"


def test_both_keys_are_updating_after_a_promotion(make_cloud: Callable[..., Cloud]) -> None:
    """Recorded: multi_region:former_primary_updating, new_primary_updating."""
    cloud = make_cloud(lag=Lag.small())
    key = cloud.ready_key(MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    cloud.clock.advance(1)
    cloud.existing(key, b"a" * 32, REPLICA)
    cloud.clock.advance(1)
    cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
    for region in (PRIMARY, REPLICA):
        described = cloud.describe(key, region)
        assert (described["KeyState"], described["Enabled"]) == ("Updating", False)
        assert described["MultiRegionConfiguration"]["PrimaryKey"]["Region"] == REPLICA
        cloud.kms(region).encrypt(KeyId=key, Plaintext=b"x")
        assert refusal(cloud.kms(region).disable_key, KeyId=key)[0] == KMS_STATE
    cloud.clock.advance(1)
    assert cloud.state(key) == cloud.state(key, REPLICA) == "Enabled"
