"""No memory of this process is left behind: key material passes through it (I2)."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4
"""prctl(2)."""


def offer_no_core_dump() -> None:
    """Forbid core dumps, and let no other process of the same user read this one's memory (the latter on Linux only).

    The processes that this one starts set themselves as they like, except that they dump no core either.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
