"""Stores of key material: the one registry, keyed by URI scheme. A new store is one module and one line here."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from orchestrator.errors import UsageError
from orchestrator.ports import MaterialStore

from .opening import init_file_store, open_file_store
from .place import EndpointClass, Place

__all__ = ["EndpointClass", "Place", "init_store", "open_store", "schemes"]


class Opener(Protocol):
    """Opens, or makes, the store at what follows the scheme of a URI."""

    def __call__(
        self,
        location: str,
        place: Place,
        /,
        *,
        recipients: Sequence[str],
        identity: Path | None,
        clock_now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> MaterialStore:
        """Raise UsageError for settings, StoreError for the store itself."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What one scheme offers."""

    open: Opener
    init: Opener


_BACKENDS: Mapping[str, Backend] = {
    "file": Backend(open=open_file_store, init=init_file_store),
}


def schemes() -> tuple[str, ...]:
    """Name the known schemes of store URIs."""
    return tuple(sorted(_BACKENDS))


def open_store(
    uri: str,
    place: Place,
    *,
    recipients: Sequence[str],
    identity: Path | None,
    clock_now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> MaterialStore:
    """Open a store that exists and is stamped for `place` (P12).

    Raises UsageError where a setting is wrong, and StoreError where the store is not there or not meant for this.
    """
    backend, location = _backend(uri)
    return backend.open(
        location, place, recipients=recipients, identity=identity, clock_now=clock_now, random_bytes=random_bytes
    )


def init_store(
    uri: str,
    place: Place,
    *,
    recipients: Sequence[str],
    identity: Path | None,
    clock_now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> MaterialStore:
    """Make a store and stamp it for `place` (P12); one that is there already, for the same, is opened.

    Raises as open_store does.
    """
    backend, location = _backend(uri)
    return backend.init(
        location, place, recipients=recipients, identity=identity, clock_now=clock_now, random_bytes=random_bytes
    )


def _backend(uri: str) -> tuple[Backend, str]:
    scheme, colon, location = uri.partition(":")
    if not colon or scheme not in _BACKENDS:
        known = ", ".join(f"{name}:" for name in schemes())
        raise UsageError(
            f"store.uri {uri!r} begins with no known scheme; known: {known}",
            "write for example file:/var/lib/mrk/store",
        )
    return _BACKENDS[scheme], location
