"""`decide`: the first stage that misses something, as one turn; patience, deadline, backoff, and how a run ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
    US,
    B,
    a_goal,
    a_run,
    a_view,
    name,
    told,
)

from orchestrator.decide import decide, judge, name_of_stage
from orchestrator.model import (
    STORE,
    Act,
    Action,
    Block,
    DepositMaterial,
    Failed,
    ImportMaterial,
    ImportType,
    Policy,
    Reason,
    Run,
    Stage,
    Step,
    Turn,
    View,
    Wait,
    name_of,
)

IMPORT_EU = ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, None)
IMPORT_AP = ImportMaterial(KEY.within(AP), name(), ImportType.EXISTING, B, None)
DEPOSIT = DepositMaterial(name())
SLOT = Wait(Reason.SLOT, "not listed yet", EU, timedelta(minutes=3), look=(EU,))
PERSON = Block(Reason.DISABLED, "the key is Disabled", "enable it", AP)
RERUN = Block(Reason.ACCESS, "AccessDenied", "grant it", AP, person=False)


def missing(*steps: Step) -> Stage:
    """A stage that misses these things."""

    def stage(_view: View, _run: Run) -> Sequence[Step]:
        return steps

    return stage


def turned(*steps: Step, run: Run | None = None, now: datetime = NOW) -> Turn:
    """The turn that follows from these steps."""
    return decide([missing(), missing(*steps)], a_view(), run or a_run(), now)


def failing(
    action: Action, *, final: bool = False, not_before: datetime = NOW, person: bool = False
) -> dict[str, Failed]:
    """The memory of a failed action."""
    return {name_of(action): Failed(1, "it failed", "mend it", not_before, final, person=person)}


# ---- the first stage that misses something ------------------------------------------------------------------------


def test_the_first_stage_that_misses_something_decides() -> None:
    """One idea: a workflow is a list of stages; those before it have passed, those after it are not asked."""

    def never(_view: View, _run: Run) -> Sequence[Step]:
        raise AssertionError("a stage behind one that misses something was asked")

    turn = decide([missing(), missing(Act(DEPOSIT)), never], a_view(), a_run(), NOW)

    assert turn.act == (DEPOSIT,)


def test_nothing_missing_is_finished() -> None:
    """One idea: nothing missing in any stage means passed."""
    assert decide([missing(), missing()], a_view(), a_run(), NOW) == Turn("done", "finished")


def test_stages_judge_by_the_time_of_deciding_not_of_looking() -> None:
    """I3: material may expire between a look and the decision."""
    times = []

    def asked(view: View, _run: Run) -> Sequence[Step]:
        times.append(view.at)
        return []

    decide([asked], a_view(at=NOW - timedelta(hours=1)), a_run(), NOW)

    assert times == [NOW]


def test_a_stage_is_named_after_its_function() -> None:
    """The journal, the plan and the screen use one name."""
    assert name_of_stage(missing()) == "stage"


# ---- how a run ends ---------------------------------------------------------------------------------------------

ENDS: list[tuple[str, tuple[Step, ...], list[str]]] = [
    ("only a person can help: blocked, exit 4", (PERSON,), ["stage: blocked", "block: disabled in ap-southeast-2"]),
    ("another run may: failed, exit 3", (RERUN,), ["stage: failed", "fail: cannot-look in ap-southeast-2"]),
    (
        "both: blocked, and both are told",
        (RERUN, PERSON),
        ["stage: blocked", "block: disabled in ap-southeast-2", "fail: cannot-look in ap-southeast-2"],
    ),
    (
        "something can still be done: go on, and tell",
        (Act(IMPORT_EU), PERSON),
        ["stage: going", "import EXISTING b into eu-west-1", "block: disabled in ap-southeast-2"],
    ),
    (
        "something may still come: wait, and tell",
        (SLOT, RERUN),
        ["stage: going", "wait: slot-not-listed in eu-west-1", "fail: cannot-look in ap-southeast-2"],
    ),
]


@pytest.mark.parametrize(("claim", "steps", "says"), ENDS, ids=[row[0] for row in ENDS])
def test_a_run_ends_only_when_nothing_can_be_done_or_come(claim: str, steps: tuple[Step, ...], says: list[str]) -> None:
    """I10, I9: one bad Region never stops the others, and is never hidden."""
    assert told(turned(*steps)) == says, claim


# ---- patience ---------------------------------------------------------------------------------------------------


def waiting_for(seconds: float) -> Run:
    """A run that has waited for the slot in eu-west-1 so long."""
    return a_run(waiting={"stage:eu-west-1:slot-not-listed": NOW - timedelta(seconds=seconds)})


@pytest.mark.parametrize(("seconds", "status"), [(0, "going"), (179, "going"), (180, "failed"), (999, "failed")])
def test_patience_has_an_end(seconds: float, status: str) -> None:
    """A wait that is over fails the run; the next one resumes (exit 3)."""
    assert turned(SLOT, run=waiting_for(seconds)).status == status


def test_a_wait_that_is_over_tells_what_was_waited_for_and_how_long() -> None:
    """I9: what, where, why, and what next."""
    [block] = turned(SLOT, run=waiting_for(180)).blocks

    assert (block.reason, block.region, block.person) == (Reason.SLOT, EU, False)
    assert block.message == "waited 3 min in vain: not listed yet"
    assert "run again" in block.way_out


def test_a_wait_may_say_what_follows_when_it_is_over() -> None:
    """I9: then a person is told what lag does not explain, whatever the stage is called."""
    turn = turned(Wait(Reason.SLOT, "not listed yet", EU, over=PERSON), run=waiting_for(180))

    assert told(turn) == ["stage: blocked", "block: disabled in ap-southeast-2"]


def test_one_wait_that_is_over_ends_no_other() -> None:
    """I10: the other Region is still waited for."""
    other = Wait(Reason.SLOT, "not listed yet", AP, look=(AP,))

    assert told(turned(SLOT, other, run=waiting_for(180))) == [
        "stage: going",
        "wait: slot-not-listed in ap-southeast-2",
        "fail: slot-not-listed in eu-west-1",
    ]


def test_the_turn_looks_again_at_what_is_waited_for_each_once() -> None:
    """The runner only looks, acts and waits."""
    turn = turned(SLOT, Wait(Reason.SETTLING, "once more", EU, look=(EU, STORE)))

    assert turn.look == (EU, STORE)


# ---- when to wake -----------------------------------------------------------------------------------------------


def test_a_turn_wakes_after_one_poll_interval() -> None:
    """Look, then decide anew."""
    assert turned(SLOT).wake == NOW + timedelta(seconds=5)


def test_a_turn_wakes_sooner_where_patience_ends_sooner() -> None:
    """A bound is met when it falls, not a poll later."""
    assert turned(SLOT, run=waiting_for(178)).wake == NOW + timedelta(seconds=2)


def test_a_turn_wakes_at_the_deadline_at_the_latest() -> None:
    """The deadline is the goal's."""
    run = a_run(a_goal(deadline=NOW + timedelta(seconds=1)))

    assert turned(Act(DEPOSIT), run=run).wake == NOW + timedelta(seconds=1)


