"""To whom an entry was sealed: noted beside it, as a stanza for an age recipient names nobody.

A note is of one very file. Of a file that somebody sealed again with age it says nothing, and is not asked.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from orchestrator.model import EntryName

from .layout import Kind
from .marks import Marks
from .shelf import Slot


def note(marks: Marks, name: EntryName, sealed: bytes, recipients: Iterable[str], at: datetime) -> None:
    """Note to whom a file is sealed that was just published: of its name nobody else notes anything then."""
    said = {"at": at.isoformat(), "sha256": _digest(sealed), "recipients": sorted(recipients)}
    marks.publish(Slot(name, Kind.SEALED, marks.seals(name).next), **said)


def noted(marks: Marks, name: EntryName, sealed: bytes) -> frozenset[str] | None:
    """Tell to whom this very file was sealed; None where nothing that can be read says so."""
    digest = _digest(sealed)
    return next((to for of, to in (mark.value for mark in marks.seals(name).marks) if of == digest), None)


def _digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest()
