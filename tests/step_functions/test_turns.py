"""`look` and `act`, turn by turn and by our own clock: what an engine may do with them at its worst does no harm."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from leaks import found_in
from orchestrator.model import EntryName, KeyArn, Policy, Region, Repair, Replicate
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import WrappingAlgorithm
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from orchestrator.simulator.quotas import Quotas
from workflows import jobs
from workflows.step_functions.act import LONGEST, act
from workflows.step_functions.errors import TooLittleTime
from workflows.step_functions.fleet import KEYS_AT_ONCE
from workflows.step_functions.look import look
from workflows.step_functions.machine import EVERYWHERE
from workflows.step_functions.travel import State
from worlds import REGIONS, World

DIED = {"Error": "Sandbox.Timedout", "Cause": "..."}
TWO = REGIONS[:2]
_TURNS = 200


@dataclass
class Turns:
    """Takes the turns of a machine; `act` may be told to die before or after its call."""

    world: World
    job: Job
    state: State
    remaining: float = 900
    knows_makers: bool = True

    def __post_init__(self) -> None:
        kms, retry, now = self.world.kms(), self.world.retry(), self.world.clock.now
        parameters = Parameters(kms, retry, now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        perform = Perform(kms, self.world.store, parameters, retry)
        self.engine: Any = SimpleNamespace(observe=self.world.observe(), perform=perform, clock=self.world.clock)

    @property
    def turn(self) -> Any:
        return self.state.turn

    def look(self) -> str:
        """Look, pass the state on as JSON, and return the stage."""
        after, _ = look(self.engine, self.job, self.state, self.world.executor, knows_makers=self.knows_makers)
        self.state = State.read(after.write())
        return str(self.turn["stage"])

    def act(self, stage: str | None = None, target: str | None = None) -> Any:
        stage = stage or self.turn["stage"]
        return act(self.engine, self.job, self.state, stage, target, self.world.executor, lambda: self.remaining)

    def spoke(self) -> None:
        """Do what the turn says: act, or wait."""
        if self.turn["status"] == "waiting":
            self.world.clock.advance(seconds=self.turn["wait"])
            return
        targets = self.turn["act"] if self.turn["stage"] in EVERYWHERE else [None]
        self.answered(*[self.act(target=target) for target in targets])

    def answered(self, *notes: Any) -> None:
        self.state = replace(self.state, acted=notes)

    def until(self, stage: str) -> None:
        """Go on until this stage acts."""
        for _ in range(_TURNS):
            if self.look() == stage and self.turn["status"] == "acting":
                return
            assert self.turn["status"] in {"acting", "waiting"}, self.turn
            self.spoke()
        raise AssertionError(self.turn)

    def to_the_end(self) -> str:
        """Go on to the end, and return the status."""
        for _ in range(_TURNS):
            self.look()
            if self.turn["status"] not in {"acting", "waiting"}:
                return str(self.turn["status"])
            self.spoke()
        raise AssertionError(self.turn)


@pytest.fixture
def begin(world: World) -> Callable[..., Turns]:
    """Begin a rotation."""

    def begin(arn: KeyArn, **asked: Any) -> Turns:
        return Turns(world, world.job(arn), State({"key": "payments", **asked}))

    return begin


Begin = Callable[..., Turns]


def rotations(world: World, arn: KeyArn) -> set[int]:
    return {key.rotations for key in world.everywhere(arn).values()}


def test_a_rotation_takes_its_turns(world: World, begin: Begin) -> None:
    """One new material, one rotation, the same end as a run's."""
    arn = world.make_key(TWO)

    assert begin(arn).to_the_end() == "finished"

    assert rotations(world, arn) == {1}
    assert [entry.proven for entry in world.store.entries()] == [True, True]


def test_every_act_delivered_twice_ends_alike(world: World, begin: Begin) -> None:
    """A state may be run twice: the second time there is nothing to do."""
    arn = world.make_key(TWO)
    turns = begin(arn)

    while turns.look() and turns.turn["status"] in {"acting", "waiting"}:
        if turns.turn["status"] == "acting":
            turns.act()
        turns.spoke()

    assert turns.turn["status"] == "finished"
    assert rotations(world, arn) == {1}
    assert len(world.calls("RotateKeyOnDemand")) == 1
    assert len(world.store.entries()) == 2


