"""What goes wrong, on stderr. Imports nothing that takes time: it is needed before everything else."""

import json
import sys
from contextlib import suppress


def complain(message: str, hint: str = "") -> None:
    """Say what went wrong on stderr, and what to do next."""
    with suppress(OSError):
        sys.stderr.write(f"mrk: {message}\n" + (f"hint: {hint}\n" if hint else ""))


def refusal(code: int, message: str, hint: str = "") -> dict[str, object]:
    """Tell scripts of a command that was refused: the document that every command prints, with an error and no key."""
    return {"exit_code": int(code), "keys": [], "error": {"message": message, "hint": hint}}


def refuse(code: int, message: str, hint: str, *, as_json: bool) -> int:
    """Tell why a command went no further, and return its exit code."""
    complain(message, hint)
    if as_json:
        with suppress(OSError):
            sys.stdout.write(json.dumps(refusal(code, message, hint), indent=2) + "\n")
    return int(code)
