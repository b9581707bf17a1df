"""The main flow: one key in three Regions, new material everywhere, one rotation, old and new ciphertext open."""

from sim_cloud import PRIMARY, REPLICA, THIRD, Cloud, bytes_of


def test_a_set_rotates_once_every_member_has_the_new_material(cloud: Cloud) -> None:
    key = cloud.set_of(REPLICA, THIRD, content=bytes_of("first"))
    first = cloud.describe(key)["CurrentKeyMaterialId"]
    old = cloud.kms(REPLICA).encrypt(KeyId=key, Plaintext=b"kept", EncryptionContext={"a": "b"})["CiphertextBlob"]

    second = cloud.new(key, bytes_of("second"), KeyMaterialDescription="second")
    waiting = [("CURRENT", "IMPORTED"), ("PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "IMPORTED")]
    assert cloud.states(key) == waiting

    for region in (REPLICA, THIRD):
        assert cloud.existing(key, bytes_of("second"), region, KeyMaterialId=second) == second
    assert cloud.states(key) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]

    cloud.kms().rotate_key_on_demand(KeyId=key)
    for region in (PRIMARY, REPLICA, THIRD):
        assert cloud.states(key, region) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
        assert cloud.describe(key, region)["CurrentKeyMaterialId"] == second
        opened = cloud.kms(region).decrypt(CiphertextBlob=old, EncryptionContext={"a": "b"})
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"kept", first)
        truth = cloud.sim.key(region, key)
        assert truth is not None
        assert truth.rotations == 1
        assert cloud.sim.material(region, key, second) == bytes_of("second")
