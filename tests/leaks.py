"""Looking for key material and other secrets, however spelled, in what is written, printed, logged and raised."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

ESCAPED = 3
"""How often a text may have been escaped: a repr of a repr, as JSON."""


def _base64(secret: bytes) -> Iterator[bytes]:
    """Spell bytes, also where they begin in the middle of something."""
    for offset in range(3):
        # Base64 of the same bytes differs with their offset; the first and last letters depend on the neighbours.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(offset) + secret)[4:-4]


def _base32(secret: bytes) -> Iterator[bytes]:
    """Spell bytes, also where they begin in the middle of something."""
    for offset in range(5):
        yield base64.b32encode(bytes(offset) + secret)[8:-8]


def _halves(secret: bytes) -> Iterator[bytes]:
    """Cut a secret in two, in either order of its bytes."""
    for one in (secret, secret[::-1]):
        yield from (one[:16], one[16:])


def spellings(secret: bytes) -> Iterator[bytes]:
    """Spell bytes in every way they could have been written, also where they begin in the middle of something."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield from _base64(secret)
    yield from _base32(secret)
    yield base64.b85encode(secret)
    for separator in ":- ":
        yield secret.hex(separator).encode()
    yield secret.decode("latin-1").encode()
    yield base64.a85encode(secret)
    yield quote_from_bytes(secret).encode()
    for separator in (", ", ","):
        yield separator.join(map(str, secret)).encode()
    for order in ("little", "big"):
        yield str(int.from_bytes(secret, order)).encode()
    yield secret[::-1].hex().encode()


_ESCAPE = re.compile(rb"""\\(?:x([0-9a-fA-F]{2})|u00([0-9a-fA-F]{2})|([\\'"/abfnrtv]))""")
_MEANT = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def unescaped(text: bytes) -> bytes:
    """Undo once what repr and JSON do to bytes and texts; a repr in a JSON document is escaped twice."""

    def meant(escape: re.Match[bytes]) -> bytes:
        number = escape[1] or escape[2]
        return bytes.fromhex(number.decode()) if number else _MEANT.get(escape[3], escape[3])

    return _ESCAPE.sub(meant, text)


def _texts(text: str | bytes) -> Iterator[bytes]:
    """Return a text as it is, and unescaped, as often as that changes anything."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    yield raw
    for _ in range(ESCAPED):
        if (meant := unescaped(raw)) == raw:
            return
        yield (raw := meant)


_GAPS = b" \t\r\n\v\f\"',\\"
_APART = bytes.maketrans(b",;:-[](){}\"'", b" " * 12)
_LATIN = re.compile(rb"\xc2([\x80-\xbf])|\xc3([\x80-\xbf])")


def _joined(raw: bytes) -> bytes:
    """Join what was broken over lines, or into a list of lines."""
    return raw.translate(None, _GAPS)


def _digits(raw: bytes) -> bytes:
    """Bring hexadecimal, however it is spaced, into one form."""
    return raw.lower().replace(b"0x", b"").translate(None, _GAPS + b":-_.;")


def _numbers(raw: bytes) -> bytes:
    """Bring lists of numbers, however they are laid out, into one form."""
    return b" ".join(raw.translate(_APART).split())


def _latin(raw: bytes) -> bytes:
    """Make one byte of each letter of Latin-1: a repr leaves some of them as they are, and escapes the others."""
    return _LATIN.sub(lambda two: two[1] or bytes([two[2][0] + 0x40]), raw)


Bring = Callable[[bytes], bytes]
Spell = Callable[[bytes], Iterable[bytes]]

_LOOKED_FOR: tuple[tuple[Bring, Spell], ...] = (
    (bytes, spellings),
    (bytes, lambda secret: [secret[:12]]),
    (_latin, lambda secret: [secret[:12]]),
    (_joined, _base64),
    (lambda raw: _joined(raw).upper(), _base32),
    (_digits, lambda secret: [half.hex().encode() for half in _halves(secret)]),
    (_numbers, lambda secret: [" ".join(map(str, half)).encode() for half in _halves(secret)]),
)
"""The forms into which a text is brought, and what is then looked for in it."""


@cache
def _spelled(spell: Spell, secret: bytes) -> tuple[bytes, ...]:
    """Spell a secret once for all the texts that it is looked for in."""
    return tuple(spell(secret))


def found_in(text: str | bytes, secrets: Iterable[bytes]) -> list[bytes]:
    """Name the forms in which a secret stands in a text; half of one in numbers counts, and a third as it is."""
    known, found = tuple(secrets), list[bytes]()
    for raw in _texts(text):
        for bring, spell in _LOOKED_FOR:
            brought = bring(raw)
            found += [form for secret in known for form in _spelled(spell, secret) if form in brought]
    return found


PIECE = 16
"""So many letters of a secret text, in a row, are a leak."""

_LETTERS = re.compile(rb"[^a-z0-9]")


def _letters(raw: bytes) -> bytes:
    """Bring a text into one form: its letters and digits alone, whatever stands between them."""
    return _LETTERS.sub(b"", raw.lower())


@cache
def _pieces(secret: str) -> tuple[bytes, ...]:
    letters = _letters(secret.encode())
    assert len(letters) >= PIECE, "too short to be told from chance"
    return tuple(letters[at : at + PIECE] for at in range(len(letters) - PIECE + 1))


def told_in(text: str | bytes, secrets: Iterable[str]) -> list[str]:
    """Name the secret texts (identities, tokens, passwords) of which a part stands in a text, however written."""
    forms = {_letters(way(raw)) for raw in _texts(text) for way in (bytes, unquote_to_bytes, _uncoloured)}
    return [secret for secret in secrets if any(piece in form for form in forms for piece in _pieces(secret))]


def _uncoloured(raw: bytes) -> bytes:
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", raw)
