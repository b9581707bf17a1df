"""What a store needs of its file system, and how one that lacks it is told."""

import errno
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.mounts import named

_UNABLE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system says that can never do what was asked; anything else may be mended, or is a bad disk."""
_NO_LINKS = (*_UNABLE, errno.EPERM, errno.EXDEV)
_ELSEWHERE = (
    "put the store on a file system that can, such as ext4, xfs, btrfs or zfs (store.uri); from this one it can still"
    " be looked at, and what a Region lost be brought back"
)


def cannot_sync(error: OSError) -> bool:
    """Whether the file system can never make durable what was asked."""
    return error.errno in _UNABLE


def no_sync(folder: Path, error: OSError) -> StoreError:
    """Say that what is stored there may be gone after a power cut."""
    return StoreError(
        f"{named(folder)} cannot keep the name of a new file through a power cut"
        f" (fsync of a directory: {said(error)}), and key material in it could be lost: nothing is stored there",
        _ELSEWHERE,
    )


def no_links(folder: Path, error: OSError) -> StoreError | None:
    """Say that nothing can be published there; nothing where the error says something else."""
    if error.errno not in _NO_LINKS:
        return None
    return StoreError(
        f"{named(folder)} has no hard links (link: {said(error)}), and without them a file could overwrite key"
        " material: nothing is stored there",
        _ELSEWHERE,
    )


def said(error: OSError) -> str:
    """Say what the operating system says, with the name that people search for."""
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    return f"{error.strerror or error} ({code})"
