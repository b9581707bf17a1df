"""The program that a profile names as `credential_process`: run for a limited time, and named by all that it lacks."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.utils import parse_timestamp

from orchestrator.errors import KmsError, Trouble
from orchestrator.printable import printable

_LONGEST_WORDS = 300
_PARTS = ("AccessKeyId", "SecretAccessKey")
_MEND = "run it by hand as the user that runs mrk, and see what it prints; the profile's `credential_process` names it"
_LOG_IN = "log in again, as that program wants it, and see that this machine's clock is right; then run again"


class Program:
    """A process as botocore's ProcessProvider uses one: what it prints is credentials, or it is refused by name."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        longest: float,
        asking: Callable[[], AbstractContextManager[None]],
        **_pipes: object,
    ) -> None:
        self.returncode = 0
        self._words = words
        self._longest = longest
        self._asking = asking

    def communicate(self) -> tuple[bytes, bytes]:
        """Run it to its end; raises KmsError for whatever is no credentials."""
        if not self._words:
            raise refused("names no program", "write the program, and its words, there")
        refuse = partial(_refused_by, self._words[0])
        with self._asking():
            ended = _ended(self._words, self._longest, refuse)
        if ended.returncode:
            raise refuse(f"{_how(ended.returncode)}{_words_of(ended.stderr)}", _MEND)
        if wrong := _wrong(ended.stdout):
            raise refuse(wrong, _MEND)
        if ended_at := _ended_at(ended.stdout):
            raise refuse(f"hands out a session that ended on {ended_at}", _LOG_IN)
        return ended.stdout, ended.stderr


_Refuse = Callable[[str, str], KmsError]


def refused(what: str, hint: str) -> KmsError:
    """Say what is wrong with a `credential_process`: no waiting mends it."""
    return KmsError(f"credential_process {what}", hint, trouble=Trouble.PERMANENT, code="CredentialProcess")


def _refused_by(program: str, what: str, hint: str) -> KmsError:
    return refused(f"{printable(program, _LONGEST_WORDS)} {what}", hint)


def _ended(words: Sequence[str], longest: float, refuse: _Refuse) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(words, capture_output=True, timeout=longest, check=False)
    except OSError as error:
        hint = "install that program, make it executable, or name the right one in the profile; then run again"
        raise refuse(f"cannot be started: {error.strerror}", hint) from None
    except subprocess.TimeoutExpired:
        raise refuse(f"gave nothing within {longest:.0f} s, and was ended", _MEND) from None


def _how(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def _words_of(stderr: bytes) -> str:
    said = printable(" ".join(stderr.decode(errors="replace").split()), _LONGEST_WORDS)
    return f", and said: {said}" if said else ", and said nothing"


def _wrong(stdout: bytes) -> str:
    """Say what keeps a text from being credentials; nothing of it is quoted."""
    if not stdout.strip():
        return "printed nothing"
    try:
        found = json.loads(stdout.decode())
    except ValueError:
        return "printed no JSON"
    if not isinstance(found, Mapping):
        return "printed JSON that is no object"
    if found.get("Version") != 1:
        return 'printed no "Version": 1'
    for part in _PARTS:
        if not isinstance(found.get(part), str) or not found[part]:
            return f"printed no {part}"
    if not isinstance(found.get("SessionToken", ""), str | None):
        return "printed a SessionToken that is no text"
    return "" if _until(found) else "printed an Expiration that is no time with its zone"


def _ended_at(stdout: bytes) -> str:
    """Tell when a session ended, where it did."""
    until = _until(json.loads(stdout.decode()))
    return f"{until:%Y-%m-%d at %H:%M} UTC" if until and until <= datetime.now(UTC) else ""


def _until(found: Mapping[str, Any]) -> datetime | None:
    """Read when a session ends; None where that cannot be read."""
    if found.get("Expiration") is None:
        return datetime.max.replace(tzinfo=UTC)
    try:
        until: datetime = parse_timestamp(found["Expiration"])
        return until.astimezone(UTC) if until.tzinfo else None
    except (ValueError, TypeError, OverflowError, RuntimeError):
        return None
