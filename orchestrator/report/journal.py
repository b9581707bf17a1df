"""Reading and verifying a journal. Pure: lines in, events and findings out; no journal makes it raise."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.chain import BEGUN, ENDED, FORMAT, first_link, link
from orchestrator.printable import printable

LONGEST = 1 << 20
"""Bytes of a line: more than any event has."""

_MANY = 2**53
_MOST_BREAKS = 1_000


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold, and what that means."""

    line: int
    message: str


@dataclass(slots=True)
class Chain:
    """What the lines of one journal, read once from first to last, show of themselves.

    `run` is the run id that the file's name promises, and `sought` the final hash that was printed when the run ended;
    empty where they are not known. `under_way` tells that a run still writes it.
    """

    run: str = ""
    sought: str = ""
    under_way: bool = False
    header: Mapping[str, Any] = field(default_factory=dict)
    begun: str = ""
    last: str = ""
    lines: int = 0
    hash: str = ""
    torn: bool = False
    ended: bool = False
    breaks: list[Break] = field(default_factory=list)
    sought_at: int = 0
    _number: int = 0

    @property
    def intact(self) -> bool:
        """Whether every line fits its neighbours, and the last one has the hash that was sought."""
        return not self.breaks and self.matches is not False

    @property
    def cut_short(self) -> bool:
        """Whether the end is missing, and nobody is about to write it: the run was killed, or lines were cut off."""
        return not self.ended and not self.under_way

    @property
    def matches(self) -> bool | None:
        """Whether the final hash is the one that was sought; None where none was."""
        return None if not self.sought else self.hash == self.sought.lower()

    def read(self, lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
        """Verify line by line, and yield whatever can be read, broken chain or not."""
        for line in lines:
            if len(line) > LONGEST or len(self.breaks) > _MOST_BREAKS:
                self._broken("is no line of a journal, nor are those before it: the rest was not read", self.lines + 1)
                break
            if not line.endswith(b"\n"):
                self._tear()
                break
            content = self._line(line[:-1])
            if content is not None:
                yield content
        if not self.lines:
            self._broken("holds no whole line: there is nothing to verify")

    def problem(self) -> str:
        """Say what is wrong, or nothing."""
        if self.breaks:
            more = f" (and {len(self.breaks) - 1} more)" if len(self.breaks) > 1 else ""
            return f"line {self.breaks[0].line} {self.breaks[0].message}{more}"
        return self.mismatch()

    def mismatch(self) -> str:
        """Say how the final hash differs from the one that was sought, or nothing."""
        if self.matches is not False:
            return ""
        if self.sought_at:
            return f"the hash given is that of line {self.sought_at}, but {self.lines - self.sought_at} follow it"
        return f"its final hash is {self.hash}, not the one given: lines were cut off, or written anew"

    def _tear(self) -> None:
        """Take a line without a newline for what a killed process leaves behind, unless the run had ended."""
        self.torn = True
        if self.ended:
            self._broken("begins after the end of the run: something was added", self.lines + 1)

    def _line(self, raw: bytes) -> Mapping[str, Any] | None:
        content, before = _parsed(raw), self.hash
        self.lines += 1
        self.hash = link(raw)
        if self.hash == self.sought.lower():
            self.sought_at = self.lines
        if content is None:
            self._broken("is not a line of a journal")
            self._number += 1
            return None
        if self.lines == 1:
            before = self._first(content)
        if self.ended:
            self._broken("comes after the end of the run: something was added")
        self._fits(content, before)
        self._number = content["seq"]
        self.ended = self.ended or content.get("kind") == ENDED
        self.last = text(content.get("at"))
        return content

    def _first(self, content: Mapping[str, Any]) -> str:
        """Take in the header, and return the link that the first line must hold."""
        self.header = mapping(content.get("data"))
        self.begun = text(content.get("at"))
        run, said = text(self.header.get("run")), text(self.header.get("format"))
        if content.get("kind") != BEGUN or said != FORMAT:
            self._broken(f"does not begin a journal of format {FORMAT}" + (f", but of {said}" if said else ""))
        elif self.run and run != self.run:
            self._broken(f"begins the journal of run {run}, not of {self.run}: the file was renamed or swapped")
        return first_link(run)

    def _fits(self, content: Mapping[str, Any], before: str) -> None:
        number, due = content["seq"], self._number + 1
        if number != due:
            self._broken(f"has number {number} where {due} is due: lines were removed, inserted or moved")
        elif content.get("prev") != before:
            neighbours = f"line {self.lines - 1} or this one was" if self.lines > 1 else "it was"
            self._broken(f"does not follow from what is before it: {neighbours} changed")

    def _broken(self, message: str, line: int = 0) -> None:
        self.breaks.append(Break(line or max(self.lines, 1), message))


def _parsed(raw: bytes) -> Mapping[str, Any] | None:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    number = content.get("seq") if isinstance(content, dict) else None
    return content if type(number) is int and 0 < number < _MANY else None


def text(value: object, longest: int = 500) -> str:
    """Return a value as one line of text that is safe to print, whatever it was."""
    shown = value if isinstance(value, str) else "" if value is None else _dumped(value)
    cut = shown[:longest] + ("…" if len(shown) > longest else "")
    return printable(cut)


def _dumped(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "(nested too deep)"


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping, empty where the value is none."""
    return value if isinstance(value, dict) else {}
