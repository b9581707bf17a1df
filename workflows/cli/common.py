"""What the commands share: their options, the engine around one invocation, and how results are shown."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator import compose
from orchestrator.aliases import resolve
from orchestrator.clock import SystemClock
from orchestrator.compose import Engine, engine, new_run_id
from orchestrator.config_paths import at_home
from orchestrator.decide import name_of_stage
from orchestrator.errors import DeclinedError, Exit, KmsError, UsageError
from orchestrator.journal import Journal, Kept
from orchestrator.kms import check_regions
from orchestrator.model import Block, Idle, KeyArn, KeyIdentity, Policy, Reason, Region, is_alias
from orchestrator.ports import Event, Listener
from orchestrator.progress import Job, Report
from orchestrator.report import changed, documents, tables, telling
from orchestrator.report.live import LiveLine
from orchestrator.report.narrate import narrator
from orchestrator.settings import KeySettings, Settings, load
from orchestrator.terminal import Hushed
from workflows.cli import evidence, unattended
from workflows.cli.complaints import lost
from workflows.cli.options import LEVELS, Options
from workflows.cli.results import begin_json, end_json, exit_code, write, write_json
from workflows.cli.screen import screen
from workflows.cli.signals import stopping
from workflows.cli.tellable import tellable
from workflows.jobs import named

PATIENCE = timedelta(seconds=20)
"""How long a command that only looks waits for a Region that does not answer."""


@dataclass(slots=True)
class Invocation:
    """One command with its config, on its way: what is needed to run jobs and to show what came of them."""

    settings: Settings
    engine: Engine
    as_json: bool
    region: Region | None = None
    unresolved: list[Report] = field(default_factory=list)
    journal: Journal | None = None
    live: Listener = lambda _event: None
    alone: Callable[[], AbstractContextManager[None]] = nullcontext
    """Takes the lock of the config, where it is not held yet: nobody holds it while a person is asked."""

    def keys(self, names: Sequence[str]) -> dict[str, KeySettings]:
        """Find the keys that the command line names; an alias that cannot be resolved fails alone (I10)."""
        wanted = named(self.settings, names)
        aliases = [key.arn for key in wanted.values() if is_alias(key.arn)]
        found = resolve(self.engine.kms, self.engine.clock.now, aliases) if aliases else {}
        keys = {}
        for name, key in wanted.items():
            arn = found.get(key.arn) or KeyArn.parse(key.arn)
            if isinstance(arn, KmsError):
                self.unresolved.append(_unresolved(name, key.arn, self.settings.policy(key), arn))
            else:
                arn = arn.within(self.region) if self.region else arn
                keys[name] = key.model_copy(update={"arn": str(arn)})
        _refuse_twice(keys)
        return keys

    def run(self, jobs: Sequence[Job]) -> tuple[Report, ...]:
        """Run jobs to their end; Ctrl-C or SIGTERM finishes the calls in flight and reports."""
        for job in jobs:
            stages = [name_of_stage(stage) for stage in job.stages]
            self.tell("run.asked", job.name, arn=str(job.key), stages=stages)
            known = {"members": len(job.policy.regions), "patience": round(job.policy.deadline.total_seconds())}
            self.live(Event(self.engine.clock.now(), "run.asked", job.name, data=known))
        for report in self.unresolved:
            self.tell("run.asked", report.job.name, arn=str(report.job.key), stages=[])
            self.ended(report)
        with stopping(self.engine.runner):
            reports = self.engine.runner.run(jobs)
        return tuple(map(tellable, (*reports, *self.unresolved)))

    def look(self, jobs: Sequence[Job]) -> tuple[Report, ...]:
        """Run jobs that only look, with less patience: somebody waits for the result."""
        hurried = [
            replace(job, policy=replace(job.policy, deadline=min(job.policy.deadline, PATIENCE))) for job in jobs
        ]
        policies = {job.name: job.policy for job in jobs}
        reports = self.run(hurried)
        return tuple(_as_seen(report, policies.get(report.job.name, report.job.policy)) for report in reports)

    def ended(self, report: Report) -> None:
        """Note in the journal how a key came to its end without the runner."""
        self.tell("run.ended", report.job.name, status=report.status, stage=report.stage, message=report.message)

    def tell(self, kind: str, name: str, **data: Any) -> None:
        """Note something in the journal, where there is one."""
        if self.journal is not None:
            self.journal(Event(self.engine.clock.now(), kind, name, data=data))


class _Alias(KeyArn):
    """Stands in for a key whose alias could not be resolved."""

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:{self.key_id}"


def _unresolved(name: str, alias: str, policy: Policy, error: KmsError) -> Report:
    """Say of a key that its alias leads nowhere; one that KMS does not know needs a person, as a key does."""
    _, partition, _, region, account, resource = alias.split(":")
    arn, person = _Alias(partition, Region(region), account, resource), error.code == "NotFoundException"
    block = Block(Reason.ACCESS, error.message, error.hint or "check the alias", arn.region, person=person)
    job = Job(name, arn, policy, (), lambda _: Idle(""))
    return Report(job, "blocked" if person else "failed", "located", error.message, (block,))


def _refuse_twice(keys: Mapping[str, KeySettings]) -> None:
    """Refuse one key under two names, which shows only once aliases are resolved."""
    names: dict[KeyIdentity, str] = {}
    for name, key in keys.items():
        if (other := names.setdefault(KeyArn.parse(key.arn).identity, name)) != name:
            hint = "write it once in the config, with all its Regions"
            raise UsageError(f"{name} is the same key as {other}: its alias leads there", hint)


def _as_seen(report: Report, policy: Policy) -> Report:
    """Say what could not be looked at, rather than that a short patience is over."""
    blocks = telling.not_seen(report.blocks, report.view)
    message = "; ".join(block.message for block in blocks) or report.message
    return replace(report, job=replace(report.job, policy=policy), blocks=blocks, message=message)


def read_settings(
    config: Path | None, endpoint_url: str | None = None, profile: str | None = None, role_arn: str | None = None
) -> Settings:
    """Read the config file that the command line, the directory or the environment names; flags win."""
    here = Path("config.yaml")
    path = at_home(config or (here if here.exists() else Path(os.environ.get("MRK_CONFIG") or here)))
    flags = {"endpoint_url": endpoint_url, "profile": profile, "role_arn": role_arn}
    given = {name: value for name, value in flags.items() if value is not None}
    return load(path, {"aws": given} if given else {})


def settings_of(options: Options) -> Settings:
    """Read the settings as the command line wants them; raises UsageError."""
    if options.log_level not in LEVELS:
        raise UsageError(f"--log-level {options.log_level} is not known", f"use one of {', '.join(LEVELS)}")
    return read_settings(options.config, options.endpoint_url, options.profile, options.role_arn)


def check(settings: Settings, options: Options, names: Sequence[str]) -> None:
    """Judge whatever needs no call of AWS: the settings as a whole, the names, the Region to begin with."""
    compose.check(settings)
    compose.clock_of(settings)
    region, keys = options.region, named(settings, names)
    for name, key in keys.items() if region else ():
        if key.regions and region not in key.regions:
            raise UsageError(f"--region {region}: the key {name} has no member there", f"in {', '.join(key.regions)}")
        check_regions(key.arn.split(":")[1], [str(region)])


@contextmanager
def opened(
    options: Options,
    names: Sequence[str] | None = None,
    *,
    changing: bool = True,
    asks: bool = False,
    settings: Settings | None = None,
) -> Iterator[Invocation]:
    """Set up one command by what the command line said; one that may change something keeps a journal.

    One that asks a person first takes the lock by `alone`, once that is answered.
    """
    settings = settings or settings_of(options)
    run_id = _run_id(settings)
    refusals = unattended.refusals_told(settings, run_id) if changing else nullcontext()
    with refusals:
        check(settings, options, names or [])
        listeners, live = _listeners(options, changing=changing)
        listener = fan_out(listeners)
        # Before the lock is held: a program, or a person, may have to be asked for them.
        kms = compose.with_credentials(settings, run_id, listener)
        with _kept(settings, run_id, options, changing=changing, asks=asks) as journal:
            listeners += [journal] if journal else []
            with engine(settings, run_id, listener, kms=kms) as made:
                region = Region(options.region) if options.region else None
                alone = partial(unattended.alone, settings) if changing and asks else nullcontext
                yield Invocation(settings, made, options.as_json, region, journal=journal, live=live, alone=alone)


def _run_id(settings: Settings) -> str:
    """Name the run; by this machine's time where the wanted one cannot be had, which `check` tells."""
    try:
        return new_run_id(compose.clock_of(settings).now())
    except UsageError:
        return new_run_id(SystemClock().now())


