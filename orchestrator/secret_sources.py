"""Where a process finds secrets around it: in its environment, its arguments, and the files that AWS's SDK reads."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.bounded import read_regular
from orchestrator.redaction import MARK, Redaction, redacted
from orchestrator.secret_shapes import in_hex, may_be_secret

_AWS = re.compile(
    r"AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|CONTAINER_AUTHORIZATION_TOKEN|BEARER_TOKEN_.*)|MRK_TASK_TOKEN"
)
_OTHERS = re.compile(
    r".*(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTHORIZATION|(API|SECRET|PRIVATE|ACCESS)_?KEY)",
    re.IGNORECASE,
)
_PATH = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
"""Whoever knows the last part of this path, on that machine, gets the credentials of the task."""

_IN_AWS_FILES = re.compile(
    r"^\s*aws_(?:secret_access_key|session_token|security_token)\s*[=:]\s*(\S+)", re.MULTILINE | re.IGNORECASE
)
_AWS_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
_TOKEN_FILES = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_LONGEST = 1 << 20
_ID = re.compile(r"[0-9a-f]{64}")
_TAKE_IDS = ("--material-id", "--replaces", "--hash")
"""Options whose words look like key material: ids and hashes, which results must name."""


def learn_surroundings(environment: Mapping[str, str], arguments: Sequence[str], known: Redaction = redacted) -> None:
    """Have every secret that is found there left out of whatever is written from now on."""
    known.learn(_in_environment(environment))
    known.learn(_in_files(environment))
    for text in (*environment.values(), *arguments):
        known.learn_from(text)
    known.learn(_in_places_of_names(arguments))


def command_line(arguments: Sequence[str]) -> tuple[str, ...]:
    """Tell a command line for keeping: what only looks like an id may be key material, till the key has it."""
    return tuple(MARK if in_hex(word) else _unnamed(word) for word in arguments)


def _unnamed(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name}={MARK}" if equals and in_hex(value) else word


def _in_places_of_names(arguments: Sequence[str]) -> Iterator[str]:
    """Find what stands where a name or a path should, and has the form of key material."""
    before = ""
    for word in arguments:
        option, equals, value = word.partition("=")
        named = bool(equals) and option.startswith("--")
        name, given = (option, value) if named else (before, word)
        if not (name in _TAKE_IDS and _ID.fullmatch(given)):
            joined = given[2:] if given.startswith("-") else given
            yield from (one for one in (given, joined) if may_be_secret(one))
        before = word


def _in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if name == _PATH:
            yield value.rpartition("/")[2]
        elif _AWS.fullmatch(name) or (_OTHERS.fullmatch(name) and not value.startswith("/") and "://" not in value):
            yield value


def _in_files(environment: Mapping[str, str]) -> Iterator[str]:
    for name, usual in _AWS_FILES.items():
        yield from _IN_AWS_FILES.findall(_read(environment.get(name, usual)))
    for name in _TOKEN_FILES:
        if name in environment:
            yield _read(environment[name]).strip()


def _read(path: str) -> str:
    with suppress(OSError, ValueError):
        return read_regular(Path(os.path.expanduser(path)), _LONGEST).decode(errors="replace")  # noqa: PTH111 - no home, no error
    return ""