@pytest.mark.timeout(240)  # a rotation for each of its states
@pytest.mark.parametrize("done", [False, True], ids=["before it did anything", "after it did all"])
def test_every_state_that_fails_in_mid_run_and_is_redriven_later_ends_alike(
    world: World, begin: Begin, done: bool
) -> None:
    """A redrive begins the state that failed anew, minutes later, with the input that it had: each state in turn."""
    moments = states_of_a_run(begin(world.make_key(TWO)))
    assert {stage for stage, _ in moments} >= {
        "deposited",
        "primary_imported",
        "replicas_imported",
        "rotated",
        "proven",
    }

    for name, number in moments.items():
        arn = world.make_key(TWO)
        turns = begin(arn)
        for earlier in range(number):
            step(turns, earlier)
        recorded = turns.state
        if done:
            step(turns, number)
            turns.state = recorded
        world.clock.advance(minutes=2)
        step(turns, number)

        ended = turns.to_the_end() if number % 2 else goes_on(turns)

        assert ended == "finished", (name, turns.turn)
        assert rotations(world, arn) == {1}, name
        assert {len(key.rows) for key in world.everywhere(arn).values()} == {2}, name
        assert [entry.proven for entry in world.store.entries(arn.identity)] == [True, True], name


def states_of_a_run(turns: Turns) -> dict[tuple[str, str], int]:
    """Take a run, and number the first state of each kind: Look before a stage, and what the stage does."""
    found: dict[tuple[str, str], int] = {}
    for number in range(_TURNS):
        step(turns, number)
        stage, status = str(turns.turn["stage"]), str(turns.turn["status"])
        found.setdefault((stage, f"{status} {number % 2}"), number)
        if status not in {"acting", "waiting"}:
            return found
    raise AssertionError(turns.turn)


def step(turns: Turns, number: int) -> None:
    """Run one state: Look and the one that it leads to take turns."""
    if number % 2:
        turns.spoke()
    else:
        turns.look()


def goes_on(turns: Turns) -> str:
    """Go on where a look has just decided."""
    if turns.turn["status"] in {"acting", "waiting"}:
        turns.spoke()
        return turns.to_the_end()
    return str(turns.turn["status"])


@pytest.mark.parametrize("stage", ["deposited", "primary_imported", "replicas_imported", "rotated", "proven"])
def test_an_act_out_of_turn_does_nothing(world: World, begin: Begin, stage: str) -> None:
    """An action is never taken from the input: what stands first is derived anew."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("deposited")
    turns.spoke()
    turns.until("primary_imported")
    changing = ("ImportKeyMaterial", "RotateKeyOnDemand")
    before = [len(world.calls(operation)) for operation in changing]

    if stage != "primary_imported":
        note = turns.act(stage, REGIONS[1] if stage in EVERYWHERE else None)
        assert note == {"mended": [], "memory": {}}
        assert [len(world.calls(operation)) for operation in changing] == before

    assert turns.to_the_end() == "finished"
    assert rotations(world, arn) == {1}


def test_a_state_that_is_run_a_day_late_rotates_nothing_more(world: World, begin: Begin) -> None:
    """P4: the goal is about one material; once that is past, an old state finds nothing to do."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("rotated")
    old = turns.state
    assert turns.to_the_end() == "finished"
    world.clock.advance(days=2)

    late = begin(arn)
    late.state = old

    assert late.act("rotated")["memory"] == {}
    assert rotations(world, arn) == {1}


def test_a_rotation_whose_answer_is_lost_is_looked_for_and_not_sent_again(world: World, begin: Begin) -> None:
    """I4: the rotation was accepted; the look that follows sees it."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("rotated")
    turns.act()
    turns.answered(DIED)

    assert turns.to_the_end() == "finished"

    assert len(world.calls("RotateKeyOnDemand")) == 1
    assert rotations(world, arn) == {1}


def test_a_rotation_that_was_never_sent_is_sent_after_a_minute_of_looking(world: World, begin: Begin) -> None:
    """I4: its act died before the call; nobody can know that, so nothing is sent for a minute."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("rotated")
    died = world.clock.now()
    turns.answered(DIED)
    turns.look()
    assert turns.turn["status"] == "waiting"
    turns.spoke()

    turns.until("rotated")

    assert (world.clock.now() - died).total_seconds() >= 60
    assert not world.calls("RotateKeyOnDemand")
    assert turns.to_the_end() == "finished"
    assert rotations(world, arn) == {1}


MOMENTS = [("deposited", True), ("primary_imported", True), ("replicas_imported", True), ("replicas_imported", False)]


