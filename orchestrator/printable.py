"""Text from outside made harmless for terminals and logs."""

import re

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters that Unicode counts among the printable ones, and that show nothing."""


def printable(said: object, longest: int | None = None) -> str:
    """Return one line of text that moves no cursor, hides nothing and turns nothing around; "?" stands for what did.

    It is cut after `longest` characters.
    """
    text = str(said)[:longest]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return _INVISIBLE.sub("?", text)
