"""Logs: structlog to stderr, readable on a terminal and JSON elsewhere."""

import sys
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from orchestrator.ports import Event, Listener


def event_logger(stream: TextIO | None = None, level: str = "info") -> Listener:
    """Return a listener that logs every event; looks and calls only at level debug."""
    out = stream or sys.stderr
    renderer: Processor = structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer()
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.add_log_level, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )

    def listen(event: Event) -> None:
        about = {"at": event.at.isoformat(timespec="milliseconds"), "key": event.key, "region": event.region}
        write = logger.debug if event.kind in {"look", "call"} else logger.info
        write(event.kind, **{name: value for name, value in about.items() if value}, **_plain(event))

    return cast("Listener", listen)


def _plain(event: Event) -> dict[str, object]:
    return {name: value for name, value in event.data.items() if value not in (None, "", [], ())}
