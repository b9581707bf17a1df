"""What goes wrong, on stderr. Imports nothing that takes time: it is needed before everything else."""

import errno
import sys
from collections.abc import Sequence
from contextlib import suppress

from orchestrator.errors import Exit, MrkError, of_system
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


def judged(error: Exception) -> tuple[Exit, list[str], str]:
    """Tell the exit code of an error that ends a command, what it says, and what to do next; all channels tell that."""
    if isinstance(error, MrkError):
        return error.exit_code, error.lines, error.hint
    if refused := of_system(error):
        return Exit.FAILED, [refused[0]], refused[1]
    return Exit.INTERNAL, [defect(error)], "please report it, with the journal of the run"


def lost() -> bool:
    """Whether stdout did not take a result; a reader that wants no more of it is no failure."""
    sys.stdout.flush()
    error = getattr(sys.stdout, "lost", None)
    return error is not None and error.errno != errno.EPIPE


def complain_of_loss() -> None:
    """Tell that stdout did not take a result."""
    said = getattr(sys.stdout, "lost", OSError()).strerror
    complain(
        f"the result could not be written to stdout: {said}", "what a run did stands in its journal: mrk report last"
    )


def refusal(code: int, message: str, hint: str = "") -> dict[str, object]:
    """Tell scripts of a command that was refused: the document that every command prints, with an error and no key."""
    return {"exit_code": int(code), "keys": [], "error": {"message": _short(message), "hint": _short(hint)}}


def refuse(code: int, message: str | Sequence[str], hint: str, *, as_json: bool) -> int:
    """Tell why a command went no further, and return its exit code."""
    complain(message, hint)
    if as_json and not getattr(sys.stdout, "used", False):  # one document, whatever fails after it
        said = message if isinstance(message, str) else "; ".join(message)
        sys.stdout.write(to_json(refusal(code, said, hint), indent=2) + "\n")
    return int(code)
