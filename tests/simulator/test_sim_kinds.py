"""Each operation that is not for every key: for which kind of key, in which role and state, and what comes first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest
from sim_cloud import ACCOUNT, PRIMARY, REPLICA, Hand

from orchestrator.simulator import Lag, ServiceError, Simulator

OK = "ok"
FAMILY = "UnsupportedOperationException"
NOT_EXTERNAL, NOT_KMS = "origin is EXTERNAL which is not", "origin is AWS_KMS which is not"
NOT_PRIMARY, A_REPLICA = "is not a multi-region primary key.", "is a multi-region replica key which is not valid for"
NO_PRIMARY = "is not a multi-Region primary key."
STATES = ("Enabled", "Disabled", "PendingDeletion", "Creating")
REASON = {"Disabled": "is disabled.", "PendingDeletion": "is pending deletion.", "Creating": "is creating."}
WRAPPING = {"WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256", "WrappingKeySpec": "RSA_2048"}


@dataclass(frozen=True)
class Kind:
    """A kind of key that KMS makes, or, EXTERNAL, imports."""

    spec: str
    usage: str
    origin: str = "AWS_KMS"

    @property
    def symmetric(self) -> bool:
        return self.spec == "SYMMETRIC_DEFAULT"

    @property
    def pair(self) -> bool:
        return self.spec.startswith(("RSA", "ECC"))


MADE = (
    Kind("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    Kind("HMAC_256", "GENERATE_VERIFY_MAC"),
    Kind("RSA_2048", "ENCRYPT_DECRYPT"),
    Kind("RSA_2048", "SIGN_VERIFY"),
    Kind("ECC_NIST_P256", "SIGN_VERIFY"),
    Kind("ECC_NIST_P256", "KEY_AGREEMENT"),
    Kind("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
)
KINDS = (*MADE, *(replace(kind, origin="EXTERNAL") for kind in MADE))


@dataclass
class World:
    """A simulator that is called in the process, and its clock."""

    clock: Hand = field(default_factory=Hand)

    def __post_init__(self) -> None:
        lag = replace(Lag.instant(), creating=60.0)
        self.sim = Simulator(now=self.clock, lag=lag)

    def call(self, operation: str, region: str = PRIMARY, **body: Any) -> Any:
        return self.sim.call(operation, region, ACCOUNT, body)

    def told(self, operation: str, region: str, key: str) -> str:
        """Return ok, or the refusal: its message, or where it has none its code."""
        given = {
            "ReplicateKey": {"ReplicaRegion": "eu-west-1"},
            "UpdatePrimaryRegion": {"PrimaryRegion": region},
            "GetParametersForImport": WRAPPING,
        }
        try:
            self.call(operation, region, KeyId=key, **given.get(operation, {}))
        except ServiceError as error:
            return error.message.removeprefix(f"arn:aws:kms:{region}:{ACCOUNT}:key/{key} ") or error.code
        return OK

    def made(self, kind: Kind, role: str) -> tuple[str, str]:
        """Make a key of KMS's own; return it with the Region to ask."""
        key = self.call("CreateKey", KeySpec=kind.spec, KeyUsage=kind.usage, MultiRegion=role != "single")
        name = key["KeyMetadata"]["KeyId"]
        if role == "replica":
            self.call("ReplicateKey", KeyId=name, ReplicaRegion=REPLICA)
        return name, REPLICA if role == "replica" else PRIMARY

    def put_into(self, state: str, region: str, key: str) -> None:
        if state != "Creating":
            self.clock.advance(61)
        if state == "Disabled":
            self.call("DisableKey", region, KeyId=key)
        if state == "PendingDeletion":
            self.call("ScheduleKeyDeletion", region, KeyId=key)


@pytest.fixture
def world() -> World:
    return World()


def first(*judged: str | None) -> str:
    """Return the refusal that comes first."""
    return next((one for one in judged if one is not None), OK)


def only(condition: bool, refusal: str) -> str | None:
    return None if condition else refusal


