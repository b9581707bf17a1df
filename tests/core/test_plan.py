"""The plan: `decide` over predicted effects. What is shown is what would be done, in that order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from core_building import (
    AP,
    EU,
    NOW,
    REGIONS,
    US,
    A,
    a_goal,
    a_key,
    a_run,
    a_view,
    cannot_see,
    current,
    days,
    entry,
    first,
    past,
    pending,
    sentence,
    told,
)

from orchestrator.effects import NEW_ID, after
from orchestrator.goals import whatever_is_due
from orchestrator.model import (
    STORE,
    Goal,
    Idle,
    KeyState,
    Memory,
    Policy,
    Proof,
    Region,
    RotateOnDemand,
    Run,
    StoreView,
    View,
    Wait,
)
from orchestrator.plan import Plan, predict
from workflows.rotate import ROTATE

FULL = Policy(proof=Proof.FULL)
ROTATION = [
    "deposited: keep probe of a",
    "deposited: prove a in ap-southeast-2",
    "deposited: prove a in eu-west-1",
    "deposited: prove a in us-east-1",
    "deposited: deposit a.1",
    "primary_imported: import NEW - into us-east-1",
    "replicas_imported: import EXISTING n into ap-southeast-2",
    "replicas_imported: import EXISTING n into eu-west-1",
    "rotated: rotate n in us-east-1",
    "proven: keep probe of n",
    "proven: prove n in ap-southeast-2",
    "proven: prove n in eu-west-1",
    "proven: prove n in us-east-1",
    "proven: mark n proven",
]


def planned(view: View, run: Run | None = None) -> Plan:
    """The plan of a rotation with full proof."""
    return predict(ROTATE, view, run or a_run(a_goal(policy=FULL)), view.at)


def steps(plan: Plan) -> list[str]:
    """Its actions as sentences. The material that KMS has not named yet is `n`."""
    return [f"{step.stage}: {sentence(step.action)}" for step in plan.steps]


def test_the_plan_of_a_healthy_key_is_the_whole_rotation() -> None:
    """One idea: the exact calls, in order, to the end."""
    plan = planned(a_view())

    assert steps(plan) == ROTATION
    assert told(plan.end) == ["done: finished"]


def test_the_point_of_no_return_is_the_rotation_and_nothing_else() -> None:
    """I4: one action in the plan cannot be undone; everything that can go wrong is judged before it."""
    plan = planned(a_view())

    assert [step.stage for step in plan.steps if step.point_of_no_return] == ["rotated"]
    assert sum(isinstance(step.action, RotateOnDemand) for step in plan.steps) == 1


def test_the_plan_names_every_region_that_will_import_once() -> None:
    """Import parameters are fetched early for these."""
    assert planned(a_view()).imports == (US, AP, EU)


def test_without_proof_the_plan_ends_with_the_mark() -> None:
    """P14: `proof: off`."""
    plan = planned(a_view(), a_run(a_goal(policy=Policy(proof=Proof.OFF))))

    assert steps(plan)[-2:] == ["rotated: rotate n in us-east-1", "proven: mark n proven"]


def test_a_single_region_key_has_the_same_plan_without_replicas() -> None:
    """The same stages."""
    goal = a_goal(policy=Policy(), members=frozenset({US}))

    assert steps(planned(a_view(a_key(regions=[US])), a_run(goal))) == [
        "deposited: prove a in us-east-1",
        "deposited: deposit a.1",
        "primary_imported: import NEW - into us-east-1",
        "rotated: rotate n in us-east-1",
        "proven: prove n in us-east-1",
        "proven: mark n proven",
    ]


# ---- plans that end in blocks -----------------------------------------------------------------------------------

BLOCKED: list[tuple[str, Callable[[], View], list[str]]] = [
    (
        "a Region is Disabled",
        lambda: a_view(a_key(eu={"key_state": KeyState.DISABLED})),
        ["healthy: blocked", "block: disabled in eu-west-1"],
    ),
    (
        "two things are wrong: both are in the plan",
        lambda: a_view(a_key(eu={"key_state": KeyState.DISABLED}, ap=[current("a", valid_to=days(1))])),
        ["healthy: blocked", "block: disabled in eu-west-1", "block: expires-soon in ap-southeast-2"],
    ),
    (
        "something foreign is pending",
        lambda: a_view(a_key([current("a"), pending("b")])),
        ["healthy: blocked", "block: foreign-pending in us-east-1"],
    ),
    (
        "a Region cannot be looked at: a plan cannot foresee that",
        lambda: a_view(a_key(eu=None), failures=[cannot_see(EU)]),
        ["healthy: going", "wait: cannot-look in eu-west-1"],
    ),
    (
        "the store cannot be looked at",
        lambda: a_view(failures=[cannot_see(STORE, transient=False)]),
        ["healthy: failed", "fail: cannot-look"],
    ),
    (
        "a key that stays Updating",
        lambda: a_view(a_key(us={"key_state": KeyState.UPDATING})),
        ["healthy: failed", "fail: key-state in us-east-1"],
    ),
]


@pytest.mark.parametrize(("claim", "view", "ends"), BLOCKED, ids=[row[0] for row in BLOCKED])
def test_the_plan_of_a_blocked_key_ends_in_its_blocks(claim: str, view: Callable[[], View], ends: list[str]) -> None:
    """I9, P7: with no step before them."""
    plan = planned(view())

    assert steps(plan) == [], claim
    assert told(plan.end) == ends


def test_a_plan_that_begins_and_then_meets_a_block_shows_both() -> None:
    """I10: the other Region is imported into; then the plan ends where the run would."""
    key = a_key([current("a"), pending("b", imported=False, ready=False)], us=[current("a"), pending("b", ready=False)])
    key[EU] = replace(key[EU], key_state=KeyState.DISABLED)

    plan = planned(a_view(key, first(probe=True), entry("a", "b")))

    assert steps(plan) == ["replicas_imported: import EXISTING b into ap-southeast-2"]
    assert told(plan.end) == ["replicas_imported: blocked", "block: disabled in eu-west-1"]


# ---- plans from every position ----------------------------------------------------------------------------------


def worlds_of_a_rotation() -> list[View]:
    """The world after no, one, two ... all steps of a rotation: where a crash may leave it."""
    found = [a_view()]
    for step in planned(a_view()).steps:
        found.append(after(found[-1], step.action))
    return found


TRIED, DEPOSITED = ROTATION.index("deposited: prove a in ap-southeast-2"), ROTATION.index("deposited: deposit a.1")
ROTATED, PROVEN = ROTATION.index("rotated: rotate n in us-east-1"), ROTATION.index("proven: prove n in ap-southeast-2")


def resumed_at(done: int) -> int:
    """The step that a rerun begins with after so many steps.

    What a Region proved is remembered by the run alone: a rerun asks it again, unless the entry is there, or marked.
    """
    if done == len(ROTATION):
        return done
    return TRIED if TRIED <= done <= DEPOSITED else min(done, PROVEN)


@pytest.mark.parametrize("done", range(len(ROTATION) + 1))
def test_a_rerun_after_a_crash_at_any_step_plans_what_is_left(done: int) -> None:
    """I6: position is derived from the world; nothing is done twice, nothing is left out."""
    plan = planned(worlds_of_a_rotation()[done])

    assert steps(plan) == ROTATION[resumed_at(done) :]
    assert told(plan.end) == ["done: finished"]


@pytest.mark.parametrize("done", range(DEPOSITED + 1))
def test_cron_finds_nothing_begun_where_a_crash_left_no_more_than_a_tried_proof(done: int) -> None:
    """P7, P5: to try the proof makes nothing, so nothing is left to finish."""
    policy = Policy(proof=Proof.FULL, rotate_every=timedelta(days=9999))

    assert isinstance(whatever_is_due(worlds_of_a_rotation()[done], policy), Idle)


@pytest.mark.parametrize("done", range(DEPOSITED + 1, len(ROTATION)))
def test_cron_finds_what_a_crash_left_and_finishes_it(done: int) -> None:
    """I6, P5: though nothing is due, and whatever this run was meant to do."""
    policy = Policy(proof=Proof.FULL, rotate_every=timedelta(days=9999))
    view = worlds_of_a_rotation()[done]

    goal = whatever_is_due(view, policy)

    assert isinstance(goal, Goal)
    assert goal.replaces == A
    plan = planned(view, Run(goal))
    assert plan.end.status == "finished"
    assert sum(step.point_of_no_return for step in plan.steps) == (1 if done <= ROTATED else 0)


def test_a_crash_between_the_import_and_its_link_is_planned_as_a_question_to_kms() -> None:
    """P2, I6: EXISTING with the pending id, then on."""
    key = a_key([current("a"), pending("b", imported=False, ready=False)], us=[current("a"), pending("b", ready=False)])

    plan = planned(a_view(key, first(probe=True), entry("a")))

    assert steps(plan)[:3] == [
        "primary_imported: import EXISTING b into us-east-1",
        "replicas_imported: import EXISTING b into ap-southeast-2",
        "replicas_imported: import EXISTING b into eu-west-1",
    ]
    assert plan.end.status == "finished"


def test_a_plan_waits_out_what_time_alone_brings() -> None:
    """P6, P8: after a discarded attempt, 15 minutes and three quiet looks; then NEW."""
    gone = entry("a", "b", discarded_at=NOW)
    goal = a_goal(attempt=2, policy=Policy(proof=Proof.OFF))

    plan = planned(a_view(a_key(), first(), gone), a_run(goal))

    assert steps(plan)[:2] == ["deposited: deposit a.2", "primary_imported: import NEW - into us-east-1"]
    assert plan.end.status == "finished"


def test_a_plan_of_looks_long_past_takes_everything_for_seen_now() -> None:
    """I3: the ten seconds before a rotation are the runner's to keep; the plan supposes them kept."""
    old = NOW - timedelta(hours=1)
    key = {region: replace(seen, seen_at=old) for region, seen in a_key().items()}
    view = a_view(key, store=StoreView(old, (first(),)))

    assert steps(planned(view)) == ROTATION


