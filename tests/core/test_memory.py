"""What a run remembers: streaks of confirming looks, since when it waits, what failed. It serves patience only."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
    REGIONS,
    US,
    A,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    current,
    days,
    deciding,
    entry,
    first,
    marked,
    name,
    past,
    pending,
    settled_everywhere,
    told,
)

from orchestrator.memory import learned, not_begun, saw, sending, wait_name, waited
from orchestrator.model import (
    Action,
    AdoptMaterial,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    ImportMaterial,
    ImportType,
    KeyState,
    MaterialRow,
    Memory,
    Outcome,
    Policy,
    ProveRegion,
    Purpose,
    Reason,
    Region,
    Result,
    RotateOnDemand,
    Run,
    Streak,
    Turn,
    Wait,
    name_of,
)

AFTER = [past("a"), current("b")]
IMPORT = ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, None)
ROTATE = RotateOnDemand(KEY, B)


def looked(
    run: Run, region: Region = EU, *, after: float = 5, rows: list[MaterialRow] | None = None, **how: Any
) -> Run:
    """One more look at a Region, so many seconds after the last one; the others show the end state."""
    key = a_key(AFTER)
    last = run.memory.settled.get(region)
    seen_at = (last.last if last else NOW) + timedelta(seconds=after)
    key[region] = replace(key[region], seen_at=seen_at, rows=tuple(AFTER if rows is None else rows), **how)
    return saw(run, a_view(key, first(), entry("a", "b")), region)


def count(run: Run, region: Region = EU) -> int:
    """How many looks in a row have confirmed."""
    streak = run.memory.settled.get(region)
    return streak.count if streak else 0


# ---- P8: streaks ------------------------------------------------------------------------------------------------


def test_looks_that_confirm_make_a_streak() -> None:
    """P8: one, two, three."""
    run = a_run()
    counts = []
    for _ in range(3):
        run = looked(run)
        counts.append(count(run))

    assert counts == [1, 2, 3]


@pytest.mark.parametrize(("after", "counted"), [(0, 1), (2, 1), (2.5, 2), (60, 2)])
def test_only_looks_that_are_spaced_count(after: float, counted: int) -> None:
    """P8: two looks within half a poll interval may have read the same stale state."""
    assert count(looked(looked(a_run()), after=after)) == counted


def test_a_look_that_follows_too_soon_breaks_no_streak() -> None:
    """P8: it confirms; it only proves nothing more."""
    run = looked(looked(looked(a_run())), after=1)

    assert count(run) == 2
    assert count(looked(run)) == 3


OTHER_READINGS: list[tuple[str, dict[str, Any]]] = [
    ("CURRENT is the old material again: reads flap", {"rows": [current("a"), pending("b")]}),
    ("nothing is listed", {"rows": []}),
    ("old material is missing", {"rows": [past("a", imported=False), current("b")]}),
    ("old material has expired", {"rows": [past("a", valid_to=days(-1)), current("b")]}),
    ("another CURRENT than elsewhere", {"rows": [past("a"), past("b"), current("c")]}),
    ("the key is Disabled", {"key_state": KeyState.DISABLED}),
    ("the key is Updating", {"key_state": KeyState.UPDATING}),
    ("the key is PendingImport", {"key_state": KeyState.PENDING_IMPORT}),
    ("a rotation is still under way", {"rotation_started_at": NOW}),
]


@pytest.mark.parametrize(("reading", "how"), OTHER_READINGS, ids=[row[0] for row in OTHER_READINGS])
def test_any_other_reading_ends_a_streak(reading: str, how: dict[str, Any]) -> None:
    """P8: consecutive means consecutive."""
    two = looked(looked(a_run()))

    assert count(two) == 2
    assert count(looked(two, **how)) == 0, reading


RESTORE = replace(IMPORT, purpose=Purpose.RESTORE)
LOST_REPLY = Outcome(Result.FAILED, "no reply", doubt=True)


def test_what_was_brought_back_without_an_answer_is_restored_once_it_shows() -> None:
    """I13: somebody must learn of it, and it is proven anew."""
    run = learned(a_run(proofs={EU: B, US: B}), RESTORE, LOST_REPLY, NOW)
    assert not run.memory.restored

    for rows in ([past("a"), current("b", imported=False)], [past("a")]):
        assert not looked(run, rows=rows).memory.restored
    assert not looked(run, US).memory.restored
    after = looked(run).memory

    assert (after.restored, after.doubted, after.proofs) == ({EU}, {}, {US: B})


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (RESTORE, Outcome(Result.FAILED, "denied")),
        (replace(IMPORT, purpose=Purpose.RENEW), LOST_REPLY),
        (replace(IMPORT, purpose=Purpose.FILL), LOST_REPLY),
        (ROTATE, LOST_REPLY),
    ],
)
def test_what_was_surely_not_done_or_brings_nothing_back_is_not_restored(action: Action, outcome: Outcome) -> None:
    assert not looked(learned(a_run(), action, outcome, NOW)).memory.restored


def test_a_look_that_failed_ends_the_streak_of_that_region_alone() -> None:
    """P8, I10: nothing was confirmed there."""
    run = a_run(settled=settled_everywhere(2))

    after = saw(run, a_view(a_key(AFTER, eu=None), first(), entry("a", "b")), EU)

    assert set(after.memory.settled) == {US, AP}


def test_streaks_are_kept_by_region() -> None:
    """P8: per Region; one that flaps does not hold up the others' counting."""
    run = a_run(settled=settled_everywhere(2))

    after = looked(run, rows=[current("a"), pending("b")])

    assert (count(after, US), count(after, EU), count(after, AP)) == (2, 0, 2)