# ---- the deadline -----------------------------------------------------------------------------------------------


def test_after_the_deadline_nothing_is_begun() -> None:
    """I9: it tells the stage and what was waited for; another run resumes (exit 3)."""
    turn = turned(Act(DEPOSIT), SLOT, now=NOW + Policy().deadline)

    assert told(turn) == ["stage: failed", "wait: slot-not-listed in eu-west-1", "fail: too-late"]
    assert turn.blocks[0].message == "the deadline of 30 min passed in stage stage: not listed yet"
    assert turn.act == ()


def test_after_the_deadline_what_needs_a_person_still_blocks() -> None:
    """I10: the block is not hidden behind the deadline."""
    turn = turned(PERSON, now=NOW + Policy().deadline)

    assert told(turn) == ["stage: blocked", "block: disabled in ap-southeast-2", "fail: too-late"]


def test_a_run_that_misses_nothing_is_finished_even_after_the_deadline() -> None:
    """I8: what is observed counts, not the clock."""
    assert turned(now=NOW + timedelta(days=1)).status == "finished"


# ---- failed actions ---------------------------------------------------------------------------------------------


def test_a_failed_action_waits_while_its_target_is_looked_at_again() -> None:
    """I4: look, then decide."""
    turn = turned(Act(IMPORT_EU), run=a_run(failed=failing(IMPORT_EU, not_before=NOW + timedelta(seconds=10))))

    assert told(turn) == ["stage: going", "wait: call-failed in eu-west-1"]
    assert turn.look == (EU,)
    assert turn.waits[0].message == "it failed"


