"""Looking for secret bytes, however they are spelled, in what is written, logged and raised."""

import base64
import traceback
from collections.abc import Iterator


def spellings(secret: bytes) -> Iterator[bytes]:
    """Spell bytes in every way they could have been written: raw, hexadecimal, base64 at any offset, Python's own."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset in range(3):
        # Base64 of the same bytes differs with their offset; the first and last letters depend on the neighbours.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(offset) + secret)[4:-4]
    yield repr(secret)[2:-1].encode()


def holds_secret(text: bytes, secret: bytes) -> bool:
    return any(spelling in text for spelling in spellings(secret))


def everything(error: BaseException) -> bytes:
    """All that a log could show of an error: itself, its causes, and the local variables of our frames."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        parts += [repr(link), str(link), repr(vars(link))]
        frames = traceback.TracebackException.from_exception(link, capture_locals=True)
        parts += [repr(frame.locals) for frame in frames.stack if "/orchestrator/" in frame.filename]
        link = link.__cause__ or link.__context__
    return "\n".join(parts).encode()