def expected(kind: Kind, role: str, state: str) -> Iterator[tuple[str, str]]:
    """Yield each operation, and what AWS says to it: the order of the checks is the order in which they stand here."""
    off, own = REASON.get(state), role != "replica"
    primary = role == "primary"
    yield "DescribeKey", OK
    yield "GetKeyRotationStatus", OK
    yield "ListKeyRotations", OK
    yield "DisableKeyRotation", first(off, only(own, f"{A_REPLICA} DisableKeyRotation."))
    yield (
        "EnableKeyRotation",
        first(off, only(kind.symmetric, FAMILY), only(own, f"{A_REPLICA} EnableKeyRotation.")),
    )
    yield (
        "RotateKeyOnDemand",
        first(off, only(kind.symmetric, FAMILY), only(own, f"{A_REPLICA} RotateKeyOnDemand.")),
    )
    yield "ReplicateKey", first(only(primary, NOT_PRIMARY), off)
    yield "UpdatePrimaryRegion", first(off, only(primary, NO_PRIMARY))
    unreadable = None if state == "Disabled" else off
    yield "GetPublicKey", first(unreadable, only(kind.pair, FAMILY))


CELLS = [
    (kind, role, state)
    for kind, role, state in product(MADE, ("single", "primary", "replica"), STATES)
    if state != "Creating" or role == "replica"
]


@pytest.mark.parametrize(("kind", "role", "state"), CELLS, ids=lambda one: getattr(one, "spec", one))
def test_a_key_that_kms_made(world: World, kind: Kind, role: str, state: str) -> None:
    """Recorded: status and stop of what is never rotated succeed; a Creating replica is refused as no primary."""
    for operation, verdict in expected(kind, role, state):
        key, region = world.made(kind, role)
        world.put_into(state, region, key)
        truth = world.sim.key(region, key)
        assert truth is not None
        assert truth.key_state == state
        assert world.told(operation, region, key) == verdict, operation
        world.clock.advance(61)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.origin == "EXTERNAL"], ids=lambda one: one.spec)
@pytest.mark.parametrize("multi_region", [False, True])
def test_a_key_that_waits_for_its_material(world: World, kind: Kind, multi_region: bool) -> None:
    """Recorded: imports:pending_...; the origin comes before the state, the state before the family."""
    asked = {"KeySpec": kind.spec, "KeyUsage": kind.usage, "Origin": "EXTERNAL", "MultiRegion": multi_region}
    key = world.call("CreateKey", **asked)["KeyMetadata"]["KeyId"]
    pending = "is pending import."
    for operation, verdict in {
        "GetKeyRotationStatus": OK,
        "ListKeyRotations": OK,
        "EnableKeyRotation": f"{NOT_EXTERNAL} valid for this operation.",
        "DisableKeyRotation": f"{NOT_EXTERNAL} valid for this operation.",
        "RotateKeyOnDemand": pending,
        "ReplicateKey": pending if multi_region else NOT_PRIMARY,
        "GetPublicKey": pending,
    }.items():
        assert world.told(operation, PRIMARY, key) == verdict, operation


@pytest.mark.parametrize("kind", MADE, ids=lambda one: one.spec)
def test_nothing_is_imported_into_a_key_that_kms_made(world: World, kind: Kind) -> None:
    key, region = world.made(kind, "single")
    assert world.told("GetParametersForImport", region, key) == f"{NOT_KMS} valid for this operation."


