"""Signatures, MACs, shared secrets and public keys."""

import hmac
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from orchestrator.simulator import families, signatures
from orchestrator.simulator.errors import ServiceError, invalid, unsupported
from orchestrator.simulator.operations.crypto import finish_dry_run, key_for, require_plain
from orchestrator.simulator.request import Request
from orchestrator.simulator.specs import ALGORITHM_FIELD
from orchestrator.simulator.view import KeyView

_DIGESTS = {"HMAC_SHA_224": "sha224", "HMAC_SHA_256": "sha256", "HMAC_SHA_384": "sha384", "HMAC_SHA_512": "sha512"}


def sign(request: Request) -> dict[str, Any]:
    """Sign a message or its digest."""
    view, algorithm = _signing_key(request)
    signature = signatures.sign(algorithm, view.in_use[1], request.params["Message"], _message_type(request))
    finish_dry_run(request)
    return {"KeyId": view.arn, "Signature": signature, "SigningAlgorithm": algorithm}


def verify(request: Request) -> dict[str, Any]:
    """Check a signature; a wrong one is an error, also with DryRun."""
    view, algorithm = _signing_key(request)
    message, signature = request.params["Message"], request.params["Signature"]
    if not signatures.verify(algorithm, view.in_use[1], message, _message_type(request), signature):
        raise ServiceError("KMSInvalidSignatureException")
    finish_dry_run(request)
    return {"KeyId": view.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def generate_mac(request: Request) -> dict[str, Any]:
    """Make a MAC."""
    view, algorithm, mac = _mac(request)
    finish_dry_run(request)
    return {"KeyId": view.arn, "Mac": mac, "MacAlgorithm": algorithm}


def verify_mac(request: Request) -> dict[str, Any]:
    """Check a MAC; a wrong one is an error, also with DryRun."""
    view, algorithm, mac = _mac(request)
    if not hmac.compare_digest(mac, request.params["Mac"]):
        raise ServiceError("KMSInvalidMacException")
    finish_dry_run(request)
    return {"KeyId": view.arn, "MacValid": True, "MacAlgorithm": algorithm}


def derive_shared_secret(request: Request) -> dict[str, Any]:
    """Agree on a secret with the holder of another key of the same curve (ECDH)."""
    require_plain(request)
    algorithm: str = request.params["KeyAgreementAlgorithm"]
    view = key_for(request, "KEY_AGREEMENT", algorithm)
    private = families.private_key(view.in_use[1])
    secret = private.exchange(ec.ECDH(), _peer(private, request.params["PublicKey"]))
    finish_dry_run(request)
    return {
        "KeyId": view.arn,
        "SharedSecret": secret,
        "KeyAgreementAlgorithm": algorithm,
        "KeyOrigin": view.keys.origin,
    }


def get_public_key(request: Request) -> dict[str, Any]:
    """Give the public half of a key pair."""
    view = request.usable_key()
    keys = view.keys
    if keys.spec not in families.PAIR_SPECS:
        raise unsupported()
    return {
        "KeyId": view.arn,
        "PublicKey": families.public_bytes(view.in_use[1]),
        "CustomerMasterKeySpec": keys.spec,
        "KeySpec": keys.spec,
        "KeyUsage": keys.usage,
        ALGORITHM_FIELD[keys.usage]: list(view.algorithms),
    }


def _signing_key(request: Request) -> tuple[KeyView, str]:
    algorithm: str = request.params["SigningAlgorithm"]
    return key_for(request, "SIGN_VERIFY", algorithm), algorithm


def _message_type(request: Request) -> str:
    return str(request.params.get("MessageType", "RAW"))


def _mac(request: Request) -> tuple[KeyView, str, bytes]:
    algorithm: str = request.params["MacAlgorithm"]
    view = key_for(request, "GENERATE_VERIFY_MAC", algorithm)
    return view, algorithm, hmac.digest(view.in_use[1], request.params["Message"], _DIGESTS[algorithm])


def _peer(private: Any, encoded: bytes) -> ec.EllipticCurvePublicKey:
    try:
        peer = load_der_public_key(encoded)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise invalid("") from error
    if not isinstance(peer, ec.EllipticCurvePublicKey) or peer.curve.name != private.curve.name:
        raise invalid("")
    return peer


OPERATIONS = {
    "Sign": sign,
    "Verify": verify,
    "GenerateMac": generate_mac,
    "VerifyMac": verify_mac,
    "DeriveSharedSecret": derive_shared_secret,
    "GetPublicKey": get_public_key,
}
