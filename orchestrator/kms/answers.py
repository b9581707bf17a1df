"""An answer is what was asked for, or it is refused; it is not asked for again, as the next one would be no other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from orchestrator.errors import KmsError, Trouble
from orchestrator.kms.reading import rows, text, time, unreadable
from orchestrator.model import KeyArn, MaterialId, MaterialRow, Region
from orchestrator.ports import ImportParameters, WrappingAlgorithm

WRAPPING_KEY_SPEC = "RSA_4096"
_BITS, _EXPONENT = 4096, 65537


def same_key(operation: str, asked: KeyArn, said: object) -> None:
    """Refuse an answer that does not name the key that was asked about, by its ARN in this Region or by its id."""
    if said not in (str(asked), asked.key_id):
        raise _other(operation, asked.region, f"asked about {asked}, it told of {said!r:.200}")


def found_key(asked: str, region: Region, said: KeyArn, operation: str = "DescribeKey") -> KeyArn:
    """Return the key that an answer tells of; refuses one that the id, ARN or alias asked for cannot lead to."""
    place, _, name = asked.rpartition(":")
    leads = name.startswith("alias/") or name.removeprefix("key/") == said.key_id
    if said.region != region or not leads or (place and not str(said).startswith(f"{place}:")):
        raise _other(operation, region, f"asked about {asked}, it told of {said}")
    return said


def made_key(metadata: Mapping[str, Any], region: Region) -> KeyArn:
    """Read the key that CreateKey made; refuses one of another kind, or in another Region."""
    made = KeyArn.parse(metadata["Arn"])
    if (made.region, metadata["Origin"], metadata["MultiRegion"]) != (region, "EXTERNAL", True):
        what = f"{made}, origin {metadata['Origin']!r:.40}, multi-Region {metadata['MultiRegion']!r:.40}"
        raise _other("CreateKey", region, f"asked for a multi-Region key for imported material, it made {what}")
    return made


def rotations(answer: Mapping[str, Any], asked: KeyArn) -> tuple[list[MaterialRow], dict[str, str]]:
    """Read one page of ListKeyRotations: its rows, and how to ask for the next page, empty where there is none.

    Refuses rows of another key, and an answer that says both that there is more and that there is not.
    """
    for row in answer["Rotations"]:
        same_key("ListKeyRotations", asked, row["KeyId"])
    more, marker = answer.get("Truncated", False), answer.get("NextMarker")
    if more is not bool(marker):
        raise ValueError(f"Truncated is {more!r:.40}, with NextMarker {marker!r:.40}")
    return rows(answer), {"Marker": text(marker)} if more else {}


def each_once(found: Sequence[MaterialRow]) -> tuple[MaterialRow, ...]:
    """Return the rows of all pages; refuses a list that names one key material twice."""
    if len({row.material_id for row in found}) < len(found):
        raise unreadable("ListKeyRotations", "it lists a key material twice")
    return tuple(found)


def import_parameters(
    answer: Mapping[str, Any], asked: KeyArn, algorithm: WrappingAlgorithm, now: datetime
) -> ImportParameters:
    """Read GetParametersForImport; refuses what material must not be wrapped for, before it is."""
    given = ImportParameters(
        bytes(answer["PublicKey"]), bytes(answer["ImportToken"]), algorithm, time(answer["ParametersValidTo"])
    )
    wrong = _wrong_key(given.public_key)
    if wrong:
        wrong = f"a wrapping key that is not {WRAPPING_KEY_SPEC}: {wrong}"
    elif not given.token:
        wrong = "an empty import token"
    elif given.valid_to <= now:
        wrong = f"parameters that were valid until {given.valid_to:%Y-%m-%d %H:%M} UTC, which is past"
    if wrong:
        raise _other("GetParametersForImport", asked.region, f"for {asked} it sent {wrong}")
    return given


def deleted_material(answer: Mapping[str, Any], asked: KeyArn, material_id: MaterialId) -> None:
    """Refuse an answer of DeleteImportedKeyMaterial about other material."""
    if answer.get("KeyMaterialId", material_id) != material_id:
        said = f"{answer['KeyMaterialId']!r:.80}"
        raise _other("DeleteImportedKeyMaterial", asked.region, f"asked to delete {material_id}, it told of {said}")


def _wrong_key(public_key: bytes) -> str:
    """Say how a DER SubjectPublicKeyInfo is no RSA key of 4096 bits with the exponent 65537; "" where it is one."""
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return "it cannot be read"
    if not isinstance(key, RSAPublicKey):
        return "it is not RSA"
    numbers = key.public_numbers()
    if key.key_size != _BITS:
        return f"it has {key.key_size} bits"
    if numbers.e != _EXPONENT:
        return f"its exponent is not {_EXPONENT}"
    return "" if numbers.n % 2 else "its modulus is even"


def _other(operation: str, region: Region, what: str) -> KmsError:
    return KmsError(
        f"KMS answered {operation} in {region} otherwise than it was asked: {what}",
        "the answer was not used; see which endpoint gave it (aws.endpoint_url, AWS_ENDPOINT_URL..., the profile), and"
        " that the clock of this machine is right, then run again",
        trouble=Trouble.PERMANENT,
        operation=operation,
        region=region,
    )
