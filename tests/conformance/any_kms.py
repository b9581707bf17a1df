"""Where the conformance suite runs: on the simulator by default, on any other endpoint, or, asked for by name, on AWS.

MRK_CONFORMANCE_ENDPOINT=http://...   another endpoint that speaks the KMS API
MRK_CONFORMANCE_AWS=I-pay-for-the-keys   real AWS with the credentials of the environment; about a dozen keys are made,
                                      and every one is scheduled for deletion in 7 days, also when a test fails
MRK_CONFORMANCE_REGIONS=us-east-1,us-west-2   the primary's Region and the replica's
"""

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

T = TypeVar("T")
AWS = os.environ.get("MRK_CONFORMANCE_AWS") == "I-pay-for-the-keys"
ENDPOINT = os.environ.get("MRK_CONFORMANCE_ENDPOINT")
PRIMARY, REPLICA = os.environ.get("MRK_CONFORMANCE_REGIONS", "us-east-1,us-west-2").split(",")


class Service:
    """A KMS somewhere, and what a test needs of it."""

    def __init__(self, endpoint_url: str | None) -> None:
        self.kms: Callable[[str], Any] = cache(self._kms)
        self._endpoint_url = endpoint_url
        self._made: list[tuple[str, str]] = []
        self._pause, self._patience = (5.0, 900.0) if AWS else (0.05, 60.0)

    def _kms(self, region: str) -> Any:
        keys = {} if AWS else {"aws_access_key_id": "111122223333", "aws_secret_access_key": "x"}
        config = Config(retries={"total_max_attempts": 1})
        return boto3.client("kms", region_name=region, endpoint_url=self._endpoint_url, config=config, **keys)

    def make(self, region: str = PRIMARY, **given: Any) -> dict[str, Any]:
        """Make a key that is scheduled for deletion when the suite ends; return its metadata."""
        description = "conformance suite of mrk; safe to delete"
        made = self.kms(region).create_key(Description=description, **given)["KeyMetadata"]
        self._made.append((region, made["KeyId"]))
        return made

    def replicate(self, key: str) -> dict[str, Any]:
        """Make a replica that is scheduled for deletion too, and wait until it can be used."""
        answer = self.kms(PRIMARY).replicate_key(KeyId=key, ReplicaRegion=REPLICA)
        self._made.append((REPLICA, key))
        self.until(lambda: self.state(key, REPLICA) not in (None, "Creating"))
        return answer

    def state(self, key: str, region: str = PRIMARY) -> str | None:
        try:
            return str(self.kms(region).describe_key(KeyId=key)["KeyMetadata"]["KeyState"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NotFoundException":
                raise
            return None

    def rows(self, key: str, region: str = PRIMARY) -> list[dict[str, Any]]:
        return self.kms(region).list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]

    def wrapped(self, key: str, content: bytes, region: str = PRIMARY) -> dict[str, Any]:
        given = self.kms(region).get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        public: Any = serialization.load_der_public_key(given["PublicKey"])
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        if AWS:
            time.sleep(1)  # GetParametersForImport is allowed once per second
        return {
            "KeyId": key,
            "ImportToken": given["ImportToken"],
            "EncryptedKeyMaterial": public.encrypt(content, oaep),
        }

    def put(self, key: str, content: bytes, region: str = PRIMARY, **given: Any) -> dict[str, Any]:
        """Import bytes that do not expire, unless ValidTo is given."""
        model = "KEY_MATERIAL_EXPIRES" if "ValidTo" in given else "KEY_MATERIAL_DOES_NOT_EXPIRE"
        wrapped = self.wrapped(key, content, region)
        return self.kms(region).import_key_material(ExpirationModel=model, **wrapped, **given)

    def until(self, look: Callable[[], T]) -> T:
        """Look again and again until what is seen is true; the world may be late, anywhere but here."""
        end = time.monotonic() + self._patience
        while not (seen := look()):
            assert time.monotonic() < end, "it never came"
            time.sleep(self._pause)
        return seen

    def clean(self) -> None:
        for region, key in reversed(self._made):
            try:
                self.kms(region).schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("KMSInvalidStateException", "NotFoundException"):
                    raise


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Return code and message of the error that a call must meet."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
