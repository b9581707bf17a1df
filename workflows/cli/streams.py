"""The standard streams: each leads somewhere, and takes every character, whatever the locale."""

import codecs
import os
import sys
from io import TextIOWrapper
from pathlib import Path

_OTHERWISE = "mrk-otherwise"
_IN_ASCII = {"\u2026": "..."}
"""Characters of our own, as an old locale can show them."""


def open_streams() -> None:
    """Give every standard stream somewhere to go, also where the caller closed it, and no character to fail on."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the life of the process
        elif isinstance(stream := getattr(sys, name), TextIOWrapper):
            forgive(stream, reads=mode == "r")


def forgive(stream: TextIOWrapper, *, reads: bool = False) -> None:
    """Let a stream fail on no character that its encoding lacks."""
    codecs.register_error(_OTHERWISE, _otherwise)
    stream.reconfigure(errors="replace" if reads else _OTHERWISE)


def _otherwise(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write characters that a stream's encoding lacks in ASCII: ours as people do, others by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = "".join(_IN_ASCII.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in lacking)
    return plain, error.end