@pytest.mark.parametrize(("stage", "done"), MOMENTS)
def test_an_act_that_dies_costs_time_only(world: World, begin: Begin, stage: str, done: bool) -> None:
    """I6: whatever it did or did not do is seen at the next look, which waits before it acts again."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until(stage)
    if done:
        for target in turns.turn["act"] if stage in EVERYWHERE else [None]:
            turns.act(target=target)
    turns.answered(DIED)
    turns.look()
    assert turns.turn["status"] in {"waiting", "finished"}

    assert turns.to_the_end() == "finished"

    assert rotations(world, arn) == {1}
    assert len(world.store.entries()) == 2


def test_memory_that_is_lost_costs_time_only(world: World, begin: Begin) -> None:
    """One idea: position is derived from the world."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("proven")
    turns.state = State(turns.state.asked)

    assert turns.to_the_end() == "finished"
    assert rotations(world, arn) == {1}


def test_one_region_that_fails_for_good_does_not_stop_the_others_and_is_told(world: World, begin: Begin) -> None:
    """I10: the others have the new material; nothing is rotated; the end says where and why."""
    arn = world.make_key()
    world.simulator.faults.add(operation="ImportKeyMaterial", region=REGIONS[1], error="AccessDeniedException")
    turns = begin(arn)

    assert turns.to_the_end() == "failed"

    report = turns.turn["report"]
    assert [(one["reason"], one["region"]) for one in report["blocks"]] == [("call-failed", REGIONS[1])]
    assert "AccessDeniedException" in report["message"]
    assert len(world.true(arn, REGIONS[2]).rows) == 2
    assert rotations(world, arn) == {0}


def test_a_replica_is_imported_into_while_another_cannot_be_seen(world: World, begin: Begin) -> None:
    """I10: an act in one Region looks at that one, the primary and the store."""
    arn = world.make_key()
    turns = begin(arn)
    turns.until("replicas_imported")
    world.simulator.faults.add(operation="DescribeKey", region=REGIONS[2], error="ThrottlingException")

    turns.act(target=REGIONS[1])

    usable = {region: world.true(arn, region).rows[-1].usable for region in REGIONS}
    assert usable == {REGIONS[0]: True, REGIONS[1]: True, REGIONS[2]: False}


def test_nothing_is_rotated_while_a_region_cannot_be_seen(world: World, begin: Begin) -> None:
    """I3, P7: the act judges everything once more, right before the point of no return."""
    arn = world.make_key()
    turns = begin(arn)
    turns.until("rotated")
    world.simulator.faults.add(operation="ListKeyRotations", region=REGIONS[2], error="ThrottlingException")

    assert turns.act()["memory"] == {}

    assert not world.calls("RotateKeyOnDemand")


def test_a_store_that_takes_long_to_read_back_holds_no_rotation_up(world: World, begin: Begin) -> None:
    """I3: every Region was looked at within 10 s of the rotation, although the store took 8."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("rotated")
    observe = turns.engine.observe
    cold = [3]

    def region(of: KeyArn) -> Any:
        seen = observe.region(of)
        world.clock.advance(seconds=cold.pop() if cold else 0)
        return seen

    def store(*about: Any) -> Any:
        seen = observe.store(*about)
        world.clock.advance(seconds=8)
        return seen

    turns.engine.observe = SimpleNamespace(region=region, store=store)
    turns.act()

    assert len(world.calls("RotateKeyOnDemand")) == 1


@pytest.mark.parametrize(("stage", "seconds"), [("primary_imported", LONGEST - 1), ("rotated", 29)])
def test_what_cannot_be_taken_back_is_not_begun_with_too_little_time(
    world: World, begin: Begin, stage: str, seconds: float
) -> None:
    """I4: the error's name says that nothing was begun, and the machine begins again."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until(stage)
    turns.remaining = seconds
    before = len(world.calls("ImportKeyMaterial"))

    with pytest.raises(TooLittleTime):
        turns.act()

    assert len(world.calls("ImportKeyMaterial")) == before
    assert not world.calls("RotateKeyOnDemand")
    turns.remaining = LONGEST + 1
    assert turns.to_the_end() == "finished"