def quiet(run: Run) -> int:
    """How many looks in a row at the primary showed no rotation."""
    return run.memory.quiet.count if run.memory.quiet else 0


def looked_at_primary(run: Run, **how: Any) -> Run:
    """One more look at the primary, 5 s after the last one."""
    key = a_key()
    last = run.memory.quiet.last if run.memory.quiet else NOW
    key[US] = replace(key[US], seen_at=last + timedelta(seconds=5), **how)
    return saw(run, a_view(key), US)


def test_looks_at_the_primary_without_a_start_date_make_a_quiet_streak() -> None:
    """P6, P8: the negative fact needs K looks in a row."""
    run = looked_at_primary(looked_at_primary(a_run()))
    assert quiet(run) == 2

    assert quiet(looked_at_primary(run, rotation_started_at=NOW)) == 0
    assert quiet(looked(run, AP)) == 2  # a replica tells nothing of rotations


def test_a_look_at_the_primary_that_failed_ends_the_quiet_streak() -> None:
    """P6, P8: who could not look has not seen that nothing is there."""
    run = looked_at_primary(a_run())

    assert quiet(saw(run, a_view(a_key(us=None)), US)) == 0
    assert quiet(saw(run, a_view(a_key(eu=None)), EU)) == 1


# ---- patience ---------------------------------------------------------------------------------------------------


def test_a_wait_is_timed_from_its_first_turn_and_forgotten_when_it_is_over() -> None:
    """Waiting has a bound only if its beginning is kept."""
    slot = Wait(Reason.SLOT, "not listed yet", EU)
    turn = Turn("replicas_imported", "going", waits=(slot,))
    later = NOW + timedelta(seconds=30)

    run = waited(waited(a_run(), turn, NOW), turn, later)
    assert run.memory.waiting == {"replicas_imported:eu-west-1:slot-not-listed": NOW}

    assert waited(run, Turn("ready", "going"), later).memory.waiting == {}


def test_the_same_wait_in_another_stage_or_region_is_another_wait() -> None:
    """Patience spent on one Region is not another's."""
    names = {
        wait_name(stage, Wait(Reason.LOOKING, "looking", region))
        for stage in ("healthy", "ready")
        for region in (US, EU, None)
    }

    assert len(names) == 6


# ---- P6: a rotation that may be under way ---------------------------------------------------------------------------


