"""Secret keys in settings, where none belongs: refused by the setting's name, and never quoted (I14)."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.config_errors import EXAMPLE, Given, from_json
from orchestrator.errors import UsageError
from orchestrator.redaction import redacted
from orchestrator.secret_shapes import secret_in

_INSTEAD = {
    "identity": "not the path of a file that holds one",
    "recipients": "not the recipient that belongs to it (age1...)",
}
_HINT = (
    "take it out of there, and treat that key as exposed: whoever saw the setting has it. Make another one"
    " (age-keygen -o identity.txt), which only this user may read, and give its path in store.identity"
)

_NO_TEXT = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")

Where = tuple[str, ...]


def refuse_secrets(given: Given) -> None:
    """Refuse a secret key in any setting, or in a setting's name; raises UsageError.

    What is found is left out of whatever is written from now on, in parts as well.
    """
    for content in (given.flags, given.content):
        for where, text in _texts(content, ()):
            if kind := secret_in(text):
                raise _refusal(given.place(where), where, kind, text)
            if _NO_TEXT.search(text):
                raise UsageError(f"{given.place(where)}: {'.'.join(where)} holds a character that no file can", EXAMPLE)
            if not text.isascii() and sys.getfilesystemencoding() != "utf-8":
                raise _of_another_locale(given.place(where), where)
    for name, value in given.environment.items():
        if name.upper().startswith("MRK_"):
            setting = tuple(name.upper().removeprefix("MRK_").lower().split("__"))
            for where, text in (*_texts(from_json(value), setting), (setting, value)):
                if kind := secret_in(text):
                    raise _refusal(name, where, kind, text)


def _of_another_locale(place: str, where: Where) -> UsageError:
    """Refuse a name that is another file's in another locale: by hand and by cron two stores would be used."""
    locale = f"the file is UTF-8, and this locale is not ({sys.getfilesystemencoding()})"
    return UsageError(f"{place}: {'.'.join(where)} has a letter beyond ASCII; {locale}", "set LC_ALL=C.UTF-8")


def _refusal(place: str, where: Where, kind: str, text: str) -> UsageError:
    redacted.learn_from(text)
    instead = next((f", {said}" for setting, said in _INSTEAD.items() if setting in where), ": no setting takes one")
    return UsageError(f"{place}: {'.'.join(where)} holds {kind}{instead}", _HINT)


def _texts(content: Any, where: Where) -> Iterator[tuple[Where, str]]:
    """Tell every text in settings, and the names among them, with the setting that it stands in."""
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(content, Mapping):
        parts = [(str(name), value) for name, value in content.items()]
        yield from ((where or ("the file",), name) for name, _ in parts)
    elif isinstance(content, list | tuple):
        parts = [(str(number), value) for number, value in enumerate(content)]
    elif isinstance(content, str):
        yield where, content
    for name, value in parts:
        yield from _texts(value, (*where, name))
