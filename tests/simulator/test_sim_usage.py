"""GetKeyLastUsage: what a key was last used for, in each Region by itself; documented, not recorded."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Cloud, refusal

from orchestrator.simulator import Simulator
from orchestrator.simulator.rules import CRYPTOGRAPHIC
from orchestrator.simulator.wire import service_model

Use = Callable[[Any, str], Any]
SYMMETRIC: dict[str, Use] = {
    "Encrypt": lambda kms, key: kms.encrypt(KeyId=key, Plaintext=b"x"),
    "Decrypt": lambda kms, key: kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]),
    "GenerateDataKey": lambda kms, key: kms.generate_data_key(KeyId=key, NumberOfBytes=16),
    "GenerateDataKeyWithoutPlaintext": lambda kms, key: kms.generate_data_key_without_plaintext(
        KeyId=key, NumberOfBytes=16
    ),
    "GenerateDataKeyPair": lambda kms, key: kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256"),
    "GenerateDataKeyPairWithoutPlaintext": lambda kms, key: kms.generate_data_key_pair_without_plaintext(
        KeyId=key, KeyPairSpec="ECC_NIST_P256"
    ),
}
_MAC = {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}
_SIGNED = {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}
HMAC: dict[str, Use] = {
    "GenerateMac": lambda kms, key: kms.generate_mac(KeyId=key, **_MAC),
    "VerifyMac": lambda kms, key: kms.verify_mac(KeyId=key, **_MAC, Mac=kms.generate_mac(KeyId=key, **_MAC)["Mac"]),
}
SIGNING: dict[str, Use] = {
    "Sign": lambda kms, key: kms.sign(KeyId=key, **_SIGNED),
    "Verify": lambda kms, key: kms.verify(KeyId=key, **_SIGNED, Signature=kms.sign(KeyId=key, **_SIGNED)["Signature"]),
}
AGREEING: dict[str, Use] = {
    "DeriveSharedSecret": lambda kms, key: kms.derive_shared_secret(
        KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=kms.get_public_key(KeyId=key)["PublicKey"]
    ),
}
KINDS: list[tuple[dict[str, str], dict[str, Use]]] = [
    ({}, SYMMETRIC),
    ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, HMAC),
    ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, SIGNING),
    ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}, AGREEING),
]


def last(cloud: Cloud, key: str, region: str = PRIMARY) -> Any:
    return cloud.kms(region).get_key_last_usage(KeyId=key)["KeyLastUsage"]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_key_that_was_never_used(cloud: Cloud) -> None:
    made = cloud.clock()
    key = cloud.key(Origin="AWS_KMS")
    cloud.clock.advance(3600)
    answer = cloud.kms().get_key_last_usage(KeyId=cloud.arn(key))
    assert (answer["KeyId"], answer["KeyLastUsage"]) == (key, {})
    assert answer["KeyCreationDate"] == answer["TrackingStartDate"] == at(made)


@pytest.mark.parametrize(("given", "uses"), KINDS)
def test_each_operation_is_told(cloud: Cloud, given: dict[str, str], uses: dict[str, Use]) -> None:
    key = cloud.key(Origin="AWS_KMS", **given)
    seen = set()
    for operation, use in uses.items():
        cloud.clock.advance(60)
        use(cloud.kms(), key)
        told = last(cloud, key)
        assert (told["Operation"], told["Timestamp"]) == (operation, at(cloud.clock()))
        seen |= {told["CloudTrailEventId"], told["KmsRequestId"]}
    assert len(seen) == 2 * len(uses)


def test_no_operation_is_forgotten() -> None:
    """Every operation that the model tracks and the simulator has is tried above, or is ReEncrypt."""
    tried = {operation for _, uses in KINDS for operation in uses} | {"ReEncrypt"}
    tracked = set(service_model().shape_for("KeyLastUsageTrackingOperation").enum)
    assert tried == CRYPTOGRAPHIC == tracked - {"Encapsulate", "Decapsulate"}


def test_re_encrypt_uses_both_keys(cloud: Cloud) -> None:
    source, target = cloud.key(Origin="AWS_KMS"), cloud.key(Origin="AWS_KMS")
    blob = cloud.kms().encrypt(KeyId=source, Plaintext=b"x")["CiphertextBlob"]
    cloud.clock.advance(60)
    cloud.kms().re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)
    told = [last(cloud, key) for key in (source, target)]
    assert {(use["Operation"], use["Timestamp"]) for use in told} == {("ReEncrypt", at(cloud.clock()))}
    assert told[0]["KmsRequestId"] == told[1]["KmsRequestId"]
    cloud.kms().re_encrypt(CiphertextBlob=blob, DestinationKeyId=source)
    assert last(cloud, source)["Operation"] == "ReEncrypt"


def test_what_fails_and_what_is_no_cryptography_is_no_use(cloud: Cloud) -> None:
    key = cloud.key(Origin="AWS_KMS", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms = cloud.kms()
    kms.describe_key(KeyId=key)
    kms.get_public_key(KeyId=key)
    assert refusal(kms.sign, KeyId=key, **_SIGNED, DryRun=True)[0] == "DryRunOperationException"
    assert refusal(kms.verify, KeyId=key, **_SIGNED, Signature=b"x")[0] == "KMSInvalidSignatureException"
    assert last(cloud, key) == {}


def test_a_region_tells_its_own_use_and_a_new_replica_none_of_the_old_one_s(cloud: Cloud) -> None:
    key = cloud.key(Origin="AWS_KMS", MultiRegion=True)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    cloud.kms(REPLICA).encrypt(KeyId=key, Plaintext=b"x")
    assert (last(cloud, key), last(cloud, key, REPLICA)["Operation"]) == ({}, "Encrypt")
    cloud.kms(REPLICA).schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert last(cloud, key, REPLICA)["Operation"] == "Encrypt"
    cloud.clock.advance(7 * 86400)
    cloud.kms().replicate_key(KeyId=key, ReplicaRegion=REPLICA)
    assert last(cloud, key, REPLICA) == {}


def test_whose_key_it_is_not_learns_nothing(cloud: Cloud) -> None:
    """Documented: no cross-account use, and no aliases."""
    key = cloud.key(Origin="AWS_KMS")
    cloud.kms().create_alias(AliasName="alias/a", TargetKeyId=key)
    assert refusal(cloud.kms().get_key_last_usage, KeyId="alias/a")[0] == "InvalidArnException"
    other = cloud.kms(account="444455556666")
    assert refusal(other.get_key_last_usage, KeyId=cloud.arn(key))[0] == "AccessDeniedException"


def test_the_last_use_survives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.json")
    first = Simulator(lag="instant", state=path)
    key = first.call("CreateKey", PRIMARY, ACCOUNT, {})["KeyMetadata"]["KeyId"]
    first.call("Encrypt", PRIMARY, ACCOUNT, {"KeyId": key, "Plaintext": "AAAA"})
    first.keep()
    told = first.call("GetKeyLastUsage", PRIMARY, ACCOUNT, {"KeyId": key})
    assert told["KeyLastUsage"]["Operation"] == "Encrypt"
    assert Simulator(lag="instant", state=path).call("GetKeyLastUsage", PRIMARY, ACCOUNT, {"KeyId": key}) == told
