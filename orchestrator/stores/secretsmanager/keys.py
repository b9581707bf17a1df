"""The KMS keys that secrets are encrypted with: none may depend on imported key material."""

from collections.abc import Callable

from orchestrator.errors import StoreError, UsageError
from orchestrator.model import Region
from orchestrator.stores.wanted import Macs

_AWS_MANAGED = "alias/aws/secretsmanager"
_MAC = "HMAC_SHA_256"
_ARN_PARTS = 6
_REGION_PART = 3


def key_in(wanted: str | None, region: Region) -> str | None:
    """Tell the key for one Region: of an ARN the related key or the alias there, an id or a bare alias as it is."""
    parts = (wanted or "").split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        return wanted
    return ":".join((*parts[:_REGION_PART], region, *parts[_REGION_PART + 1 :]))


def check_mac_key(macs: Macs, region: Region, key: str) -> None:
    """Raise UsageError where a key makes no MACs, or others than are used here."""
    known = macs.mac_algorithms(key)
    if _MAC not in known:
        made = f"it makes {', '.join(known)}" if known else "its key usage is another one"
        raise UsageError(
            f"store.mac_key {key} in {region} is not a KMS key that makes {_MAC}: {made}",
            "make one: aws kms create-key --key-usage GENERATE_VERIFY_MAC --key-spec HMAC_256",
        )


class EncryptionKeys:
    """Looks at each key once in its lifetime, which is one run: an alias may point elsewhere at the next."""

    def __init__(self, origin: Callable[[Region, str], str], wanted: str | None) -> None:
        self._origin = origin
        self._wanted = wanted
        self._good: set[tuple[Region, str]] = set()

    def key_in(self, region: Region) -> str | None:
        """Tell the key for one Region; None for AWS's own."""
        return key_in(self._wanted, region)

    def check(self, region: Region, key: str | None, what: str) -> None:
        """Raise StoreError where a key has imported key material; None and AWS's own key have not."""
        if key is None or key.endswith(_AWS_MANAGED) or (region, key) in self._good:
            return
        origin = self._origin(region, key)
        if origin == "EXTERNAL":
            raise StoreError(
                f"{what} {key} in {region}, a KMS key with imported key material (Origin=EXTERNAL):"
                " when its key material is lost or expires, the store cannot be used, just when it is needed",
                "set store.kms_key and store.mac_key to keys whose material KMS made (or leave them out), and make a"
                " store with another name prefix if this one has secrets that are encrypted so",
            )
        self._good.add((region, key))
