"""What is wrong with a config file, told by file, line, setting, what was given, and what is allowed."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from orchestrator.errors import UsageError

_EXAMPLE = "config.example.yaml explains every setting"
_LONGEST = 300
"""Characters told of one thing that is wrong."""


def read_yaml(path: Path) -> str:
    """Return the text of a config file; raises UsageError where it is missing, empty or not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except FileNotFoundError:
        hint = "copy config.example.yaml there, or name another with -c or MRK_CONFIG"
        raise UsageError(f"there is no config file {path}", hint) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        hint = "indent with spaces, and quote values that begin with @ or %"
        raise UsageError(_not_yaml(path, error), hint) from None
    if content is None:
        raise UsageError(f"{path} is empty", _EXAMPLE)
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds a {type(content).__name__}, not settings", _EXAMPLE)
    return text


def _not_yaml(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or _without_mark(error)
    return f"{path}:{mark.line + 1}: not YAML: {problem}" if mark else f"{path}: not YAML: {problem}"


def _without_mark(error: Exception) -> str:
    """Say what the parser meets with the errors of plain Python, such as the 30th of February."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return "it is nested too deep" if isinstance(error, RecursionError) else f"{error!s:.{_LONGEST}}"


def complaint(
    path: Path, text: str, environment: Mapping[str, str], error: ValidationError, model: type[BaseModel]
) -> UsageError:
    """Turn pydantic's findings into one error: a line for each."""
    lines = list(dict.fromkeys(_lines(path, text, environment, error, model)))
    return UsageError("\n".join(lines), _EXAMPLE)


def _lines(
    path: Path, text: str, environment: Mapping[str, str], error: ValidationError, model: type[BaseModel]
) -> Iterator[str]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for problem in error.errors(include_url=False):
        where = [str(part) for part in problem["loc"]]
        line, variable = _line_of(root, where), f"MRK_{'__'.join(where).upper()}"
        place = variable if variable in environment else f"{path}:{line}" if line else str(path)
        said = _sentence(".".join(where) or "the file", problem, model)
        yield f"{place}: {said if len(said) <= _LONGEST else said[:_LONGEST] + '…'}"


def _line_of(node: Any, where: Sequence[str]) -> int | None:
    """Find the line of a setting, or, for one that is missing, of what should hold it."""
    line: int | None = None
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _sentence(name: str, problem: Any, model: type[BaseModel]) -> str:
    given = problem.get("input")
    if problem["type"] == "extra_forbidden":
        return f"unknown setting {name}{_suggestion(problem['loc'], model)}"
    if problem["type"] == "missing":
        return f"{name} is missing"
    said = str(problem["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list) or repr(given) in said else f" (given: {given!r})"
    return f"{name}: {said}{shown}"


def _suggestion(where: Sequence[str | int], model: type[BaseModel]) -> str:
    known = sorted(_known_at(where[:-1], model))
    close = difflib.get_close_matches(str(where[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _known_at(where: Sequence[str | int], model: Any) -> Sequence[str]:
    """Name the settings that are known where an unknown one was found."""
    for part in where:
        by_name = get_origin(model) is dict
        model = get_args(model)[1] if by_name else model.model_fields[str(part)].annotation
    return list(model.model_fields)
