"""Multi-Region keys: replicas, slots, cascades, promotion, and the errors on the way, as recorded."""

from typing import Any

import pytest
from sim_cloud import ACCOUNT, POLICY, PRIMARY, REPLICA, THIRD, Cloud, bytes_of, refusal

NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
FIRST, SECOND, OTHER = bytes_of("first"), bytes_of("second"), bytes_of("other")
PMR = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"


def imported(cloud: Cloud, key: str, content: bytes, region: str, **given: Any) -> tuple[str, str]:
    """Return how an import is refused."""
    request = {"KeyId": key, **NEVER, **cloud.wrap(region, key, content), **given}
    return refusal(cloud.kms(region).import_key_material, **request)


def test_a_replica_starts_creating_without_material(cloud: Cloud) -> None:
    """Recorded: imports_multi_region:replicate_imported_primary, replica_pending_poll."""
    key = cloud.ready_key(FIRST, MultiRegion=True, Description="of the primary")
    cloud.kms().tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}])
    answer = cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    made = answer["ReplicaKeyMetadata"]
    assert (made["KeyState"], made["Enabled"], made["Description"]) == ("Creating", False, "")
    assert made["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert "CurrentKeyMaterialId" not in made
    assert "ReplicaTags" not in answer
    assert f"arn:aws:iam::{ACCOUNT}:root" in answer["ReplicaPolicy"]
    assert made["MultiRegionConfiguration"]["ReplicaKeys"] == [{"Arn": cloud.arn(key, REPLICA), "Region": REPLICA}]

    described = cloud.describe(key, REPLICA)
    assert described["KeyState"] == "PendingImport"
    assert described["CurrentKeyMaterialId"] == cloud.describe(key)["CurrentKeyMaterialId"]
    assert not {"ExpirationModel", "ValidTo"} & described.keys()
    assert cloud.states(key, REPLICA) == [("CURRENT", "PENDING_IMPORT")]
    assert cloud.kms(REPLICA).list_resource_tags(KeyId=key)["Tags"] == []


def test_what_a_replica_is_given_stays_its_own(cloud: Cloud) -> None:
    """Recorded: multi_region:replica_policy, replica_tags."""
    key = cloud.ready_key(FIRST, MultiRegion=True)
    tags = [{"TagKey": "here", "TagValue": "only"}]
    answer = cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA, Description="d", Tags=tags, Policy=POLICY)
    assert (answer["ReplicaTags"], answer["ReplicaPolicy"]) == (tags, POLICY)
    assert cloud.describe(key, REPLICA)["Description"] == "d"
    assert cloud.kms(REPLICA).list_resource_tags(KeyId=key)["Tags"] == tags
    assert cloud.kms().list_resource_tags(KeyId=key)["Tags"] == []
    assert cloud.kms(REPLICA).get_key_policy(KeyId=key)["Policy"] == POLICY
    assert "key-default-1" in cloud.kms().get_key_policy(KeyId=key)["Policy"]


def test_every_member_tells_the_same_topology(cloud: Cloud) -> None:
    key = cloud.set_of(REPLICA, THIRD)
    seen = [cloud.describe(key, region)["MultiRegionConfiguration"] for region in (PRIMARY, REPLICA, THIRD)]
    assert [one.pop("MultiRegionKeyType") for one in seen] == ["PRIMARY", "REPLICA", "REPLICA"]
    assert seen[0] == seen[1] == seen[2]
    assert [member["Region"] for member in seen[0]["ReplicaKeys"]] == [REPLICA, THIRD]
    alone = cloud.ready_key(MultiRegion=True)
    assert cloud.describe(alone)["MultiRegionConfiguration"]["ReplicaKeys"] == []


