"""Keeping the SDK's debug logs away from secrets: botocore logs the bodies of requests and of answers (I2)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TALKATIVE = ("boto3", "botocore", "urllib3", "s3transfer", "awscrt")
_silent: ContextVar[bool] = ContextVar("silent", default=False)


def _passes(_record: logging.LogRecord) -> bool:
    return not _silent.get()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop every record of the SDK's loggers, in this thread, whatever their level and handlers."""
    for logger in _loggers():
        # The same function is added once, however often.
        logger.addFilter(_passes)
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def _loggers() -> list[logging.Logger]:
    """Find the loggers that there are now: a filter counts for one logger, and not for those below it."""
    known = list(logging.root.manager.loggerDict.items())
    return [
        logger for name, logger in known if name.partition(".")[0] in _TALKATIVE and isinstance(logger, logging.Logger)
    ]
