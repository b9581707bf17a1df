"""Importing and deleting material on a single-Region key, as recorded."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sim_cloud import REPLICA, Cloud, bytes_of, refusal

NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
INCORRECT = "IncorrectKeyMaterialException"
FIRST, SECOND, THIRD = bytes_of("first"), bytes_of("second"), bytes_of("third")


def sent(cloud: Cloud, key: str, content: bytes, **given: Any) -> dict[str, Any]:
    return {"KeyId": key, **NEVER, **cloud.wrap("us-east-1", key, content), **given}


def unexpected(name: str) -> tuple[str, str]:
    return INCORRECT, f"Imported key material does not have the expected identifier ({name})."


def test_a_key_without_material_has_no_rows_and_few_fields(cloud: Cloud) -> None:
    """Recorded: imports:symmetric_empty_history."""
    key = cloud.key()
    assert cloud.rows(key) == []
    described = cloud.describe(key)
    assert (described["KeyState"], described["Enabled"]) == ("PendingImport", False)
    assert not {"CurrentKeyMaterialId", "ExpirationModel", "ValidTo", "MultiRegionConfiguration"} & described.keys()


def test_the_first_material_is_current_at_once(cloud: Cloud) -> None:
    """Recorded: imports:initial_history, initial_metadata."""
    key = cloud.key()
    first = cloud.new(key, FIRST, KeyMaterialDescription="the first")
    assert cloud.rows(key) == [
        {
            "KeyId": cloud.arn(key),
            "KeyMaterialId": first,
            "KeyMaterialDescription": "the first",
            "ImportState": "IMPORTED",
            "KeyMaterialState": "CURRENT",
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }
    ]
    described = cloud.describe(key)
    assert (described["KeyState"], described["CurrentKeyMaterialId"]) == ("Enabled", first)
    assert described["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert "ValidTo" not in described


def test_the_default_list_shows_rotations_only(cloud: Cloud) -> None:
    """Recorded: imports_edges:history_default; rotation:list_rotated."""
    key = cloud.ready_key(FIRST)
    assert cloud.kms().list_key_rotations(KeyId=key)["Rotations"] == []
    second = cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    listed = cloud.kms().list_key_rotations(KeyId=key)["Rotations"]
    assert [row["KeyMaterialId"] for row in listed] == [second]
    assert listed[0]["RotationType"] == "ON_DEMAND"


def test_the_import_type_left_out_means_new_first_and_existing_later(cloud: Cloud) -> None:
    """Recorded: imports:wrong_existing_material; U25's default names the current material."""
    key = cloud.key()
    first = cloud.put(key, FIRST)
    assert refusal(cloud.kms().import_key_material, **sent(cloud, key, SECOND)) == unexpected(first)
    assert cloud.put(key, FIRST) == first


def test_new_material_waits_and_nothing_else_changes(cloud: Cloud) -> None:
    """Recorded: imports:new_second_material, pending_rotation_history."""
    key = cloud.ready_key(FIRST)
    first = cloud.describe(key)["CurrentKeyMaterialId"]
    cloud.new(key, SECOND)
    assert cloud.states(key) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]
    assert cloud.describe(key)["CurrentKeyMaterialId"] == first


def test_only_one_material_can_be_pending(cloud: Cloud) -> None:
    """Recorded: imports:third_while_pending."""
    key = cloud.ready_key(FIRST)
    second = cloud.new(key, SECOND)
    probe = cloud.ready_key(THIRD)
    code, message = refusal(cloud.kms().import_key_material, **sent(cloud, key, THIRD, ImportType="NEW_KEY_MATERIAL"))
    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    third = cloud.new(key, THIRD)
    assert (code, message) == (
        "KMSInvalidStateException",
        (
            f"New key material (id: {third}) cannot be imported into KMS key {cloud.arn(key)}, "
            f"because another key material (id: {second}) is pending rotation."
        ),
    )
    assert third != cloud.describe(probe)["CurrentKeyMaterialId"]


@pytest.mark.parametrize("state", ["CURRENT", "NON_CURRENT", "PENDING_ROTATION"])
def test_known_bytes_are_never_new_again(cloud: Cloud, state: str) -> None:
    """Recorded: imports:new_same_material; imports_edges:pending_after_expiry_new; checked before 'pending'."""
    key = cloud.ready_key(FIRST)
    cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.new(key, THIRD)
    rows = {row["KeyMaterialState"]: row["KeyMaterialId"] for row in cloud.rows(key)}
    content = {"NON_CURRENT": FIRST, "CURRENT": SECOND, "PENDING_ROTATION": THIRD}[state]
    expected = (
        INCORRECT,
        (
            f"Key material (id: {rows[state]}) being imported as NEW_KEY_MATERIAL "
            f"is already associated with KMS key {cloud.arn(key)}."
        ),
    )
    request = sent(cloud, key, content, ImportType="NEW_KEY_MATERIAL")
    assert refusal(cloud.kms().import_key_material, **request) == expected


