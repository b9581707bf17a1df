"""The wrapping keys of GetParametersForImport: one for each key, Region and size, and used to open what comes in."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from math import isqrt
from threading import Lock

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.rsa_encryption import oaep

BITS: Mapping[str, int] = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_EXPONENT = 65537
_AHEAD = 3
_OAEP = frozenset({"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"})
_HYBRID = frozenset({"RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"})
_TOO_LONG_FOR_2048 = frozenset({"ECC_NIST_P521", "ECC_NIST_EDWARDS25519"})


class Primes:
    """Primes for RSA keys of one size, and every pair of them by number: n primes give n * (n - 1) / 2 key pairs.

    An RSA_4096 key pair takes half a second or more to make, and a test wants several. Two pairs may share one prime,
    so that whoever has both public keys can work out the private ones: good for made-up material only.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._primes: list[int] = []
        self._making = Lock()

    def prepare(self, number: int) -> None:
        """Make primes until there is a pair of that number; takes its time."""
        with self._making:
            while len(self._primes) * (len(self._primes) - 1) // 2 <= number:
                made = rsa.generate_private_key(public_exponent=_EXPONENT, key_size=self._bits).private_numbers()
                self._primes += (made.p, made.q)

    def pair(self, number: int) -> tuple[int, int]:
        """Return two primes; the same number is the same pair, another number another one."""
        self.prepare(number)
        larger = (1 + isqrt(1 + 8 * number)) // 2
        return self._primes[number - larger * (larger - 1) // 2], self._primes[larger]


_PRIMES: Mapping[str, Primes] = {spec: Primes(bits) for spec, bits in BITS.items()}
# The process's own; all its simulators take the same pairs in the same order, each none twice.


class WrappingKeys:
    """The wrapping keys of one simulator: no two keys, and no two Regions of one key, have the same."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._taken: Counter[str] = Counter()

    def prepare(self, spec: str) -> None:
        """Make what the next few keys of that size need, so that `take` is quick."""
        _PRIMES[spec].prepare(self._taken[spec] + _AHEAD)

    def take(self, key_id: str, region: str, spec: str) -> tuple[str, bytes]:
        """Return the name of the wrapping key of a key in a Region, and its public key (DER SubjectPublicKeyInfo)."""
        number = self._numbers.get((key_id, region, spec))
        if number is None:
            number = self._numbers[key_id, region, spec] = self._taken[spec]
            self._taken[spec] += 1
        p, q = _PRIMES[spec].pair(number)
        public = rsa.RSAPublicNumbers(_EXPONENT, p * q).public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return f"{spec}/{number}", public.public_bytes(serialization.Encoding.DER, form)

    def unwrap(self, name: str, algorithm: str, blob: bytes) -> bytes:
        """Return the material inside; InvalidCiphertextException (no message, as AWS) if it does not open."""
        try:
            spec, _, number = name.partition("/")
            return _unwrapped(_private_key(spec, int(number)), algorithm, blob)
        except (ValueError, UnsupportedAlgorithm, keywrap.InvalidUnwrap) as error:
            raise ServiceError("InvalidCiphertextException") from error


@lru_cache(maxsize=128)
def _private_key(spec: str, number: int) -> rsa.RSAPrivateKey:
    p, q = _PRIMES[spec].pair(number)
    d = rsa.rsa_recover_private_exponent(_EXPONENT, p, q)
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _unwrapped(key: rsa.RSAPrivateKey, algorithm: str, blob: bytes) -> bytes:
    if algorithm in _OAEP:
        return key.decrypt(blob, oaep(algorithm))
    # RSA_AES_KEY_WRAP: an AES key under OAEP with the same hash, then the material under AES-KWP.
    size = key.key_size // 8
    aes = key.decrypt(blob[:size], oaep(algorithm.replace("RSA_AES_KEY_WRAP", "RSAES_OAEP")))
    return keywrap.aes_key_unwrap_with_padding(aes, blob[size:])


def may_wrap(spec: str, algorithm: str, wrapping_spec: str) -> bool:
    """Tell whether a wrapping algorithm and wrapping key can carry material of that spec."""
    if wrapping_spec not in BITS:
        return False
    if algorithm in _HYBRID:
        return spec.startswith(("RSA_", "ECC_"))
    if algorithm not in _OAEP or spec.startswith("RSA_"):
        return False
    return not (wrapping_spec == "RSA_2048" and spec in _TOO_LONG_FOR_2048)
