"""The documented request rates, per account, Region and operation, as token buckets on the simulator's clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.simulator.errors import THROTTLED, ServiceError

RATES: Mapping[str, float] = {
    "CancelKeyDeletion": 5,
    "CreateAlias": 5,
    "CreateGrant": 50,
    "CreateKey": 5,
    "DeleteAlias": 15,
    "DeleteImportedKeyMaterial": 15,
    "DescribeKey": 2000,
    "DisableKey": 5,
    "DisableKeyRotation": 5,
    "EnableKey": 5,
    "EnableKeyRotation": 15,
    "GetKeyLastUsage": 5,
    "GetKeyPolicy": 1000,
    "GetKeyRotationStatus": 1000,
    "GetParametersForImport": 1,
    "GetPublicKey": 2000,
    "ImportKeyMaterial": 15,
    "ListAliases": 500,
    "ListGrants": 100,
    "ListKeyPolicies": 100,
    "ListKeyRotations": 100,
    "ListKeys": 500,
    "ListResourceTags": 2000,
    "ListRetirableGrants": 100,
    "PutKeyPolicy": 15,
    "ReplicateKey": 5,
    "RetireGrant": 50,
    "RevokeGrant": 50,
    "RotateKeyOnDemand": 5,
    "ScheduleKeyDeletion": 15,
    "TagResource": 10,
    "UntagResource": 5,
    "UpdateAlias": 5,
    "UpdateKeyDescription": 5,
    "UpdatePrimaryRegion": 5,
}
"""Requests per second of what is no cryptographic operation."""

_SYMMETRIC = "cryptographic operations (symmetric)"
_ASYMMETRIC_RATE = 1000.0
_SYMMETRIC_RATE = 10_000.0
_SYMMETRIC_RATES: Mapping[str, float] = {
    **dict.fromkeys(("us-east-1", "us-west-2", "eu-west-1"), 100_000.0),
    **dict.fromkeys(
        ("us-east-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "eu-central-1", "eu-west-2"), 20_000.0
    ),
}
_ALGORITHMS = ("EncryptionAlgorithm", "SourceEncryptionAlgorithm", "SigningAlgorithm", "KeyAgreementAlgorithm")
_FAMILIES: Mapping[str, str] = {
    "RSA": "cryptographic operations (RSA)",
    **dict.fromkeys(("ECD", "ED2"), "cryptographic operations (ECC)"),
}
"""The bucket of an asymmetric key, by how the name of its algorithm begins."""
_PAIR_RATE = 100.0
_PAIR_RATES: Mapping[str, tuple[float, float]] = {"RSA_2048": (20, 1), "RSA_3072": (4, 0.5), "RSA_4096": (1, 0.1)}
"""Key pairs per second, elsewhere and in China; a curve's rate is the same everywhere."""
_ALSO: Mapping[str, tuple[str, str, int]] = {
    "ReplicateKey": ("ReplicaRegion", "CreateKey", 2),
    "UpdatePrimaryRegion": ("PrimaryRegion", "UpdatePrimaryRegion", 1),
}
"""Operations that cost something in a second Region: the parameter that names it, and what is charged there."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Quotas:
    """Buckets of one second's worth; `factor` scales every rate, None switches them off."""

    def __init__(self, factor: float | None) -> None:
        if factor is not None and factor <= 0:
            raise ValueError("quotas are off or a factor above 0")
        self._factor = factor
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def charge(self, operation: str, region: str, account: str, params: Mapping[str, object], now: float) -> None:
        """Count a request; ThrottlingException if its rate is exceeded in any Region that it costs something."""
        if self._factor is None:
            return
        name, rate = _bucket(operation, region, params)
        self._take(name, rate, region, account, 1, now)
        if operation in _ALSO:
            parameter, charged, many = _ALSO[operation]
            other = str(params[parameter])
            if other != region:
                self._take(charged, RATES[charged], other, account, many, now)

    def _take(self, name: str, documented: float, region: str, account: str, many: int, now: float) -> None:
        rate = documented * (self._factor or 1.0)
        room = max(rate, many)
        bucket = self._buckets.setdefault((account, region, name), _Bucket(room, now))
        bucket.level = min(room, bucket.level + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        if bucket.level < many:
            raise ServiceError("ThrottlingException", THROTTLED)
        bucket.level -= many


def _bucket(operation: str, region: str, params: Mapping[str, object]) -> tuple[str, float]:
    """Return which requests share a rate with this one, and the rate."""
    if operation in RATES:
        return operation, RATES[operation]
    if operation.startswith("GenerateDataKeyPair"):
        spec = str(params["KeyPairSpec"])
        elsewhere, china = _PAIR_RATES.get(spec, (_PAIR_RATE, _PAIR_RATE))
        return f"GenerateDataKeyPair ({spec})", china if region.startswith("cn-") else elsewhere
    algorithm = next((str(params[name]) for name in _ALGORITHMS if name in params), "")
    family = _FAMILIES.get(algorithm[:3])
    if family is not None:
        return family, _ASYMMETRIC_RATE
    return _SYMMETRIC, _SYMMETRIC_RATES.get(region, _SYMMETRIC_RATE)