def test_an_approval_is_for_one_rotation(world: World, begin: Begin) -> None:
    """Two-person control: the turn says whether this rotation is the approved one."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("rotated")
    assert turns.turn["approved"] is False
    entry = turns.turn["entry"]

    for approved, expected in ((entry, True), (str(EntryName(arn.identity, None)), False)):
        again = begin(arn)
        again.state = State(again.state.asked, approved=approved)
        again.until("rotated")
        assert again.turn["approved"] is expected


def waiting_for_approval(turns: Turns) -> State:
    """What stands at Approve, as the machine hands it on when an answer, or none, has come."""
    turns.until("rotated")
    return replace(turns.state, turn={}, renew=True)


@pytest.mark.parametrize("answered", [True, False])
def test_an_answer_that_comes_late_rotates_nothing_twice(world: World, begin: Begin, answered: bool) -> None:
    """P4: two executions ask for the same rotation; one is approved and ends; the other goes on a day later."""
    arn = world.make_key(TWO)
    first, second = begin(arn), begin(arn)
    kept = waiting_for_approval(second)
    entry = second.turn["entry"]
    assert first.to_the_end() == "finished"
    entries = len(world.store.entries())
    world.clock.advance(hours=25)

    second.state = replace(kept, **{"approved" if answered else "unapproved": entry})

    assert second.to_the_end() == "finished"
    assert rotations(world, arn) == {1}
    assert len(world.calls("RotateKeyOnDemand")) == 1
    assert len(world.store.entries()) == entries
    assert {len(key.rows) for key in world.everywhere(arn).values()} == {2}


def test_an_approval_renews_the_deadline_and_nothing_else_of_the_goal(world: World, begin: Begin) -> None:
    """P4: what is approved is what was asked for; waiting for the answer took longer than a run may."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    kept = waiting_for_approval(turns)
    world.clock.advance(hours=22)

    turns.state = replace(kept, approved=turns.turn["entry"])
    turns.look()

    assert kept.goal is not None
    assert turns.state.goal == replace(kept.goal, deadline=world.clock.now() + kept.goal.policy.deadline)
    assert turns.to_the_end() == "finished"
    assert rotations(world, arn) == {1}


def test_a_rotation_that_nobody_approved_in_time_is_not_made_and_told(world: World, begin: Begin) -> None:
    """Two-person control: the end names the reason; the next execution asks again."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    kept = waiting_for_approval(turns)
    world.clock.advance(hours=23)

    turns.state = replace(kept, unapproved=turns.turn["entry"])

    assert turns.to_the_end() == "blocked"
    assert [one["reason"] for one in turns.turn["report"]["blocks"]] == ["not-approved"]
    assert not world.calls("RotateKeyOnDemand")
    assert begin(arn).to_the_end() == "finished"


def test_where_no_call_knows_what_another_made_nothing_is_made_and_the_rest_is_done(world: World, begin: Begin) -> None:
    """A10, I11: the rotation alone is blocked, before anything of it is in the store; a lacking Region is filled."""
    arn = world.make_key(TWO)
    world.client(TWO[1]).delete_imported_key_material(KeyId=str(arn.within(Region(TWO[1]))))
    world.clock.advance(minutes=10)
    turns = begin(arn)
    policy = replace(world.policy, repair=Repair.AUTO, rotate_every=timedelta(minutes=1))
    turns.job = jobs.run("payments", KeySettings(arn=str(arn)), policy)
    turns.knows_makers = False

    assert turns.to_the_end() == "blocked"

    assert [one["reason"] for one in turns.turn["report"]["blocks"]] == ["made-elsewhere"]
    assert "StoreMacKey" in turns.turn["report"]["blocks"][0]["way_out"]
    assert len(world.store.entries()) == 1
    assert rotations(world, arn) == {0}
    assert world.true(arn, TWO[1]).key_state == "Enabled"


def test_acts_that_never_answer_end_the_run_with_a_report_and_with_backoff(world: World, begin: Begin) -> None:
    """An act without an answer is a failure like any other: it is counted, its pauses grow, and the end tells of it."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("replicas_imported")
    begun = []

    while turns.turn["status"] in {"acting", "waiting"}:
        if turns.turn["status"] == "acting":
            begun.append(world.clock.now())
            turns.answered(*[DIED for _ in turns.turn["act"]])
        else:
            turns.spoke()
        turns.look()

    assert turns.turn["status"] == "failed"
    (block,) = turns.turn["report"]["blocks"]
    assert (block["region"], block["reason"]) == (TWO[1], "call-failed")
    assert "had no answer 6 times; the last time: Sandbox.Timedout" in block["message"]
    pauses = [(later - sooner).total_seconds() for sooner, later in pairwise(begun)]
    assert len(begun) == 6
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 8 * pauses[0]
    assert begin(arn).to_the_end() == "finished"


