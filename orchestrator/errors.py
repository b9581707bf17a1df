"""Every error that this project raises, in one tree.

MrkError                     exit 1   a defect of ours, if raised as such
├── UsageError               exit 2   the command line, a setting or a file of the user's is wrong
├── KmsError                 exit 3   one call to KMS, or to another AWS service, failed
├── StoreError               exit 4   the store refuses: a person must look
│   ├── EntryError           exit 4   one entry cannot be read, or is not what its name says
│   └── NotPrivateError      exit 4   something in it is not this user's alone
├── HeldError                exit 3   another run holds the lock
├── DeclinedError            exit 5   somebody was asked, and said no
└── BlockedError             exit 4   a command would do harm
"""

import errno
from collections.abc import Sequence
from enum import IntEnum, StrEnum

from orchestrator.printable import printable


class Exit(IntEnum):
    """Exit codes of `mrk`: a contract, scripts depend on it."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    FAILED = 3
    BLOCKED = 4
    INTERRUPTED = 5
    WORK_TO_DO = 10

    @classmethod
    def worst(cls, codes: "list[Exit]") -> "Exit":
        """Pick the code of several at once: 1 > 2 > 5 > 4 > 3 > 10 > 0."""
        order = (cls.INTERNAL, cls.USAGE, cls.INTERRUPTED, cls.BLOCKED, cls.FAILED, cls.WORK_TO_DO)
        return next((code for code in order if code in codes), cls.OK)


class MrkError(Exception):
    """What went wrong, and in `hint` what to do next; `lines` tells several things that are wrong one by one.

    They quote what came from outside, and so each is one line, in which nothing moves a terminal.
    """

    exit_code = Exit.INTERNAL

    def __init__(self, message: str | Sequence[str], hint: str = "") -> None:
        self.lines = [printable(line) for line in ([message] if isinstance(message, str) else message)]
        self.message = "; ".join(self.lines)
        self.hint = printable(hint)
        super().__init__(self.message)


class UsageError(MrkError):
    """The command line, a setting or a file of the user's is wrong."""

    exit_code = Exit.USAGE


class StoreError(MrkError):
    """The store refuses; nothing was changed in it."""

    exit_code = Exit.BLOCKED


class EntryError(StoreError):
    """One entry cannot be read, or is not what its name says."""


class NotPrivateError(StoreError):
    """Something in the store is not this user's alone: nothing was looked at, and nothing is known to be lacking."""


class HeldError(MrkError):
    """Another run holds the lock of this config; running again later goes on where that one stops."""

    exit_code = Exit.FAILED


class DeclinedError(MrkError):
    """Somebody was asked, and said no; nothing was changed."""

    exit_code = Exit.INTERRUPTED


class BlockedError(MrkError):
    """Going on would do harm; a person must decide."""

    exit_code = Exit.BLOCKED


class Trouble(StrEnum):
    """What a failed call means for the caller. Decided once per error code, in the adapter."""

    TRANSIENT = "transient"
    STALE_PARAMETERS = "stale import parameters"
    LOOK_AGAIN = "the world is not as it was seen"
    PERMANENT = "permanent"


class KmsError(MrkError):
    """One call failed. `trouble` tells what that means; `code` is AWS's own word, for people and the journal.

    `unanswered` says why no answer came, where none did; empty where AWS answered.
    """

    exit_code = Exit.FAILED

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        trouble: Trouble,
        operation: str = "",
        region: str = "",
        code: str = "",
        request_id: str = "",
        unanswered: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.unanswered = unanswered
        self.trouble = trouble
        self.operation = operation
        self.region = region
        self.code = code
        self.request_id = request_id


_OS_HINTS = {
    errno.EMFILE: "raise the limit of open files (ulimit -n), or lower run.workers; then run again",
    errno.ENFILE: "see which program holds so many files open; then run again",
    errno.ENOMEM: "give it more memory, then run again",
    errno.ENOSPC: "make room on that disk; then run again",
    errno.EDQUOT: "make room on that disk; then run again",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or the pod's), or lower run.workers; then run again",
}


def of_system(error: BaseException) -> tuple[str, str] | None:
    """Say what the operating system refused, with the file that it is about, and what to do next; None for a defect."""
    if isinstance(error, MemoryError):
        return "this machine lacks memory", _OS_HINTS[errno.ENOMEM]
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "the operating system starts no further thread", _OS_HINTS[errno.EAGAIN]
    return _of_os(error) if isinstance(error, OSError) else None


def _of_os(error: OSError) -> tuple[str, str]:
    said = error.strerror or str(error) or type(error).__name__
    files = " and ".join(str(file) for file in (error.filename, error.filename2) if file is not None)
    hint = _OS_HINTS.get(error.errno or 0, "")
    if files:
        return f"{files} cannot be used: {said}", hint or "see that it is there, and that this user may use it"
    if error.errno == errno.ENOENT:
        return "the working directory is not there any more", "go to another, and run again"
    return f"the operating system refused: {said}", hint or "see what this machine lacks, then run again"
