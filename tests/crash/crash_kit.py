"""One machine for each crash: a key in 1 + 3 Regions, its store, and a process of `mrk` that is killed on its way."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from crash.dying import Offset
from e2e.machine import Machine, Past
from nursery import Forked, nursery
from orchestrator.clock import SystemClock
from orchestrator.model import EntryName, KeyArn
from orchestrator.report.journal import Chain
from orchestrator.simulator import Call, Simulator, serve
from orchestrator.simulator.faults import ConnectionDropped
from orchestrator.stores import Place, Wanted, init_store
from verdict import Before, before, broken, untold

FOUR = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A moment of a run: the so-manieth call of its kind, before it has an effect, or after that."""

    what: str
    number: int
    moment: str
    region: str = ""

    def __str__(self) -> str:
        where = f" in {self.region}" if self.region else ""
        return f"{self.moment} call {self.number} of {self.what}{where}"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A row of the matrix: what is prepared, the command that is killed and run again, and what it should come to."""

    name: str
    command: tuple[str, ...]
    rotations: int = 1
    prepare: Callable[["Scene"], None] = lambda _: None
    settings: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    hurried: bool = True
    """Whether time passes at once while a run waits; else it is real, and a rotation takes 0.3 s."""
    lag: str = "instant"
    """How reads lag; `aws-like` as was measured of AWS, and flapping."""
    deposited: bool = True
    """Whether the store has the material of the key, proven."""
    again: tuple[int, ...] = (0,)
    """Exit codes of the run after the crash."""
    done: tuple[int, ...] = (0,)
    """Exit codes where the killed run had done everything, but could not say so."""
    writes: bool = True
    """Whether it changes the store, beside the key."""


@dataclass
class Hurried(Past):
    """The simulator's clock, moved along with that of `mrk`."""

    offset: Callable[[], float] = float

    def __call__(self) -> float:
        return super().__call__() + self.offset()


@dataclass
class Scene:
    """The key, the machine and the store of one crash."""

    machine: Machine
    simulator: Simulator
    arn: KeyArn
    store: Any
    earlier: Before

    def start(self, workflow: Workflow, where: str = "-") -> Forked:
        """Start the command; `where` names the store or journal call that it dies at."""
        mortal = {
            "where": where,
            "told": str(self.machine.directory / "calls.txt"),
            "offset": str(self.machine.directory / "offset") if workflow.hurried else "",
        }
        return nursery().start(workflow.command, self.machine.directory, self.machine.environment, mortal=mortal)

    def again(self, workflow: Workflow) -> tuple[int, str]:
        """Run it again to the end; return the exit code, and what was printed."""
        process = self.start(workflow)
        out, err = process.communicate(timeout=100)
        return process.returncode, f"{out[-600:]} {err[-600:]}"

    def client(self, region: str) -> Any:
        return self.machine.client(region)

    def finished(self) -> bool:
        """Whether everything is done already: nothing pending, and CURRENT proven."""
        return self.proven() and self.current() != self.earlier.current

    def current(self) -> str | None:
        """The CURRENT material as it really is."""
        true = self.simulator.key(self.arn.region, str(self.arn))
        assert true is not None
        return true.current

    def proven(self) -> bool:
        """Whether the store says that it holds CURRENT, proven."""
        return self.current() in {entry.linked for entry in self.store.entries(self.arn.identity) if entry.proven}


@contextmanager
def scene(directory: Path, workflow: Workflow) -> Iterator[Scene]:
    """A machine with one key, made two days ago, whose material is in the store."""
    directory.mkdir()
    past = Hurried(days=2, offset=Offset.make(directory / "offset"))
    simulator = Simulator(past, lag=workflow.lag, rotation_seconds=8 if workflow.hurried else 0.3)
    with serve(simulator) as served:
        machine = Machine(directory, served.endpoint_url, simulator, past)
        arn_text, file = machine.make_key_quickly(FOUR, minutes=0 if workflow.lag == "instant" else 10)
        arn = KeyArn.parse(arn_text)
        times = {"poll": "5s", "deadline": "30m"} if workflow.hurried else {"poll": "200ms", "deadline": "60s"}
        run = {"looks": 2, "journal": str(directory / "runs")}
        machine.more = {"run": run | times | workflow.run}
        key = {"arn": arn_text, "regions": list(FOUR), "rotate_every": "1d", **workflow.settings}
        machine.write_config(payments=key)
        store = init_store(
            f"file:{directory / 'store'}",
            Place("aws", "other"),
            Wanted(
                SystemClock().now,
                recipients=tuple(machine.identities),
                identity=directory / "identity.txt",
                volatile=True,
            ),
        )
        if workflow.deposited:
            deposit(simulator, arn, store, file)
        past.days = 0
        made = Scene(machine, simulator, arn, store, before(simulator, arn))
        workflow.prepare(made)
        made.earlier = before(simulator, arn)
        yield made


