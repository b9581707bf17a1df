"""Secrets kept out of whatever is written: by their shape, and by value for those that this process knows (I14).

The one instance is shared by the whole process, on purpose: a writer that had to be handed it could be left without.
"""

import json
import re
import sys
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from threading import Lock
from urllib.parse import quote, quote_plus, unquote

MARK = "***"
SHORTEST = 8
"""A value of fewer characters cannot be told from a word, and is not looked for by value."""

_PIECE = 12
_LONGEST = 1 << 16
_WORD = 100
_WORDS = 20_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GAP = re.compile(rf"(?:{_ANSI.pattern}|[\s\\\"',?])+")
"""What may stand between the letters of a secret that was broken over lines, quoted, or made printable."""

_AGE = re.compile(r"AGE-(?:SECRET-KEY|PLUGIN)(?:-[A-Z0-9+_.]+?)?-1(?=[A-Z0-9]{6})", re.IGNORECASE)
_AGE_LETTERS = 58
_PEM = re.compile(r"-{5}BEGIN[A-Z0-9]{0,40}PRIVATEKEY[A-Z]{0,20}-{5}", re.IGNORECASE)
_PEM_END = re.compile(r"-{5}END[A-Z0-9]{0,60}-{5}", re.IGNORECASE)
_PEM_BODY = re.compile(r"[A-Za-z0-9+/=:.-]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{64,}")
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_-]{40,}")
_URLSAFE = str.maketrans("-_", "+/")
_RUN = re.compile(r"[^\s\"'<>]+")
_NAMED = re.compile(
    r"(?:[?&](?:token|secret|pin|signature)|(?:\b|_)(?:pin-value|password|passwd|passphrase|secret[_-]?access[_-]?key"
    r"|(?:session|security)[_-]?token|api[_-]?key))=[\"']?([^&;,\s\"']+)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?:\bauthorization|x-amz-security-token|x-amz-sso_bearer_token|x-aws-ec2-metadata-token|x-vault-token)[\"']?\s*[:=]"
    r"\s*b?[\"']?((?:(?:bearer|basic)\s+)?[^\s\"',;]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"((?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[A-Za-z0-9+/=%_-]{8,}|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*)"
)
_SUSPECT = re.compile(rf"//|[:=]|IQoJ|FwoG|eyJ|age-|-----BEGIN|{_BASE64.pattern}", re.IGNORECASE)
"""What stands in every secret that is known by its shape; most texts have nothing of it."""

_UPPER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

Span = tuple[int, int]


class _Squeezed:
    """A text without its gaps, and where each letter of it stood."""

    def __init__(self, text: str) -> None:
        kept, at, length = list[str](), 0, 0
        self.whole = text
        self._begins: list[Span] = []
        for start, end in [*(gap.span() for gap in _GAP.finditer(text)), (len(text), len(text))]:
            kept.append(text[at:start])
            self._begins.append((length, at))
            at, length = end, length + start - at
        self.text = "".join(kept)

    def span(self, start: int, end: int) -> Span:
        """Tell where a part of it stood."""
        return self._place(start), self._place(end - 1) + 1

    def adjoins(self, at: int) -> bool:
        """Whether a letter stood right behind the one before it."""
        return self._place(at) == self._place(at - 1) + 1

    def _place(self, at: int) -> int:
        here, there = self._begins[bisect_right(self._begins, (at, sys.maxsize)) - 1]
        return there + at - here


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
        squeezed = _Squeezed(text)
        found = [text[start:end] for start, end in (*_keys(squeezed), *_found(_TOKEN, text))]
        for user in (text[start:end] for start, end in _in_urls(text)):
            password = user.partition(":")[2]
            found += [password, unquote(password)]
        self.learn(found)

    def __call__(self, text: str) -> str:
        """Return a text with MARK in the place of every secret."""
        sound = self._sound
        if text in sound:
            return text
        spans, squeezed = list[Span](), _Squeezed(text)
        if _SUSPECT.search(squeezed.text):
            spans += [span for shape in (_NAMED, _HEADER, _TOKEN) for span in _found(shape, text)]
            spans += [*_in_urls(text), *_keys(squeezed)]
        spans += self._by_value(squeezed)
        if spans:
            return _without(text, spans)
        if len(text) <= _WORD and len(sound) < _WORDS:
            sound.add(text)
        return text

    def _by_value(self, squeezed: _Squeezed) -> Iterator[Span]:
        lower = squeezed.text.translate(_UPPER)
        for size, pieces in self._pieces.items():
            for at in range(len(lower) - size + 1):
                if lower[at : at + size] in pieces:
                    yield squeezed.span(at, at + size)


def secret_in(text: str) -> str:
    """Name the kind of key in a text that nothing but a file of its own may hold; nothing where there is none."""
    if not _SUSPECT.search(text):
        return ""
    squeezed = _Squeezed(text)
    if any(_age(squeezed)):
        return "an age secret key"
    if any(_pem(squeezed)):
        return "a private key"
    return "a secret key in base64" if any(_encoded(squeezed)) else ""


def _keys(squeezed: _Squeezed) -> Iterator[Span]:
    yield from _age(squeezed)
    yield from _pem(squeezed)
    yield from _encoded(squeezed)


def _age(squeezed: _Squeezed) -> Iterator[Span]:
    """Find age's secret keys, broken over lines up to their usual length, and whole whatever their length."""
    text = squeezed.text
    for head in _AGE.finditer(text):
        end = head.end()
        while end < len(text) and text[end].isalnum() and (end - head.end() < _AGE_LETTERS or squeezed.adjoins(end)):
            end += 1
        yield squeezed.span(head.start(), end)


def _pem(squeezed: _Squeezed) -> Iterator[Span]:
    """Find private keys in PEM, also where their end was cut off."""
    at, ended = 0, True
    while head := _PEM.search(squeezed.text, at):
        end = _PEM_END.search(squeezed.text, head.end()) if ended else None
        ended = end is not None
        end = end or _PEM_BODY.match(squeezed.text, head.end())
        at = end.end() if end else head.end()
        yield squeezed.span(head.start(), at)


def _encoded(squeezed: _Squeezed) -> Iterator[Span]:
    """Find base64 of what holds a secret key, wherever it begins in a run of such letters."""
    for run in _BASE64.finditer(squeezed.text):
        letters = run[0].translate(_URLSAFE)
        whole = (letters[at : at + (len(letters) - at) // 4 * 4] for at in range(4))
        decoded = "\n".join(b64decode(one).decode("latin-1") for one in whole)
        if _AGE.search(decoded) or _PEM.search("".join(decoded.split(" "))):
            start, end = squeezed.span(*run.span())
            first = _LONG_WORD.search(squeezed.whole, start, end)
            yield (first.start() if first else start), end


def _in_urls(text: str) -> Iterator[Span]:
    """Find what stands between // and the last @ of each run of letters: the name and the password of a URL."""
    for run in _RUN.finditer(text):
        slashes, end = text.find("//", *run.span()), text.rfind("@", *run.span())
        if 0 <= slashes < end - 2:
            yield slashes + 2, end


def _found(shape: re.Pattern[str], text: str) -> Iterator[Span]:
    return (found.span(1) for found in shape.finditer(text) if found[1])


def _without(text: str, spans: Iterable[Span]) -> str:
    kept, at = list[str](), 0
    for start, end in _merged(spans):
        kept += [text[at:start], MARK, *_ANSI.findall(text[start:end])]
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
    forms = {_Squeezed(form).text.translate(_UPPER) for form in spelled}
    return {form for form in forms if len(form) >= SHORTEST}


redacted = Redaction()
