"""One live line on a terminal: which key is in which stage, what it waits for, and for how long at most."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from orchestrator.durations import spoken
from orchestrator.model import STORE
from orchestrator.ports import Event
from orchestrator.terminal import ANSWERED, ASKED
from orchestrator.written import clean

_SPARE = 6
"""Columns for the spinner, and for the ^C that a terminal shows: a line that this breaks would stay behind."""


@dataclass(slots=True)
class _Key:
    """Where one key stands."""

    members: int = 0
    stage: str = "looking"
    patience: int = 0
    seen: set[str] = field(default_factory=set)
    waits: list[dict[str, Any]] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)


class LiveLine:
    """A listener that keeps one line up to date while runs are under way, and leaves nothing behind."""

    def __init__(self, console: Console) -> None:
        self._status = Status("", console=console)
        self._width = console.width - _SPARE
        self._keys: dict[str, _Key] = {}
        self.shown = ""

    def __call__(self, event: Event) -> None:
        """Take in one event; only what moves a key along changes the line, and a question takes it away."""
        if event.kind == ASKED:
            self._status.stop()
        elif event.kind == ANSWERED and self._keys:
            self._status.start()
        if event.kind in {"run.asked", "run.pinned"}:
            begun = self._keys.setdefault(event.key, _Key())
            begun.members = int(event.data.get("members", begun.members))
            begun.patience = int(event.data.get("patience", begun.patience))
            self._status.start()
        key = self._keys.get(event.key)
        if key is None:
            return
        if event.kind == "look":
            key.seen.add(event.region)
        elif event.kind == "turn":
            key.stage, key.waits = str(event.data["stage"]), list(event.data["waits"])
        elif event.kind == "action.ended" and event.data["action"] == "import" and event.data["result"] == "done":
            key.imported.add(event.region)
        elif event.kind == "run.ended":
            del self._keys[event.key]
        self._show()

    def _show(self) -> None:
        if not self._keys:
            self._status.stop()
            return
        name, key = next(iter(self._keys.items()))
        others = f"  (and {len(self._keys) - 1} more)" if len(self._keys) > 1 else ""
        self.shown = clean(f"{name}: {line(key)}{others}")
        text = Text(self.shown)
        text.truncate(self._width, overflow="ellipsis")
        self._status.update(text)


def line(key: _Key) -> str:
    """Say where one key stands, in one line."""
    done = f" {len(key.imported)} of {key.members} Regions" if key.stage == "replicas_imported" and key.members else ""
    if key.stage == "looking":
        seen = len(key.seen - {STORE})
        return f"looking: {seen} of {key.members} Regions seen" if key.members else f"looking: {seen} Regions seen"
    if not key.waits:
        return f"{key.stage}{done}"
    first = key.waits[0]
    more = f", and {len(key.waits) - 1} more" if len(key.waits) > 1 else ""
    at_most = min(first["at_most"], key.patience or first["at_most"])
    return f"{key.stage}{done} (at most {spoken(timedelta(seconds=at_most))}): {first['message']}{more}"
