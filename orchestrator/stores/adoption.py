"""Reading key material that a person made elsewhere: from a file, or once from whatever is written into a pipe."""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from orchestrator.bounded import TooLongError, read_bounded, read_handle
from orchestrator.errors import UsageError

from .material import LENGTH, KeyMaterial
from .shapes import ANYTHING, advice

STDIN = Path("/dev/stdin")
_LIMIT = 4096
_NAME = f"name a file with the {LENGTH} bytes of key material, or write them into a pipe: ... | mrk adopt NAME -"


def read_source(source: Path) -> KeyMaterial:
    """Read exactly 32 bytes; raises UsageError, which tells the length and the form alone, for anything else."""
    found = _examine(source)
    if isinstance(found, KeyMaterial):
        return found
    length, way = found
    raise UsageError(f"{shown(source)} has {length} bytes; key material has exactly {LENGTH}", way)


def shown(source: Path) -> str:
    """Name a source for people."""
    return "the standard input" if source == STDIN else str(source)


def _examine(source: Path) -> KeyMaterial | tuple[str, str]:
    """Return the material, or the length and an advice, so that the frame that raises never held the content."""
    content = _read(source)
    if content is None:
        return f"more than {_LIMIT}", ANYTHING
    if len(content) == LENGTH:
        return KeyMaterial(content)
    return str(len(content)), advice(content, partial(_turned, source))


def check_source(source: Path) -> None:
    """Raise UsageError where nothing can be read, as far as that can be told without reading."""
    with _told(source):
        mode = source.stat().st_mode
        if source == STDIN and os.isatty(0):
            raise UsageError("the standard input is a terminal, not a file or a pipe", _NAME)
        if what := next((what for judge, what in _NO_FILES if judge(mode)), ""):
            raise UsageError(f"{shown(source)} is {what}, not a file or a pipe", _NAME)


_NO_FILES = ((stat.S_ISDIR, "a directory"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


def _read(source: Path) -> bytes | None:
    """Read a file, or a pipe to its end; None where it is far too long."""
    check_source(source)
    with _told(source), suppress(TooLongError):
        return read_handle(0, _LIMIT) if source == STDIN else read_bounded(source, _LIMIT)
    return None


@contextmanager
def _told(source: Path) -> Iterator[None]:
    """Tell why something cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"there is no file {shown(source)}", _NAME) from None
    except TimeoutError as error:
        raise UsageError(f"{shown(source)} is a pipe, and {error}", _NAME) from None
    except OSError as error:
        why = f"cannot read the key material in {shown(source)}: {error.strerror or error}"
        raise UsageError(why, f"name a file that user {os.geteuid()} may read") from None


def _turned(source: Path, command: str) -> str:
    """Complete a command that turns a source right: into a file that nobody else may read, or on its way."""
    if source != STDIN and source.is_file():
        return (
            f"(umask 077; {command.format(shlex.quote(str(source)))} > key-material.bin), then adopt key-material.bin"
        )
    return f"... | {command.format('/dev/stdin')} | mrk adopt NAME -"
