"""What the settings say of a store, and what it may use."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from orchestrator.model import Region
from orchestrator.retry import Retry

from .place import EndpointClass


class Macs(Protocol):
    """KMS in one Region, as it makes and verifies MACs; keys are ids, ARNs or aliases. Raises KmsError."""

    def mac_algorithms(self, key: str) -> Sequence[str]:
        """Tell which MAC algorithms a key knows: none, where it is of another usage."""

    def generate_mac(self, key: str, message: bytes) -> bytes:
        """Make an HMAC_SHA_256."""

    def verify_mac(self, key: str, message: bytes, mac: bytes) -> bool:
        """Whether it is the one of this message."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """AWS, as a store in it uses it. The functions raise UsageError, and KmsError where a call fails."""

    secrets: Callable[[Region], Any]
    """Gives the boto3 client of Secrets Manager in one Region."""
    key_origin: Callable[[Region, str], str]
    """Tells the Origin of a KMS key, by id, ARN or alias, in one Region."""
    endpoint_class: Callable[[Any], EndpointClass]
    """Tells where a boto3 client goes that nobody uses yet."""
    retry: Retry
    macs: Callable[[Region], Macs]
    """Gives what makes and verifies MACs in one Region."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The settings under `store`, the time, randomness, and AWS where the store is in it."""

    clock_now: Callable[[], datetime]
    random_bytes: Callable[[int], bytes] = os.urandom
    recipients: tuple[str, ...] = ()
    identity: Path | None = None
    kms_key: str | None = None
    mac_key: str | None = None
    replica_regions: tuple[Region, ...] = ()
    cloud: Cloud | None = None
    change: bool = False
    """Whether making a store that is there may change how it is protected from now on."""
    volatile: bool = False
    """Whether a store may be where it is lost at a restart."""
    trial: Path | None = None
    """Another identity, of which it is only tried what it opens; it may be of a recipient that was taken out."""