def test_a_region_that_never_answers_does_not_hold_the_others_up(world: World, begin: Begin) -> None:
    """I10: the others have the new material, and the end names the one."""
    arn = world.make_key()
    turns = begin(arn)
    turns.until("replicas_imported")

    while turns.turn["status"] in {"acting", "waiting"}:
        if turns.turn["status"] == "acting":
            targets = turns.turn["act"]
            turns.answered(*[DIED if one == REGIONS[1] else turns.act(target=one) for one in targets])
        else:
            turns.spoke()
        turns.look()

    assert [one["region"] for one in turns.turn["report"]["blocks"]] == [REGIONS[1]]
    assert world.true(arn, REGIONS[2]).rows[-1].usable
    assert rotations(world, arn) == {0}


def test_an_execution_ends_before_its_history_is_full(world: World, begin: Begin) -> None:
    """Step Functions would end it at 25,000 events, with no report."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("replicas_imported")
    turns.state = replace(turns.state, events=22_000)

    turns.look()

    assert turns.turn["status"] == "failed"
    assert "25000" in turns.turn["report"]["message"]
    assert begin(arn).to_the_end() == "finished"


def test_other_hands_that_rotate_in_between_are_noticed(world: World, begin: Begin) -> None:
    """P4: CURRENT has moved on when the act looks: nothing is sent."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("rotated")
    world.client().rotate_key_on_demand(KeyId=str(arn))
    world.clock.advance(minutes=10)

    assert turns.act()["memory"] == {}

    assert turns.to_the_end() == "finished"
    assert rotations(world, arn) == {1}


def test_a_region_that_was_killed_in_two_calls_is_imported_once_more_and_is_the_same(
    world: World, begin: Begin, executor: Executor
) -> None:
    """Two acts of one Region at once: both import the same bytes, and both are answered."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    turns.until("replicas_imported")

    both = list(executor.map(lambda _: turns.act(target=REGIONS[1]), range(2)))

    assert [note["memory"] for note in both] == [{}, {}]
    assert turns.to_the_end() == "finished"
    assert rotations(world, arn) == {1}


def test_a_run_replicates_fills_and_is_done(world: World, begin: Begin) -> None:
    """What every stage learns travels on: here, which replicas were made."""
    arn = world.make_key(TWO)
    turns = begin(arn)
    policy = replace(world.policy, regions=frozenset(Region(one) for one in REGIONS), replicate=Replicate.AUTO)
    turns.job = jobs.run("payments", KeySettings(arn=str(arn)), policy)

    assert turns.to_the_end() in {"finished", "idle"}, turns.turn

    assert {region: key.key_state for region, key in world.everywhere(arn).items()} == dict.fromkeys(REGIONS, "Enabled")
    assert len(world.calls("ReplicateKey")) == 2


def test_nothing_secret_travels(world: World, begin: Begin) -> None:
    """I2: no state and no note holds key material, a token or wrapped bytes."""
    arn = world.make_key(TWO)
    turns, told = begin(arn), []

    while turns.look() and turns.turn["status"] in {"acting", "waiting"}:
        turns.spoke()
        told += [str(turns.state.write()), str(turns.state.acted)]

    assert world.calls("GetParametersForImport")
    secrets = [world.simulator.material(arn.region, str(arn), row.material_id) for row in world.true(arn).rows]
    assert len(secrets) == 2
    for secret in secrets:
        assert secret is not None
        assert not any(found_in(text, [secret]) for text in told)


@pytest.mark.timeout(240)  # ten rotations
def test_ten_keys_at_once_are_throttled_and_all_end_well(world: World, begin: Begin) -> None:
    """KEYS_AT_ONCE: 1 GetParametersForImport a second does not hold for ten keys at once; retries and backoff do."""
    world.policy = Policy(looks=1)
    arns = [world.make_key(TWO) for _ in range(KEYS_AT_ONCE)]
    world.simulator._quotas = Quotas(1.0)
    under_way = {arn: begin(arn) for arn in arns}
    wakes, begun = dict.fromkeys(arns, world.clock.now()), world.clock.now()

    while wakes:
        arn = min(wakes, key=lambda one: wakes[one])
        turns = under_way[arn]
        world.clock.advance(seconds=max(0.0, (wakes[arn] - world.clock.now()).total_seconds()))
        turns.look()
        wakes[arn] = world.clock.now()
        if turns.turn["status"] == "acting":
            turns.spoke()
        elif turns.turn["status"] == "waiting":
            wakes[arn] += timedelta(seconds=turns.turn["wait"])
        else:
            del wakes[arn]

    assert {turns.turn["status"] for turns in under_way.values()} == {"finished"}
    assert {rotation for arn in arns for rotation in rotations(world, arn)} == {1}
    throttled = [call for call in world.calls("GetParametersForImport") if call.result == "ThrottlingException"]
    assert throttled
    assert world.clock.now() - begun < Policy().deadline
