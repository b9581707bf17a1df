"""Logs: structlog to stderr, readable on a terminal and JSON elsewhere."""

import sys
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from orchestrator.ports import Event, Listener
from orchestrator.terminal import ANSWERED, ASKED
from orchestrator.written import clean, document


def event_logger(stream: TextIO | None = None, level: str = "info") -> Listener:
    """Return a listener that logs every event; looks and calls at debug, what did not end well at warning."""
    out = stream or sys.stderr
    renderer: Processor = structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer()
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(getattr(out, "styled", out)),
        processors=[structlog.processors.add_log_level, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )

    def listen(event: Event) -> None:
        about = {
            "at": event.at.isoformat(timespec="milliseconds"),
            "key": clean(event.key),
            "region": clean(event.region),
        }
        write = getattr(logger, _level(event))
        write(event.kind, **{name: value for name, value in about.items() if value}, **document(_plain(event)))

    return cast("Listener", listen)


def _level(event: Event) -> str:
    """Say how loud an event is: a run that did not end well is a warning, a defect an error."""
    if event.kind == "run.ended":
        return {"blocked": "warning", "failed": "warning", "error": "error"}.get(str(event.data["status"]), "info")
    return "debug" if event.kind in {"look", "call", ASKED, ANSWERED} else "info"


def _plain(event: Event) -> dict[str, object]:
    return {name: value for name, value in event.data.items() if value not in (None, "", [], ())}
