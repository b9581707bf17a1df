"""Looking for key material, however it is spelled, in what is written, printed, logged and raised."""

import base64
from collections.abc import Iterable, Iterator


def spellings(secret: bytes) -> Iterator[bytes]:
    """Spell bytes in every way they could have been written, also where they begin in the middle of something."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset in range(3):
        # Base64 of the same bytes differs with their offset; the first and last letters depend on the neighbours.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(offset) + secret)[4:-4]
    yield base64.b32encode(secret)[:48]
    yield base64.b85encode(secret)
    yield repr(secret)[2:-1].encode()
    yield secret.decode("latin-1").encode()
    for separator in (", ", ","):
        yield separator.join(map(str, secret)).encode()
    for order in ("little", "big"):
        yield str(int.from_bytes(secret, order)).encode()  # type: ignore[arg-type]
    yield secret[::-1].hex().encode()


def found_in(text: str | bytes, secrets: Iterable[bytes]) -> list[bytes]:
    """Name the forms in which a secret stands in a text; half of one in hexadecimal counts, and a third as it is."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    small = raw.lower()
    found = []
    for secret in secrets:
        halves = [half.hex().encode() for half in (secret[:16], secret[16:])]
        found += [form for form in spellings(secret) if form in raw]
        found += [half for half in halves if half in small]
        found += [secret[:12]] if secret[:12] in raw else []
    return found