@pytest.mark.parametrize("kind", MADE, ids=lambda one: one.spec)
def test_the_status_of_every_kind_has_the_fields_of_a_key_that_is_not_rotated(world: World, kind: Kind) -> None:
    key, region = world.made(kind, "replica")
    answer = world.call("GetKeyRotationStatus", region, KeyId=key)
    assert answer == {"KeyRotationEnabled": False, "KeyId": f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"}
    assert world.call("DisableKeyRotation", PRIMARY, KeyId=key) == {}


CONTEXT = {"a": "b"}
NO_CONTEXT = "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs."
OAEP = "RSAES_OAEP_SHA_256"


def rsa(world: World) -> tuple[str, str]:
    key, _ = world.made(Kind("RSA_2048", "ENCRYPT_DECRYPT"), "single")
    sealed = world.call("Encrypt", KeyId=key, Plaintext="eA==", EncryptionAlgorithm=OAEP, EncryptionContext={})
    return key, sealed["CiphertextBlob"]


def both_ways(**given: Any) -> Callable[[str, str, str], dict[str, Any]]:
    def asked(key: str, blob: str, other: str) -> dict[str, Any]:
        names = {"KEY": key, "BLOB": blob, "OTHER": other}
        return {name: names.get(value, value) if isinstance(value, str) else value for name, value in given.items()}

    return asked


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("Encrypt", both_ways(KeyId="KEY", Plaintext="eA==", EncryptionAlgorithm=OAEP, EncryptionContext=CONTEXT)),
        ("Decrypt", both_ways(KeyId="KEY", CiphertextBlob="BLOB", EncryptionAlgorithm=OAEP, EncryptionContext=CONTEXT)),
        (
            "Decrypt",
            both_ways(
                KeyId="KEY",
                DryRun=True,
                DryRunModifiers=["IGNORE_CIPHERTEXT"],
                EncryptionAlgorithm=OAEP,
                EncryptionContext=CONTEXT,
            ),
        ),
        (
            "ReEncrypt",
            both_ways(
                SourceKeyId="KEY",
                CiphertextBlob="BLOB",
                SourceEncryptionAlgorithm=OAEP,
                SourceEncryptionContext=CONTEXT,
                DestinationKeyId="OTHER",
            ),
        ),
        (
            "ReEncrypt",
            both_ways(
                SourceKeyId="KEY",
                CiphertextBlob="BLOB",
                SourceEncryptionAlgorithm=OAEP,
                DestinationKeyId="KEY",
                DestinationEncryptionAlgorithm=OAEP,
                DestinationEncryptionContext=CONTEXT,
            ),
        ),
    ],
)
def test_asymmetric_encryption_has_no_context(world: World, operation: str, asked: Any) -> None:
    key, blob = rsa(world)
    other, _ = world.made(MADE[0], "single")
    with pytest.raises(ServiceError) as refused:
        world.call(operation, **asked(key, blob, other))
    assert (refused.value.code, refused.value.message) == ("ValidationException", NO_CONTEXT)


def test_an_empty_context_is_none_and_a_symmetric_side_may_have_one(world: World) -> None:
    key, blob = rsa(world)
    other, _ = world.made(MADE[0], "single")
    opened = world.call("Decrypt", KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=OAEP, EncryptionContext={})
    assert opened["Plaintext"] == "eA=="
    source = {"SourceKeyId": key, "CiphertextBlob": blob, "SourceEncryptionAlgorithm": OAEP}
    moved = world.call("ReEncrypt", **source, DestinationKeyId=other, DestinationEncryptionContext=CONTEXT)
    back = world.call("Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert back["Plaintext"] == "eA=="


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("alias/a:b", "ValidationException", "alias/a:b contains invalid characters for an alias"),
        ("alias/aws/a:b", "ValidationException", "alias/aws/a:b contains invalid characters for an alias"),
        ("alias/:", "ValidationException", "alias/: contains invalid characters for an alias"),
        ("alias/aws/a", "NotAuthorizedException", "Not authorized to create an alias beginning with alias/aws/"),
    ],
)
def test_a_name_that_no_alias_may_have(world: World, name: str, code: str, message: str) -> None:
    key, _ = world.made(MADE[0], "single")
    with pytest.raises(ServiceError) as refused:
        world.call("CreateAlias", AliasName=name, TargetKeyId=key)
    assert (refused.value.code, refused.value.message) == (code, message)
    assert not any("TargetKeyId" in alias for alias in world.call("ListAliases")["Aliases"])


@pytest.mark.parametrize("operation", ["CreateAlias", "UpdateAlias", "DeleteAlias"])
def test_a_name_without_its_prefix_is_no_alias_at_all(world: World, operation: str) -> None:
    key, _ = world.made(MADE[0], "single")
    target = {} if operation == "DeleteAlias" else {"TargetKeyId": key}
    with pytest.raises(ServiceError, match='must start with the prefix "alias/"') as refused:
        world.call(operation, AliasName="other/a", **target)
    assert refused.value.code == "ValidationException"


def test_an_alias_of_an_alias_is_refused_before_a_name_that_is_taken(world: World) -> None:
    key, _ = world.made(MADE[0], "single")
    world.call("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    with pytest.raises(ServiceError) as refused:
        world.call("CreateAlias", AliasName="alias/a", TargetKeyId="alias/a")
    assert (refused.value.code, refused.value.message) == (
        "ValidationException",
        "Aliases must refer to keys. Not aliases",
    )
