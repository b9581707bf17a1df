"""What is wrong with the settings: where each was given, which one it is, what was given, and what is allowed."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from orchestrator.errors import UsageError

PREFIX = "MRK_"
EXAMPLE = "mrk config schema prints every setting and what it is for"
LONGEST = 300
"""Characters told of one thing that is wrong."""

MOST = 50
"""Things that are told of all that is wrong."""

DEEPEST = 50
"""How deep settings may be nested, in any file or variable."""

_KEY = "[key]"
_UNSHOWN = ("aws.endpoint_url",)
"""What may hold a password, by mistake or not, and so is not quoted."""

Where = tuple[str, ...]

_WORDS = {
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "dict_type": "settings below it; leave it out where there are none",
    "model_type": "settings below it; leave it out where there are none",
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
}
"""What is allowed, by pydantic's word for what is wrong."""


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that settings were given in, to find what is to blame. The later wins: file, environment, flags."""

    path: Path | None = None
    root: Any = None
    content: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)

    def place(self, where: Sequence[str]) -> str:
        """Name what gave a setting, or what should hold one that is missing: a flag, a variable, or a line."""
        if named := self.by_hand(where):
            return named
        for length in range(len(where), 0, -1):
            if _holds(self.content, where[:length]):
                break
            if named := self._variable(where[:length]) or self._variable_below(where[:length]):
                return named
        return self._line(where)

    def by_hand(self, where: Sequence[str]) -> str:
        """Name the flag or the variable that gave a setting; nothing where the file did, or nobody."""
        if _holds(self.flags, where):
            return f"--{where[-1].replace('_', '-')}"
        return self._variable(where)

    def _variable(self, where: Sequence[str]) -> str:
        """Name the environment variable that gave a setting; one for a whole section gives it as JSON."""
        names = {name.upper(): name for name in self.environment}
        for length in range(len(where), 0, -1):
            name = names.get(_name_of(where[:length]))
            if name and (length == len(where) or _holds(from_json(self.environment[name]), where[length:])):
                return name
        return ""

    def _variable_below(self, where: Sequence[str]) -> str:
        below = sorted(name for name in self.environment if name.upper().startswith(f"{_name_of(where)}__"))
        return below[0] if below else ""

    def _line(self, where: Sequence[str]) -> str:
        line = _line_of(self.root, where)
        return f"{self.path}:{line}" if line else str(self.path or "MRK_...")


class MisfitError(ValueError):
    """Settings that do not go together; the first one stands for the place, where no flag and no variable gave one."""

    def __init__(self, message: str, *settings: Where) -> None:
        super().__init__(message)
        self.settings = settings


def _name_of(where: Sequence[str]) -> str:
    return f"{PREFIX}{'__'.join(where)}".upper()


def complaint(given: Given, error: ValidationError, model: type[BaseModel]) -> UsageError:
    """Turn pydantic's findings into one error: a line for each of the first ones."""
    more = error.error_count() - MOST
    lines = dict.fromkeys(islice(_lines(given, error, model), MOST))
    return UsageError([*lines, *([f"and {more} more"] if more > 0 else [])], EXAMPLE)


def _lines(given: Given, error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        where = [str(part) for part in problem["loc"] if part != _KEY]
        said = _sentence(".".join(where), problem, model)
        about = getattr(problem.get("ctx", {}).get("error"), "settings", ())
        by_hand = [name for one in about if (name := given.by_hand(one))]
        place = by_hand[0] if by_hand else given.place(about[0] if about else where)
        yield f"{place}: {said if len(said) <= LONGEST else said[:LONGEST] + '…'}"


def _line_of(node: Any, where: Sequence[str]) -> int | None:
    """Find the line of a setting in a YAML file's nodes, or, for one that is missing, of what should hold it."""
    line: int | None = None
    for part in where:
        kind = getattr(node, "id", "")
        if kind == "mapping":
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif kind == "sequence" and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _holds(content: Any, where: Sequence[str]) -> bool:
    """Whether nested settings hold one by exactly this path, and be it empty."""
    for part in where:
        if isinstance(content, Mapping) and part in content:
            content = content[part]
        elif isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            return False
    return bool(where)


def from_json(text: str) -> Any:
    """Read what a variable gives as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _sentence(name: str, problem: Any, model: type[BaseModel]) -> str:
    given = problem.get("input")
    if problem["type"] == "extra_forbidden":
        return f"unknown setting {name}{_suggestion(problem['loc'], model)}"
    if problem["type"] == "missing":
        return f"{name} is missing"
    said = str(problem["msg"]).removeprefix("Value error, ")
    if not name:
        return said
    said = f"it must be {_WORDS[problem['type']]}" if problem["type"] in _WORDS else said
    unshown = isinstance(given, dict | list) or repr(given) in said or name in _UNSHOWN
    shown = "" if unshown else f" (given: {given!r})"
    return f"{name}: {said}{shown}"


def _suggestion(where: Sequence[str | int], model: type[BaseModel]) -> str:
    known = sorted(_known_at(where[:-1], model))
    close = difflib.get_close_matches(str(where[-1]).lower(), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _known_at(where: Sequence[str | int], model: Any) -> Sequence[str]:
    """Name the settings that are known where an unknown one was found."""
    return list(annotation_of([str(part) for part in where], model).model_fields)


def annotation_of(where: Sequence[str], model: Any) -> Any:
    """Return the type of the setting with this path."""
    for part in where:
        model = get_args(model)[1] if get_origin(model) is dict else model.model_fields[part].annotation
    return model
