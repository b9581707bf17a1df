"""Stores of key material: the one registry, keyed by URI scheme. A new store is one module and one line here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.errors import UsageError
from orchestrator.model import Region
from orchestrator.ports import MaterialStore

from .opening import check_file_store, init_file_store, open_file_store
from .place import EndpointClass, Place
from .secretsmanager import check_secrets_store, init_secrets_store, open_secrets_store, secrets_services
from .wanted import Cloud, Wanted

__all__ = [
    "Cloud",
    "EndpointClass",
    "Place",
    "Wanted",
    "check_store",
    "init_store",
    "open_store",
    "schemes",
    "services",
]

Opener = Callable[[str, Place, Wanted], MaterialStore]
"""Opens, or makes, the store at what follows the scheme of a URI.

Raises UsageError for settings, StoreError for the store itself, KmsError where a call to AWS fails.
"""


@dataclass(frozen=True, slots=True)
class Backend:
    """What one scheme offers."""

    open: Opener
    init: Opener
    check: Callable[[str, Wanted], None]
    services: Callable[[str], Iterable[tuple[str, Region]]] = lambda _location: ()
    """Which services of AWS the store at a location calls, and in which Regions."""


_BACKENDS: Mapping[str, Backend] = {
    "file": Backend(open=open_file_store, init=init_file_store, check=check_file_store),
    "secretsmanager": Backend(open_secrets_store, init_secrets_store, check_secrets_store, secrets_services),
}


def schemes() -> tuple[str, ...]:
    """Name the known schemes of store URIs."""
    return tuple(sorted(_BACKENDS))


def services(uri: str) -> Iterable[tuple[str, Region]]:
    """Name the services of AWS that a store calls, each with its Region; raises UsageError."""
    backend, location = _backend(uri)
    return backend.services(location)


def check_store(uri: str, wanted: Wanted) -> None:
    """Judge the settings of a store, and look at nothing but the identity; raises UsageError, StoreError for that."""
    backend, location = _backend(uri)
    backend.check(location, wanted)


def open_store(uri: str, place: Place, wanted: Wanted) -> MaterialStore:
    """Open a store that exists and is stamped for `place` (P12).

    Raises UsageError where a setting is wrong, StoreError where the store is not there or not meant for this, and
    KmsError where a call to AWS fails.
    """
    backend, location = _backend(uri)
    return backend.open(location, place, wanted)


def init_store(uri: str, place: Place, wanted: Wanted) -> MaterialStore:
    """Make a store and stamp it for `place` (P12); one that is there already, for the same, is opened.

    Raises as open_store does.
    """
    backend, location = _backend(uri)
    return backend.init(location, place, wanted)


def _backend(uri: str) -> tuple[Backend, str]:
    scheme, colon, location = uri.partition(":")
    if not colon or scheme not in _BACKENDS:
        known = ", ".join(f"{name}:" for name in schemes())
        raise UsageError(
            f"store.uri {uri!r} begins with no known scheme; known: {known}",
            "write for example file:/var/lib/mrk/store",
        )
    return _BACKENDS[scheme], location