def test_a_rotation_is_remembered_before_it_is_sent() -> None:
    """P6: from then on it may be under way, whatever its reply."""
    assert sending(a_run(), ROTATE, NOW).memory.rotation_sent == NOW
    assert sending(a_run(), IMPORT, NOW).memory.rotation_sent is None


def test_a_rotation_that_failed_may_be_decided_anew_after_a_look() -> None:
    """I4: after a doubt it gets a minute to show itself; after a clear no, one poll interval."""
    run = sending(a_run(), ROTATE, NOW)

    doubt = learned(run, ROTATE, Outcome(Result.FAILED, "no answer", doubt=True), NOW).memory
    refused = learned(run, ROTATE, Outcome(Result.FAILED, "pending import"), NOW).memory

    assert (doubt.rotation_sent, refused.rotation_sent) == (None, None)
    assert doubt.failed[name_of(ROTATE)].not_before == NOW + timedelta(minutes=1)
    assert refused.failed[name_of(ROTATE)].not_before == NOW + timedelta(seconds=5)


def test_a_rotation_or_a_deletion_that_never_left_the_queue_was_not_sent() -> None:
    """P6, P9: nothing of either is under way; what else was remembered stays."""
    withdrawal = DeletePendingMaterial(KEY, B, name())
    run = sending(
        sending(learned(a_run(), IMPORT, Outcome(Result.FAILED, "throttled"), NOW), ROTATE, NOW), withdrawal, NOW
    )

    rotation, deletion = not_begun(run, ROTATE), not_begun(run, withdrawal)

    assert (rotation.memory.rotation_sent, rotation.memory.deletion_sent) == (None, NOW)
    assert (deletion.memory.rotation_sent, deletion.memory.deletion_sent) == (NOW, None)
    assert not_begun(run, IMPORT) == run  # an import leaves no note of being sent
    assert rotation.goal == run.goal
    assert name_of(IMPORT) in rotation.memory.failed


def test_a_failure_of_something_else_forgets_no_rotation() -> None:
    """P6: the rotation that was sent stays sent."""
    run = sending(a_run(), ROTATE, NOW)

    assert learned(run, IMPORT, Outcome(Result.FAILED, "throttled"), NOW).memory.rotation_sent == NOW
    assert learned(run, ROTATE, Outcome(Result.DONE), NOW).memory.rotation_sent == NOW


# ---- failures ---------------------------------------------------------------------------------------------------


def test_pauses_double_up_to_a_minute() -> None:
    """A failed action is tried again after 5, 10, 20, 40, then every 60 s."""
    run, pauses = a_run(), []
    for _ in range(7):
        run = learned(run, IMPORT, Outcome(Result.FAILED, "throttled"), NOW)
        pauses.append((run.memory.failed[name_of(IMPORT)].not_before - NOW).total_seconds())

    assert pauses == [5, 10, 20, 40, 60, 60, 60]


def test_a_thousand_failures_are_no_overflow() -> None:
    """The pause is bounded before it is computed."""
    run = a_run()
    for _ in range(1000):
        run = learned(run, IMPORT, Outcome(Result.FAILED, "throttled"), NOW)

    assert run.memory.failed[name_of(IMPORT)].count == 1000


def test_success_clears_the_failures_of_that_action_alone() -> None:
    """I10: a failure elsewhere stays told."""
    other = replace(IMPORT, arn=KEY.within(AP))
    run = a_run()
    for action in (IMPORT, other):
        run = learned(run, action, Outcome(Result.FAILED, "throttled"), NOW)

    assert set(learned(run, IMPORT, Outcome(Result.DONE), NOW).memory.failed) == {name_of(other)}


def test_a_skipped_action_is_no_failure() -> None:
    """I7: another run did it already; the world is looked at again."""
    skipped = Outcome(Result.SKIPPED, "another run has imported it")

    assert learned(a_run(), IMPORT, skipped, NOW).memory == Memory()


