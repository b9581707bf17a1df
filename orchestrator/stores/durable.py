"""Whether a directory outlives a restart: by the file system that it is on, as Linux tells it."""

from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.mounts import MOUNTS, kind_of

_GONE_WITH_THE_MACHINE = ("tmpfs", "ramfs", "devtmpfs", "rootfs")
_GONE_WITH_THE_CONTAINER = ("overlay", "overlayfs", "aufs", "fuse.fuse-overlayfs", "fuse-overlayfs")


def check_durable(root: Path, mounts: Path = MOUNTS) -> None:
    """Raise StoreError where what is stored at `root` would be lost at a restart.

    Where the system has no list of mounts, nothing is judged.
    """
    kind = kind_of(root, mounts)
    if kind in _GONE_WITH_THE_MACHINE:
        why = f"a file system in memory ({kind}): it is empty after the next restart"
    elif kind in _GONE_WITH_THE_CONTAINER:
        why = f"a container's own layer ({kind}): it is gone with the container"
    else:
        return
    raise StoreError(
        f"the store {root} is on {why}, and key material in it would be lost",
        "put it on a disk or a volume that is backed up (store.uri); for a trial alone set store.volatile: allow",
    )
