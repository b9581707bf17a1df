"""Fail anything: every fault of every operation, once, three times and for ever; then, without it, run again.

The table says what each comes to. Whatever it is: within the deadline, nothing lost, at most one rotation, no key made
unusable, no success told that is none; and the run after it finishes.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fault_table import BY_CODE, OPERATIONS, TIMES, Case, cases, modelled, rule
from strikes import Met, Strikes, struck, surely
from trial import says_done

from orchestrator.model import KeyArn
from orchestrator.progress import Report
from orchestrator.runner import GRACE
from orchestrator.simulator import Simulator, serve
from sizes import EVERYTHING, some
from verdict import Before, Count, before, broken, false_blocks, tell, told_of, untold
from worlds import REGIONS, ManualClock, World

pytestmark = pytest.mark.timeout(1800)

CHUNKS = 8 if EVERYTHING else 2
DEADLINE = timedelta(minutes=8)


def rotate(world: World, arn: KeyArn, poll: float = 10) -> Report:
    """Rotate within the deadline; `poll` in seconds: what fails for ever is not looked at more often than need be."""
    return world.rotate(arn, policy=replace(world.policy, deadline=DEADLINE, poll=timedelta(seconds=poll)))


def done(world: World, arn: KeyArn, earlier: Before) -> bool:
    """Whether everything is done: CURRENT has moved, and is proven."""
    proven = {entry.linked for entry in world.store.entries(arn.identity) if entry.proven}
    current = world.true(arn).current
    return current in proven and current != earlier.current


def judged(world: World, arn: KeyArn, earlier: Before, report: Report) -> list[str]:
    found = broken(world.simulator, arn, earlier, [world.store], success=report.status in {"finished", "idle"})
    return [*found, *false_blocks(world.simulator, arn, [world.store], report.blocks, alone=True)]


def met(world: World, expected: str | Sequence[str], fail: Callable[[Simulator], None]) -> Met:
    """Let one run meet a fault and another one go on without it; return all that is not as it should be."""
    world.simulator.faults.clear()
    arn = world.make_key()
    earlier, begun = before(world.simulator, arn), world.clock.now()
    fail(world.simulator)
    report = rotate(world, arn, poll=60 if expected == "failed" else 10)
    hit, took = struck(world.simulator), world.clock.now() - begun
    world.simulator.faults.clear()
    wrong = [f"{one}" for one in judged(world, arn, earlier, report)]
    if report.status == "finished":
        wrong += untold(world.simulator, arn, earlier, told_of(report), rotated=True)
    if report.status not in ([expected] if isinstance(expected, str) else expected):
        wrong.append(f"expected {expected}, ended {report.status} in {report.stage}: {report.message}")
    if took > DEADLINE + GRACE + timedelta(seconds=30):
        wrong.append(f"it took {took}, longer than the deadline")
    if report.status != "finished" and not all(block.way_out for block in report.blocks):
        wrong.append("a block without a way out")
    if report.status != "finished" or not done(world, arn, earlier):
        wrong += [f"the run after it: {one}" for one in gone_on(world, arn, earlier)]
    return hit, wrong


def gone_on(world: World, arn: KeyArn, earlier: Before) -> list[str]:
    """Run again, without the fault; return all that is not as it should be."""
    world.clock.advance(minutes=20)
    rotated = done(world, arn, earlier)
    after = rotate(world, arn)
    wrong = judged(world, arn, earlier, after)
    if not says_done(after, rotated=rotated):
        wrong.append(f"it ended {after.status}: {after.message}")
    return wrong + ([] if done(world, arn, earlier) else [f"it is not done: {after.status}: {after.message}"])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_fault_of_every_operation_ends_as_the_table_says(
    world: World, record_property: Count, chunk: int
) -> None:
    strikes = Strikes()
    for case in some(list(cases()), 24)[chunk::CHUNKS]:

        def fail(simulator: Simulator, case: Case = case) -> None:
            found = rule(case.fault)
            simulator.faults.add(operation=case.operation, region=case.region, times=TIMES[case.often], **found)

        strikes.note(str(case), met(world, case.expected, fail))
    strikes.conclude(record_property)


def test_the_table_knows_every_modelled_error() -> None:
    """An error that a later botocore models shows here first."""
    known = {*BY_CODE, "IncorrectKeyMaterialException"}
    assert not {error for operation in OPERATIONS for error in modelled(operation)} - known


@pytest.mark.parametrize("fault", ["reset after the effect", "KMSInternalException after the effect"])
def test_a_rotation_that_got_no_answer_is_told_all_the_same(world: World, record_property: Count, fault: str) -> None:
    """I13: and never as a rotation that another run had begun."""
    strikes = Strikes()
    strikes.note(fault, met(world, "finished", lambda s: _lost(s, fault)))
    strikes.conclude(record_property)


def _lost(simulator: Simulator, fault: str) -> None:
    simulator.faults.add(operation="RotateKeyOnDemand", times=1, **rule(fault))


AT_EVERY_CALL = {
    "ThrottlingException": ("finished",),
    "reset before the effect": ("finished",),
    "reset after the effect": ("finished",),
    "KMSInternalException after the effect": ("finished",),
    "AccessDeniedException": ("failed", "finished"),
}
"""One call of a run fails, whichever it is. A denied prefetch of import parameters, and a look that nobody waits for,
need not end the run."""


def calls_of_a_clean_run(world: World) -> int:
    """How many calls a rotation makes."""
    arn, begun = world.make_key(), len(world.simulator.calls)
    assert rotate(world, arn).status == "finished"
    return len(world.simulator.calls) - begun


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_any_one_call_may_fail(world: World, record_property: Count, chunk: int) -> None:
    """Calls are found in a clean run; each fails once, in each way."""
    calls, strikes = calls_of_a_clean_run(world), Strikes()
    everything = [(number, fault) for number in range(1, calls + 1) for fault in AT_EVERY_CALL]
    for number, fault in some(everything, 8)[chunk::CHUNKS]:

        def fail(simulator: Simulator, number: int = number, fault: str = fault) -> None:
            simulator.faults.add(calls=[number], **rule(fault))

        found = met(world, AT_EVERY_CALL[fault], fail)
        strikes.note(f"call {number}: {fault}", found, sure=surely(number, calls))
    strikes.conclude(record_property)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_credentials_may_expire_at_any_call(world: World, record_property: Count, chunk: int) -> None:
    """From some call on, none is let in: exit 3, and the run with new credentials resumes.

    How many calls there are differs a little from run to run: a run that needs no more than it made is finished.
    """
    calls, strikes = calls_of_a_clean_run(world), Strikes()
    for number in some(range(1, calls + 1), 3)[chunk::CHUNKS]:

        def fail(simulator: Simulator, number: int = number) -> None:
            simulator.faults.add(calls=range(number, 10_000), error="ExpiredTokenException")

        expected = ("failed",) if number < calls * 0.9 else ("failed", "finished")
        strikes.note(f"from call {number} on", met(world, expected, fail), sure=surely(number, calls))
    strikes.conclude(record_property)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("fault", ["reset before the effect", "ServiceUnavailable", "ThrottlingException"])
def test_a_region_that_is_down_for_a_while_costs_time_and_one_that_stays_down_a_run(
    world: World, record_property: Count, region: str, fault: str
) -> None:
    """I10: a Region that comes back is waited for."""
    strikes = Strikes()
    strikes.note(f"{region} down for 30 calls", met(world, "finished", lambda s: _down(s, region, fault, 30)))
    strikes.note(f"{region} down", met(world, "failed", lambda s: _down(s, region, fault, None)))
    strikes.conclude(record_property)


@pytest.fixture
def slow(tmp_path: Path, clock: ManualClock, executor: Executor) -> Iterator[World]:
    """A world in which time passes while a call is answered late."""
    simulator = Simulator(clock.epoch, lag="instant", sleep=clock.sleep)
    with serve(simulator) as served:
        yield World(simulator, served.endpoint_url, tmp_path, clock, executor)


SLOW_ANSWER = timedelta(seconds=50)
"""Less than the adapter waits for an answer."""

TWICE = ("Decrypt",)
"""What one action calls twice in a Region: proving opens a probe of each of the two generations."""


@pytest.mark.parametrize("operation", some(OPERATIONS, 3))
def test_answers_that_take_long_cost_time_and_no_run_outlives_its_deadline(
    slow: World, record_property: Count, operation: str
) -> None:
    """The clock goes on during the calls; what is in flight when time is up may still come back."""
    arn = slow.make_key()
    earlier, begun = before(slow.simulator, arn), slow.clock.now()
    slow.simulator.faults.add(operation=operation, delay=SLOW_ANSWER.total_seconds())
    report = rotate(slow, arn, poll=30)
    hit, took = struck(slow.simulator), slow.clock.now() - begun
    slow.simulator.faults.clear()
    wrong = judged(slow, arn, earlier, report)
    # The clock of this test adds up what really goes on side by side.
    in_flight = len(REGIONS) * (2 if operation in TWICE else 1)
    slow.clock.advance(minutes=20)
    after = rotate(slow, arn)
    wrong += judged(slow, arn, earlier, after)
    Strikes(struck=int(hit)).conclude(record_property)
    assert not wrong, tell(wrong)
    assert took <= DEADLINE + GRACE + in_flight * SLOW_ANSWER, f"{took}: {report.status}, {report.message}"
    assert report.status in {"finished", "failed"}, report
    assert done(slow, arn, earlier), after


def _down(simulator: Simulator, region: str, fault: str, times: int | None) -> None:
    simulator.faults.add(region=region, times=times, **rule(fault))
