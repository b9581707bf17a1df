"""Who made a secret: whoever may use the KMS key in `store.mac_key`, which makes and verifies MACs."""

from collections.abc import Callable

from orchestrator.model import Region
from orchestrator.retry import Retry
from orchestrator.stores.wanted import Macs


class KmsMaker:
    """Maker of tags by one KMS key. What was verified once is not asked again: it cannot change."""

    def __init__(self, macs: Callable[[Region], Macs], region: Region, key: str, retry: Retry) -> None:
        self._macs = macs
        self._region = region
        self._key = key
        self._retry = retry
        self._known: set[tuple[bytes, bytes]] = set()

    def tag(self, message: bytes) -> bytes:
        """GenerateMac."""
        return self._retry(lambda: self._macs(self._region).generate_mac(self._key, message))

    def made(self, message: bytes, tag: bytes) -> bool:
        """VerifyMac."""
        if (message, tag) not in self._known:
            if not self._retry(lambda: self._macs(self._region).verify_mac(self._key, message, tag)):
                return False
            self._known.add((message, tag))
        return True
