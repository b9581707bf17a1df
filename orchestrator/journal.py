"""The journal: append-only evidence of what was observed and done, one JSON object a line.

It is never an input to a decision, and holds ids, Regions, times, error codes and AWS request ids.
No secret reaches an event (I2).
"""

import json
import os
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from orchestrator.errors import UsageError
from orchestrator.ports import Event


class Journal:
    """One file per run, written line by line and flushed to the disk per line. Safe to share between threads."""

    def __init__(self, directory: Path, run_id: str) -> None:
        self.path = directory / f"{run_id}.jsonl"
        self._lock = Lock()
        self._file = _create(self.path)

    def __call__(self, event: Event) -> None:
        """Write one event; a line is whole or torn, and only the last line of a killed run can be torn."""
        line = json.dumps(
            {"at": event.at, "kind": event.kind, "key": event.key, "region": event.region, **event.data}, default=_plain
        )
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        """Make the journal durable and close it."""
        with self._lock:
            os.fsync(self._file.fileno())
            self._file.close()


def _create(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        hint = "mend the directory, or set run.journal to another"
        raise UsageError(f"the journal {path} cannot be written: {error.strerror}", hint) from error
    return os.fdopen(descriptor, "w", encoding="utf-8")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