def test_new_material_cannot_be_named(cloud: Cloud) -> None:
    """Recorded: imports:new_with_identifier."""
    key = cloud.ready_key(FIRST)
    request = sent(cloud, key, SECOND, ImportType="NEW_KEY_MATERIAL", KeyMaterialId="0" * 64)
    assert refusal(cloud.kms().import_key_material, **request) == (
        "ValidationException",
        "Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType.",
    )


def test_a_mismatched_id_is_refused_and_named(cloud: Cloud) -> None:
    """Recorded: imports:existing_wrong_identifier."""
    key = cloud.ready_key(FIRST)
    request = sent(cloud, key, FIRST, ImportType="EXISTING_KEY_MATERIAL", KeyMaterialId="0" * 64)
    assert refusal(cloud.kms().import_key_material, **request) == unexpected("0" * 64)


def test_existing_material_finds_its_slot_by_its_bytes(cloud: Cloud) -> None:
    """Recorded: imports_multi_region:replica_restore_pending; imports:same_token_retry (description kept)."""
    key = cloud.key()
    first = cloud.new(key, FIRST, KeyMaterialDescription="kept")
    second = cloud.new(key, SECOND, KeyMaterialDescription="pending")
    assert cloud.existing(key, FIRST) == first
    assert cloud.existing(key, SECOND) == second
    assert [row["KeyMaterialDescription"] for row in cloud.rows(key)] == ["kept", "pending"]
    cloud.existing(key, SECOND, KeyMaterialDescription="renamed")
    assert [row["KeyMaterialDescription"] for row in cloud.rows(key)] == ["kept", "renamed"]


def test_a_description_is_kept_unless_another_is_sent(cloud: Cloud) -> None:
    """Recorded: imports:same_token_retry (kept); documented: kept if none is sent, so a sent one takes its place."""
    key = cloud.key()
    cloud.new(key, FIRST)
    assert "KeyMaterialDescription" not in cloud.rows(key)[0]
    for sent_one, listed in ((None, None), ("one", "one"), (None, "one"), ("two", "two")):
        given = {} if sent_one is None else {"KeyMaterialDescription": sent_one}
        cloud.existing(key, FIRST, **given)
        assert cloud.rows(key)[0].get("KeyMaterialDescription") == listed


def test_existing_material_of_a_key_that_never_had_any_names_no_id(cloud: Cloud) -> None:
    """The code is that of any wrong bytes; what AWS names here is not recorded."""
    key = cloud.key()
    request = sent(cloud, key, FIRST, ImportType="EXISTING_KEY_MATERIAL")
    assert refusal(cloud.kms().import_key_material, **request) == unexpected("none")
    assert refusal(cloud.kms().import_key_material, **request, KeyMaterialId="0" * 64) == unexpected("0" * 64)
    assert cloud.state(key) == "PendingImport"


@pytest.mark.parametrize("content", [b"", b"x" * 16, b"x" * 31, b"x" * 33])
def test_material_of_the_wrong_length_is_an_invalid_ciphertext(cloud: Cloud, content: bytes) -> None:
    """Recorded: imports:short_material; the message is empty."""
    key = cloud.key()
    assert refusal(cloud.kms().import_key_material, **sent(cloud, key, content)) == ("InvalidCiphertextException", "")


def test_a_blob_that_does_not_open_is_an_invalid_ciphertext(cloud: Cloud) -> None:
    """Recorded: imports_edges:ciphertext_corrupt."""
    key = cloud.key()
    request = {**sent(cloud, key, FIRST), "EncryptedKeyMaterial": b"x" * 256}
    assert refusal(cloud.kms().import_key_material, **request) == ("InvalidCiphertextException", "")
    assert cloud.state(key) == "PendingImport"


def test_deleted_pending_material_is_forgotten_and_new_again(cloud: Cloud) -> None:
    """Recorded: imports:after_delete_pending_history, restore_second_as_new."""
    key = cloud.ready_key(FIRST)
    second = cloud.new(key, SECOND, KeyMaterialDescription="gone with it")
    answer = cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    assert (answer["KeyId"], answer["KeyMaterialId"]) == (cloud.arn(key), second)
    assert len(cloud.rows(key)) == 1
    assert cloud.state(key) == "Enabled"
    assert cloud.new(key, SECOND) == second
    assert "KeyMaterialDescription" not in cloud.rows(key)[1]