def test_a_plan_over_material_that_expires_in_a_year_is_the_whole_rotation() -> None:
    """P10: whether it can be used is asked at the time that the plan has come to."""
    view = a_view(a_key([current("a", valid_to=days(365))]))

    assert steps(planned(view)) == ROTATION


def test_a_plan_always_ends() -> None:
    """Where a stage would wait for ever, the deadline ends the plan; where that is far, a bound does."""

    def forever(_view: View, _run: Run) -> list[Wait]:
        from orchestrator.model import Reason  # noqa: PLC0415

        return [Wait(Reason.SLOT, "never comes", EU, timedelta(days=9999), look=(EU,))]

    def plan(deadline: timedelta, poll: timedelta = timedelta(seconds=5)) -> Plan:
        goal = a_goal(policy=Policy(poll=poll), deadline=NOW + deadline)
        return predict([forever], a_view(), a_run(goal), NOW)

    assert plan(timedelta(minutes=30)).end.status == "failed"
    assert plan(timedelta(minutes=30), poll=timedelta(seconds=1)).end.status == "failed"
    assert plan(timedelta(hours=2), poll=timedelta(minutes=1)).end.status == "failed"
    far = plan(timedelta(days=9999))
    assert (far.steps, far.end.status) == ((), "going")


def test_memory_is_no_part_of_a_plan_but_is_respected() -> None:
    """A rotation that this run has sent is not planned again."""
    both = [current("a"), pending("b")]
    view = a_view(a_key(both), first(probe=True), entry("a", "b"))
    run = Run(a_goal(policy=FULL), Memory(rotation_sent=NOW))

    plan = planned(view, run)

    assert steps(plan) == []
    assert told(plan.end) == ["rotated: failed", "fail: rotating in us-east-1"]


def test_the_new_material_is_named_only_once_kms_has_named_it() -> None:
    """The id of new material is KMS's secret until the primary import."""
    rotation = next(step.action for step in planned(a_view()).steps if step.point_of_no_return)

    assert isinstance(rotation, RotateOnDemand)
    assert rotation.material_id == NEW_ID
    done = worlds_of_a_rotation()[-1]
    assert {seen.current.material_id for seen in done.regions.values() if seen.current} == {NEW_ID}
    assert all(past("a").material_id in {row.material_id for row in done.regions[region].rows} for region in REGIONS)
    assert Region("us-east-1") in done.regions
