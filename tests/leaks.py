"""Looking for key material, however it is spelled, in what is written, printed, logged and raised."""

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote_from_bytes

ESCAPED = 3
"""How often a text may have been escaped: a repr of a repr, as JSON."""


def spellings(secret: bytes) -> Iterator[bytes]:
    """Spell bytes in every way they could have been written, also where they begin in the middle of something."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset in range(3):
        # Base64 of the same bytes differs with their offset; the first and last letters depend on the neighbours.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(offset) + secret)[4:-4]
    for offset in range(5):
        yield base64.b32encode(bytes(offset) + secret)[8:-8]
    yield base64.b85encode(secret)
    for separator in ":- ":
        yield secret.hex(separator).encode()
    yield secret.decode("latin-1").encode()
    yield base64.a85encode(secret)
    yield quote_from_bytes(secret).encode()
    for separator in (", ", ","):
        yield separator.join(map(str, secret)).encode()
    for order in ("little", "big"):
        yield str(int.from_bytes(secret, order)).encode()  # type: ignore[arg-type]
    yield secret[::-1].hex().encode()


_ESCAPE = re.compile(rb"""\\(?:x([0-9a-fA-F]{2})|u00([0-9a-fA-F]{2})|([\\'"/abfnrtv]))""")
_MEANT = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def unescaped(text: bytes) -> bytes:
    """Undo once what repr and JSON do to bytes and texts; a repr in a JSON document is escaped twice."""

    def meant(escape: re.Match[bytes]) -> bytes:
        number = escape[1] or escape[2]
        return bytes.fromhex(number.decode()) if number else _MEANT.get(escape[3], escape[3])

    return _ESCAPE.sub(meant, text)


def found_in(text: str | bytes, secrets: Iterable[bytes]) -> list[bytes]:
    """Name the forms in which a secret stands in a text; half of one in hexadecimal counts, and a third as it is."""
    texts = [text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")]
    for _ in range(ESCAPED):
        texts.append(unescaped(texts[-1]))
    return [form for secret in secrets for raw in texts for form in _found(raw, secret)]


def _found(raw: bytes, secret: bytes) -> list[bytes]:
    small, halves = raw.lower(), [half.hex().encode() for half in (secret[:16], secret[16:])]
    found = [form for form in spellings(secret) if form in raw]
    found += [half for half in halves if half in small]
    return found + ([secret[:12]] if secret[:12] in raw else [])
