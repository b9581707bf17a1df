"""What goes wrong, on stderr. Imports nothing that takes time: it is needed before everything else."""

import sys


def complain(message: str, hint: str = "") -> None:
    """Say what went wrong on stderr, and what to do next."""
    sys.stderr.write(f"mrk: {message}\n" + (f"hint: {hint}\n" if hint else ""))
