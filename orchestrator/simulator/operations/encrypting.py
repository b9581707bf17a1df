"""Encrypt, Decrypt and ReEncrypt, under symmetric and RSA keys."""

from typing import Any, NamedTuple

from orchestrator.simulator import ciphertext, rsa_encryption
from orchestrator.simulator.ciphertext import Envelope
from orchestrator.simulator.errors import ServiceError, invalid
from orchestrator.simulator.operations.crypto import finish_dry_run, require_fit, require_plain, require_usable
from orchestrator.simulator.request import Request
from orchestrator.simulator.state import SYMMETRIC
from orchestrator.simulator.view import KeyView

_USAGE = "ENCRYPT_DECRYPT"
_INCORRECT = "The key ID in the request does not identify a CMK that can perform this operation."
_ASYMMETRIC = "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs."


class Opened(NamedTuple):
    """A decrypted ciphertext, with the key that opened it and, for symmetric keys, the material's id."""

    view: KeyView
    plaintext: bytes
    material_id: str | None


class Side(NamedTuple):
    """The names that a request uses for one key: ReEncrypt has a source and a destination."""

    key: str
    context: str
    algorithm: str


_ONLY = Side("KeyId", "EncryptionContext", "EncryptionAlgorithm")
_SOURCE = Side("SourceKeyId", "SourceEncryptionContext", "SourceEncryptionAlgorithm")
_DESTINATION = Side("DestinationKeyId", "DestinationEncryptionContext", "DestinationEncryptionAlgorithm")


def encrypt(request: Request) -> dict[str, Any]:
    """Encrypt up to 4096 bytes under the current material; the answer does not name the material."""
    view, blob, _ = _sealed(request, _ONLY, request.params["Plaintext"])
    finish_dry_run(request)
    return {"CiphertextBlob": blob, "KeyId": view.arn, "EncryptionAlgorithm": _algorithm(request, _ONLY)}


def decrypt(request: Request) -> dict[str, Any]:
    """Open a ciphertext; the key may be left out for a symmetric one, which names it."""
    require_plain(request)
    if _ignores_ciphertext(request):
        _would_open(request, _ONLY)
        finish_dry_run(request)
    opened = _opened(request, _ONLY)
    finish_dry_run(request)
    return {
        "KeyId": opened.view.arn,
        "Plaintext": opened.plaintext,
        "EncryptionAlgorithm": _algorithm(request, _ONLY),
        "KeyMaterialId": opened.material_id,
    }


def re_encrypt(request: Request) -> dict[str, Any]:
    """Open under one key and seal under another; material ids are told for symmetric sides only."""
    if _ignores_ciphertext(request):
        _would_open(request, _SOURCE)
        _require_fit(request.usable_key(_DESTINATION.key), request, _DESTINATION)
        finish_dry_run(request)
    opened = _opened(request, _SOURCE)
    view, blob, material_id = _sealed(request, _DESTINATION, opened.plaintext)
    finish_dry_run(request)
    return {
        "CiphertextBlob": blob,
        "SourceKeyId": opened.view.arn,
        "KeyId": view.arn,
        "SourceEncryptionAlgorithm": _algorithm(request, _SOURCE),
        "DestinationEncryptionAlgorithm": _algorithm(request, _DESTINATION),
        "SourceKeyMaterialId": opened.material_id,
        "DestinationKeyMaterialId": material_id,
    }


def _ignores_ciphertext(request: Request) -> bool:
    return bool(request.params.get("DryRun")) and "IGNORE_CIPHERTEXT" in request.params.get("DryRunModifiers", [])


def _would_open(request: Request, side: Side) -> None:
    """Judge all but the ciphertext; the key, where it is named."""
    if side.key in request.params:
        _require_fit(_named(request, side), request, side)


def _algorithm(request: Request, side: Side) -> str:
    return str(request.params.get(side.algorithm, SYMMETRIC))


def _require_fit(view: KeyView, request: Request, side: Side) -> None:
    """Refuse a key that is made for something else, and a context, which asymmetric encryption has no place for."""
    require_fit(view, request, _USAGE, _algorithm(request, side))
    if not view.keys.symmetric and request.params.get(side.context):
        raise invalid(_ASYMMETRIC)


def _sealed(request: Request, side: Side, plaintext: bytes) -> tuple[KeyView, bytes, str | None]:
    algorithm = _algorithm(request, side)
    view = request.usable_key(side.key)
    _require_fit(view, request, side)
    material_id, content = view.in_use
    if algorithm != SYMMETRIC:
        return view, rsa_encryption.seal(view.keys.spec, algorithm, content, plaintext), None
    context = request.params.get(side.context, {})
    blob = ciphertext.seal(ciphertext.ENCRYPT, view.keys.key_id, material_id, content, plaintext, context)
    return view, blob, material_id


def _opened(request: Request, side: Side) -> Opened:
    blob = request.params.get("CiphertextBlob")
    if blob is None:
        raise invalid(
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
            "Member must not be null"
        )
    algorithm = _algorithm(request, side)
    if algorithm == SYMMETRIC:
        return _opened_symmetric(request, side, blob)
    if side.key not in request.params:
        raise invalid(f"{side.key} is required to decrypt a ciphertext of an asymmetric key.")
    view = _named(request, side)
    _require_fit(view, request, side)
    return Opened(view, rsa_encryption.open_sealed(algorithm, view.in_use[1], blob), None)


def _opened_symmetric(request: Request, side: Side, blob: bytes) -> Opened:
    view = _named(request, side) if side.key in request.params else None
    envelope = _envelope(request, view, blob)
    if view is None:
        view = _implied(request, envelope.key_id)
    if view.keys.key_id != envelope.key_id:
        raise ServiceError("IncorrectKeyException", _INCORRECT)
    material = view.keys.material(envelope.material_id)
    holding = None if material is None else view.holding(material)
    if holding is None:
        raise ServiceError("InvalidCiphertextException")
    plaintext = envelope.open(holding.content, request.params.get(side.context, {}))
    return Opened(view, plaintext, envelope.material_id)


def _envelope(request: Request, view: KeyView | None, blob: bytes) -> Envelope:
    try:
        return ciphertext.take_apart(blob)
    except ServiceError:
        if view is not None:
            require_fit(view, request, _USAGE, SYMMETRIC)
        raise


def _named(request: Request, side: Side) -> KeyView:
    try:
        view = request.find(request.params[side.key])
    except ServiceError as error:
        # An arn of another Region, such as the primary's in a replica's Region, is the wrong key here.
        if error.message.startswith("Invalid arn ") and error.code == "NotFoundException":
            raise ServiceError("IncorrectKeyException", _INCORRECT) from error
        raise
    require_usable(view, request)
    return view


def _implied(request: Request, key_id: str) -> KeyView:
    keys = request.known(key_id, request.age())
    if keys is None:
        raise request.denied("the resource associated with this ciphertext")
    view = request.view(keys)
    require_usable(view, request)
    return view


OPERATIONS = {"Encrypt": encrypt, "Decrypt": decrypt, "ReEncrypt": re_encrypt}
