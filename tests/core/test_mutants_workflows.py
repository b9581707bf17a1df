"""What abort, repair, renew and run say, to the word: what is waited for and until when, and who must do what (I9)."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
    POLICY,
    US,
    A,
    B,
    C,
    a_goal,
    a_key,
    a_run,
    a_view,
    current,
    days,
    entry,
    first,
    name,
    past,
    pending,
)

from orchestrator.model import (
    STORE,
    Act,
    Block,
    EntryName,
    Goal,
    Idle,
    ImportMaterial,
    ImportType,
    KeyState,
    Policy,
    Reason,
    Repair,
    Run,
    Step,
    Streak,
    View,
    Wait,
)
from workflows import abort, renew, repair, run

LAG, ROTATION = timedelta(minutes=3), timedelta(minutes=15)
SECOND = timedelta(seconds=1)
BEGUN, ROTATED_IN = (current("a"), pending("b")), (past("a"), current("b"))
GIVEN_UP = entry("a", "b", discarded_at=NOW - ROTATION)
QUIET = {"quiet": Streak(3, NOW)}
RUN = a_run()


def seen(rows: Sequence[Any] = BEGUN, entries: Sequence[Any] = (first(), GIVEN_UP), **differing: Any) -> View:
    """The key, and the store beside it, which holds an attempt that was given up."""
    return a_view(a_key(rows, **differing), *entries)


def giving_up(*, named: Any = None, began: Any = NOW, watching: Any = None, **memory: Any) -> Run:
    """A run that gives up the first attempt to replace `a`, or what a person named; `watching` since then."""
    goal = a_goal(aborting=True, named=named, deadline=began + POLICY.deadline, pinned_at=watching)
    return a_run(goal, **memory)


def waiting(reason: Reason, message: str, at_most: timedelta, *look: str) -> list[Step]:
    return [Wait(reason, message, US, at_most, look=look or (US,))]


SAID: dict[str, tuple[Callable[[], Sequence[Step]], list[Step]]] = {
    "the primary moved": (
        lambda: abort.located(a_view(a_key(**{key: {"primary": EU} for key in ("us", "eu", "ap")})), giving_up()),
        [
            Block(
                Reason.TOPOLOGY,
                f"the primary key moved from {US} to {EU} during the run",
                "run again: the next run follows it",
                person=False,
            )
        ],
    ),
    "the primary was not seen": (
        lambda: abort.located(seen(us=None), giving_up()),
        [Wait(Reason.LOOKING, f"looking at {US}", US, look=(US,))],
    ),
    "the store was not seen": (
        lambda: abort.located(View(KEY, NOW, a_key(), None, {}), giving_up()),
        [Wait(Reason.LOOKING, "looking at store", None, look=(STORE,))],
    ),
    "ours was rotated in": (
        lambda: abort.rescued(seen(ROTATED_IN, (first(), entry("a", "b"))), giving_up()),
        [
            Block(
                Reason.ROTATED_IN,
                "key material bbbbbbbb was rotated in before it could be withdrawn: the key needs it for ever",
                "finish the rotation: mrk run NAME",
                US,
            )
        ],
    ),
    "what a person named was rotated in": (
        lambda: abort.rescued(seen(ROTATED_IN, (first(),)), giving_up(named=B)),
        [
            Block(
                Reason.ROTATED_IN,
                "key material bbbbbbbb was rotated in before it could be withdrawn: the key needs it for ever",
                "keep its bytes: mrk adopt NAME FILE",
                US,
            )
        ],
    ),
    "somebody else's is pending": (
        lambda: abort.owned(seen(entries=(first(), entry("a", "c", discarded_at=NOW))), giving_up()),
        [
            Block(
                Reason.FOREIGN_PENDING,
                f"{US} holds pending key material bbbbbbbb, which is not in this store",
                f"if nobody wants it, name it: mrk abort NAME --material-id {B}",
                US,
            )
        ],
    ),
    "what is pending may be of a later attempt": (
        lambda: abort.owned(
            seen(entries=(first(), entry("a", "c", discarded_at=NOW), entry("a", attempt=2))), giving_up()
        ),
        [],
    ),
    "15 minutes since the mark are not over": (
        lambda: abort.quiet(seen(entries=(first(), entry("a", "b", discarded_at=NOW))), giving_up(**QUIET)),
        waiting(Reason.ROTATING, "waiting until no rotation can be under way: not before 08:15 UTC", 2 * ROTATION),
    ),
    "15 minutes since the last sign are not over": (
        lambda: abort.quiet(seen(), giving_up(watching=NOW - ROTATION, rotation_seen=NOW - ROTATION + SECOND, **QUIET)),
        waiting(Reason.ROTATING, "waiting until no rotation can be under way: not before 08:00 UTC", 2 * ROTATION),
    ),
    "this run has not watched for 15 minutes": (
        lambda: abort.quiet(seen(), giving_up(watching=NOW - ROTATION + SECOND, **QUIET)),
        waiting(Reason.ROTATING, "waiting until no rotation can be under way: not before 08:00 UTC", 2 * ROTATION),
    ),
    "15 minutes are over": (lambda: abort.quiet(seen(), giving_up(watching=NOW - ROTATION, **QUIET)), []),
    "15 minutes since the run began are not over, where no mark tells": (
        lambda: abort.quiet(seen(entries=(first(),)), giving_up(named=B, **QUIET)),
        waiting(Reason.ROTATING, "waiting until no rotation can be under way: not before 08:15 UTC", 2 * ROTATION),
    ),
    "what was deleted is listed": (
        lambda: abort.withdrawn(seen(), giving_up(deletion_sent=NOW, **QUIET)),
        waiting(Reason.INCONSISTENT, f"{US} lists the deleted key material bbbbbbbb still", LAG),
    ),
    "the look before the deletion is too old": (
        lambda: abort.withdrawn(seen(us={"seen_at": NOW - timedelta(seconds=10, milliseconds=1)}), giving_up(**QUIET)),
        waiting(Reason.LOOKING, "a last look before the deletion", LAG),
    ),
    "an import may be on its way": (
        lambda: abort.gone(seen([current("a")], (first(), entry("a", discarded_at=NOW - LAG + SECOND))), giving_up()),
        waiting(
            Reason.SETTLING,
            "waiting until no import of it can be on its way: not before 08:00:01 UTC",
            2 * LAG,
            AP,
            EU,
            US,
        ),
    ),
    "two Regions confirmed": (
        lambda: abort.gone(
            seen([current("a")]), giving_up(settled={US: Streak(3, NOW), AP: Streak(3, NOW), EU: Streak(2, NOW)})
        ),
        [Wait(Reason.SETTLING, f"{EU} confirmed 2 of 3 times that nothing is pending", EU, LAG, look=(EU,))],
    ),
    "a Region lists material late": (
        lambda: repair.restored(seen(ROTATED_IN, eu=[current("b")]), RUN),
        [Wait(Reason.INCONSISTENT, f"{EU} does not list key material aaaaaaaa yet", EU, LAG, look=(EU,))],
    ),
    "a Region lacks material that the store holds": (
        lambda: repair.restored(
            seen(ROTATED_IN, eu=[past("a", imported=False), current("b")]), a_run(a_goal(valid_to=days(90)))
        ),
        [Act(ImportMaterial(KEY.within(EU), name(None), ImportType.EXISTING, A, days(90)))],
    ),
    "a Region lacks material that the store does not hold": (
        lambda: repair.restored(seen([current("c")], (first(),), eu=[current("c", imported=False)]), RUN),
        [
            Block(
                Reason.STORE_LACKS,
                f"{EU} lacks key material cccccccc, and the store cannot give it: it never held it, or lost the link",
                f"bring the bytes: mrk adopt NAME FILE --material-id {C}",
                EU,
            )
        ],
    ),
    "a Region lacks material that the store cannot read": (
        lambda: repair.restored(
            seen([current("a")], (first(receipt=None, problem="torn"),), eu=[current("a", imported=False)]), RUN
        ),
        [
            Block(
                Reason.STORE_LACKS,
                f"{EU} lacks key material aaaaaaaa, and the store cannot give it: torn",
                f"bring the bytes: mrk adopt NAME FILE --material-id {A}",
                EU,
            )
        ],
    ),
    "a Region will lack material that the store cannot read": (
        lambda: renew.renewed(
            seen([current("a")], (first(receipt=None, problem="torn"),), eu=[current("a", valid_to=days(30))]), RUN
        ),
        [
            Block(
                Reason.STORE_LACKS,
                f"{EU} will soon lose key material aaaaaaaa, and the store cannot give it: torn",
                f"bring the bytes: mrk adopt NAME FILE --material-id {A}",
                EU,
            )
        ],
    ),
    "a Region that has everything says PendingImport": (
        lambda: run.repaired(
            seen([current("a")], (first(),), eu={"key_state": KeyState.PENDING_IMPORT}),
            a_run(a_goal(policy=Policy(repair=Repair.AUTO))),
        ),
        [
            Wait(
                Reason.INCONSISTENT,
                f"{EU} has all its key material, and is PendingImport still",
                EU,
                LAG,
                look=(EU,),
            )
        ],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_workflow_says_what_it_misses_where_and_what_to_do(case: str) -> None:
    found, expected = SAID[case]
    assert list(found()) == expected


def begun(view: View, material: Any = None, policy: Policy = POLICY) -> Any:
    return abort.whatever_is_begun(view, policy, material)


def test_what_is_given_up_is_pinned_with_where_it_stands() -> None:
    """P9: the attempt, or what a person named where it is nobody's; a run of 30 minutes from now."""
    deadline = NOW + POLICY.deadline
    ours = Goal(KEY, name(), US, frozenset({US, EU, AP}), None, deadline, POLICY, aborting=True)
    nobodys = Goal(
        KEY, EntryName(KEY.identity, None), US, frozenset({US, EU, AP}), None, deadline, POLICY, aborting=True, named=B
    )

    assert begun(seen(entries=(first(), entry("a", "b")))) == ours
    assert begun(seen(entries=(first(), entry("a", "b"))), "bbbbbbbb") == ours
    assert begun(seen([current("a")], (first(), entry("a")))) == ours
    assert begun(seen(entries=(first(),)), B) == nobodys


