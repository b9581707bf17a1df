"""The stamp of a store: what it was made for, written once at init and checked ever after (P12)."""

import json
import shlex
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import StoreError

from .fields import read_object, write_object
from .guard import os_errors
from .place import Place
from .publish import TEMPORARY, PublishedFiles
from .recipients import spelled

FILE = "store.json"
FORMAT = "mrk-store"
VERSION = 1
_HARMLESS = ("lost+found", FILE)


def write_stamp(files: PublishedFiles, place: Place, recipients: Iterable[str], at: datetime) -> None:
    """Stamp a new, empty store; leaves the stamp of a store that is there already."""
    with os_errors("list", files.root):
        listed = [found.name for found in files.root.iterdir()]
    strange = [found for found in listed if found not in _HARMLESS and not TEMPORARY.fullmatch(found)]
    if strange and FILE not in listed:
        lost = f"if this is a store that lost its {FILE}, put that back from a backup"
        lost += f"; {_again(files.root / FILE, place, recipients, at)}" if place.partition in strange else ""
        raise StoreError(
            f"{files.root} is not empty and is no store: it holds {', '.join(sorted(strange)[:3])}",
            f"choose an empty directory; {lost}",
        )
    files.publish(files.root / FILE, stamp(place, at, recipients=sorted(recipients)))


def check_stamp(files: PublishedFiles, place: Place, recipients: Iterable[str], now: Callable[[], datetime]) -> None:
    """Raise StoreError where the store is not there, or was made for another place or for other recipients."""
    path = files.root / FILE
    content = files.read(path)
    if content is None:
        raise StoreError(
            f"there is no store in {files.root}: {path} is missing",
            "if it was made before, mount its disk or restore its backup; make a first store with: mrk store init",
        )
    found = read_stamp(content, place, str(files.root), str(path), lambda: _again(path, place, recipients, now()))
    _check_recipients(path, found, frozenset(recipients))


def stamp(place: Place, at: datetime, **more: object) -> bytes:
    """Write the stamp of a new store."""
    about = {"format": FORMAT, "version": VERSION, "partition": place.partition, "endpoint_class": place.endpoint_class}
    return write_object({**about, **more, "created_at": at.isoformat()})


def read_stamp(content: bytes, place: Place, store: str, where: str, again: Callable[[], str] = str) -> dict[str, Any]:
    """Read the stamp of a store; raises StoreError where it is none, or is for another place.

    `again` tells how a stamp that is damaged is made anew.
    """
    found = read_object(content)
    if found is None or found.get("format") != FORMAT:
        raise StoreError(
            f"{where} is damaged: it is not the stamp of a store of version {VERSION}",
            "; ".join(filter(None, ("put it back from a backup", again()))),
        )
    if found.get("version") != VERSION:
        raise StoreError(
            f"{where} is not the stamp of a store of version {VERSION}",
            "put it back from a backup; if a newer release wrote it, use that",
        )
    stamped = Place(str(found.get("partition")), found.get("endpoint_class", "unknown"))
    if stamped != place:
        raise StoreError(
            f"the store {store} is stamped for {stamped}, and was asked for {place}: key material goes only"
            " where it belongs",
            "make another store for this (store.uri, mrk store init), or correct what names the endpoint"
            " (aws.endpoint_url, --endpoint-url, AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL) or the key's ARN",
        )
    return found


def _again(path: Path, place: Place, recipients: Iterable[str], at: datetime) -> str:
    """Tell a person how to make the stamp of a store anew: nobody else knows what the store was made for (P12)."""
    content = json.dumps(json.loads(stamp(place, at, recipients=sorted(recipients))))
    file = shlex.quote(str(path))
    aside = f"mv {file} {shlex.quote(f'{path}.damaged')}; " if path.exists() else ""
    command = f"(umask 077; {aside}printf '%s\\n' {shlex.quote(content)} > {file})"
    return f"where there is none, and only if this store was made for {place}: {command}, then mrk store check"


def _check_recipients(path: Path, found: dict[str, Any], asked: frozenset[str]) -> None:
    """Refuse a change that nobody noted in the store: a dropped recovery recipient is a backup lost in silence."""
    listed = found.get("recipients")
    stamped = frozenset(spelled(str(name)) for name in listed) if isinstance(listed, list) else frozenset()
    if stamped == asked:
        return
    changes = [f"{name} is missing" for name in sorted(stamped - asked)]
    changes += [f"{name} is new" for name in sorted(asked - stamped)]
    raise StoreError(
        f"store.recipients are not the ones in {path}: {'; '.join(changes)}",
        "put them back; to change them on purpose follow docs/store.md, 'Changing recipients'",
    )
