"""How KMS behaves where the life of a multi-Region key with imported material depends on it.

Written against any endpoint; see any_kms.py for how to point it elsewhere. It never asks for more than one material
to be pending, uses few keys, and cleans up after itself.
"""

import os
import time
from typing import Any

import pytest
from any_kms import PRIMARY, REPLICA, Service, refusal
from cryptography.hazmat.primitives.serialization import load_der_public_key

NEW, EXISTING = {"ImportType": "NEW_KEY_MATERIAL"}, {"ImportType": "EXISTING_KEY_MATERIAL"}
NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
PMR = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
SYMMETRIC: dict[str, Any] = {"Origin": "EXTERNAL"}


@pytest.fixture(scope="module")
def single(service: Service) -> str:
    """Return a single-Region key with one material."""
    key = str(service.make(**SYMMETRIC)["KeyId"])
    service.put(key, os.urandom(32), **NEW)
    return key


class TestBeforeTheFirstMaterial:
    def test_a_key_waits_for_its_material(self, service: Service) -> None:
        made = service.make(**SYMMETRIC)
        key = made["KeyId"]
        assert (made["KeyState"], made["Enabled"], made["Origin"]) == ("PendingImport", False, "EXTERNAL")
        assert "CurrentKeyMaterialId" not in made
        assert service.rows(key) == []
        kms = service.kms(PRIMARY)
        pending = ("KMSInvalidStateException", f"{made['Arn']} is pending import.")
        assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == pending
        assert refusal(kms.rotate_key_on_demand, KeyId=key) == pending
        assert refusal(kms.enable_key, KeyId=key) == pending
        assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
        assert kms.delete_imported_key_material(KeyId=key).get("KeyMaterialId") is None
        origin = (
            "UnsupportedOperationException",
            f"{made['Arn']} origin is EXTERNAL which is not valid for this operation.",
        )
        assert refusal(kms.enable_key_rotation, KeyId=key) == origin

    def test_a_multi_region_key_needs_material_before_replicas(self, service: Service) -> None:
        made = service.make(MultiRegion=True, **SYMMETRIC)
        assert made["KeyId"].startswith("mrk-")
        assert made["MultiRegionConfiguration"]["ReplicaKeys"] == []
        refused = refusal(service.kms(PRIMARY).replicate_key, KeyId=made["KeyId"], ReplicaRegion=REPLICA)
        assert refused == ("KMSInvalidStateException", f"{made['Arn']} is pending import.")

    @pytest.mark.parametrize("algorithm", ["RSA_AES_KEY_WRAP_SHA_256", "RSAES_PKCS1_V1_5"])
    def test_symmetric_material_travels_under_oaep_only(self, service: Service, single: str, algorithm: str) -> None:
        code, message = refusal(
            service.kms(PRIMARY).get_parameters_for_import,
            KeyId=single,
            WrappingAlgorithm=algorithm,
            WrappingKeySpec="RSA_3072",
        )
        assert code == "ValidationException"
        assert message.endswith("cannot be used to import a SYMMETRIC_DEFAULT key.")

    @pytest.mark.parametrize(("spec", "bits"), [("RSA_2048", 2048), ("RSA_3072", 3072), ("RSA_4096", 4096)])
    def test_wrapping_keys_are_what_was_asked_for(self, service: Service, single: str, spec: str, bits: int) -> None:
        given = service.kms(PRIMARY).get_parameters_for_import(
            KeyId=single, WrappingAlgorithm="RSAES_OAEP_SHA_1", WrappingKeySpec=spec
        )
        public: Any = load_der_public_key(given["PublicKey"])
        assert public.key_size == bits
        assert 23.9 * 3600 < given["ParametersValidTo"].timestamp() - time.time() < 24.1 * 3600