class TestReplicaImports:
    def test_new_material_and_descriptions_belong_on_the_primary(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:replica_new_type_rejected, replica_first_import (before identity)."""
        key = cloud.ready_key(FIRST, MultiRegion=True)
        cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
        assert imported(cloud, key, SECOND, REPLICA, ImportType="NEW_KEY_MATERIAL") == (
            "ValidationException",
            "Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica Multi-Region keys",
        )
        assert imported(cloud, key, FIRST, REPLICA, KeyMaterialDescription="d") == (
            "ValidationException",
            "Key material description can only be specified on primary Multi-Region keys",
        )

    def test_an_omitted_type_means_existing_on_a_replica(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:replica_wrong_first."""
        key = cloud.ready_key(FIRST, MultiRegion=True)
        first = cloud.describe(key)["CurrentKeyMaterialId"]
        cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
        assert imported(cloud, key, OTHER, REPLICA) == (
            "IncorrectKeyMaterialException",
            f"Imported key material does not have the expected identifier ({first}).",
        )
        assert cloud.put(key, FIRST, REPLICA) == first
        assert cloud.state(key, REPLICA) == "Enabled"

    def test_state_is_the_sets_and_import_state_is_local(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:replica_missing_second_history, primary_missing_replica_history."""
        key = cloud.set_of(REPLICA, content=FIRST)
        second = cloud.new(key, SECOND, KeyMaterialDescription="from the primary")
        assert cloud.states(key) == [("CURRENT", "IMPORTED"), (PMR, "IMPORTED")]
        row = cloud.rows(key, REPLICA)[1]
        assert row == {
            "KeyId": cloud.arn(key, REPLICA),
            "KeyMaterialId": second,
            "KeyMaterialDescription": "from the primary",
            "ImportState": "PENDING_IMPORT",
            "KeyMaterialState": PMR,
        }
        assert cloud.state(key, REPLICA) == "Enabled"
        cloud.existing(key, SECOND, REPLICA)
        assert cloud.states(key)[1] == ("PENDING_ROTATION", "IMPORTED")
        assert cloud.states(key, REPLICA)[1] == ("PENDING_ROTATION", "IMPORTED")

    def test_a_primary_without_replicas_is_ready_at_once(self, cloud: Cloud) -> None:
        """Switch U20's default."""
        key = cloud.ready_key(FIRST, MultiRegion=True)
        cloud.new(key, SECOND)
        assert cloud.states(key)[1] == ("PENDING_ROTATION", "IMPORTED")

    def test_regions_lose_and_regain_material_independently(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:primary_after_replica_loss, restore_replica_noncurrent."""
        key = cloud.set_of(REPLICA, content=FIRST)
        first = cloud.describe(key)["CurrentKeyMaterialId"]
        cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=first)
        assert (cloud.state(key), cloud.state(key, REPLICA)) == ("Enabled", "PendingImport")
        cloud.existing(key, FIRST, REPLICA)
        assert cloud.state(key, REPLICA) == "Enabled"


class TestPendingDeletes:
    def test_on_the_primary_it_goes_from_every_region(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:replica_after_primary_pending_delete."""
        key = cloud.set_of(REPLICA, content=FIRST)
        second = cloud.new(key, SECOND)
        cloud.existing(key, SECOND, REPLICA)
        cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
        for region in (PRIMARY, REPLICA):
            assert cloud.states(key, region) == [("CURRENT", "IMPORTED")]
            assert cloud.sim.material(region, key, second) is None

    def test_on_a_replica_it_is_local_even_if_never_imported(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:delete_replica_pending."""
        key = cloud.set_of(REPLICA, content=FIRST)
        second = cloud.new(key, SECOND)
        answer = cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=second)
        assert answer["KeyMaterialId"] == second
        assert cloud.states(key) == [("CURRENT", "IMPORTED"), (PMR, "IMPORTED")]
        cloud.existing(key, SECOND, REPLICA)
        cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=second)
        assert cloud.states(key, REPLICA) == [("CURRENT", "IMPORTED"), (PMR, "PENDING_IMPORT")]


class TestReplicateErrors:
    def test_before_the_first_material(self, cloud: Cloud) -> None:
        """Recorded: imports_multi_region:replicate_pending_import."""
        key = cloud.key(MultiRegion=True)
        expected = ("KMSInvalidStateException", f"{cloud.arn(key)} is pending import.")
        assert refusal(cloud.kms().replicate_key, KeyId=key, ReplicaRegion=REPLICA) == expected

    def test_twice_in_a_region_also_while_that_replica_is_going(self, cloud: Cloud) -> None:
        """Recorded: multi_region:primary_with_deleting_replica, replicate_disabled_primary."""
        key = cloud.set_of(REPLICA)
        expected = (
            "AlreadyExistsException",
            "You can create only one replica of each primary key in each AWS Region.",
        )
        assert refusal(cloud.kms().replicate_key, KeyId=key, ReplicaRegion=REPLICA) == expected
        cloud.kms(REPLICA).schedule_key_deletion(KeyId=key)
        assert refusal(cloud.kms().replicate_key, KeyId=key, ReplicaRegion=REPLICA) == expected
        cloud.kms().disable_key(KeyId=key)
        assert refusal(cloud.kms().replicate_key, KeyId=key, ReplicaRegion=REPLICA)[0] == "DisabledException"

    @pytest.mark.parametrize(
        ("region", "message"),
        [
            (PRIMARY, "us-east-1 cannot have a replica because it contains the primary."),
            (
                "cn-north-1",
                "The replica key Region must be in the same AWS partition as the primary key Region.",
            ),
            (
                "xx-nowhere-1",
                (
                    "Region xx-nowhere-1 is not a valid Region or multi-Region keys are not supported "
                    "in Region xx-nowhere-1."
                ),
            ),
        ],
    )
    def test_where_no_replica_can_be(self, cloud: Cloud, region: str, message: str) -> None:
        key = cloud.ready_key(MultiRegion=True)
        assert refusal(cloud.kms().replicate_key, KeyId=key, ReplicaRegion=region) == ("ValidationException", message)

    def test_from_a_replica_or_a_single_region_key(self, cloud: Cloud) -> None:
        key, single = cloud.set_of(REPLICA), cloud.ready_key()
        assert refusal(cloud.kms(REPLICA).replicate_key, KeyId=key, ReplicaRegion=THIRD) == (
            "UnsupportedOperationException",
            f"{cloud.arn(key, REPLICA)} is not a multi-region primary key.",
        )
        assert refusal(cloud.kms().replicate_key, KeyId=single, ReplicaRegion=THIRD)[0] == (
            "UnsupportedOperationException"
        )


class TestPromotion:
    def test_roles_are_swapped_and_history_is_kept(self, cloud: Cloud) -> None:
        """Recorded: multi_region:new_primary_rotation."""
        key = cloud.set_of(REPLICA, content=FIRST)
        cloud.new(key, SECOND)
        cloud.existing(key, SECOND, REPLICA)
        cloud.kms().rotate_key_on_demand(KeyId=key)
        before = [{**row, "KeyId": ""} for row in cloud.rows(key)]
        cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
        assert [{**row, "KeyId": ""} for row in cloud.rows(key, REPLICA)] == before
        third = cloud.new(key, OTHER, REPLICA)
        assert cloud.existing(key, OTHER, PRIMARY) == third
        assert refusal(cloud.kms().rotate_key_on_demand, KeyId=key) == (
            "UnsupportedOperationException",
            f"{cloud.arn(key)} is a multi-region replica key which is not valid for RotateKeyOnDemand.",
        )
        cloud.kms(REPLICA).rotate_key_on_demand(KeyId=key)
        assert cloud.describe(key)["CurrentKeyMaterialId"] == third

    def test_a_promoted_replica_that_lacks_the_pending_material_is_waited_for(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA, content=FIRST)
        second = cloud.new(key, SECOND)
        cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
        assert cloud.states(key, REPLICA)[1] == (PMR, "PENDING_IMPORT")
        assert refusal(cloud.kms(REPLICA).rotate_key_on_demand, KeyId=key)[0] == "KMSInvalidStateException"
        cloud.existing(key, SECOND, REPLICA, KeyMaterialId=second)
        assert cloud.states(key, REPLICA)[1] == ("PENDING_ROTATION", "IMPORTED")
        cloud.kms(REPLICA).rotate_key_on_demand(KeyId=key)
        assert cloud.describe(key, REPLICA)["CurrentKeyMaterialId"] == second

    def test_a_promoted_replica_that_is_alone_must_have_the_pending_material_too(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA, content=FIRST)
        cloud.new(key, SECOND)
        cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
        cloud.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        cloud.clock.advance(7 * 86400)
        assert cloud.describe(key, REPLICA)["MultiRegionConfiguration"]["ReplicaKeys"] == []
        assert cloud.states(key, REPLICA)[1] == (PMR, "PENDING_IMPORT")
        assert refusal(cloud.kms(REPLICA).rotate_key_on_demand, KeyId=key)[0] == "KMSInvalidStateException"

    def test_to_the_region_that_has_it_nothing_happens(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA)
        cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=PRIMARY)
        assert cloud.describe(key)["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"

    def test_to_a_region_without_a_replica(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA)
        assert refusal(cloud.kms().update_primary_region, KeyId=key, PrimaryRegion=THIRD) == (
            "ValidationException",
            f"{key} does not have a replica key in the specified Region.",
        )

    def test_asked_of_a_replica(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA)
        assert refusal(cloud.kms(REPLICA).update_primary_region, KeyId=key, PrimaryRegion=REPLICA) == (
            "KMSInvalidStateException",
            f"{cloud.arn(key, REPLICA)} is not a multi-Region primary key.",
        )

    def test_the_targets_state_is_told_with_the_targets_arn(self, cloud: Cloud) -> None:
        """Recorded: multi_region:promote_disabled_replica, promote_deleting_replica."""
        key = cloud.set_of(REPLICA)
        cloud.kms(REPLICA).disable_key(KeyId=key)
        expected = ("DisabledException", f"{cloud.arn(key, REPLICA)} is disabled.")
        assert refusal(cloud.kms().update_primary_region, KeyId=key, PrimaryRegion=REPLICA) == expected
        cloud.kms(REPLICA).schedule_key_deletion(KeyId=key)
        expected = ("KMSInvalidStateException", f"{cloud.arn(key, REPLICA)} is pending deletion.")
        assert refusal(cloud.kms().update_primary_region, KeyId=key, PrimaryRegion=REPLICA) == expected


class TestCiphertextAcrossRegions:
    def test_a_member_opens_it_by_no_key_key_id_or_local_arn(self, cloud: Cloud) -> None:
        """Recorded: multi_region:decrypt_replica_*."""
        key = cloud.set_of(REPLICA)
        blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"far", EncryptionContext={"k": "v"})["CiphertextBlob"]
        for named in ({}, {"KeyId": key}, {"KeyId": cloud.arn(key, REPLICA)}):
            opened = cloud.kms(REPLICA).decrypt(CiphertextBlob=blob, EncryptionContext={"k": "v"}, **named)
            assert (opened["Plaintext"], opened["KeyId"]) == (b"far", cloud.arn(key, REPLICA))
        assert refusal(cloud.kms(REPLICA).decrypt, CiphertextBlob=blob, KeyId=cloud.arn(key)) == (
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        )

    def test_a_replica_without_the_bytes_opens_nothing(self, cloud: Cloud) -> None:
        key = cloud.ready_key(FIRST, MultiRegion=True)
        blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"far")["CiphertextBlob"]
        cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
        assert refusal(cloud.kms(REPLICA).decrypt, CiphertextBlob=blob)[0] == "KMSInvalidStateException"
        assert refusal(cloud.kms(THIRD).decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"

    def test_a_disabled_or_going_primary_does_not_matter_to_replicas(self, cloud: Cloud) -> None:
        """Recorded: multi_region:replica_with_deleting_primary."""
        key = cloud.set_of(REPLICA)
        cloud.kms().disable_key(KeyId=key)
        cloud.kms(REPLICA).encrypt(KeyId=key, Plaintext=b"x")
        cloud.kms().schedule_key_deletion(KeyId=key)
        cloud.kms(REPLICA).encrypt(KeyId=key, Plaintext=b"x")


def test_a_replica_made_later_needs_every_generation(cloud: Cloud) -> None:
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    assert cloud.states(key, REPLICA) == [("NON_CURRENT", "PENDING_IMPORT"), ("CURRENT", "PENDING_IMPORT")]
    cloud.existing(key, SECOND, REPLICA)
    assert cloud.state(key, REPLICA) == "PendingImport"
    cloud.existing(key, FIRST, REPLICA)
    assert cloud.state(key, REPLICA) == "Enabled"
