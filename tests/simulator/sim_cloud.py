"""The client side of a simulator: a clock in the test's hand, imports, refusals."""

import hashlib
import http.client
import json
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from orchestrator.simulator import Simulator

PRIMARY, REPLICA, THIRD = "us-east-1", "us-west-2", "ap-east-1"
ACCOUNT = "111122223333"

ROOT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ROOT]})


class Hand:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


class Cloud:
    """The simulator as a client of AWS meets it."""

    def __init__(self, sim: Simulator, clock: Hand, endpoint_url: str, session: boto3.Session) -> None:
        self.sim, self.clock, self.endpoint_url = sim, clock, endpoint_url
        self._session = session
        self.kms = cache(self._kms)

    def _kms(self, region: str = PRIMARY, account: str = ACCOUNT) -> Any:
        return self._session.client(
            "kms",
            region_name=region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=account,
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
        )

    def key(self, region: str = PRIMARY, **given: Any) -> str:
        """Make an imported key without material."""
        return self.kms(region).create_key(**{"Origin": "EXTERNAL", **given})["KeyMetadata"]["KeyId"]

    def settle(self) -> None:
        """Wait until every call knows of a key that was just made."""
        self.clock.advance(self.sim.lag.oldest)

    def wrap(self, region: str, key: str, content: bytes) -> dict[str, Any]:
        """Return what an import of these bytes sends."""
        given = self.kms(region).get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        public: Any = serialization.load_der_public_key(given["PublicKey"])
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return {"ImportToken": given["ImportToken"], "EncryptedKeyMaterial": public.encrypt(content, oaep)}

    def put(self, key: str, content: bytes, region: str = PRIMARY, **given: Any) -> str:
        """Import bytes and return the id that KMS gave them; they do not expire unless ValidTo is given."""
        model = "KEY_MATERIAL_EXPIRES" if "ValidTo" in given else "KEY_MATERIAL_DOES_NOT_EXPIRE"
        return self.kms(region).import_key_material(
            KeyId=key, ExpirationModel=model, **self.wrap(region, key, content), **given
        )["KeyMaterialId"]

    def new(self, key: str, content: bytes, region: str = PRIMARY, **given: Any) -> str:
        return self.put(key, content, region, ImportType="NEW_KEY_MATERIAL", **given)

    def existing(self, key: str, content: bytes, region: str = PRIMARY, **given: Any) -> str:
        return self.put(key, content, region, ImportType="EXISTING_KEY_MATERIAL", **given)

    def ready_key(self, content: bytes = b"a" * 32, **given: Any) -> str:
        """Make an imported key with its first material."""
        key = self.key(**given)
        self.settle()
        self.new(key, content)
        return key

    def set_of(self, *replicas: str, content: bytes = b"a" * 32) -> str:
        """Make a multi-Region key with its first material in every Region."""
        key = self.ready_key(content, MultiRegion=True)
        for region in replicas:
            self.kms(PRIMARY).replicate_key(KeyId=key, ReplicaRegion=region)
            self.settle()
            self.existing(key, content, region)
        return key

    def rows(self, key: str, region: str = PRIMARY) -> list[dict[str, Any]]:
        return self.kms(region).list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]

    def states(self, key: str, region: str = PRIMARY) -> list[tuple[str, str]]:
        """Return material and import state of every row."""
        return [(row["KeyMaterialState"], row["ImportState"]) for row in self.rows(key, region)]

    def describe(self, key: str, region: str = PRIMARY) -> dict[str, Any]:
        return self.kms(region).describe_key(KeyId=key)["KeyMetadata"]

    def state(self, key: str, region: str = PRIMARY) -> str:
        return self.describe(key, region)["KeyState"]

    def aliases(self, region: str = PRIMARY, **asked: Any) -> list[dict[str, Any]]:
        """Return the aliases that are not AWS's own."""
        listed = self.kms(region).list_aliases(Limit=100, **asked)["Aliases"]
        return [alias for alias in listed if not alias["AliasName"].startswith("alias/aws/")]

    def arn(self, key: str, region: str = PRIMARY) -> str:
        return f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"


def bytes_of(name: str) -> bytes:
    """Return 32 bytes that are as good as random, the same for the same name."""
    return hashlib.sha256(name.encode()).digest()


def send(endpoint_url: str, path: str, body: Any = None, method: str = "POST") -> tuple[int, Any]:
    """Return status and JSON of a plain HTTP request."""
    connection = http.client.HTTPConnection(urlsplit(endpoint_url).netloc, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Return code and message of the error that a call must meet."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
