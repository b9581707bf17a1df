"""The shapes of secrets: age's secret keys, private keys in PEM, tokens, and what a URL or a header names as one. Pure.

Every search takes time that grows with the text and no faster: texts come from outside.
"""

import re
import sys
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Iterator

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GAP = re.compile(rf"(?:{ANSI.pattern}|[\s\\\"',?])+")
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
SUSPECT = re.compile(rf"//|[:=]|IQoJ|FwoG|eyJ|age-|-----BEGIN|{_BASE64.pattern}", re.IGNORECASE)
"""What stands in every secret that is known by its shape; most texts have nothing of it."""

_HEX = re.compile(r"(?:0x)?[0-9a-f]{64}", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s:-]")
_OF_32_BYTES = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_SECRET_ACCESS_KEY = re.compile(r"[A-Za-z0-9+/]{40}")
_MIXED = (re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]"))

Span = tuple[int, int]


class Squeezed:
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


def secret_in(text: str) -> str:
    """Name the kind of key in a text that nothing but a file of its own may hold; nothing where there is none."""
    if not SUSPECT.search(text):
        return ""
    squeezed = Squeezed(text)
    if any(_age(squeezed)):
        return "an age secret key"
    if any(_pem(squeezed)):
        return "a private key"
    return "a secret key in base64" if any(_encoded(squeezed)) else ""


def in_hex(word: str) -> bool:
    """Whether a whole word is 32 bytes in hexadecimal: key material, or the id of one, which nobody can tell apart."""
    return _HEX.fullmatch(_BETWEEN.sub("", word)) is not None


def may_be_secret(word: str) -> bool:
    """Whether a whole word has the form of key material, or of a secret access key: no name or path."""
    letters = "".join(word.split())
    encoded = _OF_32_BYTES.fullmatch(letters) or _SECRET_ACCESS_KEY.fullmatch(letters)
    return in_hex(word) or (encoded is not None and all(kind.search(letters) for kind in _MIXED))


def keys(squeezed: Squeezed) -> Iterator[Span]:
    """Find secret keys, broken over lines and in base64 as well."""
    yield from _age(squeezed)
    yield from _pem(squeezed)
    yield from _encoded(squeezed)


def _age(squeezed: Squeezed) -> Iterator[Span]:
    """Find age's secret keys, broken over lines up to their usual length, and whole whatever their length."""
    text = squeezed.text
    for head in _AGE.finditer(text):
        end = head.end()
        while end < len(text) and text[end].isalnum() and (end - head.end() < _AGE_LETTERS or squeezed.adjoins(end)):
            end += 1
        yield squeezed.span(head.start(), end)


def _pem(squeezed: Squeezed) -> Iterator[Span]:
    """Find private keys in PEM, also where their end was cut off."""
    at, ended = 0, True
    while head := _PEM.search(squeezed.text, at):
        end = _PEM_END.search(squeezed.text, head.end()) if ended else None
        ended = end is not None
        end = end or _PEM_BODY.match(squeezed.text, head.end())
        at = end.end() if end else head.end()
        yield squeezed.span(head.start(), at)


def _encoded(squeezed: Squeezed) -> Iterator[Span]:
    """Find base64 of what holds a secret key, wherever it begins in a run of such letters."""
    for run in _BASE64.finditer(squeezed.text):
        letters = run[0].translate(_URLSAFE)
        whole = (letters[at : at + (len(letters) - at) // 4 * 4] for at in range(4))
        decoded = "\n".join(b64decode(one).decode("latin-1") for one in whole)
        if _AGE.search(decoded) or _PEM.search("".join(decoded.split(" "))):
            start, end = squeezed.span(*run.span())
            first = _LONG_WORD.search(squeezed.whole, start, end)
            yield (first.start() if first else start), end


def in_urls(text: str) -> Iterator[Span]:
    """Find what stands between // and the last @ of each run of letters: the name and the password of a URL."""
    for run in _RUN.finditer(text):
        slashes, end = text.find("//", *run.span()), text.rfind("@", *run.span())
        if 0 <= slashes < end - 2:
            yield slashes + 2, end


def tokens(text: str) -> Iterator[Span]:
    """Find session tokens of AWS, and signed web tokens."""
    return _found(_TOKEN, text)


def named(text: str) -> Iterator[Span]:
    """Find what stands in a text as a secret by name: in a query, or in a header."""
    yield from _found(_NAMED, text)
    yield from _found(_HEADER, text)


def _found(shape: re.Pattern[str], text: str) -> Iterator[Span]:
    return (found.span(1) for found in shape.finditer(text) if found[1])