def test_after_its_pause_a_failed_action_is_decided_anew() -> None:
    """A failure that may pass is no reason to stop."""
    assert turned(Act(IMPORT_EU), run=a_run(failed=failing(IMPORT_EU))).act == (IMPORT_EU,)


def test_an_action_that_failed_for_good_is_given_up_with_its_own_way_out() -> None:
    """I9: exit 3, with the hint of whoever refused."""
    turn = turned(Act(IMPORT_EU), run=a_run(failed=failing(IMPORT_EU, final=True)))

    assert told(turn) == ["stage: failed", "fail: call-failed in eu-west-1"]
    assert (turn.blocks[0].message, turn.blocks[0].way_out) == ("it failed", "mend it")


def test_an_action_that_only_a_person_can_mend_blocks() -> None:
    """I9: exit 4; the others are told beside it, as what another run may mend."""
    failed = failing(IMPORT_EU, final=True, person=True) | failing(IMPORT_AP, final=True)

    assert told(turned(Act(IMPORT_EU), Act(IMPORT_AP), run=a_run(failed=failed))) == [
        "stage: blocked",
        "block: call-failed in eu-west-1",
        "fail: call-failed in ap-southeast-2",
    ]


def test_a_failure_without_a_hint_still_tells_a_way_out() -> None:
    """I9: run again, it resumes."""
    failed = {name_of(DEPOSIT): Failed(1, "the disk is full", "", NOW, final=True)}

    [block] = turned(Act(DEPOSIT), run=a_run(failed=failed)).blocks

    assert block.region is None
    assert "run again" in block.way_out


def test_backoff_and_giving_up_hold_up_no_other_action() -> None:
    """I10: three Regions, three fates, one turn."""
    import_us = ImportMaterial(KEY, name(), ImportType.EXISTING, B, None)
    failed = failing(IMPORT_EU, final=True) | failing(IMPORT_AP, not_before=NOW + timedelta(seconds=10))

    assert told(turned(Act(import_us), Act(IMPORT_EU), Act(IMPORT_AP), run=a_run(failed=failed))) == [
        "stage: going",
        f"import EXISTING b into {US}",
        "wait: call-failed in ap-southeast-2",
        "fail: call-failed in eu-west-1",
    ]


def test_a_store_action_in_backoff_names_no_region() -> None:
    """I9: the store is not a Region."""
    turn = turned(Act(DEPOSIT), run=a_run(failed=failing(DEPOSIT, not_before=NOW + timedelta(seconds=10))))

    assert told(turn) == ["stage: going", "wait: call-failed"]
    assert turn.look == (STORE,)


# ---- before the goal is pinned ------------------------------------------------------------------------------------


def test_steps_outside_any_stage_are_judged_alike() -> None:
    """Pinning waits, blocks and runs out of patience as any stage does."""
    assert told(judge([PERSON], a_run(), NOW)) == ["located: blocked", "block: disabled in ap-southeast-2"]
