"""Whether the operating system would run a program of the owner's: told in a sentence, before it is needed."""

import os
import shlex
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

_SCRIPT = b"#!"
_LONGEST_LINE = 256
"""Bytes of a first line that Linux reads."""


def why_not(program: Path, environment: Mapping[str, str]) -> str:
    """Say why a program cannot be run with an environment; nothing where it can be."""
    try:
        found = program.stat()
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"it cannot be looked at: {error.strerror}"
    if stat.S_ISDIR(found.st_mode):
        return "it is a directory, not a program"
    if not stat.S_ISREG(found.st_mode):
        return "it is not a file"
    return _not_executable(program) or _not_interpreted(_beginning(program), environment)


def _not_executable(program: Path) -> str:
    if _may_run(program):
        return ""
    if os.statvfs(program).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "it is on a file system that is mounted noexec: put it on another"
    return f"user id {os.geteuid()} may not execute it: chmod +x {shlex.quote(str(program))}"


def _may_run(program: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(program, os.X_OK, effective_ids=effective)


def _beginning(program: Path) -> bytes:
    """Read how a program begins; one that may be run, and not read, is no script."""
    try:
        with program.open("rb") as file:
            return file.read(_LONGEST_LINE)
    except OSError:
        return b"\0"


def _not_interpreted(beginning: bytes, environment: Mapping[str, str]) -> str:
    """Say what a script lacks; what is no text has a format that the system knows, or not."""
    if not beginning.startswith(_SCRIPT):
        return "" if b"\0" in beginning else "it is text whose first line is not #! and an interpreter, as #!/bin/sh is"
    line = beginning.removeprefix(_SCRIPT).split(b"\n")[0]
    words = os.fsdecode(line).strip(" \t").split(None, 1) if not line.endswith(b"\r") else []
    if not words:
        ends = "ends with a carriage return, as files of Windows do" if line.endswith(b"\r") else "names none"
        return f"its first line is to name an interpreter, and {ends}"
    interpreter, *rest = words
    if not (Path(interpreter).is_file() and _may_run(Path(interpreter))):
        return f"its first line names the interpreter {interpreter}, which is not there, or cannot be run"
    return _not_in_path(rest[0].split(), environment) if Path(interpreter).name == "env" and rest else ""


def _not_in_path(words: list[str], environment: Mapping[str, str]) -> str:
    """Say that `env` would not find what a first line asks it for."""
    named = next((word for word in words if not word.startswith("-") and "=" not in word), "")
    path = environment.get("PATH", os.defpath)
    if not named or shutil.which(named, path=path):
        return ""
    return f"its first line asks env for {named}, which is not in PATH ({path})"
