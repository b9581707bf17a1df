"""What stands inside an entry after `age -d`: small readable JSON that carries the key material and its own name.

The format is a promise to people (docs/store.md): it is restored with stock tools, years from now, without this code.
"""

import base64
import binascii
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import EntryError
from orchestrator.model import EntryName, KeyIdentity, MaterialId

from .material import KeyMaterial

FORMAT = "mrk-key-material"
VERSION = 1


def encode(name: EntryName, material: KeyMaterial, created_at: datetime) -> bytes:
    """Write the payload of an entry: one field per line, so that even sed can take it apart."""
    payload = {
        "format": FORMAT,
        "version": VERSION,
        "partition": name.key.partition,
        "account": name.key.account,
        "key_id": name.key.key_id,
        "replaces": name.replaces,
        "attempt": name.attempt,
        "created_at": created_at.isoformat(),
        "key_material": base64.b64encode(material.reveal()).decode(),
    }
    return json.dumps(payload, indent=2).encode() + b"\n"


def decode(name: EntryName, payload: bytes, path: Path) -> KeyMaterial:
    """Take the key material out of a payload that says it belongs to `name`.

    Raises EntryError where it is of another format, or of another entry. No error holds a part of the payload but
    the name: causes are dropped, as JSON and Unicode errors carry the whole text with them.
    """
    fields = _fields(payload)
    if fields is None or fields.get("format") != FORMAT:
        raise EntryError(
            f"{path} opens, but holds no key material of the format {FORMAT}",
            "put the file back from a backup; nothing of this program writes such an entry",
        )
    if fields.get("version") != VERSION:
        raise EntryError(
            f"{path} is of format version {fields.get('version')}; this program reads version {VERSION}",
            "use a newer release of mrk",
        )
    _check_binding(name, fields, path)
    material = _material(fields)
    if material is None:
        raise EntryError(f"{path} opens, but its key material is not 32 bytes", "put the file back from a backup")
    return material


def _fields(payload: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(payload)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _check_binding(name: EntryName, fields: dict[str, Any], path: Path) -> None:
    claimed = _claimed(fields)
    if claimed != name:
        raise EntryError(
            f"{path} stands in the place of {name}, but says that it is {claimed or 'of no entry at all'}",
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


def _material(fields: dict[str, Any]) -> KeyMaterial | None:
    text = fields.get("key_material")
    if not isinstance(text, str):
        return None
    try:
        return KeyMaterial(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None