@contextmanager
def _kept(settings: Settings, run_id: str, options: Options, *, changing: bool, asks: bool) -> Iterator[Journal | None]:
    """Hold the lock and keep a journal, where something may be changed; before a question see that the lock is free."""
    if not changing:
        yield None
        return
    if asks:
        with unattended.alone(settings):
            pass
    with (
        nullcontext() if asks else unattended.alone(settings),
        evidence.journal(settings, run_id, quiet=options.quiet, log_level=options.log_level) as journal,
    ):
        yield journal


def _listeners(options: Options, *, changing: bool) -> tuple[list[Listener], Listener]:
    """Choose who is told of events: a terminal always sees that something is under way."""
    if options.quiet:
        return [], _nobody
    if sys.stderr.isatty() and options.log_level == "info":
        console = screen(sys.stderr)
        live = Hushed(LiveLine(console))
        narration = [Hushed(narrator(console.print, brief=sys.stdout.isatty()))] if changing else []
        return [*narration, live], fan_out([live])
    logging = changing or options.log_level == "debug"
    return ([Hushed(watcher(options.log_level))] if logging else []), _nobody


def _nobody(_event: Event) -> None:
    """Tell nobody."""


def watcher(log_level: str) -> Listener:
    """Log on stderr what happens: JSON, where that is no terminal."""
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
    return Job(job.name, job.key, job.policy, (), lambda _view: Idle("looked"), judges=False)


