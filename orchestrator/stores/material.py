"""The one type that holds plaintext key material inside a store (I2)."""

import hmac
from typing import NoReturn

LENGTH = 32


class KeyMaterial:
    """32 bytes of key material that hide themselves; `reveal` is the only accessor, so that one grep finds its uses."""

    __slots__ = ("_bytes",)

    def __init__(self, raw: bytes) -> None:
        """Take the raw bytes; raises ValueError, which tells the length alone, where they are not 32."""
        length = len(raw)
        if length != LENGTH:
            del raw  # what reports an error may show the variables of its frames
            raise ValueError(f"key material has {LENGTH} bytes, not {length}")
        self._bytes = bytes(raw)

    def reveal(self) -> bytes:
        """Return the plaintext, for sealing and wrapping alone."""
        return self._bytes

    def matches(self, other: "KeyMaterial") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.reveal(), other.reveal())

    def __repr__(self) -> str:
        return "KeyMaterial(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("key material is not pickled")
