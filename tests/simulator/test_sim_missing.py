"""What needs key material is refused, in KMS's words, in every key state in which the current one is missing here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sim_cloud import PRIMARY, REPLICA, Cloud, bytes_of, refusal

from orchestrator.simulator import Lag, Switches

FIRST, SECOND = bytes_of("first"), bytes_of("second")
Make = Callable[..., Cloud]

STATES: dict[str, Callable[[Cloud, str], object]] = {
    "PendingImport": lambda _, __: None,
    "Disabled": lambda cloud, key: cloud.kms(REPLICA).disable_key(KeyId=key),
    "PendingDeletion": lambda cloud, key: cloud.kms(REPLICA).schedule_key_deletion(KeyId=key),
    "Updating": lambda cloud, key: cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA),
}
OPERATIONS: dict[str, dict[str, Any]] = {
    "encrypt": {"Plaintext": b"x"},
    "decrypt": {},
    "re_encrypt": {},
    "generate_data_key": {"NumberOfBytes": 16},
    "generate_data_key_without_plaintext": {"NumberOfBytes": 16},
    "generate_data_key_pair": {"KeyPairSpec": "ECC_NIST_P256"},
    "generate_data_key_pair_without_plaintext": {"KeyPairSpec": "ECC_NIST_P256"},
}


def losing(cloud: Cloud, how: str) -> str:
    """Return a key whose replica has lost its current material 30 s from now, with the primary as it was."""
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    if how == "expired":
        cloud.existing(key, FIRST, REPLICA, ValidTo=cloud.clock() + 30)
        return key
    cloud.existing(key, FIRST, REPLICA)
    second = cloud.new(key, SECOND)
    cloud.existing(key, SECOND, REPLICA)
    cloud.kms().rotate_key_on_demand(KeyId=key)
    cloud.kms(REPLICA).delete_imported_key_material(KeyId=key, KeyMaterialId=second)
    return key


@pytest.mark.parametrize("how", ["deleted", "expired"])
@pytest.mark.parametrize("loss", ["PendingImport", "Disabled"])
@pytest.mark.parametrize("state", STATES)
def test_missing_current_material_is_told_in_every_state(make_cloud: Make, state: str, loss: str, how: str) -> None:
    lag = replace(Lag.instant(), updating=60, rotation=(30, 30, 30))
    cloud = make_cloud(lag=lag, switches=Switches(loss_while_disabled=loss))
    key = losing(cloud, how)
    blob = cloud.kms().encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    STATES[state](cloud, key)
    cloud.clock.advance(30)
    shown = cloud.state(key, REPLICA)
    assert shown == {"Disabled": loss}.get(state, state)
    reason = {"PendingDeletion": "is pending deletion.", "Disabled": "is disabled."}.get(shown, "is pending import.")
    code = "DisabledException" if shown == "Disabled" else "KMSInvalidStateException"
    for name, given in OPERATIONS.items():
        keyed = {"CiphertextBlob": blob} if name in ("decrypt", "re_encrypt") else {"KeyId": key}
        keyed |= {"DestinationKeyId": key} if name == "re_encrypt" else {}
        told = refusal(getattr(cloud.kms(REPLICA), name), **keyed, **given)
        assert told == (code, f"{cloud.arn(key, REPLICA)} {reason}"), name


def test_a_key_that_is_creating_or_updating_works_where_its_material_is_there(make_cloud: Make) -> None:
    cloud = make_cloud(lag=replace(Lag.instant(), creating=60, updating=60))
    key = cloud.ready_key(FIRST, MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    told = refusal(cloud.kms(REPLICA).encrypt, KeyId=key, Plaintext=b"x")
    assert told == ("KMSInvalidStateException", f"{cloud.arn(key, REPLICA)} is creating.")
    cloud.clock.advance(60)
    cloud.existing(key, FIRST, REPLICA)
    cloud.kms().update_primary_region(KeyId=key, PrimaryRegion=REPLICA)
    assert cloud.state(key) == cloud.state(key, REPLICA) == "Updating"
    for region in (PRIMARY, REPLICA):
        cloud.kms(region).encrypt(KeyId=key, Plaintext=b"x")


@pytest.mark.parametrize("loss", ["PendingImport", "Disabled"])
def test_a_disabled_key_pair_that_lost_its_material_has_no_public_key(make_cloud: Make, loss: str) -> None:
    """Recorded: GetPublicKey works while Disabled, and not without material."""
    cloud = make_cloud(switches=Switches(loss_while_disabled=loss))
    key = cloud.key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    pair = ec.generate_private_key(ec.SECP256R1())
    given = cloud.wrap(PRIMARY, key, pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    cloud.kms().import_key_material(KeyId=key, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **given)
    cloud.kms().disable_key(KeyId=key)
    cloud.kms().get_public_key(KeyId=key)
    cloud.kms().delete_imported_key_material(KeyId=key)
    told = refusal(cloud.kms().get_public_key, KeyId=key)
    assert told == ("KMSInvalidStateException", f"{cloud.arn(key)} is pending import.")