def deposit(simulator: Simulator, arn: KeyArn, store: Any, file: Path) -> None:
    """Have the material of the key in the store, proven in every Region."""
    first, current = EntryName(arn.identity, None), simulator.key(arn.region, str(arn))
    assert current is not None
    store.adopt(first, file)
    store.link(first, current.current)
    store.mark_proven(first, {"regions": list(FOUR), "proof": "full"})


def discover(directory: Path, workflow: Workflow) -> list[Point]:
    """Record one clean run, and name every moment of it."""
    with scene(directory, workflow) as made:
        begun = len(made.simulator.calls)
        code, printed = made.again(workflow)
        assert code == 0, printed
        assert not judged(made, workflow, success=True)
        return [*_kms_points(made.simulator.calls[begun:]), *_inner_points(directory / "calls.txt")]


_KMS_READS = ("Describe", "List", "Get", "Encrypt", "Decrypt", "Generate")
READS = (*_KMS_READS, "find", "look", "entries", "wrap", "probe", "withdrawn", "switched_off", "identify")
"""What changes nothing: to be killed after it is to be killed before it, as nothing is left of what was read."""


def moments(what: str) -> tuple[str, ...]:
    """The moments of a call that differ: before it has its effect, and after that."""
    if what == "journal.write":
        return ("torn",)  # after a line is before what follows
    return ("before",) if what.rsplit(".", maxsplit=1)[-1].startswith(READS) else ("before", "after")


def _kms_points(calls: list[Call]) -> Iterator[Point]:
    seen: Counter[tuple[str, str]] = Counter()
    for call in calls:
        seen[call.operation, call.region] += 1
        what, number = f"kms.{call.operation}", seen[call.operation, call.region]
        yield from (Point(what, number, moment, call.region) for moment in moments(what))


def _inner_points(told: Path) -> Iterator[Point]:
    for line in told.read_text().split():
        name, number = line.split(":")
        yield from (Point(name, int(number), moment) for moment in moments(name))


def kill_at(made: Scene, workflow: Workflow, point: Point) -> int:
    """Start the command, kill it at a point, and return its exit code: -9, unless it never came there."""
    if not point.what.startswith("kms."):
        process = made.start(workflow, f"{point.what}:{point.number}:{point.moment}")
        process.communicate(timeout=100)
        return process.returncode
    process = None
    lock, seen = Lock(), 0

    def kill(call: Call, moment: str) -> None:
        nonlocal seen
        if (f"kms.{call.operation}", call.region, moment) != (point.what, point.region, point.moment):
            return
        with lock:
            seen += 1
            mine = seen == point.number
        if mine:
            while process is None:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            if moment == "before":
                # The request never left: it must have no effect.
                raise ConnectionDropped

    made.simulator.hooks.append(kill)
    process = made.start(workflow)
    process.communicate(timeout=100)
    made.simulator.hooks.clear()
    return process.returncode


def judged(made: Scene, workflow: Workflow, *, success: bool) -> list[str]:
    """What is broken of the promises, and of the journals; the owner's own file counts as kept until it is adopted."""
    stores, rotations = (made.store,), workflow.rotations
    adopted = workflow.deposited or success or made.proven()
    known = [] if adopted else [(made.machine.directory / "payments.bin").read_bytes()]
    found = broken(made.simulator, made.arn, made.earlier, stores, success=success, rotations=rotations, known=known)
    for path in (made.machine.directory / "runs").glob("*.jsonl"):
        chain = Chain(path.stem)
        with path.open("rb") as lines:
            for _ in chain.read(lines):
                pass
        if not chain.intact and b"\n" in path.read_bytes():  # one torn line alone is none, and is said to be that
            found.append(f"journal: {path.name}: {chain.problem()}")
    if success:
        found += untold(made.simulator, made.arn, made.earlier, told(made))
    new = made.store.entries(made.arn.identity)
    if success and workflow.rotations and len(new) != 2:
        found.append(f"orphan: {[str(entry.name) for entry in new]}")
    return found


def told(made: Scene) -> set[str]:
    """Name the Regions of which a journal says that something was to be brought back there: of a killed run no more."""
    regions = set()
    for path in (made.machine.directory / "runs").glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):  # the last one may be torn
                event = json.loads(line)
                restores = event["kind"] == "action.begun" and event["data"].get("purpose") in {"restore", "fill"}
                regions |= {event["region"]} if restores else set()
    return regions


def crash_and_rerun(directory: Path, workflow: Workflow, point: Point) -> tuple[bool, list[str]]:
    """Crash at one point, run again, and say whether the point was reached and what is wrong in the end."""
    with scene(directory, workflow) as made:
        code = kill_at(made, workflow, point)
        reached = code == -signal.SIGKILL
        done = made.finished() if workflow.rotations else False
        torn = [f"{point}: first run: ended with {code}"] if not reached and code != 0 else []
        wrong = [*torn, *(f"{point}: after the crash: {one}" for one in judged(made, workflow, success=False))]
        ended, told = made.again(workflow)
        allowed = workflow.done if done else workflow.again
        if ended not in allowed:
            wrong.append(f"{point}: run again: ended with {ended}: {told}")
        wrong += [f"{point}: run again: {one}" for one in judged(made, workflow, success=True)]
        return reached, wrong
