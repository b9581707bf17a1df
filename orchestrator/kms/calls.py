"""The calls that the orchestrator makes, each sent once and told to the listener without its parameters."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.answers import refusal, request_id
from orchestrator.errors import KmsError
from orchestrator.kms.credentials import watched
from orchestrator.kms.meaning import meaning, unanswered
from orchestrator.kms.reading import (
    key_arn,
    material_in,
    read,
    region_view,
    rows,
    text,
    time,
    unreadable,
    word,
)
from orchestrator.model import ImportType, KeyArn, MaterialId, MaterialRow, Region, RegionView
from orchestrator.ports import Event, ImportParameters, Listener, WrappingAlgorithm

WRAPPING_KEY_SPEC = "RSA_4096"


_MOST_PAGES = 100
"""Of ListKeyRotations, 100 rows each: a key has 25 rotations for life."""

Client = Any
"""A boto3 client, whose operations are made at run time."""


class Kms:
    """KMS in one Region; raises KmsError and nothing else, and sends every call once."""

    def __init__(self, client: Client, region: Region, now: Callable[[], datetime], listener: Listener) -> None:
        self._client = watched(client)
        self._region = region
        self._now = now
        self._listener = listener

    @property
    def endpoint_url(self) -> str:
        """Where the calls go, whatever set it."""
        return str(self._client.meta.endpoint_url)

    def describe_key(self, arn: KeyArn, seen_at: datetime) -> RegionView:
        """DescribeKey: the view without its rows."""
        answer = self._call("describe_key", arn, KeyId=str(arn))
        return read("DescribeKey", lambda: region_view(answer["KeyMetadata"], seen_at))

    def resolve(self, arn: str) -> KeyArn:
        """DescribeKey, for the ARN of the key behind the ARN of an alias."""
        answer = self._call("describe_key", arn, KeyId=arn)
        return read("DescribeKey", lambda: key_arn(answer["KeyMetadata"]["Arn"]))

    def origin(self, key: str) -> str:
        """DescribeKey, for where the key material of any key comes from; takes an id, an ARN or an alias."""
        answer = self._call("describe_key", key, KeyId=key)
        return read("DescribeKey", lambda: word(answer["KeyMetadata"]["Origin"]))

    def list_key_rotations(self, arn: KeyArn) -> tuple[MaterialRow, ...]:
        """ListKeyRotations with ALL_KEY_MATERIAL, every page."""
        found: list[MaterialRow] = []
        more: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = self._call(
                "list_key_rotations", arn, KeyId=str(arn), IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=100, **more
            )
            page = partial(rows, answer)
            found += read("ListKeyRotations", page)
            if not answer.get("Truncated") or not answer.get("NextMarker"):
                return tuple(found)
            more = {"Marker": answer["NextMarker"]}
        raise unreadable("ListKeyRotations", "it does not end")

    def rotation_started_at(self, arn: KeyArn) -> datetime | None:
        """GetKeyRotationStatus: OnDemandRotationStartDate."""
        started = self._call("get_key_rotation_status", arn, KeyId=str(arn)).get("OnDemandRotationStartDate")
        return None if started is None else read("GetKeyRotationStatus", lambda: time(started))

    def get_parameters_for_import(self, arn: KeyArn, algorithm: WrappingAlgorithm) -> ImportParameters:
        """GetParametersForImport with an RSA_4096 wrapping key."""
        answer = self._call(
            "get_parameters_for_import",
            arn,
            KeyId=str(arn),
            WrappingAlgorithm=str(algorithm),
            WrappingKeySpec=WRAPPING_KEY_SPEC,
        )
        return read(
            "GetParametersForImport",
            lambda: ImportParameters(
                bytes(answer["PublicKey"]), bytes(answer["ImportToken"]), algorithm, time(answer["ParametersValidTo"])
            ),
        )

    def import_key_material(
        self,
        arn: KeyArn,
        parameters: ImportParameters,
        wrapped: bytes,
        import_type: ImportType,
        material_id: MaterialId | None,
        valid_to: datetime | None,
    ) -> MaterialId:
        """ImportKeyMaterial; the expiration model is always sent, as its default is to expire."""
        extra: dict[str, Any] = {"KeyMaterialId": material_id} if material_id else {}
        if valid_to is None:
            extra["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE"
        else:
            extra |= {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": valid_to}
        answer = self._call(
            "import_key_material",
            arn,
            new=import_type is ImportType.NEW,
            KeyId=str(arn),
            ImportToken=parameters.token,
            EncryptedKeyMaterial=wrapped,
            ImportType=str(import_type),
            **extra,
        )
        return read("ImportKeyMaterial", lambda: material_in(answer))

    def rotate_key_on_demand(self, arn: KeyArn) -> None:
        """RotateKeyOnDemand: accepted, not done."""
        self._call("rotate_key_on_demand", arn, KeyId=str(arn))

    def delete_pending_material(self, arn: KeyArn, material_id: MaterialId) -> None:
        """DeleteImportedKeyMaterial, always with the id."""
        self._call("delete_imported_key_material", arn, KeyId=str(arn), KeyMaterialId=material_id)

    def encrypt(self, arn: KeyArn, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt a probe."""
        answer = self._call("encrypt", arn, KeyId=str(arn), Plaintext=plaintext, EncryptionContext=dict(context))
        return read("Encrypt", lambda: bytes(answer["CiphertextBlob"]))

    def decrypt(self, arn: KeyArn, ciphertext: bytes, context: Mapping[str, str]) -> tuple[bytes, MaterialId]:
        """Decrypt a probe."""
        answer = self._call("decrypt", arn, KeyId=str(arn), CiphertextBlob=ciphertext, EncryptionContext=dict(context))
        return read("Decrypt", lambda: (bytes(answer["Plaintext"]), material_in(answer)))

    def data_key_material(self, arn: KeyArn, context: Mapping[str, str]) -> MaterialId:
        """GenerateDataKeyWithoutPlaintext: the id of the material that encrypts now."""
        answer = self._call(
            "generate_data_key_without_plaintext",
            arn,
            KeyId=str(arn),
            KeySpec="AES_256",
            EncryptionContext=dict(context),
        )
        return read("GenerateDataKeyWithoutPlaintext", lambda: material_in(answer))

    def create_key(self, policy: str, description: str) -> KeyArn:
        """CreateKey: a multi-Region primary key for imported material; always with a policy (P11)."""
        answer = self._call(
            "create_key", None, Origin="EXTERNAL", MultiRegion=True, Policy=policy, Description=description
        )
        return read("CreateKey", lambda: key_arn(answer["KeyMetadata"]["Arn"]))

    def get_key_policy(self, arn: KeyArn) -> str:
        """GetKeyPolicy: the key's own policy in this Region."""
        answer = self._call("get_key_policy", arn, KeyId=str(arn), PolicyName="default")
        return read("GetKeyPolicy", lambda: text(answer["Policy"]))

    def replicate_key(self, arn: KeyArn, region: Region, policy: str) -> None:
        """ReplicateKey: a replica without key material; always with a policy (P11)."""
        self._call("replicate_key", arn, KeyId=str(arn), ReplicaRegion=region, Policy=policy)

    def _call(
        self, operation: str, arn: KeyArn | str | None, *, new: bool = False, **parameters: Any
    ) -> dict[str, Any]:
        """Send one call and tell the listener of it: never its parameters (I2)."""
        name = "".join(word.capitalize() for word in operation.split("_"))
        begun = monotonic()
        told: dict[str, Any] = {"operation": name}
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
            told |= _ids(answer)
        except ClientError as error:
            told |= {"error": refusal(error.response).code, **_ids(error.response)}
            raise meaning(error, name, arn or self._region, new=new) from None
        except KmsError as error:  # of the call that comes first: AssumeRole
            told |= {"error": error.code}
            raise
        except Exception as error:  # noqa: BLE001 - botocore's parser meets what is not KMS's with errors of every kind
            told |= {"error": type(error).__name__}
            raise unanswered(error, name, arn or self._region) from None
        else:
            return answer
        finally:
            told["ms"] = round((monotonic() - begun) * 1000)
            self._listener(Event(self._now(), "call", str(arn or ""), self._region, told))


def _ids(answer: Mapping[str, Any]) -> dict[str, Any]:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return {"request_id": request_id(answer), "status": status}
