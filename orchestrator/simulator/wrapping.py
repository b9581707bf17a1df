"""The wrapping keys of GetParametersForImport: made once per process, shared, and used to open what comes in."""

from collections.abc import Mapping
from itertools import count
from threading import Lock

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.rsa_encryption import oaep

BITS: Mapping[str, int] = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_PER_SPEC = 2
_OAEP = frozenset({"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"})
_HYBRID = frozenset({"RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"})
_TOO_LONG_FOR_2048 = frozenset({"ECC_NIST_P521", "ECC_NIST_EDWARDS25519"})


class WrappingKeys:
    """RSA key pairs by name; two per spec, handed out in turn, since an RSA_4096 one takes 0.4 s to make."""

    def __init__(self) -> None:
        self._keys: dict[str, list[rsa.RSAPrivateKey]] = {spec: [] for spec in BITS}
        self._turns = {spec: count() for spec in BITS}
        self._making = {spec: Lock() for spec in BITS}

    def prepare(self, spec: str) -> None:
        """Make a key pair of that spec unless there are enough; takes its time."""
        with self._making[spec]:
            if len(self._keys[spec]) < _PER_SPEC:
                self._keys[spec].append(rsa.generate_private_key(public_exponent=65537, key_size=BITS[spec]))

    def take(self, spec: str) -> tuple[str, bytes]:
        """Return the name of a key pair of that spec and its public key (DER SubjectPublicKeyInfo)."""
        if not self._keys[spec]:
            self.prepare(spec)
        number = next(self._turns[spec]) % len(self._keys[spec])
        key = self._keys[spec][number]
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return f"{spec}/{number}", key.public_key().public_bytes(serialization.Encoding.DER, form)

    def unwrap(self, name: str, algorithm: str, blob: bytes) -> bytes:
        """Return the material inside; InvalidCiphertextException (no message, as AWS) if it does not open."""
        try:
            spec, _, number = name.partition("/")
            return _unwrapped(self._keys[spec][int(number)], algorithm, blob)
        except (ValueError, UnsupportedAlgorithm, keywrap.InvalidUnwrap) as error:
            raise ServiceError("InvalidCiphertextException") from error


def _unwrapped(key: rsa.RSAPrivateKey, algorithm: str, blob: bytes) -> bytes:
    if algorithm in _OAEP:
        return key.decrypt(blob, oaep(algorithm))
    # RSA_AES_KEY_WRAP: an AES key under OAEP with the same hash, then the material under AES-KWP.
    size = key.key_size // 8
    aes = key.decrypt(blob[:size], oaep(algorithm.replace("RSA_AES_KEY_WRAP", "RSAES_OAEP")))
    return keywrap.aes_key_unwrap_with_padding(aes, blob[size:])


SHARED = WrappingKeys()
"""The process's own wrapping keys; simulators share them because the import token binds everything else."""


def may_wrap(spec: str, algorithm: str, wrapping_spec: str) -> bool:
    """Tell whether a wrapping algorithm and wrapping key can carry material of that spec."""
    if wrapping_spec not in BITS:
        return False
    if algorithm in _HYBRID:
        return spec.startswith(("RSA_", "ECC_"))
    if algorithm not in _OAEP or spec.startswith("RSA_"):
        return False
    return not (wrapping_spec == "RSA_2048" and spec in _TOO_LONG_FOR_2048)
