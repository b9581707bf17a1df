"""mrk report: what a run did, from its journal, and whether the journal is as the run left it."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import Exit, UsageError
from orchestrator.journal import under_way
from orchestrator.report import documents, journals
from orchestrator.report.journal import LONGEST, Chain
from orchestrator.report.story import Story
from orchestrator.trusted import owners
from workflows.cli.common import read_settings
from workflows.cli.complaints import complain
from workflows.cli.options import ConfigOption, JsonOption
from workflows.cli.results import write, write_json

_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]+")
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_BROKEN = "do not rely on it as evidence: compare a copy, or CloudTrail, where the run id is in every call's userAgent"

_CUT = "what came after is not in it: run again, which goes on where the key stands, and see CloudTrail for the rest"


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, the beginning of one, `last`, or a file.")],
    *,
    expected: Annotated[
        str, typer.Option("--hash", metavar="HEX", help="The final hash, as it was printed when the run ended.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show what a run observed, decided and did, and verify its journal: exit 4 where that was changed."""
    if expected and not _HASH.fullmatch(expected):
        raise UsageError(f"--hash {expected} is not 64 hex digits", "give the final hash as the run printed it")
    path = _path(run, config)
    chain = Chain(path.stem if _RUN.fullmatch(path.stem) else "", expected)
    story = _told(path, chain)
    code = _verdict(path, chain)
    if as_json:
        write_json(documents.envelope(code) | journals.document(str(path), chain, story))
    else:
        write(journals.table(str(path), chain, story))
    return code


def _verdict(path: Path, chain: Chain) -> Exit:
    """Judge the journal; what exactly is wrong stands in the result."""
    if not chain.intact:
        complain(f"{path} is not as the run left it", _BROKEN)
        return Exit.BLOCKED
    if chain.cut_short:
        complain(f"{path} is cut short: the run was killed, or lines were cut off", _CUT)
        return Exit.FAILED
    return Exit.OK


def _told(path: Path, chain: Chain) -> Story:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a file", "give a run id, `last`, or the file of a journal")
        with path.open("rb") as file:
            chain.under_way = under_way(file.fileno())
            return Story().told(chain.read(iter(lambda: file.readline(LONGEST + 1), b"")))
    except OSError as error:
        hint = "check the path and its permissions"
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint) from None


def _path(run: str, config: Path | None) -> Path:
    """Find the journal of a run; a path needs no config."""
    if "/" in run or run.endswith(".jsonl"):
        return Path(run)
    directory = read_settings(config).run.journal
    runs = _runs(directory)
    if run == "last" and runs:
        return directory / f"{runs[-1]}.jsonl"
    found = [one for one in runs if one == run] or [one for one in runs if one.startswith(run)]
    if len(found) == 1:
        return directory / f"{found[0]}.jsonl"
    if found:
        raise UsageError(f"{len(found)} runs begin with {run!r}", f"give more of it: {_some(found)}")
    hint = f"the last ones are: {_some(runs)}" if runs else "set run.journal to where the journals are, or give a file"
    raise UsageError(f"there is no run {run!r} in {directory}", hint)


def _runs(directory: Path) -> Sequence[str]:
    """List the runs, oldest first; whatever else is in the directory is passed over."""
    try:
        paths = [path for path in directory.glob("*.jsonl") if _RUN.fullmatch(path.stem)]
        seen = [(path.stem, path.lstat()) for path in paths]
        shared = bool(paths) and bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError as error:
        raise UsageError(f"{directory} cannot be read: {error.strerror}", "check run.journal") from None
    kept = [(stem[:16], found.st_mtime_ns, stem) for stem, found in seen if not _planted(found, shared=shared)]
    return [stem for _, _, stem in sorted(kept)]


def _planted(found: os.stat_result, *, shared: bool) -> bool:
    """Whether somebody else may have put this among the journals: a link, or his own where everybody may write."""
    return stat.S_ISLNK(found.st_mode) or (shared and found.st_uid not in owners())


def _some(runs: Sequence[str]) -> str:
    return ", ".join(runs[-5:])