def finish(called: Invocation, reports: Sequence[Report], *, news: bool = False) -> int:
    """Show how the runs ended, or only what is news, and return the exit code that covers them all."""
    untold = unattended.untold(called.settings)
    code = Exit.worst([Exit(exit_code(reports)), *([Exit.FAILED] if untold else [])])
    for problem in untold:
        called.tell("command.untold", "", message=problem)
    called.tell("command.ended", "", exit_code=int(code))
    kept = called.journal.seal(called.engine.clock.now()) if called.journal else None
    code = Exit.worst([code, Exit.FAILED if kept and kept.problem else Exit.OK])
    about = {"run": kept.path.stem, "journal": evidence.document(kept)} if kept else {}
    document = documents.envelope(code, [documents.report(report) for report in reports], **about)
    if called.as_json:
        begin_json({name: value for name, value in document.items() if name != "exit_code"})
    else:
        _show(reports, kept, news=news)
    # Hook and metrics hear the exit code that the process ends with: a result that nobody gets is a failure.
    code = Exit.worst([code, Exit.FAILED if lost() else Exit.OK])
    told = unattended.tell(called.settings, {**document, "exit_code": int(code)}, reports, code)
    if called.as_json:
        end_json({"exit_code": int(told.code), **told.outcomes})
    return told.code


def _show(reports: Sequence[Report], kept: Kept | None, *, news: bool = False) -> None:
    """Show how keys ended, and where what is news stands; what kept several from being seen is told once."""
    shown = [one for one in reports if not news or _is_news(one)]
    for report, others in telling.together(shown):
        if report.status == "finished" and report.view is not None:
            write(tables.status(report.job.name, report.view, report.job.policy), tables.ending(report))
        else:
            write(tables.ended(report))
        write(*telling.same_of(others))
    if news and shown and kept:
        write(evidence.line(kept))


def _is_news(report: Report) -> bool:
    """Whether somebody should read of a key: something was changed, or it did not end well (I13)."""
    return report.status not in {"idle", "finished"} or bool(changed.of(report))


def show_endings(called: Invocation, reports: Sequence[Report]) -> int:
    """Show how each key was judged, and return the exit code that covers them all."""
    code = exit_code(reports)
    if called.as_json:
        write_json(documents.envelope(code, [documents.report(report) for report in reports]))
    else:
        for report, others in telling.together(reports):
            write(tables.ended(report), *telling.same_of(others))
    return code


def declined(called: Invocation, jobs: Sequence[Job]) -> DeclinedError:
    """Note that somebody said no, and return the error that ends the command."""
    for job in jobs:
        called.ended(Report(job, "interrupted", "located", "not confirmed; nothing was changed"))
    return DeclinedError("you did not confirm it; nothing was changed")


def each(called: Invocation, names: Sequence[str] | None, make: Callable[[str, KeySettings], Job]) -> list[Job]:
    """Make one job for every key that is named."""
    return [make(name, key) for name, key in called.keys(names or []).items()]
