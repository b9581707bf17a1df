"""A config file: YAML, read once, with the place of everything in it.

Loading YAML takes as long as a call to KMS: whoever has no file, as a Lambda function, need not import this.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.bounded import TooLongError, read_bounded
from orchestrator.config_bounds import LONGEST as LONGEST_FILE
from orchestrator.config_bounds import Loader
from orchestrator.config_errors import EXAMPLE, LONGEST, Given
from orchestrator.errors import UsageError
from orchestrator.redaction import redacted
from orchestrator.trusted import check_obeyed

_MERGE = "<<"
_NAMES = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


def read_yaml(path: Path, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Given:
    """Read a config file, once.

    Raises UsageError where it is missing, empty, not YAML, has a name twice, or others could have written it.
    """
    text = _text(path)
    redacted.learn_from(text)
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        if root is not None:
            _refuse_twice(path, root)
        content = loader.construct_document(root) if root is not None else None
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - PyYAML meets a value that does not fit its tag with errors of every kind
        hint = "indent with spaces, and quote values that begin with @ or %"
        raise UsageError(_not_yaml(path, error), hint) from None
    if content is None:
        raise UsageError(f"{path} is empty", EXAMPLE)
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds a {type(content).__name__}, not settings", EXAMPLE)
    return Given(path, root, content, environment, flags)


def _text(path: Path) -> str:
    """Read a file, or a pipe that somebody writes the config into."""
    hint = f"a config file has {LONGEST_FILE >> 20} MiB at most, and whoever pipes one has to end it in time"
    try:
        check_obeyed(path, "the config")
        return read_bounded(path, LONGEST_FILE).decode()
    except FileNotFoundError:
        missing = "write one: mrk config example > config.yaml; or name another with -c or MRK_CONFIG"
        raise UsageError(f"there is no config file {path}", missing) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not YAML: it is not UTF-8 text", EXAMPLE) from None
    except (TooLongError, TimeoutError) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from None


def _refuse_twice(path: Path, root: yaml.Node) -> None:
    """Refuse a name that is written twice in one place: YAML would take the last one without a word."""
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        if isinstance(node, yaml.MappingNode):
            left += [value for _, value in node.value]
            _refuse_twice_in(path, node)


def _refuse_twice_in(path: Path, node: yaml.MappingNode) -> None:
    found: dict[str, yaml.ScalarNode] = {}
    for name in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        line, before = name.start_mark.line + 1, found.setdefault(name.value, name)
        if name.tag not in _NAMES:
            raise UsageError(f"{path}:{line}: {name.value} is no name to YAML", f"quote it: '{name.value}'")
        if before is not name and name.value != _MERGE:
            message = f"{path}:{line}: {name.value} is written twice: here, and in line {before.start_mark.line + 1}"
            raise UsageError(message, "keep one of them: only the last one would count")


def _not_yaml(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or _without_mark(error)
    return f"{path}:{mark.line + 1}: not YAML: {problem}" if mark else f"{path}: not YAML: {problem}"


def _without_mark(error: Exception) -> str:
    """Say what the parser meets with the errors of plain Python, such as the 30th of February."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return (
        f"{error!s:.{LONGEST}}"
        if isinstance(error, ValueError | yaml.YAMLError)
        else "a value does not fit its tag (!!...)"
    )
