"""The header of an age file: for how many recipients, and of which kinds, it was sealed (age-encryption.org/v1)."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

_BEGINNING, _END, _STANZA = b"age-encryption.org/v1\n", b"---", b"-> "
_NATIVE = "X25519"


def stanzas(sealed: bytes) -> list[tuple[str, ...]]:
    """Return the words of each recipient stanza; the random ones that age adds as grease are among them."""
    found: list[tuple[str, ...]] = []
    if not sealed.startswith(_BEGINNING):
        return found
    for line in sealed.splitlines():
        if line.startswith(_END):
            break
        if line.startswith(_STANZA):
            found.append(tuple(line.decode(errors="replace").split()[1:]))
    return found


def unsealed_for(sealed: bytes, recipients: Iterable[str]) -> list[str]:
    """Say for which recipients an age file was not sealed.

    A stanza of an SSH key names it. One of an age recipient (age1...) names nobody, so that these are only counted.
    """
    wanted = list(recipients)
    ssh, native = (
        [one for one in wanted if one.startswith("ssh-")],
        [one for one in wanted if not one.startswith("ssh-")],
    )
    there = stanzas(sealed)
    missing = [one for one in ssh if not any(words[:2] == _of_ssh(one) for words in there)]
    fewer = len(native) - Counter(words[:1] for words in there)[(_NATIVE,)]
    return missing + ([f"{fewer} of {', '.join(native)}"] if fewer > 0 else [])


def _of_ssh(recipient: str) -> Sequence[str]:
    """Return the kind of an SSH key, and the tag that its stanza names it by."""
    kind, blob = recipient.split()[:2]
    tag = hashlib.sha256(base64.b64decode(blob)).digest()[:4]
    return kind, base64.b64encode(tag).decode().rstrip("=")
