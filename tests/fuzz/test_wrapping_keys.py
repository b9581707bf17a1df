"""Wrapping keys that are none: whatever bytes KMS sends for one, that is told as its fault, and is no defect (I9)."""

import random
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from mutations import drawn

from orchestrator.errors import KmsError, StoreError
from orchestrator.kms.answers import import_parameters
from orchestrator.model import KeyArn
from orchestrator.ports import WrappingAlgorithm
from orchestrator.wrapping import wrap
from sizes import EVERYTHING
from verdict import Count, tell

ARN = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
NOW = datetime(2026, 5, 4, tzinfo=UTC)
ALGORITHM = WrappingAlgorithm.RSAES_OAEP_SHA_256
HEAD = 40
"""So many bytes say what follows: spoiled there, a key is more often read as another one than not read."""


def spoiled(key: bytes, dice: random.Random) -> bytes:
    """Change, cut, double or drop some bytes; in one of three draws those of the numbers only."""
    changed = bytearray(key)
    place = dice.randrange(HEAD if dice.random() < 0.6 else len(changed))
    match dice.randrange(6):
        case 0:
            del changed[place:]
        case 1:
            del changed[place]
        case 2:
            changed.insert(place, dice.randrange(256))
        case 3:
            changed[place] ^= 1 << dice.randrange(8)
        case 4:
            changed[-6] &= 0xFE  # the last byte of the modulus, before the exponent
        case _:
            changed[-3:] = dice.randbytes(3)
    return bytes(changed)


def is_as_asked(key: bytes) -> bool:
    """Judge by the numbers alone."""
    try:
        read = load_der_public_key(key)
    except Exception:  # noqa: BLE001 - whatever it raises, it is none
        return False
    if not isinstance(read, rsa.RSAPublicKey):
        return False
    numbers = read.public_numbers()
    return (numbers.n.bit_length(), numbers.e, numbers.n % 2) == (4096, 65537, 1)


def test_a_spoiled_wrapping_key_is_refused_or_is_one(record_property: Count) -> None:
    genuine = rsa.generate_private_key(65537, 4096).public_key()
    key = genuine.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    inputs = 20_000 if EVERYTHING else 2_000
    wrong = []
    for seed in range(inputs):
        sent = spoiled(key, drawn("wrapping key", seed))
        answer = {"PublicKey": sent, "ImportToken": b"token", "ParametersValidTo": NOW + timedelta(hours=24)}
        try:
            import_parameters(answer, ARN, ALGORITHM, NOW)
            taken = True
        except KmsError as error:
            taken = False
            wrong += [] if "GetParametersForImport" in error.message else [f"{seed}: {error.message}"]
        wrong += [] if taken is is_as_asked(sent) else [f"{seed}: taken: {taken}"]
        try:
            wrap(bytes(32), sent, ALGORITHM)
        except StoreError:
            wrong += ["the store refused what was taken"] if taken else []
    record_property("inputs_fuzzed", inputs)
    assert not wrong, tell(wrong)
