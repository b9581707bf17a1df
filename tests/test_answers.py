"""KMS's answer is what was asked for, or it is refused: nothing is wrapped, imported or believed after another one."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from orchestrator.errors import KmsError, Trouble
from orchestrator.kms.calls import Kms
from orchestrator.model import EntryName, ImportType, KeyArn, MaterialId, Region
from orchestrator.report import documents
from orchestrator.simulator import Call, Simulator, serve
from orchestrator.written import to_json
from verdict import before, broken
from worlds import REGIONS, ManualClock, World

OTHER = "arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000000000000000000000000"
ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ANYBODY]})
Answer = dict[str, Any]
Lie = Callable[[Answer], object]


class Lying(Simulator):
    """KMS, whose answers of one operation are changed while `lie` is set; `lied` counts them."""

    lie: tuple[str, Lie] | None = None
    lied = 0

    def prepared(self, call: Call, body: Any, caller: str | None = None) -> Callable[[], dict[str, Any]]:
        work = super().prepared(call, body, caller)
        return lambda: self._answered(call.operation, work())

    def _answered(self, operation: str, answer: Answer) -> Answer:
        if self.lie and operation == self.lie[0]:
            self.lied += 1
            self.lie[1](answer)
        return answer


@pytest.fixture
def liar(tmp_path: Path, clock: ManualClock) -> Iterator[tuple[World, Lying]]:
    simulator = Lying(clock.epoch, lag="instant")
    with serve(simulator) as served, ThreadPoolExecutor(8) as threads:
        yield World(simulator, served.endpoint_url, tmp_path, clock, threads), simulator


def der(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def part(tag: int, content: bytes) -> bytes:
    """Encode a part of a DER structure, as no library writes a key that is none."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2)
    return bytes([tag]) + length + content


