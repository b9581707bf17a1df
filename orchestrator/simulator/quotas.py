"""The documented request rates, per account, Region and operation, as token buckets on the simulator's clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.simulator.errors import THROTTLED, ServiceError

RATES: Mapping[str, float] = {
    "CancelKeyDeletion": 5,
    "CreateAlias": 5,
    "CreateKey": 5,
    "DeleteAlias": 15,
    "DeleteImportedKeyMaterial": 15,
    "DescribeKey": 2000,
    "DisableKey": 5,
    "DisableKeyRotation": 5,
    "EnableKey": 5,
    "EnableKeyRotation": 15,
    "GetKeyPolicy": 1000,
    "GetKeyRotationStatus": 1000,
    "GetParametersForImport": 1,
    "GetPublicKey": 2000,
    "ImportKeyMaterial": 15,
    "ListAliases": 500,
    "ListKeyPolicies": 100,
    "ListKeyRotations": 100,
    "ListKeys": 500,
    "ListResourceTags": 2000,
    "PutKeyPolicy": 15,
    "ReplicateKey": 5,
    "RotateKeyOnDemand": 5,
    "ScheduleKeyDeletion": 15,
    "TagResource": 10,
    "UntagResource": 5,
    "UpdateAlias": 5,
    "UpdateKeyDescription": 5,
    "UpdatePrimaryRegion": 5,
}
"""Requests per second; operations that are not listed share the rate of cryptographic operations."""

_CRYPTOGRAPHIC = "cryptographic operations"
_CRYPTOGRAPHIC_RATE = 10_000.0
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
        self._take(operation, region, account, 1, now)
        if operation in _ALSO:
            parameter, charged, many = _ALSO[operation]
            other = str(params[parameter])
            if other != region:
                self._take(charged, other, account, many, now)

    def _take(self, operation: str, region: str, account: str, many: int, now: float) -> None:
        name = operation if operation in RATES else _CRYPTOGRAPHIC
        rate = RATES.get(operation, _CRYPTOGRAPHIC_RATE) * (self._factor or 1.0)
        room = max(rate, many)
        bucket = self._buckets.setdefault((account, region, name), _Bucket(room, now))
        bucket.level = min(room, bucket.level + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        if bucket.level < many:
            raise ServiceError("ThrottlingException", THROTTLED)
        bucket.level -= many
