"""What stands inside an entry after `age -d`: small readable JSON that carries the key material and its own name.

The format is a promise to people (docs/store.md): it is restored with stock tools, years from now, without this code.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.errors import EntryError
from orchestrator.model import EntryName, KeyIdentity, MaterialId
from orchestrator.replies import reckonable

from .commitment import commitment
from .fields import read_object, shown, write_object
from .maker import Maker, made_by, signed
from .material import KeyMaterial

FORMAT = "mrk-key-material"
VERSION = 1


def encode(name: EntryName, material: KeyMaterial, created_at: datetime, maker: Maker) -> bytes:
    """Write the payload of an entry: one field per line, so that even sed can take it apart."""
    said = {
        "format": FORMAT,
        "version": VERSION,
        "partition": name.key.partition,
        "account": name.key.account,
        "key_id": name.key.key_id,
        "replaces": name.replaces,
        "attempt": name.attempt,
        "created_at": created_at.isoformat(),
    }
    tag = signed(said, commitment(material, name.key), maker)
    more = {"maker": tag} if tag else {}
    return write_object({**said, **more, "key_material": base64.b64encode(material.reveal()).decode()})


@dataclass(frozen=True, slots=True)
class Content:
    """What a payload holds, with the plaintext hidden from here on; `fields` is None where it is no JSON object."""

    fields: dict[str, Any] | None
    material: KeyMaterial | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry that was opened and is what its name says; `ours` tells that its maker is known."""

    commitment: str
    made_at: datetime | None
    ours: bool


def parse(payload: bytes) -> Content:
    """Take a payload apart. Never raises: the frames of an error carry what they read with them."""
    fields = read_object(payload)
    return Content(fields, _material(fields.pop("key_material", None)) if fields else None)


def missing(name: EntryName, where: str, advice: str) -> EntryError:
    """Say that there is no entry."""
    return EntryError(f"there is no entry {name}: {where} is missing", advice)


def other_bytes(name: EntryName, hint: str) -> EntryError:
    """Say that what was published is not what was read back."""
    return EntryError(
        f"the entry {name} reads back as other key material than was written", f"nothing was sent to KMS; {hint}"
    )


def checked(name: EntryName, content: Content, where: str, advice: str) -> KeyMaterial:
    """Return the key material of a payload; raises EntryError where it is of another format or of another entry."""
    fields = content.fields
    if fields is None or fields.get("format") != FORMAT:
        raise EntryError(
            f"{where} opens, but holds no key material of the format {FORMAT}",
            f"{advice}; nothing of this program writes such an entry",
        )
    if fields.get("version") != VERSION:
        raise EntryError(
            f"{where} is of format version {shown(fields.get('version'))}; this program reads version {VERSION}",
            "use a newer release of mrk",
        )
    _check_binding(name, fields, where)
    if content.material is None:
        raise EntryError(f"{where} opens, but its key material is not 32 bytes", advice)
    return content.material


def opened(name: EntryName, content: Content, material: KeyMaterial, maker: Maker) -> Opened:
    """Tell what a payload says of itself, beside the key material that `checked` returned."""
    fields = content.fields or {}
    bound = commitment(material, name.key)
    return Opened(bound, _time(fields.get("created_at")), made_by(fields, bound, fields.get("maker"), maker))


def _check_binding(name: EntryName, fields: dict[str, Any], where: str) -> None:
    claimed = _claimed(fields)
    if claimed != name:
        raise EntryError(
            f"{where} stands in the place of {name}, but says that it is {shown(claimed or 'of no entry at all')}",
            "somebody copied or moved it: put each file back under its own name, from a backup if in doubt",
        )


def _claimed(fields: dict[str, Any]) -> EntryName | None:
    texts = [fields.get(field) for field in ("partition", "account", "key_id")]
    replaces, attempt = fields.get("replaces"), fields.get("attempt")
    if not all(isinstance(text, str) for text in texts) or type(attempt) is not int:
        return None
    if not isinstance(replaces, str | None):
        return None
    return EntryName(KeyIdentity(*map(str, texts)), MaterialId(replaces) if replaces else None, attempt)


def _time(text: object) -> datetime | None:
    try:
        return reckonable(datetime.fromisoformat(str(text)))
    except ValueError:
        return None


def _material(text: object) -> KeyMaterial | None:
    if not isinstance(text, str):
        return None
    try:
        return KeyMaterial(base64.b64decode(text, validate=True))
    except ValueError:
        return None