def rsa_numbers(modulus: int, exponent: int = 65537) -> bytes:
    """Encode an RSA public key of any two numbers."""
    numbers = b"".join(part(2, n.to_bytes((n.bit_length() + 8) // 8, signed=True)) for n in (modulus, exponent))
    algorithm = part(0x30, bytes.fromhex("06092a864886f70d010101") + b"\x05\x00")
    return part(0x30, algorithm + part(3, b"\x00" + part(0x30, numbers)))


def public_key(change: Callable[[bytes], bytes]) -> Lie:
    """Send another wrapping key, made from the right one."""

    def lie(answer: Answer) -> None:
        answer["PublicKey"] = b64encode(change(b64decode(answer["PublicKey"]))).decode()

    return lie


def modulus_of(key: bytes) -> int:
    loaded = load_der_public_key(key)
    assert isinstance(loaded, rsa.RSAPublicKey)
    return loaded.public_numbers().n


def field(name: str, value: object) -> Lie:
    return lambda answer: answer.update({name: value})


def without(name: str) -> Lie:
    return lambda answer: answer.pop(name)


def in_other_region(answer: Answer) -> None:
    answer["KeyId"] = answer["KeyId"].replace(":us-east-1:", ":sa-east-1:").replace(":eu-west-1:", ":sa-east-1:")


PARAMETERS: dict[str, Lie] = {
    "RSA of 2048 bits": public_key(lambda _: der(rsa.generate_private_key(65537, 2048).public_key())),
    "RSA of 3072 bits": public_key(lambda _: der(rsa.generate_private_key(65537, 3072).public_key())),
    "RSA of 4095 bits": public_key(lambda key: rsa_numbers(modulus_of(key) >> 1 | 1)),
    "RSA of 4097 bits": public_key(lambda key: rsa_numbers(modulus_of(key) << 1 | 1)),
    "RSA of 8192 bits": public_key(lambda key: rsa_numbers(modulus_of(key) ** 2)),
    "the exponent 3": public_key(lambda key: rsa_numbers(modulus_of(key), 3)),
    "the exponent 1": public_key(lambda key: rsa_numbers(modulus_of(key), 1)),
    "the exponent 0": public_key(lambda key: rsa_numbers(modulus_of(key), 0)),
    "an even exponent": public_key(lambda key: rsa_numbers(modulus_of(key), 65536)),
    "a negative exponent": public_key(lambda key: rsa_numbers(modulus_of(key), -3)),
    "a huge exponent": public_key(lambda key: rsa_numbers(modulus_of(key), modulus_of(key) - 2)),
    "an even modulus": public_key(lambda key: rsa_numbers(modulus_of(key) - 1)),
    "the modulus 0": public_key(lambda _: rsa_numbers(0)),
    "the modulus 1": public_key(lambda _: rsa_numbers(1)),
    "a negative modulus": public_key(lambda key: rsa_numbers(-modulus_of(key))),
    "an elliptic curve": public_key(lambda _: der(ec.generate_private_key(ec.SECP521R1()).public_key())),
    "Ed25519": public_key(lambda _: der(ed25519.Ed25519PrivateKey.generate().public_key())),
    "DSA": public_key(lambda _: der(dsa.generate_private_key(2048).public_key())),
    "a key that is cut short": public_key(lambda key: key[:-10]),
    "a key and more": public_key(lambda key: key + b"\x00"),
    "PKCS #1": public_key(lambda key: part(0x30, key[26:])),
    "no key": public_key(lambda _: b""),
    "PEM": public_key(
        lambda key: load_der_public_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "an empty token": field("ImportToken", ""),
    "no token": without("ImportToken"),
    "parameters of yesterday": lambda answer: answer.update(ParametersValidTo=answer["ParametersValidTo"] - 48 * 3600),
    "parameters that just ended": lambda answer: answer.update(
        ParametersValidTo=answer["ParametersValidTo"] - 24 * 3600
    ),
    "another key": field("KeyId", OTHER),
    "the key in another Region": in_other_region,
    "an alias": field("KeyId", "alias/payments"),
    "no key named": without("KeyId"),
}


@pytest.mark.parametrize("lie", PARAMETERS.values(), ids=PARAMETERS)
def test_nothing_is_wrapped_for_other_parameters_than_were_asked_for(liar: tuple[World, Lying], lie: Lie) -> None:
    """I2, I9: neither new material nor old; it fails, and is no defect; with right answers the next run finishes."""
    world, simulator = liar
    arn = world.make_key(REGIONS[:2])
    earlier, sent = before(simulator, arn), len(world.calls("ImportKeyMaterial"))
    simulator.lie = ("GetParametersForImport", lie)

    report = world.rotate(arn)

    assert report.status == "failed", report.message
    assert "GetParametersForImport" in report.message
    assert simulator.lied <= 2 * len(REGIONS), "it is not asked for again and again"
    assert len(world.calls("ImportKeyMaterial")) == sent
    assert not broken(simulator, arn, earlier, [world.store], success=False, rotations=0)
    simulator.lie = None
    assert world.rotate(arn).status == "finished"


def test_wrong_parameters_of_a_replica_hold_up_the_rotation(liar: tuple[World, Lying]) -> None:
    world, simulator = liar
    arn = world.make_key(REGIONS[:2])

    def weak(answer: Answer) -> None:
        if f":{REGIONS[1]}:" in answer["KeyId"]:
            PARAMETERS["RSA of 2048 bits"](answer)

    simulator.lie = ("GetParametersForImport", weak)
    report = world.rotate(arn)

    assert report.status == "failed"
    assert REGIONS[1] in report.message
    assert not world.calls("RotateKeyOnDemand")
    simulator.lie = None
    assert world.rotate(arn).status == "finished"


# ---- every other answer ----------------------------------------------------------------------------------------------


def first(arn: KeyArn) -> EntryName:
    return EntryName(arn.identity, None)


def metadata(change: Callable[[Answer], object]) -> Lie:
    return lambda answer: change(answer["KeyMetadata"])


def related(change: Callable[[Answer], object]) -> Lie:
    return lambda answer: change(answer["KeyMetadata"]["MultiRegionConfiguration"])


def row(change: Callable[[Answer], object]) -> Lie:
    return lambda answer: change(answer["Rotations"][-1])


NAMING = (
    "GetKeyRotationStatus",
    "ImportKeyMaterial",
    "RotateKeyOnDemand",
    "Encrypt",
    "Decrypt",
    "GenerateDataKeyWithoutPlaintext",
    "DeleteImportedKeyMaterial",
)
OF_KEYS: dict[str, Lie] = {
    "another key": field("KeyId", OTHER),
    "another Region": in_other_region,
    "another id": field("KeyId", "mrk-00000000000000000000000000000000"),
    "no key": without("KeyId"),
    "a list": lambda answer: answer.update(KeyId=[answer["KeyId"]]),
}
TIMES = {"the last year": 253402300799, "year 1": -62135596800, "before 1970": -1, "before KMS": 1388534399}
DATED: dict[tuple[str, str], Callable[[float], Lie]] = {
    ("DescribeKey", "CreationDate"): lambda at: metadata(field("CreationDate", at)),
    ("DescribeKey", "DeletionDate"): lambda at: metadata(field("DeletionDate", at)),
    ("ListKeyRotations", "RotationDate"): lambda at: row(field("RotationDate", at)),
    ("ListKeyRotations", "ValidTo"): lambda at: row(field("ValidTo", at)),
    ("GetKeyRotationStatus", "OnDemandRotationStartDate"): lambda at: field("OnDemandRotationStartDate", at),
}
LIES: dict[tuple[str, str], Lie] = {
    **{(op, f"{name} in {when}"): lie(at) for (op, name), lie in DATED.items() for when, at in TIMES.items()},
    **{(operation, name): lie for operation in NAMING for name, lie in OF_KEYS.items()},
    ("DescribeKey", "another key"): metadata(field("Arn", OTHER)),
    ("DescribeKey", "another Region"): metadata(
        lambda key: key.update(Arn=key["Arn"].replace(":us-east-1:", ":sa-east-1:"))
    ),
    ("DescribeKey", "another account"): metadata(
        lambda key: key.update(Arn=key["Arn"].replace(":111122223333:", ":444455556666:"))
    ),
    ("DescribeKey", "another key's primary"): related(lambda found: found["PrimaryKey"].update(Arn=OTHER)),
    ("DescribeKey", "another key's replica"): related(lambda found: found["ReplicaKeys"][0].update(Arn=OTHER)),
    ("ListKeyRotations", "a row of another key"): row(field("KeyId", OTHER)),
    ("ListKeyRotations", "a row of another Region"): row(in_other_region),
    ("ListKeyRotations", "a row of no key"): row(without("KeyId")),
    ("ListKeyRotations", "a row twice"): lambda answer: answer["Rotations"].append(answer["Rotations"][0]),
    ("ListKeyRotations", "more, and no marker"): field("Truncated", value=True),
    ("ListKeyRotations", "more, and an empty marker"): lambda answer: answer.update(Truncated=True, NextMarker=""),
    ("ListKeyRotations", "a marker, and no more"): field("NextMarker", "again"),
    ("ListKeyRotations", "perhaps more"): lambda answer: answer.update(Truncated="false", NextMarker="again"),
    ("DeleteImportedKeyMaterial", "other material"): field("KeyMaterialId", "0" * 64),
    ("ReplicateKey", "another key"): lambda answer: answer["ReplicaKeyMetadata"].update(Arn=OTHER),
    ("ReplicateKey", "no key"): without("ReplicaKeyMetadata"),
    ("CreateKey", "another Region"): metadata(
        lambda key: key.update(Arn=key["Arn"].replace(":us-east-1:", ":sa-east-1:"))
    ),
    ("CreateKey", "material of KMS's own"): metadata(field("Origin", "AWS_KMS")),
    ("CreateKey", "one Region only"): metadata(field("MultiRegion", value=False)),
}


def import_again(_: Kms, arn: KeyArn, world: World) -> MaterialId:
    return world.send(world.store, arn, first(arn), ImportType.EXISTING, MaterialId(str(world.true(arn).current)))


ASKED: dict[str, Callable[[Kms, KeyArn, World], Any]] = {
    "CreateKey": lambda kms, _arn, _world: kms.create_key(POLICY, "a test"),
    "DescribeKey": lambda kms, arn, world: kms.describe_key(arn, world.clock.now()),
    "ListKeyRotations": lambda kms, arn, _: kms.list_key_rotations(arn),
    "GetKeyRotationStatus": lambda kms, arn, _: kms.rotation_started_at(arn),
    "ImportKeyMaterial": import_again,
    "RotateKeyOnDemand": lambda kms, arn, _: kms.rotate_key_on_demand(arn),
    "Encrypt": lambda kms, arn, _: kms.encrypt(arn, b"x", {}),
    "Decrypt": lambda kms, arn, _: kms.decrypt(arn, kms.encrypt(arn, b"x", {}), {}),
    "GenerateDataKeyWithoutPlaintext": lambda kms, arn, _: kms.data_key_material(arn, {}),
    "DeleteImportedKeyMaterial": lambda kms, arn, world: kms.delete_pending_material(
        arn, MaterialId(str(world.true(arn).pending))
    ),
    "ReplicateKey": lambda kms, arn, _: kms.replicate_key(arn, Region("sa-east-1"), POLICY),
}


@pytest.fixture
def ready(liar: tuple[World, Lying]) -> tuple[World, Lying, KeyArn]:
    """A key whose new material is pending in both Regions: every call would be accepted."""
    world, simulator = liar
    arn = world.make_key(REGIONS[:2])
    new = EntryName(arn.identity, MaterialId(str(world.true(arn).current)))
    world.store.deposit(new)
    material = world.send(world.store, arn, new, ImportType.NEW)
    world.send(world.store, arn.within(Region(REGIONS[1])), new, ImportType.EXISTING, material)
    return world, simulator, arn


@pytest.mark.parametrize(("operation", "name"), LIES)
def test_an_answer_about_something_else_is_refused_and_not_asked_for_again(
    ready: tuple[World, Lying, KeyArn], operation: str, name: str
) -> None:
    """I9: it says which call, in which Region."""
    world, simulator, arn = ready
    simulator.lie = (operation, LIES[operation, name])

    with pytest.raises(KmsError) as refused:
        world.retry()(lambda: ASKED[operation](world.kms()(arn.region), arn, world))

    assert simulator.lied == 1
    assert refused.value.trouble is Trouble.PERMANENT
    assert operation in refused.value.message
    assert refused.value.hint
    simulator.lie = None
    if operation not in {"ReplicateKey", "DeleteImportedKeyMaterial", "RotateKeyOnDemand"}:  # These go only once.
        ASKED[operation](world.kms()(arn.region), arn, world)


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e300, -1e18, 10**30], ids=str)
@pytest.mark.parametrize(("operation", "name"), DATED)
def test_a_number_that_no_calendar_has_is_no_answer_of_kms(
    ready: tuple[World, Lying, KeyArn], operation: str, name: str, at: float
) -> None:
    """I9: the SDK's parser falls over it, each number in another way."""
    world, simulator, arn = ready
    simulator.lie = (operation, DATED[operation, name](at))
    with pytest.raises(KmsError) as refused:
        ASKED[operation](world.kms()(arn.region), arn, world)
    assert operation in refused.value.message


@pytest.mark.parametrize(("operation", "name"), DATED)
def test_a_key_of_impossible_times_takes_nothing_from_another(
    liar: tuple[World, Lying], operation: str, name: str
) -> None:
    """I10, I9: nothing is a defect, and every result can be told."""
    world, simulator = liar
    odd, well = world.make_key(REGIONS[:2]), world.make_key(REGIONS[:2])
    lie = DATED[operation, name](TIMES["the last year"])

    def of_one(answer: Answer) -> None:
        if odd.key_id in json.dumps(answer):
            lie(answer)

    simulator.lie = (operation, of_one)
    reports = world.runner().run([world.job(arn) for arn in (odd, well)])
    assert [report.status for report in reports] == ["failed", "finished"]
    assert "year 9999" in reports[0].message
    to_json([documents.report(report) for report in reports])


ALIAS = "arn:aws:kms:us-east-1:111122223333:alias/payments"
RESOLVED: dict[str, Lie] = {
    "another Region": LIES["DescribeKey", "another Region"],
    "another account": LIES["DescribeKey", "another account"],
    "another partition": metadata(lambda key: key.update(Arn=key["Arn"].replace("arn:aws:", "arn:aws-cn:"))),
}


@pytest.mark.parametrize("lie", RESOLVED.values(), ids=RESOLVED)
def test_an_alias_leads_to_a_key_of_its_own_account_and_region(liar: tuple[World, Lying], lie: Lie) -> None:
    world, simulator = liar
    arn = world.make_key(REGIONS[:2])
    world.client().create_alias(AliasName="alias/payments", TargetKeyId=arn.key_id)
    kms = world.kms()(arn.region)
    assert kms.resolve(ALIAS) == arn
    simulator.lie = ("DescribeKey", lie)

    with pytest.raises(KmsError, match="asked about arn:aws:kms:us-east-1:111122223333:alias/payments"):
        kms.resolve(ALIAS)


@pytest.mark.parametrize("form", [str, lambda arn: arn.key_id])
def test_where_the_material_of_a_key_comes_from_is_not_told_by_another_key(
    liar: tuple[World, Lying], form: Callable[[KeyArn], str]
) -> None:
    world, simulator = liar
    arn = world.make_key(REGIONS[:2])
    kms = world.kms()(arn.region)
    assert kms.origin(form(arn)) == "EXTERNAL"
    simulator.lie = ("DescribeKey", LIES["DescribeKey", "another key"])

    with pytest.raises(KmsError, match="DescribeKey"):
        kms.origin(form(arn))


ROTATING = [("DescribeKey", "another key"), ("ListKeyRotations", "more, and no marker")]
ROTATING += [(operation, "another key") for operation in NAMING if operation != "DeleteImportedKeyMaterial"]


@pytest.mark.parametrize(("operation", "name"), ROTATING)
def test_a_run_that_is_answered_otherwise_fails_and_the_next_one_finishes(
    liar: tuple[World, Lying], operation: str, name: str
) -> None:
    """I6, I9: no defect, nothing lost, no second rotation."""
    world, simulator = liar
    arn = world.make_key(REGIONS[:2])
    earlier = before(simulator, arn)
    simulator.lie = (operation, LIES[operation, name])

    report = world.rotate(arn)

    seen = report.status == "finished" and operation == "RotateKeyOnDemand"  # What comes of one is seen by looking.
    assert seen or report.status in {"failed", "blocked"}, report.message
    assert not broken(simulator, arn, earlier, [world.store], success=seen)
    simulator.lie = None
    world.clock.advance(minutes=20)
    after = world.rotate(arn)
    assert after.status == "finished" or {block.reason for block in after.blocks} == {"recently-rotated"}
    assert not broken(simulator, arn, earlier, [world.store], success=True)
