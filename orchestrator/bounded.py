"""Files read with a bound: whoever names a device, a pipe or a disk's worth of text gets an answer, not a hang."""

import os
import select
import stat
import time
from pathlib import Path

PATIENCE = 20.0
"""Seconds that whoever writes into a pipe may take."""

_BLOCK = 1 << 16


class TooLongError(ValueError):
    """A file holds more than anybody would put there."""


def read_regular(path: Path, longest: int) -> bytes:
    """Read a regular file of up to `longest` bytes; raises OSError, and ValueError for anything else."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        return read_handle(handle, longest)
    finally:
        os.close(handle)


def read_bounded(path: Path, longest: int, patience: float = PATIENCE) -> bytes:
    """Read a file, or a pipe to its end, of up to `longest` bytes.

    Raises OSError, TooLongError, and TimeoutError where a pipe has not come to its end within `patience` seconds.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return read_handle(handle, longest, patience)
    finally:
        os.close(handle)


def read_handle(handle: int, longest: int, patience: float = PATIENCE) -> bytes:
    """Read what is open, to its end; raises as read_bounded does."""
    until, content = time.monotonic() + patience, bytearray()
    ready = select.poll()
    ready.register(handle, select.POLLIN)
    while True:
        # A pipe that nobody has opened yet reads as ended: only poll tells the two apart.
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError(f"nobody wrote it to its end within {patience:.0f} s")
        block = os.read(handle, _BLOCK)
        if not block:
            return bytes(content)
        content += block
        if len(content) > longest:
            raise TooLongError(f"it is longer than {longest} bytes")