def test_what_kms_says_of_the_bytes_is_remembered() -> None:
    """P2: a refusal is final only if repeated: pending material that is gone for a moment is refused, too."""
    refusal = Outcome(Result.FAILED, "the bytes are others", final=True, refused=True, hint="look")
    once = learned(a_run(), IMPORT, refusal, NOW)
    twice = learned(once, IMPORT, refusal, NOW)
    lost = learned(once, IMPORT, Outcome(Result.FAILED, "no answer"), NOW)

    said = [run.memory.failed[name_of(IMPORT)] for run in (once, twice, lost)]
    assert [(failed.final, failed.refused) for failed in said] == [(False, False), (True, True), (False, False)]
    assert said[1].hint == "look"


@pytest.mark.parametrize("person", [True, False])
def test_whether_a_failure_needs_a_person_is_remembered(*, person: bool) -> None:
    """I9: it decides between exit 4 and exit 3."""
    outcome = Outcome(Result.FAILED, "it failed", final=True, person=person)

    assert learned(a_run(), IMPORT, outcome, NOW).memory.failed[name_of(IMPORT)].person is person


# ---- P14 --------------------------------------------------------------------------------------------------------


def test_proofs_are_kept_by_region_with_what_was_skipped() -> None:
    """P14: proven of which material, and each untried generation once."""
    run = a_run()
    for region in (US, EU):
        action = ProveRegion(KEY.within(region), B, (), (), (A,))
        run = learned(run, action, Outcome(Result.DONE, skipped=(A,)), NOW)

    assert run.memory.proofs == {US: B, EU: B}
    assert run.memory.unopened == (A,)


def test_a_proof_that_failed_proves_nothing() -> None:
    """P14: "still encrypts under the old material" is tried again."""
    action = ProveRegion(KEY.within(EU), B, ())

    assert learned(a_run(), action, Outcome(Result.FAILED, "still the old one"), NOW).memory.proofs == {}


# ---- losing it --------------------------------------------------------------------------------------------------

POSITIONS: list[tuple[str, Callable[[], Any], dict[str, Any]]] = [
    ("before the deposit", a_view, {}),
    ("deposited", lambda: a_view(a_key(), first(), entry("a")), {}),
    ("imported", lambda: a_view(a_key([current("a"), pending("b")]), first(), entry("a", "b")), {"rotation_sent": NOW}),
    ("rotated", lambda: a_view(a_key(AFTER), first(), entry("a", "b")), {"settled": settled_everywhere()}),
    (
        "finished",
        lambda: a_view(a_key(AFTER), first(), entry("a", "b", **marked())),
        {"settled": settled_everywhere()},
    ),
]


@pytest.mark.parametrize(("position", "view", "memory"), POSITIONS, ids=[row[0] for row in POSITIONS])
def test_losing_the_memory_costs_time_never_correctness(
    position: str, view: Callable[[], Any], memory: dict[str, Any]
) -> None:
    """I6: without it, a run never imports or deposits anything that it would not with it."""
    known, lost = deciding(view(), a_run(**memory)), deciding(view(), a_run())

    assert not [action for action in lost.act if not isinstance(action, RotateOnDemand) and action not in known.act]
    assert lost.status in {"going", known.status}, position
    assert lost.act or lost.waits, told(lost)


def test_every_kind_of_action_has_its_own_name() -> None:
    """Failures and backoff are remembered by that name."""
    actions = [
        DepositMaterial(name()),
        DepositMaterial(name(attempt=2)),
        AdoptMaterial(name(), "/somewhere/material.bin"),
        DiscardMaterial(name(), NOW),
        IMPORT,
        replace(IMPORT, arn=KEY),
        replace(IMPORT, import_type=ImportType.NEW, material_id=None),
        replace(IMPORT, material_id=A),
        ROTATE,
        *(ProveRegion(KEY.within(region), B, ()) for region in REGIONS),
    ]

    assert len({name_of(action) for action in actions}) == len(actions)


def test_spacing_follows_the_owners_poll_interval() -> None:
    """P8: with a poll of a minute, looks 20 s apart are one."""
    run = a_run(a_goal(policy=Policy(poll=timedelta(minutes=1))), settled={EU: Streak(1, NOW)})

    assert count(looked(run, after=20)) == 1
    assert count(looked(run, after=30)) == 2
