"""A key in 33 Regions with 26 key materials, at its widest moments: no payload over 32 KiB, and an end in few turns."""

import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.model import (
    Action,
    Entry,
    EntryName,
    KeyArn,
    KeyState,
    MaterialId,
    MaterialRow,
    MaterialState,
    Outcome,
    Policy,
    Proof,
    Receipt,
    Region,
    RegionView,
    Repair,
    Result,
    StoreView,
)
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from workflows import jobs
from workflows.jobs import WORKFLOWS
from workflows.step_functions import history
from workflows.step_functions.act import act
from workflows.step_functions.look import look
from workflows.step_functions.machine import EVERYWHERE, machine
from workflows.step_functions.retriers import most_retries
from workflows.step_functions.travel import State
from worlds import ManualClock

LIMIT = 32 * 1024
DIED = {"Error": "Sandbox.Timedout"}
REGIONS = tuple(Region(f"ap-southeast-{number}") for number in range(1, 34))
MATERIALS = tuple(MaterialId(f"{number:02d}" * 32) for number in range(26))
KEY = KeyArn("aws", REGIONS[0], "111122223333", "mrk-" + 32 * "a")
NAMES = [EntryName(KEY.identity, before) for before in (None, *MATERIALS[:-1])]
POLICY = Policy(regions=frozenset(REGIONS), proof=Proof.FULL, repair=Repair.AUTO)
SENTENCE = (
    "AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/mrk is not authorized to perform it " * 3
)


@dataclass
class Widest:
    """The key: `lacking` Regions have lost every material, and `refusing` ones answer every action with a refusal."""

    clock: ManualClock
    lacking: frozenset[Region] = frozenset()
    refusing: frozenset[str] = frozenset()
    pending: bool = False
    acts: int = 0

    def region(self, arn: KeyArn) -> RegionView:
        there = arn.region not in self.lacking
        rows = [MaterialRow(one, MaterialState.NON_CURRENT, there) for one in MATERIALS[:-2]]
        now, new = MaterialState.CURRENT, MaterialState.PENDING_REPLICAS
        rows.append(MaterialRow(MATERIALS[-2], now if self.pending else MaterialState.NON_CURRENT, there))
        is_primary = arn.region == REGIONS[0]
        rows.append(MaterialRow(MATERIALS[-1], new if self.pending else now, is_primary if self.pending else there))
        state = KeyState.ENABLED if there else KeyState.PENDING_IMPORT
        at = self.clock.now()
        members = frozenset(REGIONS)
        rotated = [replace(row, rotated_at=at - timedelta(days=99 - year)) for year, row in enumerate(rows)]
        rows = [rows[0], *rotated[1:-1], rows[-1] if self.pending else rotated[-1]]
        return RegionView(arn, at, state, at, multi_region=True, primary=REGIONS[0], members=members, rows=tuple(rows))

    def store(self, _key: KeyArn, materials: Any) -> StoreView:
        at = self.clock.now()
        linked = zip(NAMES, MATERIALS, strict=True)
        last = MATERIALS[-1]
        proofs = dict.fromkeys(REGIONS, Proof.FULL)
        entries = [
            Entry(n, Receipt(n, at), linked=m, proofs={} if m == last else proofs, probe=True, ours=True)
            for n, m in linked
        ]
        return StoreView(at, tuple(entries), about=frozenset(materials))

    def perform(self, action: Action, _timely: Any = None) -> Outcome:
        self.acts += 1
        if action.target in self.refusing:
            return Outcome(Result.FAILED, SENTENCE, final=True, hint=SENTENCE)
        return Outcome(Result.DONE)


@dataclass
class Walk:
    """Takes turns, and measures everything that travels."""

    widest: Widest
    executor: Executor
    state: State
    widest_payload: int = 0
    dying: bool = False

    def measured(self, document: Any) -> None:
        self.widest_payload = max(self.widest_payload, len(json.dumps(document).encode()))

    def act(self, engine: Any, job: Job, stage: str, target: str | None) -> Any:
        if self.dying:
            return DIED
        return act(engine, job, self.state, stage, target, self.executor, lambda: 900.0)

    def turn(self) -> str:
        job = jobs.run("payments", KeySettings(arn=str(KEY)), POLICY)
        engine: Any = SimpleNamespace(observe=self.widest, perform=self.widest.perform, clock=self.widest.clock)
        after, _ = look(engine, job, self.state, self.executor)
        written = after.write()
        self.measured(written)
        self.state = State.read(json.loads(json.dumps(written)))
        turn = self.state.turn
        if turn["status"] == "waiting":
            self.widest.clock.advance(seconds=turn["wait"])
        if turn["status"] == "acting":
            targets = turn["act"] if turn["stage"] in EVERYWHERE else [None]
            notes = [self.act(engine, job, turn["stage"], target) for target in targets]
            self.measured({**written, "acted": notes})
            self.state = replace(self.state, acted=tuple(notes))
        return str(turn["status"])


