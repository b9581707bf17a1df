"""The way out: whatever is written anywhere goes through here, without secrets, and harmless for terminals (I14)."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

from orchestrator.printable import printable
from orchestrator.redaction import redacted

_WORDS = re.compile(r"[^\n\t]+")


def clean(text: str) -> str:
    """Leave secrets out of a text, and make one line of it that can be printed."""
    return printable(redacted(text))


def harmless(text: str) -> str:
    """Make each line of a text printable; columns of it stay apart."""
    return _WORDS.sub(lambda words: printable(words[0]), text)


def clean_lines(text: str) -> str:
    """Leave secrets out of a text of several lines, and make each of them printable."""
    return harmless(redacted(text))


def document(value: Any, plain: Callable[[Any], str] = str) -> Any:
    """Clean every text in a document; `plain` writes as text what JSON has no word for."""
    if isinstance(value, Mapping):
        return {_word(name, plain): document(one, plain) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [document(one, plain) for one in value]
    return _word(value, plain)


def _word(value: Any, plain: Callable[[Any], str]) -> Any:
    return value if value is None or isinstance(value, int | float) else clean(plain(value))


def to_json(value: Any, plain: Callable[[Any], str] = str, **layout: Any) -> str:
    """Write a document as JSON, clean."""
    return json.dumps(document(value, plain), **layout)


class Guarded:
    """A stream to which only clean text comes through; `styled` is for text that is harmless, and coloured, already.

    Writing never fails: whatever is under way goes on without it, and `lost` tells afterwards why text did not arrive.
    """

    def __init__(self, stream: TextIO, cleaning: Callable[[str], str] = clean_lines) -> None:
        self._stream = stream
        self._cleaning = cleaning
        self.lost: OSError | None = None
        self.used = False

    @property
    def styled(self) -> TextIO:
        """The same stream, without secrets, for text with a terminal's own codes in it."""
        return cast("TextIO", _Styled(self))

    def write(self, text: str) -> int:
        """Write a text, cleaned; tells the length of what it was given."""
        return self.put(text, self._cleaning)

    def put(self, text: str, cleaning: Callable[[str], str]) -> int:
        """Write a text as `cleaning` leaves it."""
        self.used = self.used or bool(text)
        with self._noted():
            self._stream.write(cleaning(text))
        return len(text)

    def flush(self) -> None:
        """Let the text go to where it is written."""
        with self._noted():
            self._stream.flush()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines as one text."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Styled:
    """A guarded stream, for text that is coloured already."""

    def __init__(self, guarded: Guarded) -> None:
        self._guarded = guarded

    def write(self, text: str) -> int:
        """Write a text without secrets."""
        return self._guarded.put(text, redacted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guarded, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Let nothing but what is clean reach stdout and stderr."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", Guarded(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
