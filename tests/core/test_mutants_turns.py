"""What a turn says when patience ends, to the word (I9), and what a run must not forget (P6, P9)."""

from datetime import timedelta

import pytest
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
    US,
    A,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    current,
    name,
    past,
)

from orchestrator import memory
from orchestrator.decide import decide, name_of_stage
from orchestrator.model import (
    STORE,
    Act,
    Block,
    DeletePendingMaterial,
    DepositMaterial,
    Failed,
    ImportMaterial,
    ImportType,
    KeepProbe,
    Outcome,
    ProveRegion,
    Reason,
    ReplicateKey,
    Result,
    RotateOnDemand,
    Run,
    Step,
    Streak,
    Turn,
    View,
    Wait,
    name_of,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
RESUME = "run again: the run resumes where it stands"
SLOT = Wait(Reason.SLOT, "not listed yet", EU, 3 * MINUTE, look=(EU,))
LAGGING = Wait(Reason.INCONSISTENT, "late", AP, 3 * MINUTE, look=(AP, EU))
IMPORT = ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, None)
PROBE = KeepProbe(KEY, name(), A)
DELETE = DeletePendingMaterial(KEY, B, name())
ROTATE_B = RotateOnDemand(KEY, B)
FAILED, DOUBTED = Outcome(Result.FAILED, "it failed", hint="mend it"), Outcome(Result.FAILED, "lost", doubt=True)
DONE = Outcome(Result.DONE)


def turned(*steps: Step, run: Run | None = None, after: timedelta = timedelta()) -> Turn:
    """The turn that follows from what one stage says, so long after the run's first look."""

    def stage(_view: View, _run: Run) -> tuple[Step, ...]:
        return steps

    return decide([stage], a_view(), run or a_run(), NOW + after)


def failing(action: Act | ImportMaterial | KeepProbe | DepositMaterial, hint: str = "", *, final: bool = True) -> Run:
    """A run in which an action failed."""
    assert not isinstance(action, Act)
    return a_run(failed={name_of(action): Failed(1, "it failed", hint, NOW + MINUTE, final=final)})


# ---- how patience ends ------------------------------------------------------------------------------------------


def test_the_deadline_says_how_long_in_which_stage_and_what_was_waited_for() -> None:
    """I9: what is told when the time is over."""
    patience = a_goal().policy.deadline
    message = "the deadline of 30 min passed in stage stage: not listed yet; late"

    turn = turned(SLOT, LAGGING, after=patience)

    assert turn == Turn(
        "stage",
        "failed",
        waits=(SLOT, LAGGING),
        blocks=(Block(Reason.TOO_LATE, message, RESUME, person=False),),
    )


def test_the_deadline_without_anything_to_wait_for_says_no_more_than_that() -> None:
    """I9: no dangling colon."""
    turn = turned(Act(DepositMaterial(name())), after=a_goal().policy.deadline)

    assert [block.message for block in turn.blocks] == ["the deadline of 30 min passed in stage stage"]


def test_a_wait_in_vain_says_how_long_and_for_what() -> None:
    """I9: and another run may go on."""
    turn = turned(SLOT, run=a_run(waiting={"stage:eu-west-1:slot-not-listed": NOW}), after=3 * MINUTE)

    assert turn.blocks == (Block(Reason.SLOT, "waited 3 min in vain: not listed yet", RESUME, EU, person=False),)
    assert turn.status == "failed"


def test_a_wait_goes_on_until_its_patience_is_over_to_the_second() -> None:
    """P8: nobody gives up early; the next look is no later than the end of the patience."""
    run = a_run(waiting={"stage:eu-west-1:slot-not-listed": NOW})

    turn = turned(SLOT, run=run, after=3 * MINUTE - SECOND)

    assert turn.status == "going"
    assert turn.wake == NOW + 3 * MINUTE


@pytest.mark.parametrize(("hint", "way"), [("grant it", "grant it"), ("", f"mend the cause and {RESUME}")])
def test_what_failed_for_good_says_its_hint_or_that_a_rerun_resumes(hint: str, way: str) -> None:
    """I9: an error always has a way out."""
    turn = turned(Act(IMPORT), run=failing(IMPORT, hint))

    assert turn.blocks == (Block(Reason.CALL_FAILED, "it failed", way, EU, person=False),)


def test_what_failed_in_the_store_names_no_region() -> None:
    """I9: the store is in none."""
    deposit = DepositMaterial(name())

    assert [block.region for block in turned(Act(deposit), run=failing(deposit)).blocks] == [None]


def test_a_failed_action_waits_and_is_looked_at_where_it_shows() -> None:
    """I4: a probe is kept in the store, and why it cannot be made shows in its Region; patience is the run's."""
    patience = a_goal().policy.deadline

    imported, probed = (turned(Act(one), run=failing(one, final=False)) for one in (IMPORT, PROBE))

    assert imported.waits == (Wait(Reason.CALL_FAILED, "it failed", EU, patience, look=(EU,)),)
    assert probed.waits == (Wait(Reason.CALL_FAILED, "it failed", None, patience, look=(STORE, US)),)