def test_nothing_to_give_up_and_what_cannot_be_is_said() -> None:
    """I9."""
    short = Policy(deadline=ROTATION)

    assert begun(seen([current("a")], (first(),))) == Idle("nothing is begun: there is nothing to abort")
    assert begun(seen(entries=(first(),)), C) == [
        Block(
            Reason.INCONSISTENT,
            "cccccccc is not pending: only what is pending can be withdrawn",
            "see the ids with mrk status",
            US,
        )
    ]
    assert begun(seen(entries=(first(),)), B, short) == [
        Block(
            Reason.TOO_LATE,
            "pending material is deleted only after one run has seen no sign of a rotation for 15 min",
            "give it that long: run.deadline above 15m",
        )
    ]
    assert begun(seen(), None, short) == begun(seen(entries=(first(),)), B, short)
    assert begun(seen(entries=(first(),))) == [
        Block(
            Reason.FOREIGN_PENDING,
            f"{US} holds pending key material bbbbbbbb, which is not in this store",
            f"if nobody wants it, name it: mrk abort NAME --material-id {B}",
            US,
        )
    ]
    assert begun(seen(us=None)) == [Wait(Reason.LOOKING, f"looking at {US}", US, look=(US,))]


def test_an_abort_is_a_job_that_says_what_it_came_to() -> None:
    """The sentence that ends a run."""
    job = abort.abort("payments", KEY, POLICY)

    assert (job.name, job.key, job.policy, job.stages) == ("payments", KEY, POLICY, abort.ABORT)
    assert "aborted: nothing is pending in any Region; the store keeps the bytes" in str(job)
