"""What goes wrong, on stderr. Imports nothing that takes time: it is needed before everything else."""

import sys
from collections.abc import Sequence
from contextlib import suppress

from orchestrator.written import clean, to_json

_LONGEST = 8_000
"""Characters of a message, whatever it quotes; its end says what is wrong."""

_INDENT = "\n     "
"""Before each further line of a message, so that none of them can pass for a line of its own."""


def complain(message: str | Sequence[str], hint: str = "") -> None:
    """Say what went wrong on stderr, and what to do next; several things a line each."""
    lines = [message] if isinstance(message, str) else message
    told = f"mrk: {_INDENT.join(map(_short, lines))}\n"
    with suppress(OSError):
        sys.stderr.write(told + (f"hint: {_short(hint)}\n" if hint else ""))


def _short(text: str) -> str:
    said, half = clean(text), _LONGEST // 2
    return said if len(said) <= _LONGEST else f"{said[:half]}…{said[-half:]}"


def defect(error: Exception) -> str:
    """Say that an error is none that mrk knows."""
    return f"a defect in mrk: {type(error).__name__}: {error}"


def refusal(code: int, message: str, hint: str = "") -> dict[str, object]:
    """Tell scripts of a command that was refused: the document that every command prints, with an error and no key."""
    return {"exit_code": int(code), "keys": [], "error": {"message": _short(message), "hint": _short(hint)}}


def refuse(code: int, message: str | Sequence[str], hint: str, *, as_json: bool) -> int:
    """Tell why a command went no further, and return its exit code."""
    complain(message, hint)
    if as_json:
        said = message if isinstance(message, str) else "; ".join(message)
        with suppress(OSError):
            sys.stdout.write(to_json(refusal(code, said, hint), indent=2) + "\n")
    return int(code)
