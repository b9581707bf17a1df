"""Encryption under symmetric keys, and data keys."""

import os
from typing import Any

from orchestrator.simulator import ciphertext
from orchestrator.simulator.errors import ServiceError, invalid
from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import require_state
from orchestrator.simulator.state import SYMMETRIC
from orchestrator.simulator.view import KeyView

_SIZES = {"AES_128": 16, "AES_256": 32}
_DRY = "The request would have succeeded, but the DryRun option is set."
INCORRECT_KEY = "The key ID in the request does not identify a CMK that can perform this operation."


def encrypt(request: Request) -> dict[str, Any]:
    """Encrypt up to 4096 bytes under the current material."""
    view = request.usable_key()
    require_usage(view, request, "ENCRYPT_DECRYPT")
    algorithm = request.params.get("EncryptionAlgorithm", SYMMETRIC)
    require_algorithm(view, algorithm)
    blob = sealed(view, ciphertext.ENCRYPT, request.params["Plaintext"], request.params.get("EncryptionContext", {}))
    finish_dry_run(request)
    return {"CiphertextBlob": blob, "KeyId": view.arn, "EncryptionAlgorithm": algorithm}


def decrypt(request: Request) -> dict[str, Any]:
    """Open a ciphertext; the key may be left out, since a symmetric ciphertext names it."""
    view, material_id, plaintext = opened(request, "KeyId", "EncryptionContext")
    finish_dry_run(request)
    return {
        "KeyId": view.arn,
        "Plaintext": plaintext,
        "EncryptionAlgorithm": SYMMETRIC,
        "KeyMaterialId": material_id,
    }


def generate_data_key(request: Request) -> dict[str, Any]:
    """Make a data key, in plain and encrypted."""
    answer, plaintext = _data_key(request)
    return {**answer, "Plaintext": plaintext}


def generate_data_key_without_plaintext(request: Request) -> dict[str, Any]:
    """Make a data key, encrypted only."""
    return _data_key(request)[0]


def _data_key(request: Request) -> tuple[dict[str, Any], bytes]:
    view = request.usable_key()
    require_usage(view, request, "ENCRYPT_DECRYPT")
    require_algorithm(view, SYMMETRIC)
    plaintext = os.urandom(_size(request.params))
    blob = sealed(view, ciphertext.DATA_KEY, plaintext, request.params.get("EncryptionContext", {}))
    finish_dry_run(request)
    return {"CiphertextBlob": blob, "KeyId": view.arn, "KeyMaterialId": view.in_use[0]}, plaintext


def _size(params: dict[str, Any]) -> int:
    if ("KeySpec" in params) == ("NumberOfBytes" in params):
        raise invalid("Please specify either number of bytes or key spec.")
    return int(params["NumberOfBytes"]) if "NumberOfBytes" in params else _SIZES[params["KeySpec"]]


def opened(request: Request, key_name: str, context_name: str) -> tuple[KeyView, str, bytes]:
    """Return the key of a symmetric ciphertext, the id of the material that made it, and the plaintext."""
    view = None if key_name not in request.params else _named(request, key_name)
    envelope = ciphertext.take_apart(request.params["CiphertextBlob"])
    if view is None:
        view = _implied(request, envelope.key_id)
    if view.keys.key_id != envelope.key_id:
        raise ServiceError("IncorrectKeyException", INCORRECT_KEY)
    material = view.keys.material(envelope.material_id)
    holding = None if material is None else view.holding(material)
    if holding is None:
        raise ServiceError("InvalidCiphertextException")
    plaintext = envelope.open(holding.content, request.params.get(context_name, {}))
    return view, envelope.material_id, plaintext


def _named(request: Request, key_name: str) -> KeyView:
    given: str = request.params[key_name]
    try:
        view = request.find(given)
    except ServiceError as error:
        # The arn of a related key in another Region is told from one that nowhere exists.
        if error.code == "NotFoundException" and error.message.startswith("Invalid arn "):
            raise ServiceError("IncorrectKeyException", INCORRECT_KEY) from error
        raise
    require_state(view, request.operation)
    require_usage(view, request, "ENCRYPT_DECRYPT")
    require_algorithm(view, SYMMETRIC)
    return view


def _implied(request: Request, key_id: str) -> KeyView:
    keys = request.world.known(key_id, request.region, request.now)
    if keys is None or keys.account != request.account:
        raise ServiceError(
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist, "
            "does not exist in this region, or you are not allowed to access.",
        )
    view = request.view(keys)
    require_state(view, request.operation)
    return view


def sealed(view: KeyView, kind: bytes, plaintext: bytes, context: dict[str, str]) -> bytes:
    """Return the ciphertext under the key's current material."""
    current, content = view.in_use
    return ciphertext.seal(kind, view.keys.key_id, current, content, plaintext, context)


def require_usage(view: KeyView, request: Request, usage: str) -> None:
    """Refuse a key that is made for something else."""
    if view.keys.usage != usage:
        message = f"{view.arn} key usage is {view.keys.usage} which is not valid for {request.operation}."
        raise ServiceError("InvalidKeyUsageException", message)


def require_algorithm(view: KeyView, algorithm: str) -> None:
    """Refuse an algorithm that the key does not have."""
    if algorithm not in view.algorithms:
        message = f"Algorithm {algorithm} is incompatible with key spec {view.keys.spec}."
        raise ServiceError("InvalidKeyUsageException", message)


def finish_dry_run(request: Request) -> None:
    """End a DryRun request, which is validated in full, without its answer."""
    if request.params.get("DryRun"):
        raise ServiceError("DryRunOperationException", _DRY)


OPERATIONS = {
    "Encrypt": encrypt,
    "Decrypt": decrypt,
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key_without_plaintext,
}
