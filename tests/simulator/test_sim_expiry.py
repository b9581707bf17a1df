"""Expiry: per material and per Region, and what it does to the key, as recorded."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sim_cloud import PRIMARY, REPLICA, Cloud, bytes_of, refusal

FIRST, SECOND = bytes_of("first"), bytes_of("second")


def date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_an_expired_permanent_material_stops_its_region_only(cloud: Cloud) -> None:
    """Recorded: imports:material_expiry_poll; imports_multi_region:replica_after_primary_expiry."""
    key = cloud.set_of(REPLICA, content=FIRST)
    end = cloud.clock() + 60
    cloud.existing(key, FIRST, ValidTo=date(end))
    described = cloud.describe(key)
    assert (described["ExpirationModel"], described["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", date(end))
    cloud.clock.advance(59)
    assert cloud.state(key) == "Enabled"
    cloud.clock.advance(1)
    described = cloud.describe(key)
    assert described["KeyState"] == "PendingImport"
    assert "CurrentKeyMaterialId" in described
    assert not {"ExpirationModel", "ValidTo"} & described.keys()
    assert cloud.state(key, REPLICA) == "Enabled"
    assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x")[1] == f"{cloud.arn(key)} is pending import."


def test_the_row_of_expired_material_reads_imported_with_a_past_date_for_a_while(cloud: Cloud) -> None:
    """Recorded: imports:expired_history; later it turns PENDING_IMPORT (switch U23)."""
    key = cloud.key()
    end = cloud.clock() + 60
    cloud.new(key, FIRST, ValidTo=date(end))
    cloud.clock.advance(61)
    row = cloud.rows(key)[0]
    assert (row["ImportState"], row["ExpirationModel"], row["ValidTo"]) == (
        "IMPORTED",
        "KEY_MATERIAL_EXPIRES",
        date(end),
    )
    cloud.clock.advance(3600)
    row = cloud.rows(key)[0]
    assert row["ImportState"] == "PENDING_IMPORT"
    assert not {"ExpirationModel", "ValidTo"} & row.keys()
    cloud.existing(key, FIRST)
    assert cloud.state(key) == "Enabled"


def test_dates_are_cut_to_the_second_and_replaced_by_importing_again(cloud: Cloud) -> None:
    """Recorded: imports:set_short_expiry."""
    key = cloud.ready_key(FIRST)
    whole = cloud.clock() + 600
    cloud.existing(key, FIRST, ValidTo=date(whole + 0.96))
    assert cloud.rows(key)[0]["ValidTo"] == cloud.describe(key)["ValidTo"] == date(whole)
    cloud.existing(key, FIRST)
    assert "ValidTo" not in cloud.rows(key)[0]


def test_the_keys_date_is_the_earliest_permanent_one(cloud: Cloud) -> None:
    """Recorded: imports_edges:pending_expired_metadata."""
    key = cloud.key()
    now = cloud.clock()
    cloud.new(key, FIRST, ValidTo=date(now + 500))
    cloud.new(key, SECOND, ValidTo=date(now + 100))
    assert cloud.describe(key)["ValidTo"] == date(now + 500)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    assert cloud.describe(key)["ValidTo"] == date(now + 100)


def test_expired_pending_material_changes_nothing_until_it_is_rotated_in(cloud: Cloud) -> None:
    """Recorded: imports_expiry; imports_rotation_expiry:after_expired_rotation_history."""
    key = cloud.ready_key(FIRST)
    end = cloud.clock() + 60
    second = cloud.new(key, SECOND, ValidTo=date(end))
    cloud.clock.advance(60 + 16 * 60)
    row = cloud.rows(key)[1]
    assert (row["ImportState"], row["KeyMaterialState"], row["ValidTo"]) == ("IMPORTED", "PENDING_ROTATION", date(end))
    old = cloud.kms().encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    cloud.kms().rotate_key_on_demand(KeyId=key)
    assert cloud.states(key) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
    assert cloud.state(key) == "PendingImport"
    assert refusal(cloud.kms().encrypt, KeyId=key, Plaintext=b"x")[0] == "KMSInvalidStateException"
    assert refusal(cloud.kms().decrypt, CiphertextBlob=old)[0] == "KMSInvalidStateException"
    cloud.existing(key, SECOND, KeyMaterialId=second)
    assert cloud.state(key) == "Enabled"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"),
        (
            {"ExpirationModel": "KEY_MATERIAL_EXPIRES"},
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        (
            {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ValidTo": 60},
            "A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
        ),
        ({"ValidTo": 0}, "ValidTo must be in the future"),
        ({"ValidTo": 0.4}, "ValidTo must be in the future"),
        ({"ValidTo": -60}, "ValidTo must be in the future"),
        ({"ValidTo": 365 * 86400}, "ValidTo must be less than 365 days in the future"),
    ],
)
def test_wrong_dates_are_refused_and_the_token_survives(cloud: Cloud, given: dict[str, Any], message: str) -> None:
    """Recorded: imports:missing_valid_to."""
    key = cloud.key()
    blobs = {"KeyId": key, **cloud.wrap(PRIMARY, key, FIRST)}
    timed = {**given, "ValidTo": date(cloud.clock() + given["ValidTo"])} if "ValidTo" in given else given
    assert refusal(cloud.kms().import_key_material, **blobs, **timed) == ("ValidationException", message)
    cloud.kms().import_key_material(**blobs, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")


def test_a_date_alone_implies_that_it_expires(cloud: Cloud) -> None:
    """Recorded: imports_edges:expiring_pending."""
    key = cloud.key()
    blobs = cloud.wrap(PRIMARY, key, FIRST)
    cloud.kms().import_key_material(KeyId=key, ValidTo=date(cloud.clock() + 364 * 86400), **blobs)
    assert cloud.rows(key)[0]["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