class TestImports:
    def test_the_same_bytes_are_never_new_twice(self, service: Service) -> None:
        key, content = service.make(**SYMMETRIC)["KeyId"], os.urandom(32)
        first = service.put(key, content, **NEW)["KeyMaterialId"]
        assert service.put(key, content, **EXISTING)["KeyMaterialId"] == first
        code, message = refusal(
            service.kms(PRIMARY).import_key_material, **service.wrapped(key, content), **NEVER, **NEW
        )
        assert code == "IncorrectKeyMaterialException"
        assert f"(id: {first}) being imported as NEW_KEY_MATERIAL is already associated" in message

    def test_other_bytes_are_not_existing(self, service: Service, single: str) -> None:
        request = {**service.wrapped(single, os.urandom(32)), **NEVER, **EXISTING}
        code, message = refusal(service.kms(PRIMARY).import_key_material, **request)
        assert code == "IncorrectKeyMaterialException"
        assert message.startswith("Imported key material does not have the expected identifier")
        assert service.rows(single)[0]["KeyMaterialId"] in message

    @pytest.mark.parametrize("length", [16, 31, 33])
    def test_only_32_bytes_will_do(self, service: Service, single: str, length: int) -> None:
        request = {**service.wrapped(single, os.urandom(length)), **NEVER, **NEW}
        assert refusal(service.kms(PRIMARY).import_key_material, **request) == ("InvalidCiphertextException", "")

    def test_garbage_tokens_and_blobs(self, service: Service, single: str) -> None:
        good = {**service.wrapped(single, os.urandom(32)), **NEVER, **NEW}
        kms = service.kms(PRIMARY)
        spoiled_token = {**good, "ImportToken": good["ImportToken"][:-1] + b"\x00\x01"}
        assert refusal(kms.import_key_material, **spoiled_token)[0] == "InvalidImportTokenException"
        spoiled_blob = {**good, "EncryptedKeyMaterial": b"\x01" * 256}
        assert refusal(kms.import_key_material, **spoiled_blob) == ("InvalidCiphertextException", "")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({}, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"),
            ({"ValidTo": 1}, "ValidTo must be in the future"),
            ({"ValidTo": time.time() + 366 * 86400}, "ValidTo must be less than 365 days in the future"),
            (
                {**NEVER, "ValidTo": time.time() + 3600},
                "A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
            ),
        ],
    )
    def test_dates(self, service: Service, single: str, given: dict[str, Any], message: str) -> None:
        request = {**service.wrapped(single, os.urandom(32)), **NEW, **given}
        assert refusal(service.kms(PRIMARY).import_key_material, **request) == ("ValidationException", message)

    def test_expired_material_stops_the_key_until_it_is_back(self, service: Service) -> None:
        key, content = service.make(**SYMMETRIC)["KeyId"], os.urandom(32)
        service.put(key, content, ValidTo=time.time() + 3, **NEW)
        service.until(lambda: service.state(key) == "PendingImport")
        [row] = service.rows(key)
        if row["ImportState"] == "IMPORTED":
            assert row["ValidTo"].timestamp() <= time.time()
        service.put(key, content, **EXISTING)
        service.until(lambda: service.state(key) == "Enabled")

    def test_an_import_enables_a_disabled_key(self, service: Service) -> None:
        key, content = service.make(**SYMMETRIC)["KeyId"], os.urandom(32)
        service.put(key, content, **NEW)
        service.kms(PRIMARY).disable_key(KeyId=key)
        service.until(lambda: service.state(key) == "Disabled")
        service.put(key, content, **EXISTING)
        service.until(lambda: service.state(key) == "Enabled")

    def test_pending_material_can_be_withdrawn(self, service: Service) -> None:
        key = service.make(**SYMMETRIC)["KeyId"]
        service.put(key, os.urandom(32), **NEW)
        second = os.urandom(32)
        identifier = service.put(key, second, **NEW)["KeyMaterialId"]
        service.until(lambda: [row["KeyMaterialState"] for row in service.rows(key)] == ["CURRENT", "PENDING_ROTATION"])
        service.kms(PRIMARY).delete_imported_key_material(KeyId=key, KeyMaterialId=identifier)
        service.until(lambda: len(service.rows(key)) == 1)
        assert service.state(key) == "Enabled"
        assert service.put(key, second, **NEW)["KeyMaterialId"] == identifier


def test_a_multi_region_key_lives_through_a_rotation(service: Service) -> None:
    """The whole flow on one key; each step asserts what the next one stands on."""
    first, second = os.urandom(32), os.urandom(32)
    primary, replica = service.kms(PRIMARY), service.kms(REPLICA)
    made = service.make(MultiRegion=True, **SYMMETRIC)
    key, arn = made["KeyId"], made["Arn"]
    replica_arn = arn.replace(PRIMARY, REPLICA)
    old = service.put(key, first, **NEW)["KeyMaterialId"]

    answer = service.replicate(key)["ReplicaKeyMetadata"]
    assert (answer["KeyState"], answer["Enabled"]) == ("Creating", False)
    assert service.state(key, REPLICA) == "PendingImport"
    assert replica.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == old
    refused = refusal(replica.import_key_material, **service.wrapped(key, second, REPLICA), **NEVER, **NEW)
    assert refused == (
        "ValidationException",
        "Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica Multi-Region keys",
    )
    service.put(key, first, REPLICA, KeyMaterialId=old, **EXISTING)
    service.until(lambda: service.state(key, REPLICA) == "Enabled")
    sealed = primary.encrypt(KeyId=key, Plaintext=b"old", EncryptionContext={"a": "b"})["CiphertextBlob"]

    new = service.put(key, second, KeyMaterialDescription="second", **NEW)["KeyMaterialId"]
    assert service.rows(key)[1]["KeyMaterialState"] == PMR
    refused = refusal(primary.rotate_key_on_demand, KeyId=key)
    assert refused == (
        "KMSInvalidStateException",
        (
            "Cannot perform key material rotation: "
            "Key material has not been imported for replicas of the Multi-Region key."
        ),
    )
    slot = service.until(lambda: service.rows(key, REPLICA)[1:])[0]
    assert (slot["ImportState"], slot["KeyMaterialDescription"]) == ("PENDING_IMPORT", "second")
    service.put(key, second, REPLICA, KeyMaterialId=new, **EXISTING)
    service.until(lambda: service.rows(key)[1]["KeyMaterialState"] == "PENDING_ROTATION")

    code, message = refusal(replica.rotate_key_on_demand, KeyId=key)
    assert (code, message) == (
        "UnsupportedOperationException",
        f"{replica_arn} is a multi-region replica key which is not valid for RotateKeyOnDemand.",
    )
    assert primary.rotate_key_on_demand(KeyId=key)["KeyId"] == arn
    for region in (PRIMARY, REPLICA):
        kms = service.kms(region)
        service.until(lambda kms=kms: kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == new)
    for region in (PRIMARY, REPLICA):
        kms = service.kms(region)
        states = [(row["KeyMaterialState"], row["ImportState"]) for row in service.rows(key, region)]
        assert states == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
        opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"a": "b"})
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", old)
        assert kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=32)["KeyMaterialId"] == new
    dates = {service.rows(key, region)[1]["RotationDate"] for region in (PRIMARY, REPLICA)}
    assert len(dates) == 1
    refused = refusal(primary.rotate_key_on_demand, KeyId=key)
    assert refused == (
        "KMSInvalidStateException",
        f"No available key material pending rotation for the key: {arn}.",
    )
    refused = refusal(replica.decrypt, CiphertextBlob=sealed, KeyId=arn, EncryptionContext={"a": "b"})
    assert refused[0] == "IncorrectKeyException"

    primary.delete_imported_key_material(KeyId=key, KeyMaterialId=old)
    service.until(lambda: service.state(key) == "PendingImport")
    assert refusal(primary.encrypt, KeyId=key, Plaintext=b"x") == (
        "KMSInvalidStateException",
        f"{arn} is pending import.",
    )
    assert service.state(key, REPLICA) == "Enabled"
    service.put(key, first, KeyMaterialId=old, **EXISTING)
    service.until(lambda: service.state(key) == "Enabled")


