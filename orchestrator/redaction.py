"""Secrets kept out of whatever is written: by their shape, and by value for those that this process knows (I14).

The one instance is shared by the whole process, on purpose: a writer that had to be handed it could be left without.
"""

import json
from collections.abc import Iterable, Iterator
from threading import Lock
from urllib.parse import quote, quote_plus, unquote

from orchestrator.secret_shapes import ANSI, SUSPECT, Span, Squeezed, in_urls, keys, named, tokens

MARK = "***"
SHORTEST = 8
"""A value of fewer characters cannot be told from a word, and is not looked for by value."""

_PIECE = 12
_LONGEST = 1 << 16
_WORD = 100
_WORDS = 20_000
_UPPER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Redaction:
    """What is known to be secret, and texts without it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: set[str] = set()
        self._pieces: dict[int, frozenset[str]] = {}
        # Short texts that hold no secret that is known: ids, Regions and states are written again and again.
        self._sound: set[str] = set()

    def learn(self, values: Iterable[str]) -> None:
        """Take note of secrets by value; parts of one, from 12 letters on, are known then, too."""
        fresh = [value for value in values if len(value.strip()) >= SHORTEST and value not in self._known]
        for value in fresh:
            with self._lock:
                self._known.add(value)
                for form in _forms(value[:_LONGEST]):
                    size = min(_PIECE, len(form))
                    pieces = (form[at : at + size] for at in range(len(form) - size + 1))
                    # A new mapping: another thread may be going through the one that there is.
                    self._pieces = {**self._pieces, size: self._pieces.get(size, frozenset()).union(pieces)}
                self._sound = set()

    def learn_from(self, text: str) -> None:
        """Take note of the secrets whose shape stands in a text, so that parts of them are known as well."""
        squeezed = Squeezed(text)
        found = [text[start:end] for start, end in (*keys(squeezed), *tokens(text))]
        for user in (text[start:end] for start, end in in_urls(text)):
            password = user.partition(":")[2]
            found += [password, unquote(password)]
        self.learn(found)

    def __call__(self, text: str) -> str:
        """Return a text with MARK in the place of every secret."""
        sound = self._sound
        if text in sound:
            return text
        spans, squeezed = list[Span](), Squeezed(text)
        if SUSPECT.search(squeezed.text):
            spans += [*named(text), *tokens(text), *in_urls(text), *keys(squeezed)]
        spans += self._by_value(squeezed)
        if spans:
            return _without(text, spans)
        if len(text) <= _WORD and len(sound) < _WORDS:
            sound.add(text)
        return text

    def _by_value(self, squeezed: Squeezed) -> Iterator[Span]:
        lower = squeezed.text.translate(_UPPER)
        for size, pieces in self._pieces.items():
            for at in range(len(lower) - size + 1):
                if lower[at : at + size] in pieces:
                    yield squeezed.span(at, at + size)


def _without(text: str, spans: Iterable[Span]) -> str:
    kept, at = list[str](), 0
    for start, end in _merged(spans):
        kept += [text[at:start], MARK, *ANSI.findall(text[start:end])]
        at = end
    return "".join((*kept, text[at:]))


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    begun: Span | None = None
    for start, end in sorted(spans):
        if begun and start <= begun[1]:
            begun = (begun[0], max(begun[1], end))
            continue
        if begun:
            yield begun
        begun = (start, end)
    if begun:
        yield begun


def _forms(value: str) -> set[str]:
    """Spell a secret as URLs, JSON and repr do, squeezed and in lower case."""
    spelled = [value, json.dumps(value)[1:-1], repr(value)[1:-1]]
    spelled += [quote(value, safe, errors="replace") for safe in ("", "/")]
    spelled.append(quote_plus(value, errors="replace"))
    forms = {Squeezed(form).text.translate(_UPPER) for form in spelled}
    return {form for form in forms if len(form) >= SHORTEST}


redacted = Redaction()