def test_a_delete_without_an_id_takes_the_current_material(cloud: Cloud) -> None:
    """Recorded: imports:delete_current, delete_current_again."""
    key = cloud.ready_key(FIRST)
    first = cloud.describe(key)["CurrentKeyMaterialId"]
    cloud.new(key, SECOND)
    for _ in range(2):
        assert cloud.kms().delete_imported_key_material(KeyId=key)["KeyMaterialId"] == first
        assert cloud.states(key) == [("CURRENT", "PENDING_IMPORT"), ("PENDING_ROTATION", "IMPORTED")]
        assert cloud.state(key) == "PendingImport"
    assert not {"ExpirationModel", "ValidTo"} & cloud.rows(key)[0].keys()
    described = cloud.describe(key)
    assert described["CurrentKeyMaterialId"] == first
    assert not {"ExpirationModel", "ValidTo"} & described.keys()


def test_a_delete_on_an_empty_key_succeeds_without_an_id(cloud: Cloud) -> None:
    """Recorded: imports:symmetric_delete_empty."""
    key = cloud.key()
    answer = cloud.kms().delete_imported_key_material(KeyId=key)
    del answer["ResponseMetadata"]
    assert answer == {"KeyId": cloud.arn(key)}


def test_a_delete_of_an_unknown_id_is_refused(cloud: Cloud) -> None:
    """Recorded: imports:delete_unknown_id."""
    key = cloud.ready_key(FIRST)
    assert refusal(cloud.kms().delete_imported_key_material, KeyId=key, KeyMaterialId="0" * 64) == (
        "ValidationException",
        f"Key material (id: {'0' * 64}) has never been imported into KMS key {cloud.arn(key)}.",
    )


def test_one_missing_old_material_stops_the_whole_key(cloud: Cloud) -> None:
    """Recorded: imports:missing_noncurrent_metadata, missing_noncurrent_history, restore_noncurrent."""
    key = cloud.ready_key(FIRST)
    first = cloud.describe(key)["CurrentKeyMaterialId"]
    old = cloud.kms().encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    second = cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    young = cloud.kms().encrypt(KeyId=key, Plaintext=b"young")["CiphertextBlob"]

    cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=first)
    assert cloud.states(key) == [("NON_CURRENT", "PENDING_IMPORT"), ("CURRENT", "IMPORTED")]
    assert cloud.describe(key)["CurrentKeyMaterialId"] == second
    expected = ("KMSInvalidStateException", f"{cloud.arn(key)} is pending import.")
    assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x") == expected
    for blob in (old, young):
        assert refusal(cloud.kms().decrypt, CiphertextBlob=blob) == expected

    cloud.existing(key, FIRST, KeyMaterialId=first)
    assert cloud.state(key) == "Enabled"
    assert cloud.kms().decrypt(CiphertextBlob=old)["Plaintext"] == b"old"


def test_all_missing_materials_must_come_back(cloud: Cloud) -> None:
    key = cloud.ready_key(FIRST)
    second = cloud.new(key, SECOND)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    for row in cloud.rows(key):
        cloud.kms().delete_imported_key_material(KeyId=key, KeyMaterialId=row["KeyMaterialId"])
    cloud.existing(key, SECOND, KeyMaterialId=second)
    assert cloud.state(key) == "PendingImport"
    cloud.existing(key, FIRST)
    assert cloud.state(key) == "Enabled"