def test_each_target_is_looked_at_once() -> None:
    """Quotas: two waits for one Region are one look."""
    assert turned(SLOT, LAGGING).look == (EU, AP)


@pytest.mark.parametrize(("person", "status"), [(True, "blocked"), (False, "failed")])
def test_a_run_is_blocked_only_where_a_person_is_needed(*, person: bool, status: str) -> None:
    """Exit 4 or exit 3."""
    assert turned(Block(Reason.ACCESS, "no", "do", EU, person=person)).status == status


def test_a_stage_is_named_as_its_function_and_anything_else_as_it_prints() -> None:
    """The journal names stages."""
    assert name_of_stage(turned) == "turned"
    assert name_of_stage("a stage without a name") == "a stage without a name"  # type: ignore[arg-type]


# ---- what a run must not forget ---------------------------------------------------------------------------------


def test_a_run_begins_with_the_newest_sign_of_a_rotation_that_its_first_looks_showed() -> None:
    """P6: it may be gone at the next look."""
    earlier = NOW - SECOND
    view = a_view(
        a_key(us={"seen_at": earlier, "rotation_started_at": NOW - MINUTE}, eu={"rotation_started_at": NOW - MINUTE})
    )

    assert memory.begin(a_goal(), view) == a_run(rotation_seen=NOW)
    assert memory.begin(a_goal(), a_view()) == a_run()


def test_a_rotation_that_shows_on_the_primary_is_remembered_and_ends_the_quiet() -> None:
    """P6, P9: the absence of a sign is counted anew from here."""
    view = a_view(a_key(us={"rotation_started_at": NOW - MINUTE}))

    seen = memory.saw(a_run(quiet=Streak(2, NOW - MINUTE)), view, US)

    assert (seen.memory.quiet, seen.memory.rotation_seen) == (None, NOW)


def test_a_sign_of_a_rotation_stays_remembered_when_it_shows_no_more() -> None:
    """P6: its absence proves nothing."""
    assert memory.saw(a_run(rotation_seen=NOW - MINUTE), a_view(), US).memory.rotation_seen == NOW - MINUTE


def test_a_look_at_a_replica_says_nothing_of_the_quiet_of_the_primary() -> None:
    """P9: only the primary tells of a rotation."""
    quiet = Streak(2, NOW - MINUTE)

    assert memory.saw(a_run(quiet=quiet), a_view(), EU).memory.quiet == quiet
    assert memory.saw(a_run(quiet=quiet), a_view(a_key(eu=None)), EU).memory.quiet == quiet
    assert memory.saw(a_run(quiet=quiet), a_view(a_key(us=None)), US).memory.quiet is None


def test_looks_count_only_half_a_poll_apart() -> None:
    """P8: K looks are spaced; others change nothing."""
    view = a_view(a_key([past("a"), current("b")]))
    half = a_goal().policy.poll / 2

    for ago, count in ((half, 2), (half - timedelta(milliseconds=1), 1)):
        known = memory.saw(a_run(settled={EU: Streak(1, NOW - ago), AP: Streak(2, NOW)}), view, EU).memory.settled
        assert (known[EU].count, known[AP].count) == (count, 2)


def test_a_look_that_does_not_confirm_ends_the_streak_of_its_region_alone() -> None:
    """P8: a streak is reset by any other reading."""
    known = memory.saw(a_run(settled={EU: Streak(2, NOW), AP: Streak(2, NOW)}), a_view(), EU).memory.settled

    assert known == {AP: Streak(2, NOW)}


def test_what_cannot_be_undone_is_noted_before_it_is_sent_and_nothing_else_is() -> None:
    """P6, P9: a rotation or a deletion may be under way from here on; what was known stays known."""
    run = a_run(proofs={US: A})

    assert memory.sending(run, ROTATE_B, NOW) == a_run(proofs={US: A}, rotation_sent=NOW)
    assert memory.sending(run, DELETE, NOW) == a_run(proofs={US: A}, deletion_sent=NOW)
    assert memory.sending(run, IMPORT, NOW) == run


@pytest.mark.parametrize(
    ("outcome", "rotation", "deletion"), [(FAILED, None, None), (DOUBTED, None, NOW), (DONE, NOW, NOW)]
)
def test_what_was_refused_was_not_sent_and_a_deletion_in_doubt_was(
    outcome: Outcome, rotation: object, deletion: object
) -> None:
    """P9: a deletion is never re-sent after a doubt; a rotation waits its doubt out by its own pause (I4)."""
    run = a_run(rotation_sent=NOW, deletion_sent=NOW)

    assert memory.learned(run, ROTATE_B, outcome, NOW).memory.rotation_sent == rotation
    assert memory.learned(run, DELETE, outcome, NOW).memory.deletion_sent == deletion


