"""Settings from environment variables: MRK_SECTION__SETTING, whatever the case; what has several parts is JSON."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from orchestrator.config_errors import DEEPEST, EXAMPLE, LONGEST, PREFIX, annotation_of, from_json
from orchestrator.errors import UsageError

_BRACKET = re.compile(r"[\[\]{}]")
_CLOSE = 0.75
_UNDERSCORES = re.compile("_+")
_ADDRESS, _PORT, _LINK = r"[0-9A-Fa-f.:]+", r"\d{1,5}", r"(tcp|udp|sctp)://\S+:\d{1,5}"
_LINKS = tuple(
    (re.compile(f"MRK(_[A-Z0-9]+)*_{name}"), re.compile(value))
    for name, value in {
        "SERVICE_HOST": _ADDRESS,
        "SERVICE_PORT(_[A-Z0-9_]+)?": _PORT,
        r"PORT(_\d+_(TCP|UDP|SCTP))?": _LINK,
        r"PORT_\d+_(TCP|UDP|SCTP)_PROTO": "tcp|udp|sctp",
        r"PORT_\d+_(TCP|UDP|SCTP)_PORT": _PORT,
        r"PORT_\d+_(TCP|UDP|SCTP)_ADDR": _ADDRESS,
    }.items()
)
"""What Kubernetes tells every pod of a service named mrk, or mrk-something."""

_PARTS = (
    "settings with several parts are given as JSON:"
    ' MRK_STORE__RECIPIENTS=\'["age1..."]\', MRK_KEYS__PAYMENTS=\'{"arn": "..."}\''
)


def refuse_deep_variables(environment: Mapping[str, str]) -> None:
    """Refuse JSON in MRK_... variables that is nested deeper than any setting: its readers would run out of stack."""
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and _depth(environment[name]) > DEEPEST:
            raise UsageError(f"{name}: the value is nested too deep", EXAMPLE)


def _depth(text: str) -> int:
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(text)), default=0)


def read_variables(
    environment: Mapping[str, str], model: type[BaseModel], others: Iterable[str], keys: Iterable[str]
) -> dict[str, Any]:
    """Return what variables set, nested as in a file; `others` are known besides, `keys` are named in the file.

    Raises UsageError for one that names no setting, is no JSON where that is needed, or sets what another one sets.
    """
    found: dict[str, Any] = {}
    in_file = frozenset(keys)
    names: dict[tuple[str, ...], str] = {}
    for name in sorted(_ours(environment, others), key=lambda name: (name.count("__"), name)):
        where = _where(name, {*in_file, *_names_in(found.get("keys"))})
        kind = _kind(name, where, model)
        if (other := names.setdefault(tuple(where), name)) != name:
            raise UsageError(f"{other} and {name} are one setting: capitals make no difference", "unset one of them")
        _put(found, where, _value(name, environment[name], kind, model))
    return found


def _ours(environment: Mapping[str, str], others: Iterable[str]) -> Iterator[str]:
    for name, value in environment.items():
        if name.upper().startswith(PREFIX) and name.upper() not in others and not _is_link(name, value):
            yield name


def _is_link(name: str, value: str) -> bool:
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _LINKS)


def _kind(name: str, where: list[str], model: type[BaseModel]) -> Any:
    try:
        return annotation_of(where, model)
    except (KeyError, AttributeError):
        sections = ", ".join(f"{PREFIX}{section.upper()}" for section in model.model_fields)
        hint = f"{_meant(name.upper(), model)} A name is section, two underscores, setting; sections: {sections}"
        raise UsageError(f"{name}: no setting has that name", hint) from None


def _meant(name: str, model: type[BaseModel]) -> str:
    """Ask whether another name is meant: one that differs in underscores, then one of the same setting, then any."""
    known = list(_known(name, model))
    without_section = [one for one in known if one.endswith(f"__{name.removeprefix(PREFIX)}")]
    close = difflib.get_close_matches(name, known, n=1, cutoff=_CLOSE)
    meant = [*_underscored(name, model), *without_section, *close]
    return f"did you mean {meant[0]}?" if meant else "unset it."


def _underscored(name: str, model: type[BaseModel]) -> list[str]:
    """Find the names that differ in underscores only."""
    plain = _UNDERSCORES.sub("_", name)
    return [one for one in _known(name, model) if one != name and _UNDERSCORES.sub("_", one) == plain]


def _known(name: str, model: type[BaseModel]) -> Iterator[str]:
    """Tell the names of all variables; a setting of a key with the key's name, as far as `name` tells it."""
    for section, field in model.model_fields.items():
        kind, upper = field.annotation, f"{PREFIX}{section.upper()}"
        yield upper
        if get_origin(kind) is not dict:
            yield from (f"{upper}__{setting.upper()}" for setting in annotation_of([section], model).model_fields)
            continue
        for setting in get_args(kind)[1].model_fields:
            told = re.fullmatch(f"{upper}_+(.+?)(_+{setting}|__[^_].*)", name, re.IGNORECASE)
            yield f"{upper}__{told[1] if told else 'NAME'}__{setting.upper()}"


def _where(variable: str, keys: Iterable[str]) -> list[str]:
    """Tell the path of a setting that a variable names; the name of a key is one of `keys`, with its capitals."""
    where = variable.upper().removeprefix(PREFIX).lower().split("__")
    for name, rest in (("__".join(where[1:]), []), ("__".join(where[1:-1]), where[-1:])):
        meant = sorted(key for key in keys if key.lower() == name and where[0] == "keys")
        if len(meant) > 1:
            hint = "set it in the config file, or give one of them another name"
            either = f"it may mean the key {' or '.join(meant)}"
            raise UsageError(f"{variable}: {either}: capitals make no difference here", hint)
        if meant:
            return ["keys", *meant, *rest]
    return where


def _names_in(keys: Any) -> Iterable[str]:
    return keys if isinstance(keys, dict) else ()


def _value(name: str, text: str, kind: Any, model: type[BaseModel]) -> Any:
    """Read one value: JSON, where the setting has several parts."""
    if get_origin(kind) not in {tuple, dict} and not hasattr(kind, "model_fields"):
        return text
    if (value := from_json(text)) is None:
        meant = [f"did you mean {one}? " for one in _underscored(name.upper(), model)]
        raise UsageError(f"{name}: the value is not JSON", f"{''.join(meant[:1])}{_PARTS}")
    json.loads(text, object_pairs_hook=partial(_each_once, name))
    return value


def _each_once(variable: str, pairs: list[tuple[str, Any]]) -> None:
    """Refuse a name that is given twice in one place: JSON would take the last one without a word."""
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise UsageError(f"{variable}: {twice[0]:.{LONGEST}} is given twice", "keep one of them")


def _put(found: dict[str, Any], where: list[str], value: Any) -> None:
    """Put a value into its place; where a whole section is no such thing, that is told later."""
    for part in where[:-1]:
        found = found.setdefault(part, {})
        if not isinstance(found, dict):
            return
    found[where[-1]] = value