def test_an_accepted_rotation_is_not_stopped_by_a_replica_that_loses_its_copy(service: Service) -> None:
    first, second = os.urandom(32), os.urandom(32)
    key = service.make(MultiRegion=True, **SYMMETRIC)["KeyId"]
    old = service.put(key, first, **NEW)["KeyMaterialId"]
    service.replicate(key)
    service.put(key, first, REPLICA, KeyMaterialId=old, **EXISTING)
    new = service.put(key, second, **NEW)["KeyMaterialId"]
    service.until(lambda: service.rows(key, REPLICA)[1:])
    service.put(key, second, REPLICA, KeyMaterialId=new, **EXISTING)
    service.until(lambda: service.rows(key)[1]["KeyMaterialState"] == "PENDING_ROTATION")
    service.kms(PRIMARY).rotate_key_on_demand(KeyId=key)
    service.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=new)

    def rotated() -> bool:
        state = service.rows(key)[1]["KeyMaterialState"]
        assert state in ("PENDING_ROTATION", "CURRENT")
        return bool(state == "CURRENT")

    service.until(rotated)
    service.until(lambda: service.state(key, REPLICA) == "PendingImport")
    row = service.rows(key, REPLICA)[1]
    assert (row["KeyMaterialId"], row["KeyMaterialState"], row["ImportState"]) == (new, "CURRENT", "PENDING_IMPORT")
    service.put(key, second, REPLICA, KeyMaterialId=new, **EXISTING)
    service.until(lambda: service.state(key, REPLICA) == "Enabled")


def test_an_hmac_key_has_one_material_for_life(service: Service) -> None:
    key = service.make(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", **SYMMETRIC)["KeyId"]
    kms, content = service.kms(PRIMARY), os.urandom(32)
    assert "KeyMaterialId" not in service.put(key, content)
    mac = kms.generate_mac(KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_256")["Mac"]
    request = {**service.wrapped(key, content), **NEVER, **NEW}
    assert refusal(kms.import_key_material, **request) == (
        "ValidationException",
        "Input parameter importType cannot be used with HMAC_256 imported keys.",
    )
    kms.delete_imported_key_material(KeyId=key)
    service.until(lambda: service.state(key) == "PendingImport")
    refused = refusal(kms.import_key_material, **service.wrapped(key, os.urandom(32)), **NEVER)
    assert refused[0] == "IncorrectKeyMaterialException"
    service.put(key, content)
    service.until(lambda: service.state(key) == "Enabled")
    assert kms.verify_mac(KeyId=key, Message=b"m", MacAlgorithm="HMAC_SHA_256", Mac=mac)["MacValid"] is True


def test_input_is_judged_in_aws_own_words(service: Service, single: str) -> None:
    kms = service.kms(PRIMARY)
    assert refusal(kms.describe_key, KeyId="no-key-id") == ("NotFoundException", "Invalid keyId 'no-key-id'")
    assert refusal(kms.encrypt, KeyId=single, Plaintext=b"x" * 4097) == (
        "ValidationException",
        (
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            "Member must have length less than or equal to 4096"
        ),
    )
    refused = refusal(kms.list_key_rotations, KeyId="alias/none")
    assert refused == ("InvalidArnException", "Key Aliases are not supported for this operation.")
