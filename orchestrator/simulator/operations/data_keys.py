"""Data keys, data key pairs and random bytes."""

import os
from typing import Any

from orchestrator.simulator import ciphertext, families
from orchestrator.simulator.errors import ServiceError, invalid, not_simulated
from orchestrator.simulator.operations.crypto import finish_dry_run, require_fit, require_plain
from orchestrator.simulator.request import Request
from orchestrator.simulator.state import SYMMETRIC
from orchestrator.simulator.view import KeyView

_USAGE = "ENCRYPT_DECRYPT"
_SIZES = {"AES_128": 16, "AES_256": 32}


def generate_data_key(request: Request) -> dict[str, Any]:
    """Make a data key, in plain and encrypted."""
    require_plain(request)
    answer, plaintext = _data_key(request)
    return {**answer, "Plaintext": plaintext}


def generate_data_key_without_plaintext(request: Request) -> dict[str, Any]:
    """Make a data key, encrypted only."""
    return _data_key(request)[0]


def generate_data_key_pair(request: Request) -> dict[str, Any]:
    """Make a key pair, the private key in plain and encrypted."""
    require_plain(request)
    answer, private = _pair(request)
    return {**answer, "PrivateKeyPlaintext": private}


def generate_data_key_pair_without_plaintext(request: Request) -> dict[str, Any]:
    """Make a key pair, the private key encrypted only."""
    return _pair(request)[0]


def generate_random(request: Request) -> dict[str, Any]:
    """Make random bytes."""
    require_plain(request)
    if "NumberOfBytes" not in request.params:
        raise invalid("NumberOfBytes is required.")
    return {"Plaintext": os.urandom(request.params["NumberOfBytes"])}


def _size(params: dict[str, Any]) -> int:
    if ("KeySpec" in params) == ("NumberOfBytes" in params):
        raise invalid("Please specify either number of bytes or key spec.")
    return int(params["NumberOfBytes"]) if "NumberOfBytes" in params else _SIZES[params["KeySpec"]]


def _data_key(request: Request) -> tuple[dict[str, Any], bytes]:
    size = _size(request.params)
    view = _key(request)
    plaintext = os.urandom(size)
    return {"CiphertextBlob": _sealed(request, view, plaintext), **_names(view)}, plaintext


def _pair(request: Request) -> tuple[dict[str, Any], bytes]:
    spec: str = request.params["KeyPairSpec"]
    if spec not in families.PAIR_SPECS:
        raise not_simulated(f"{request.operation} with KeyPairSpec {spec}")
    view = _key(request)
    private = families.generated(spec)
    sealed, public = _sealed(request, view, private), families.public_bytes(private)
    return {"PrivateKeyCiphertextBlob": sealed, "PublicKey": public, "KeyPairSpec": spec, **_names(view)}, private


def _key(request: Request) -> KeyView:
    view = request.usable_key()
    if view.keys.usage == _USAGE and not view.keys.symmetric:
        raise ServiceError("InvalidKeyUsageException", "You cannot generate a data key with an asymmetric CMK")
    require_fit(view, request, _USAGE, SYMMETRIC)
    finish_dry_run(request)
    return view


def _sealed(request: Request, view: KeyView, plaintext: bytes) -> bytes:
    context = request.params.get("EncryptionContext", {})
    return ciphertext.seal(ciphertext.DATA_KEY, view.keys.key_id, *view.in_use, plaintext, context)


def _names(view: KeyView) -> dict[str, Any]:
    return {"KeyId": view.arn, "KeyMaterialId": view.in_use[0]}


OPERATIONS = {
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key_without_plaintext,
    "GenerateDataKeyPair": generate_data_key_pair,
    "GenerateDataKeyPairWithoutPlaintext": generate_data_key_pair_without_plaintext,
    "GenerateRandom": generate_random,
}