def test_a_failure_is_remembered_with_all_that_was_said_of_it() -> None:
    """I9: what a person is told later is what was learned then."""
    refused = Outcome(Result.FAILED, "others", hint="look", final=True, person=True, refused=True)

    once = memory.learned(a_run(), IMPORT, refused, NOW)
    twice = memory.learned(once, IMPORT, refused, NOW + MINUTE)

    poll = a_goal().policy.poll
    assert once.memory.failed == {
        name_of(IMPORT): Failed(1, "others", "look", NOW + poll, final=False, refusals=1, person=True)
    }
    again = NOW + MINUTE + 2 * poll
    assert twice.memory.failed == {
        name_of(IMPORT): Failed(2, "others", "look", again, final=True, refusals=2, person=True)
    }
    assert memory.learned(twice, IMPORT, DONE, NOW).memory.failed == {}


def test_pauses_double_up_to_a_minute_and_a_rotation_in_doubt_gets_a_minute_at_once() -> None:
    """I4: so that it can show itself before anything is decided anew."""
    poll, pauses, run = a_goal().policy.poll, [], a_run()
    for _ in range(6):
        run = memory.learned(run, IMPORT, FAILED, NOW)
        pauses.append(run.memory.failed[name_of(IMPORT)].not_before - NOW)

    assert pauses == [poll, 2 * poll, 4 * poll, 8 * poll, MINUTE, MINUTE]
    doubted = memory.learned(a_run(), ROTATE_B, DOUBTED, NOW).memory.failed[name_of(ROTATE_B)]
    assert doubted.not_before == NOW + MINUTE
    assert memory.learned(a_run(), IMPORT, DOUBTED, NOW).memory.failed[name_of(IMPORT)].not_before == NOW + poll


def test_proofs_and_replicas_are_remembered_by_region_and_what_was_not_opened_once() -> None:
    """P14: what could not be tried is told as skipped, once."""
    run, skipped = a_run(), Outcome(Result.DONE, skipped=("a", "b"))
    for region in (US, EU):
        run = memory.learned(run, ProveRegion(KEY.within(region), B, ()), skipped, NOW)
        run = memory.learned(run, ReplicateKey(KEY, region, frozenset()), DONE, NOW) if region == EU else run

    assert run.memory.proofs == {US: B, EU: B}
    assert run.memory.unopened == ("a", "b")
    assert run.memory.replicated == {EU}


MISSING = Block(Reason.MATERIAL_MISSING, "it is missing", "mend it", EU)


@pytest.mark.parametrize(
    ("at_most", "waited", "told"),
    [
        (3 * MINUTE, 30 * SECOND, [MISSING]),
        (3 * MINUTE, 29 * SECOND, ["the deadline of 30 min passed in stage waits: late"]),
        (10 * SECOND, 9 * SECOND, ["the deadline of 30 min passed in stage waits: late"]),
        (3 * MINUTE, None, ["the deadline of 30 min passed in stage waits: late"]),
    ],
)
def test_a_deadline_tells_what_a_wait_that_lasted_half_a_minute_was_about(
    at_most: timedelta, waited: timedelta | None, told: list[Block | str]
) -> None:
    """I9: a person is told what to mend, though there was no time for all of the patience."""
    wait = Wait(Reason.INCONSISTENT, "late", EU, at_most, look=(EU,), over=MISSING)

    def waits(_view: View, _run: Run) -> list[Step]:
        return [wait, SLOT]

    late = NOW + timedelta(minutes=30)
    began = {} if waited is None else {f"waits:{EU}:inconsistent": late - waited}
    turn = decide([waits], a_view(at=late), a_run(waiting=began), late)

    assert [
        block if block == MISSING else block.message.removesuffix("; not listed yet") for block in turn.blocks
    ] == told


def test_the_same_wait_keeps_its_name_and_its_beginning() -> None:
    """P8: patience has an end, also where the message changes; a wait without a Region has none in its name."""
    store = Wait(Reason.LOOKING, "looking at store", look=(STORE,))
    first = memory.waited(a_run(), Turn("ready", "going", waits=(SLOT, store)), NOW)
    later = memory.waited(first, Turn("ready", "going", waits=(store,)), NOW + MINUTE)

    assert first.memory.waiting == {"ready:eu-west-1:slot-not-listed": NOW, "ready::looking": NOW}
    assert later.memory.waiting == {"ready::looking": NOW}


def test_a_failure_that_is_no_refusal_counts_for_none_and_ends_their_count() -> None:
    """P2: only what KMS said, twice in a row, is believed of bytes; a passing error in between says nothing of them."""
    refused = Outcome(Result.FAILED, "others", final=True, refused=True)
    once = memory.learned(a_run(), IMPORT, refused, NOW)
    failed = memory.learned(once, IMPORT, FAILED, NOW).memory.failed[name_of(IMPORT)]

    assert (failed.refusals, failed.final, failed.refused) == (0, False, False)
    assert memory.learned(a_run(), IMPORT, FAILED, NOW).memory.failed[name_of(IMPORT)].refusals == 0
