"""Reading key material that a person made elsewhere."""

import base64
import binascii
from pathlib import Path

from orchestrator.errors import UsageError

from .material import LENGTH, KeyMaterial

_LIMIT = 4096


def read_source(source: Path) -> KeyMaterial:
    """Read a file of exactly 32 bytes; raises UsageError, which tells the length alone, for anything else."""
    found = _examine(source)
    if isinstance(found, KeyMaterial):
        return found
    length, advice = found
    raise UsageError(f"{source} has {length} bytes; key material has exactly {LENGTH}", advice)


def _examine(source: Path) -> KeyMaterial | tuple[str, str]:
    """Return the material, or the length and an advice, so that the frame that raises never held the content."""
    content = _read(source)
    if len(content) == LENGTH:
        return KeyMaterial(content)
    length = f"more than {_LIMIT}" if len(content) > _LIMIT else str(len(content))
    return length, _advice(content, source)


def _read(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(_LIMIT + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the key material in {source}: {error.strerror or error}",
            f"name a readable file of exactly {LENGTH} bytes",
        ) from error


def _advice(content: bytes, source: Path) -> str:
    text = b"".join(content.split())
    if _decodes_to_material(text, "hex"):
        return f"it looks like hexadecimal text: xxd -r -p {source} > key-material.bin, then adopt that"
    if _decodes_to_material(text, "base64"):
        return f"it looks like base64 text: base64 -d {source} > key-material.bin, then adopt that"
    if len(content) == LENGTH + 1 and content.endswith(b"\n"):
        return f"it ends in a newline that may not belong to it: head -c {LENGTH} {source} > key-material.bin"
    return "name the file with the raw bytes, without any armour around them"


def _decodes_to_material(text: bytes, encoding: str) -> bool:
    try:
        decoded = binascii.unhexlify(text) if encoding == "hex" else base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return len(decoded) == LENGTH