@pytest.fixture
def walk(clock: ManualClock, executor: Executor) -> Callable[..., Walk]:
    """Begin to walk."""

    def begin(**about: Any) -> Walk:
        asked = {"key": {"name": "payments", "arn": str(KEY), "regions": list(REGIONS)}}
        return Walk(Widest(clock, **about), executor, State(asked))

    return begin


Begin = Callable[..., Walk]


def test_every_replica_refuses_the_new_material(walk: Begin) -> None:
    """32 refusals in one turn: the run ends in the next, and tells of each Region."""
    taken = walk(pending=True, refusing=frozenset(REGIONS[1:]))

    assert [taken.turn(), taken.turn()] == ["acting", "failed"]

    assert taken.widest_payload < LIMIT
    report = taken.state.turn["report"]
    assert {one["region"] for one in report["blocks"]} == set(REGIONS[1:])
    assert all("AccessDenied" in one["message"] for one in report["blocks"])


def test_every_material_is_missing_in_every_replica_and_cannot_be_brought_back(walk: Begin) -> None:
    """832 materials x Regions are wanted: one refusal stands for its Region, and the run ends."""
    taken = walk(lacking=frozenset(REGIONS[1:]), refusing=frozenset(REGIONS[1:]))

    statuses = [taken.turn(), taken.turn()]

    assert statuses == ["acting", "failed"]
    assert taken.widest.acts == len(REGIONS) - 1
    assert taken.widest_payload < LIMIT


def test_every_material_is_brought_back_everywhere(walk: Begin) -> None:
    """One act for each Region does all 26, one after the other."""
    taken = walk(lacking=frozenset(REGIONS[1:]))

    assert taken.turn() == "acting"

    assert taken.widest.acts == (len(REGIONS) - 1) * len(MATERIALS)
    assert taken.widest_payload < LIMIT


def test_every_region_is_proven_under_every_generation(walk: Begin) -> None:
    """Proofs of 26 generations in 33 Regions: the actions would take over 200 kB, the turn takes their names."""
    taken = walk()

    statuses = [taken.turn() for _ in range(12)]

    assert "acting" in statuses
    assert taken.widest.acts >= len(REGIONS)
    assert len(taken.state.memory.proofs) == len(REGIONS)
    assert taken.widest_payload < LIMIT


def test_acts_that_die_in_every_region_end_with_a_report_and_not_with_the_history(walk: Begin) -> None:
    """25,000 events: 32 Regions whose acts are tried to the last, and never answer."""
    taken = walk(pending=True)
    taken.dying = True

    for _ in range(200):
        if taken.turn() not in {"acting", "waiting"}:
            break

    assert taken.state.turn["status"] == "failed"
    assert {one["region"] for one in taken.state.turn["report"]["blocks"]} == set(REGIONS[1:])
    assert 5_000 < taken.state.events < history.ENOUGH
    assert taken.widest_payload < LIMIT


def test_what_may_still_happen_when_enough_was_used_fits_the_history() -> None:
    """One act more in 33 Regions, with every retry that the rendered machine has, a look as long, and the end."""
    states = machine("run", WORKFLOWS["run"])["States"]
    (one,) = [s for s in states["ReplicasImported"]["ItemProcessor"]["States"].values() if s["Type"] == "Task"]
    tried = sum(retry["MaxAttempts"] for retry in one["Retry"])
    dying = [DIED] * len(REGIONS)

    act = history.since_the_last_look("acting", dying, everywhere=True, most_retries=tried)

    assert tried == most_retries()
    assert act >= len(REGIONS) * (tried + 1) * 3, "each attempt is scheduled, started and failed"
    assert history.ENOUGH + act + 2 * history.of_look(tried) + 3 < history.LIMIT
