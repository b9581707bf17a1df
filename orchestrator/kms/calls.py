"""The calls that the orchestrator makes, each sent once and told to the listener without its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.errors import KmsError
from orchestrator.kms import answers
from orchestrator.kms.answers import WRAPPING_KEY_SPEC
from orchestrator.kms.meaning import meaning, unanswered
from orchestrator.kms.reading import (
    clock_skew,
    from_simulator,
    key_arn,
    material_in,
    read,
    region_view,
    text,
    time,
    unreadable,
    word,
)
from orchestrator.model import ImportType, KeyArn, MaterialId, MaterialRow, Region, RegionView
from orchestrator.ports import Event, ImportParameters, Listener, WrappingAlgorithm
from orchestrator.replies import refusal, request_id

MAC_ALGORITHM = "HMAC_SHA_256"

_MOST_PAGES = 100
"""Of ListKeyRotations, 100 rows each: a key has 25 rotations for life."""

Client = Any
"""A boto3 client, whose operations are made at run time."""


class Kms:
    """KMS in one Region; raises KmsError and nothing else, and sends every call once."""

    def __init__(self, client: Client, region: Region, now: Callable[[], datetime], listener: Listener) -> None:
        self._client = client
        self._region = region
        self._now = now
        self._listener = listener

    def describe_key(self, arn: KeyArn, seen_at: datetime) -> RegionView:
        """DescribeKey: the view without its rows."""
        answer = self._call("describe_key", arn, KeyId=str(arn))
        skew = clock_skew(answer, self._now())
        simulated = from_simulator(answer)
        seen = read("DescribeKey", lambda: region_view(answer["KeyMetadata"], seen_at))
        seen = replace(seen, skew=skew, simulated=simulated)
        answers.found_key(str(arn), self._region, seen.arn)
        return seen

    def resolve(self, arn: str) -> KeyArn:
        """DescribeKey, for the ARN of the key behind the ARN of an alias."""
        answer = self._call("describe_key", arn, KeyId=arn)
        return answers.found_key(arn, self._region, _arn(answer))

    def origin(self, key: str) -> str:
        """DescribeKey, for where the key material of any key comes from; takes an id, an ARN or an alias."""
        answer = self._call("describe_key", key, KeyId=key)
        answers.found_key(key, self._region, _arn(answer))
        return read("DescribeKey", lambda: word(answer["KeyMetadata"]["Origin"]))

    def mac_algorithms(self, key: str) -> tuple[str, ...]:
        """DescribeKey, for the MAC algorithms of any key: none, where it is of another usage."""
        answer = self._call("describe_key", key, KeyId=key)
        answers.found_key(key, self._region, _arn(answer))
        return read("DescribeKey", lambda: tuple(map(word, answer["KeyMetadata"].get("MacAlgorithms", ()))))

    def list_key_rotations(self, arn: KeyArn) -> tuple[MaterialRow, ...]:
        """ListKeyRotations with ALL_KEY_MATERIAL, every page."""
        found: list[MaterialRow] = []
        more: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = self._call(
                "list_key_rotations", arn, KeyId=str(arn), IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=100, **more
            )
            page, more = read("ListKeyRotations", partial(answers.rotations, answer, arn))
            found += page
            if not more:
                return answers.each_once(found)
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
        now = self._now()
        return read("GetParametersForImport", lambda: answers.import_parameters(answer, arn, algorithm, now))

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
        answer = self._call("delete_imported_key_material", arn, KeyId=str(arn), KeyMaterialId=material_id)
        answers.deleted_material(answer, arn, material_id)

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

    def generate_mac(self, key: str, message: bytes) -> bytes:
        """GenerateMac with HMAC_SHA_256; takes an id, an ARN or an alias."""
        answer = self._call("generate_mac", key, KeyId=key, Message=message, MacAlgorithm=MAC_ALGORITHM)
        answers.found_key(key, self._region, read("GenerateMac", lambda: key_arn(answer["KeyId"])), "GenerateMac")
        return read("GenerateMac", lambda: bytes(answer["Mac"]))

    def verify_mac(self, key: str, message: bytes, mac: bytes) -> bool:
        """VerifyMac; a MAC of another message or key is no error here."""
        try:
            answer = self._call("verify_mac", key, KeyId=key, Message=message, Mac=mac, MacAlgorithm=MAC_ALGORITHM)
        except KmsError as error:
            if error.code == "KMSInvalidMacException":
                return False
            raise
        answers.found_key(key, self._region, read("VerifyMac", lambda: key_arn(answer["KeyId"])), "VerifyMac")
        return read("VerifyMac", lambda: answer["MacValid"] is True)

    def create_key(self, policy: str, description: str) -> KeyArn:
        """CreateKey: a multi-Region primary key for imported material; always with a policy (P11)."""
        answer = self._call(
            "create_key", None, Origin="EXTERNAL", MultiRegion=True, Policy=policy, Description=description
        )
        return read("CreateKey", lambda: answers.made_key(answer["KeyMetadata"], self._region))

    def get_key_policy(self, arn: KeyArn) -> str:
        """GetKeyPolicy: the key's own policy in this Region."""
        answer = self._call("get_key_policy", arn, KeyId=str(arn), PolicyName="default")
        return read("GetKeyPolicy", lambda: text(answer["Policy"]))

    def replicate_key(self, arn: KeyArn, region: Region, policy: str) -> None:
        """ReplicateKey: a replica without key material; always with a policy (P11)."""
        answer = self._call("replicate_key", arn, KeyId=str(arn), ReplicaRegion=region, Policy=policy)
        made = read("ReplicateKey", lambda: answer["ReplicaKeyMetadata"]["Arn"])
        answers.same_key("ReplicateKey", arn.within(region), made)

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
        except KmsError as error:  # of AssumeRole, which comes first, or of an endpoint that is refused
            told |= {"error": error.code}
            raise
        except Exception as error:  # noqa: BLE001 - botocore's parser meets what is not KMS's with errors of every kind
            told |= {"error": type(error).__name__}
            raise unanswered(error, name, arn or self._region) from None
        else:
            if isinstance(arn, KeyArn) and self._tells_the_key(name):
                answers.same_key(name, arn, answer.get("KeyId"))
            return answer
        finally:
            told["ms"] = round((monotonic() - begun) * 1000)
            self._listener(Event(self._now(), "call", str(arn or ""), self._region, told))

    def _tells_the_key(self, operation: str) -> bool:
        """Whether answers of an operation name the key that they are about."""
        output: Any = self._client.meta.service_model.operation_model(operation).output_shape
        return output is not None and "KeyId" in output.members


def _arn(answer: Mapping[str, Any]) -> KeyArn:
    return read("DescribeKey", lambda: key_arn(answer["KeyMetadata"]["Arn"]))


def _ids(answer: Mapping[str, Any]) -> dict[str, Any]:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return {"request_id": request_id(answer), "status": status}