class TestTokens:
    def test_one_pair_serves_many_imports_and_outlives_a_newer_one(self, cloud: Cloud) -> None:
        """Recorded: imports:same_token_retry, initial_import_old_token, new_token_existing_material."""
        key = cloud.key()
        old = sent(cloud, key, FIRST)
        newer = sent(cloud, key, FIRST)
        for request in (old, old, newer, old):
            cloud.kms().import_key_material(**request)
        assert cloud.state(key) == "Enabled"

    def test_another_keys_token_is_refused_before_unwrapping(self, cloud: Cloud) -> None:
        """Recorded: imports_edges:token_other_key."""
        key, other = cloud.key(), cloud.key()
        request = {**sent(cloud, key, FIRST), "ImportToken": sent(cloud, other, FIRST)["ImportToken"]}
        assert refusal(cloud.kms().import_key_material, **request) == ("InvalidImportTokenException", "")

    @pytest.mark.parametrize("token", [b"x", b"x" * 3000])
    def test_garbage_is_no_token(self, cloud: Cloud, token: bytes) -> None:
        key = cloud.key()
        request = {**sent(cloud, key, FIRST), "ImportToken": token}
        assert refusal(cloud.kms().import_key_material, **request) == ("InvalidImportTokenException", "")

    def test_a_token_expires_after_a_day(self, cloud: Cloud) -> None:
        key = cloud.key()
        request = sent(cloud, key, FIRST)
        given = cloud.kms().get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_1", WrappingKeySpec="RSA_3072"
        )
        assert given["KeyId"] == cloud.arn(key)
        assert given["ParametersValidTo"] == datetime.fromtimestamp(cloud.clock() + 86400, UTC)
        cloud.clock.advance(86399)
        cloud.kms().import_key_material(**request)
        cloud.clock.advance(1)
        assert refusal(cloud.kms().import_key_material, **request)[0] == "ExpiredImportTokenException"

    def test_a_token_is_good_in_its_own_region_only(self, cloud: Cloud) -> None:
        key = cloud.set_of(REPLICA)
        here = cloud.wrap(REPLICA, key, b"a" * 32)
        assert refusal(cloud.kms().import_key_material, KeyId=key, **NEVER, **here)[0] == "InvalidImportTokenException"
        cloud.kms(REPLICA).import_key_material(KeyId=key, **NEVER, **here)

    @pytest.mark.parametrize(
        "algorithm", ["RSA_AES_KEY_WRAP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSAES_PKCS1_V1_5", "SM2PKE"]
    )
    def test_symmetric_material_travels_under_oaep_only(self, cloud: Cloud, algorithm: str) -> None:
        """Recorded: imports:symmetric_hybrid_wrapping, deprecated_wrapping."""
        key = cloud.key()
        assert refusal(
            cloud.kms().get_parameters_for_import,
            KeyId=key,
            WrappingAlgorithm=algorithm,
            WrappingKeySpec="RSA_3072",
        ) == (
            "ValidationException",
            (
                f"Wrapping algorithm {algorithm} and wrapping key spec RSA_3072 "
                "cannot be used to import a SYMMETRIC_DEFAULT key."
            ),
        )

    def test_a_key_that_kms_made_takes_no_imports(self, cloud: Cloud) -> None:
        key = cloud.key(Origin="AWS_KMS")
        expected = (
            "UnsupportedOperationException",
            f"{cloud.arn(key)} origin is AWS_KMS which is not valid for this operation.",
        )
        parameters = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        assert refusal(cloud.kms().get_parameters_for_import, KeyId=key, **parameters) == expected
        blobs = {"ImportToken": b"x", "EncryptedKeyMaterial": b"x"}
        assert refusal(cloud.kms().import_key_material, KeyId=key, **blobs) == expected
        assert refusal(cloud.kms().delete_imported_key_material, KeyId=key) == expected


def test_the_same_bytes_have_the_same_id_in_one_key_and_another_in_the_next(cloud: Cloud) -> None:
    one, two = cloud.key(), cloud.key()
    first = cloud.new(one, FIRST)
    assert len(first) == 64
    assert int(first, 16)
    assert cloud.existing(one, FIRST) == first
    assert cloud.new(two, FIRST) != first


def test_rows_are_oldest_first_and_paged_without_a_marker_on_the_last_page(cloud: Cloud) -> None:
    """Recorded: rotation:page_first, page_second; the paginator of the SDK reads them all."""
    key = cloud.key()
    ids = []
    for number in range(5):
        ids.append(cloud.new(key, bytes_of(f"{number}")))
        if number:
            cloud.kms().rotate_key_on_demand(KeyId=key)
            cloud.clock.advance(1)
    page = cloud.kms().list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=3)
    assert page["Truncated"] is True
    last = cloud.kms().list_key_rotations(
        KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=3, Marker=page["NextMarker"]
    )
    assert (last["Truncated"], "NextMarker" in last) == (False, False)
    assert [row["KeyMaterialId"] for row in page["Rotations"] + last["Rotations"]] == ids
    paginator = cloud.kms().get_paginator("list_key_rotations")
    pages = paginator.paginate(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 2})
    assert [row["KeyMaterialId"] for page in pages for row in page["Rotations"]] == ids


@pytest.mark.parametrize("marker", ["nonsense", "AAAA", "cG9zaXRpb246OTk5"])
def test_a_marker_that_was_not_handed_out_is_refused(cloud: Cloud, marker: str) -> None:
    key = cloud.ready_key(FIRST)
    assert refusal(cloud.kms().list_key_rotations, KeyId=key, Marker=marker) == ("InvalidMarkerException", "")
