"""Spoil what is well-formed: one thing in a JSON value, or some bytes of a file; drawn from a seed, to be redone."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

DEEP: Any = None
for _ in range(900):
    DEEP = [DEEP]

JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    7.5,
    10**30,
    "",
    "SHINY_NEW_STATE",
    "arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000000000000000000000000",
    "arn:aws:iam::111122223333:role/x",
    "\u202e\x00\n[bold red]x[/]",
    "x" * 100_000,
    "2026-02-30T25:61:61Z",
    "AAAA",
    [],
    {},
    [None],
    {"Unknown": {"Field": 1}},
    DEEP,
    float("inf"),
)

TEXTS: tuple[bytes, ...] = (
    b"",
    b"null",
    b"[]",
    b"true",
    b'"word"',
    b"{",
    b"\xff\xfe\x00",
    b"<html>busy</html>",
    b"[" * 100_000,
    b'{"KeyMetadata": ' * 5_000,
    b'{"a": 1e999999}',
    b'{"__type": 5}',
)
"""Bodies that are no answer at all."""


def drawn(*what: object) -> random.Random:
    """Dice that fall in the same way every time for the same input."""
    return random.Random(repr(what))  # noqa: S311 - nothing secret is drawn


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, the whole included."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


def spoiled(value: Any, dice: random.Random) -> Any:
    """Return a copy in which one thing is missing, is something else, is there many times, or is new."""
    written = json.dumps(value)  # in which, other than in Python, true is not 1; what is drawn is, at times, as it was
    while json.dumps(changed := _drawn_from(value, dice)) == written:
        continue
    return changed


def _drawn_from(value: Any, dice: random.Random) -> Any:
    """Change one thing, perhaps into what it was."""
    changed = copy.deepcopy(value)
    spots = [path for path in places(changed) if path]
    if not spots:
        return dice.choice(JUNK)
    *way, last = dice.choice(spots)
    inside = changed
    for step in way:
        inside = inside[step]
    match dice.randrange(6):
        case 0:
            del inside[last]
        case 1 if isinstance(inside, list):
            inside *= dice.choice((2, 300))
        case 2 if isinstance(inside, dict):
            inside["AFieldOfTomorrow"] = dice.choice(JUNK)
        case 3 if isinstance(inside[last], str):
            inside[last] = _spelled(inside[last], dice)
        case _:
            inside[last] = dice.choice(JUNK)
    return changed


def _spelled(word: str, dice: random.Random) -> str:
    """Spell a word in another way."""
    cut = dice.randrange(len(word) + 1)
    return dice.choice((word.upper(), word.lower(), word[:cut], word + word, word[:cut] + "\u00e9" + word[cut:]))


def torn(content: bytes, dice: random.Random) -> bytes:
    """Return bytes of which some are missing, changed or added; never the same ones."""
    while (changed := _torn(content, dice)) == content:
        continue
    return changed


def _torn(content: bytes, dice: random.Random) -> bytes:
    """Tear bytes, perhaps at an end where nothing is."""
    at, length = dice.randrange(len(content) + 1), dice.randrange(1, 40)
    noise = dice.randbytes(length)
    return dice.choice(
        (
            content[:at],
            content[at:],
            content[:at] + noise + content[at:],
            content[:at] + noise + content[at + length :],
            content[:at] + content[at + length :],
            content + content,
            noise,
            content[:at] + bytes([content[at] ^ (1 << dice.randrange(8))]) + content[at + 1 :]
            if at < len(content)
            else b"",
        )
    )
