"""Where a process finds secrets around it: in its environment, its arguments, and the files that AWS's SDK reads."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.bounded import read_regular
from orchestrator.redaction import redacted

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


def learn_surroundings(environment: Mapping[str, str], arguments: Iterable[str]) -> None:
    """Have every secret that is found there left out of whatever is written from now on."""
    redacted.learn(_in_environment(environment))
    redacted.learn(_in_files(environment))
    for text in (*environment.values(), *arguments):
        redacted.learn_from(text)


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
