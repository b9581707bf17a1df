"""What the Lambda function raises where a state machine must tell errors apart: by the names of these classes."""

from orchestrator.errors import BlockedError, Exit, MrkError


class TooLittleTime(MrkError):  # noqa: N818 - machines retry it by this name
    """Nothing was begun, for it might not have ended within the function's time; begin again."""

    exit_code = Exit.FAILED


class CallFailed(MrkError):  # noqa: N818 - likewise
    """AWS did not answer a call that everything else needs, for a reason that may pass; begin again."""

    exit_code = Exit.FAILED


class KeyUnfinished(MrkError):  # noqa: N818 - likewise
    """The function's time is over before the key is where it should be; running again resumes."""

    exit_code = Exit.FAILED


class KeyFailed(MrkError):  # noqa: N818 - likewise
    """The run of this key failed; running again, later, resumes."""

    exit_code = Exit.FAILED


class KeyBlocked(BlockedError):  # noqa: N818 - likewise
    """The key needs a person."""
