"""Whether this user could write to a directory, found without writing: told in a sentence."""

import os
import stat
from pathlib import Path


def unwritable(folder: Path) -> str:
    """Say why no file can be made in a directory; nothing where one can be."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return f"there is no directory {folder}"
    except OSError as error:
        return f"{folder} cannot be looked at: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not a directory"
    effective = os.access in os.supports_effective_ids
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return ""
    only = " (it is mounted read-only)" if os.statvfs(folder).f_flag & os.ST_RDONLY else ""
    return f"user id {os.geteuid()} may not write to {folder}{only}"


def unmakable(folder: Path) -> str:
    """Say why a directory can neither be written to nor be made, with those above it; nothing where it can be."""
    there = folder.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    return unwritable(there)
