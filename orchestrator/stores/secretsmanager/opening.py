"""Opening and making a store of the scheme `secretsmanager:`."""

from collections.abc import Iterable
from datetime import timedelta

from orchestrator.errors import MrkError, UsageError
from orchestrator.model import Region
from orchestrator.stores.maker import Maker, Nobody
from orchestrator.stores.place import EndpointClass, Place
from orchestrator.stores.store import Store
from orchestrator.stores.wanted import Cloud, Wanted

from .address import Address
from .calls import SecretsManager
from .keys import EncryptionKeys, check_mac_key, key_in
from .maker import KmsMaker
from .shelf import SecretShelf
from .stamps import Protection
from .vault import SecretVault

_REMEMBERED = timedelta(minutes=5)
"""For so long a look remembers entries of older materials, so that it costs no more as a key grows old."""


def open_secrets_store(location: str, place: Place, wanted: Wanted) -> Store:
    """Open the store at `<Region>/<name prefix>`.

    Raises UsageError for settings, StoreError for the store itself, KmsError where a call to AWS fails.
    """
    return _open(location, place, wanted, make=False)


def init_secrets_store(location: str, place: Place, wanted: Wanted) -> Store:
    """Make the store at `<Region>/<name prefix>`, or open the one that is there; raises as open_secrets_store does."""
    return _open(location, place, wanted, make=True)


def check_secrets_store(location: str, wanted: Wanted) -> None:
    """Judge the settings, and call nothing; raises UsageError."""
    _check_settings(Address.parse(location), wanted)


def secrets_services(location: str) -> Iterable[tuple[str, Region]]:
    """Name the services that the store calls."""
    return (("secretsmanager", Address.parse(location).region),)


def _open(location: str, place: Place, wanted: Wanted, *, make: bool) -> Store:
    address, cloud = Address.parse(location), wanted.cloud
    if cloud is None:
        raise MrkError("a store secretsmanager: was opened without access to AWS")
    _check_settings(address, wanted)
    client = cloud.secrets(address.region)
    secrets, secrets_class = SecretsManager(client, address.region), cloud.endpoint_class(client)
    keys = EncryptionKeys(cloud.key_origin, wanted.kms_key)
    protection = Protection(wanted.kms_key, wanted.mac_key, wanted.replica_regions)
    shelf = SecretShelf(secrets, address, place, keys, protection, cloud.retry)
    there = shelf.stamped()
    _check_place(secrets, address, place, secrets_class)
    shelf.check_keys()
    maker = _maker(address, wanted, cloud, shelf)
    if make and not there:
        shelf.write_stamp(wanted.clock_now)
    elif make and wanted.change:
        shelf.change_stamp(wanted.clock_now)
    shelf.check()
    vault = SecretVault(shelf, maker, wanted.clock_now)
    return Store(vault, shelf, place, clock_now=wanted.clock_now, random_bytes=wanted.random_bytes, keep=_REMEMBERED)


def _maker(address: Address, wanted: Wanted, cloud: Cloud, shelf: SecretShelf) -> Maker:
    """Return what tells who made an entry; raises UsageError or StoreError where the key for it is no good one."""
    key = key_in(wanted.mac_key, address.region)
    if key is None:
        return Nobody()
    shelf.check_key(key)
    cloud.retry(lambda: check_mac_key(cloud.macs(address.region), address.region, key))
    return KmsMaker(cloud.macs, address.region, key, cloud.retry)


def _check_settings(address: Address, wanted: Wanted) -> None:
    if wanted.recipients or wanted.identity:
        raise UsageError(
            "store.recipients and store.identity are settings of a store file:",
            "leave them out: Secrets Manager encrypts what it keeps, with the KMS key in store.kms_key or one of AWS",
        )
    if wanted.volatile:
        raise UsageError(
            "store.volatile is a setting of a store file:", "leave it out: Secrets Manager keeps what it has"
        )
    if address.region in wanted.replica_regions:
        raise UsageError(
            f"store.replica_regions names {address.region}, where the store is itself",
            "name other Regions, or leave it out",
        )


def _check_place(secrets: SecretsManager, address: Address, place: Place, found: EndpointClass) -> None:
    """Refuse to keep material of AWS's keys in something that is not AWS, the reverse, and another partition (P12)."""
    if secrets.partition != place.partition:
        raise UsageError(
            f"store.uri names {address.region}, in partition {secrets.partition}; the keys are in {place.partition}",
            "name a Region of the keys' own partition",
        )
    if place.endpoint_class != found:
        raise UsageError(
            f"the keys are in {place}, and their key material would be kept at {secrets.endpoint_url}",
            "keys and store belong together: point AWS_ENDPOINT_URL_SECRETS_MANAGER to a test service just when"
            " aws.endpoint_url is one",
        )
