"""What the commands share: their options, the engine around one invocation, and how results are shown."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from orchestrator.clock import SystemClock
from orchestrator.compose import Engine, engine, new_run_id
from orchestrator.decide import name_of_stage
from orchestrator.errors import Exit, KmsError, UsageError
from orchestrator.journal import Journal
from orchestrator.model import Block, Idle, KeyArn, Reason, Region, is_alias, region_of
from orchestrator.ports import Event, Listener
from orchestrator.progress import Job, Report, Status
from orchestrator.report import documents, tables
from orchestrator.report.live import LiveLine
from orchestrator.report.narrate import narrator
from orchestrator.settings import KeySettings, Settings, load
from workflows.cli import evidence, unattended
from workflows.cli.options import Options
from workflows.cli.signals import stopping
from workflows.jobs import named

_WIDE = 160
_LEVELS = ("debug", "info", "warning", "error")
_CODES: dict[Status, Exit] = {
    "finished": Exit.OK,
    "idle": Exit.OK,
    "blocked": Exit.BLOCKED,
    "failed": Exit.FAILED,
    "interrupted": Exit.INTERRUPTED,
    "error": Exit.INTERNAL,
}


@dataclass(slots=True)
class Invocation:
    """One command with its config, on its way: what is needed to run jobs and to show what came of them."""

    settings: Settings
    engine: Engine
    as_json: bool
    region: Region | None = None
    unresolved: list[Report] = field(default_factory=list)
    journal: Journal | None = None

    def keys(self, names: Sequence[str]) -> dict[str, KeySettings]:
        """Find the keys that the command line names; an alias that cannot be resolved fails alone (I10)."""
        found = {name: self._resolved(name, key) for name, key in named(self.settings, names).items()}
        return {name: key for name, key in found.items() if key is not None}

    def _resolved(self, name: str, key: KeySettings) -> KeySettings | None:
        try:
            arn = self._arn(key.arn)
        except KmsError as error:
            policy = self.settings.policy(key)
            stand_in = KeyArn(key.arn.split(":")[1], region_of(key.arn), key.arn.split(":")[4], key.arn.split(":")[5])
            job = Job(name, stand_in, policy, (), lambda _: Idle(""))
            block = Block(Reason.ACCESS, error.message, error.hint or "check the alias", stand_in.region, person=False)
            self.unresolved.append(Report(job, "failed", "located", error.message, (block,)))
            return None
        return key.model_copy(update={"arn": str(arn)})

    def _arn(self, text: str) -> KeyArn:
        arn = self.engine.kms(region_of(text)).resolve(text) if is_alias(text) else KeyArn.parse(text)
        return arn.within(self.region) if self.region else arn

    def run(self, jobs: Sequence[Job]) -> tuple[Report, ...]:
        """Run jobs to their end; Ctrl-C or SIGTERM finishes the calls in flight and reports."""
        for job in jobs if self.journal else ():
            stages = [name_of_stage(stage) for stage in job.stages]
            self.tell("run.asked", job.name, arn=str(job.key), stages=stages)
        with stopping(self.engine.runner):
            return (*self.engine.runner.run(jobs), *self.unresolved)

    def tell(self, kind: str, name: str, **data: Any) -> None:
        """Note something in the journal, where there is one."""
        if self.journal is not None:
            self.journal(Event(self.engine.clock.now(), kind, name, data=data))


def read_settings(
    config: Path | None, endpoint_url: str | None = None, profile: str | None = None, role_arn: str | None = None
) -> Settings:
    """Read the config file that the command line, the directory or the environment names; flags win."""
    here = Path("config.yaml")
    path = config or (here if here.exists() else Path(os.environ.get("MRK_CONFIG", here)))
    flags = {"endpoint_url": endpoint_url, "profile": profile, "role_arn": role_arn}
    given = {name: value for name, value in flags.items() if value is not None}
    return load(path, {"aws": given} if given else {})


@contextmanager
def invocation(
    config: Path | None,
    *,
    endpoint_url: str | None = None,
    profile: str | None = None,
    region: str | None = None,
    role_arn: str | None = None,
    as_json: bool = False,
    quiet: bool = False,
    log_level: str = "info",
    changing: bool = True,
) -> Iterator[Invocation]:
    """Set up one command; a command that may change something keeps a journal."""
    if log_level not in _LEVELS:
        raise UsageError(f"--log-level {log_level} is not known", f"use one of {', '.join(_LEVELS)}")
    settings = read_settings(config, endpoint_url, profile, role_arn)
    run_id = new_run_id(SystemClock().now())
    watching = (changing or log_level == "debug") and not quiet
    listeners: list[Listener] = [watcher(log_level)] if watching else []
    keeping = evidence.journal(settings, run_id, quiet=quiet, log_level=log_level) if changing else nullcontext()
    with unattended.alone(settings, run_id) if changing else nullcontext(), keeping as journal:
        listeners += [journal] if journal else []
        with engine(settings, run_id, fan_out(listeners)) as made:
            yield Invocation(settings, made, as_json, Region(region) if region else None, journal=journal)


def opened(options: Options, *, changing: bool = True) -> AbstractContextManager[Invocation]:
    """Set up one command by what the command line said."""
    return invocation(changing=changing, **{one.name: getattr(options, one.name) for one in fields(Options)})


def watcher(log_level: str) -> Listener:
    """Tell on stderr what happens: sentences on a terminal, JSON elsewhere and at level debug."""
    if sys.stderr.isatty() and log_level == "info":
        console = Console(stderr=True, highlight=False, markup=False)
        return fan_out([narrator(console.print, brief=sys.stdout.isatty()), LiveLine(console)])
    # Imported here: a plan on a terminal needs no logger, and its import is a tenth of the plan's time.
    from orchestrator.logs import event_logger  # noqa: PLC0415

    return event_logger(sys.stderr, log_level)


def fan_out(listeners: Sequence[Listener]) -> Listener:
    """Tell every listener of every event; one that cannot be told any more is left alone."""
    deaf: set[int] = set()

    def listen(event: Event) -> None:
        for number, listener in enumerate(listeners):
            try:
                if number not in deaf:
                    listener(event)
            except (OSError, ValueError):
                # A terminal that went away, or a reader that closed its pipe, must not stop a rotation half-way.
                deaf.add(number)

    return listen


def looking(job: Job) -> Job:
    """Turn a job into one that looks at everything and does nothing."""
    return Job(job.name, job.key, job.policy, (), lambda _view: Idle("looked"))


def finish(called: Invocation, reports: Sequence[Report]) -> int:
    """Show how the runs ended, and return the exit code that covers them all."""
    kept = called.journal.seal(called.engine.clock.now()) if called.journal else None
    code = Exit.worst([Exit(exit_code(reports)), Exit.FAILED if kept and kept.problem else Exit.OK])
    about = {"run": kept.path.stem, "journal": evidence.document(kept)} if kept else {}
    document = {"exit_code": int(code), "runs": [documents.report(report) for report in reports], **about}
    told = unattended.tell(called.settings, document, reports, code)
    if called.as_json:
        write_json({**document, **told})
    else:
        for report in reports:
            if report.status == "finished" and report.view is not None:
                write(tables.status(report.job.name, report.view, report.job.policy), tables.ending(report))
            else:
                write(Text.assemble((report.job.name, "bold"), f"  {report.job.key}"), tables.ending(report))
    return code


def show_endings(called: Invocation, reports: Sequence[Report]) -> int:
    """Show how each key was judged, and return the exit code that covers them all."""
    if called.as_json:
        write_json({"keys": [documents.report(report) for report in reports]})
    else:
        for report in reports:
            write(Text.assemble((report.job.name, "bold"), f"  {report.job.key}"), tables.ending(report))
    return exit_code(reports)


def exit_code(reports: Sequence[Report]) -> int:
    """Return the one exit code of several runs."""
    return Exit.worst([_CODES[report.status] for report in reports])


def write(*parts: str | RenderableType) -> None:
    """Print a result to stdout."""
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDE)
    for part in parts:
        console.print(part)


def write_text(text: str) -> None:
    """Print text to stdout as it is."""
    sys.stdout.write(text)


def write_json(document: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def each(called: Invocation, names: Sequence[str] | None, make: Callable[[str, KeySettings], Job]) -> list[Job]:
    """Make one job for every key that is named."""
    return [make(name, key) for name, key in called.keys(names or []).items()]
