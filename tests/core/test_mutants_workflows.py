"""What abort, repair, renew and run say, to the word: what is waited for and until when, and who must do what (I9)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
    POLICY,
    REGIONS,
    TORN,
    US,
    A,
    B,
    C,
    a_goal,
    a_key,
    a_run,
    a_store,
    a_view,
    current,
    days,
    entry,
    first,
    name,
    past,
    pending,
    settled_everywhere,
)

from orchestrator.importable import enabled, importable
from orchestrator.model import (
    STORE,
    Act,
    Block,
    DeletePendingMaterial,
    DiscardMaterial,
    Entry,
    EntryName,
    Goal,
    Idle,
    ImportMaterial,
    ImportType,
    KeyState,
    Policy,
    Purpose,
    Reason,
    RegionView,
    ReinstateMaterial,
    Replicate,
    Run,
    Step,
    Streak,
    View,
    Wait,
)
from workflows import abort, renew, repair

LAG, ROTATION = timedelta(minutes=3), timedelta(minutes=15)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
BEGUN, ROTATED_IN = (current("a"), pending("b")), (past("a"), current("b"))
GIVEN_UP = entry("a", "b", discarded_at=NOW - ROTATION)
QUIET = {"quiet": Streak(3, NOW)}
RUN = a_run()
TWO = frozenset({US, EU})
PENDING_IMPORT = Block(
    Reason.MATERIAL_MISSING,
    f"the key in {EU} is PendingImport: it lacks key material and cannot be used there",
    f"import what is missing in {EU}: mrk repair NAME",
    EU,
)
REPLICATING = Policy(regions=frozenset(REGIONS), replicate=Replicate.AUTO)


def seen(rows: Sequence[Any] = BEGUN, entries: Sequence[Any] = (first(), GIVEN_UP), **differing: Any) -> View:
    """The key, and the store beside it, which holds an attempt that was given up."""
    return a_view(a_key(rows, **differing), *entries)


def giving_up(*, named: Any = None, began: Any = NOW, watching: Any = None, **memory: Any) -> Run:
    """A run that gives up the first attempt to replace `a`, or what a person named; `watching` since then."""
    goal = a_goal(aborting=True, named=named, deadline=began + POLICY.deadline, pinned_at=watching)
    return a_run(replace(goal, entry=name(None)) if named else goal, **memory)


def marked(linked: str | None = None, ago: timedelta = LAG) -> tuple[Entry, ...]:
    """What the store holds where the first attempt to replace `a` was given up so long ago."""
    return first(), entry("a", linked, discarded_at=NOW - ago)


def closed(**row: Any) -> RegionView:
    """A Region that says PendingImport, with such a row."""
    return a_key([current("a", **row)], eu={"key_state": KeyState.PENDING_IMPORT})[EU]


def waiting(reason: Reason, message: str, at_most: timedelta, *look: str) -> list[Step]:
    return [Wait(reason, message, US, at_most, look=look or (US,))]


def repaired(view: View, run: Run) -> Sequence[Step]:
    """What a repair does where it can, and then tells of what it cannot."""
    return [*repair.restored(view, run), *repair.sound(view, run)]


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
                f"if nobody wants it, delete it for good: mrk abort NAME --material-id {B} --unrecoverable",
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
    "another run may just have put what is pending into the store": (
        lambda: abort.owned(
            a_view(a_key(BEGUN), store=a_store(first(), entry("a", "c", discarded_at=NOW), seen_at=NOW - SECOND)),
            giving_up(),
        ),
        [Wait(Reason.LOOKING, "looking whether another run has put it into the store", None, LAG, look=(STORE,))],
    ),
    "what is pending is not known to be ours": (
        lambda: abort.owned(seen(entries=marked()), giving_up()),
        [Act(ImportMaterial(KEY, name(), ImportType.EXISTING, B, None))],
    ),
    "what is pending is not known to be ours, and has lost its bytes": (
        lambda: abort.owned(seen([current("a"), pending("b", valid_to=days(-1))], marked()), giving_up()),
        [Act(ImportMaterial(KEY, name(), ImportType.EXISTING, B, None))],
    ),
    "what is pending is not known to be ours, and the primary cannot be used": (
        lambda: abort.owned(seen(entries=marked(), us={"key_state": KeyState.PENDING_IMPORT}), giving_up()),
        [Act(ImportMaterial(KEY, name(), ImportType.EXISTING, B, None))],
    ),
    "what is pending is not known to be ours, while a rotation shows": (
        lambda: abort.owned(seen(entries=marked(), us={"rotation_started_at": NOW}), giving_up()),
        [],
    ),
    "ours was rotated in, and is marked as given up": (
        lambda: abort.rescued(seen(ROTATED_IN, marked("b")), giving_up()),
        [Act(ReinstateMaterial(name(), NOW))],
    ),
    "an attempt that the store does not have": (
        lambda: [
            *abort.rescued(seen(entries=(first(),)), giving_up()),
            *abort.withdrawn(seen(entries=(first(),)), RUN),
        ],
        [],
    ),
    "an attempt without a mark": (
        lambda: abort.discarded(seen(entries=(first(), entry("a", "b"))), giving_up()),
        [Act(DiscardMaterial(name(), NOW))],
    ),
    "what a person named is of no attempt": (
        lambda: abort.discarded(seen(entries=(first(),)), giving_up(named=B)),
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
    "this run has not watched for 15 minutes since a sign that came before it": (
        lambda: abort.quiet(
            seen(), giving_up(watching=NOW - ROTATION + SECOND, rotation_seen=NOW - ROTATION - SECOND, **QUIET)
        ),
        waiting(Reason.ROTATING, "waiting until no rotation can be under way: not before 08:00 UTC", 2 * ROTATION),
    ),
    "a mark from an hour ahead, as far as a clock may be wrong": (
        lambda: abort.quiet(seen(entries=marked("b", -HOUR)), giving_up(watching=NOW - ROTATION, **QUIET)),
        waiting(Reason.ROTATING, "waiting until no rotation can be under way: not before 09:15 UTC", 2 * ROTATION),
    ),
    "a mark from later than any clock can say": (
        lambda: abort.quiet(seen(entries=marked("b", -HOUR - SECOND)), giving_up(watching=NOW - ROTATION, **QUIET)),
        [],
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
    "the look before the deletion is just new enough": (
        lambda: abort.withdrawn(seen(us={"seen_at": NOW - timedelta(seconds=10)}), giving_up(**QUIET)),
        [Act(DeletePendingMaterial(KEY, B, name()))],
    ),
    "what a person named is deleted as withdrawn from CURRENT": (
        lambda: abort.withdrawn(seen(entries=(first(),)), giving_up(named=B, **QUIET)),
        [Act(DeletePendingMaterial(KEY, B, name()))],
    ),
    "no CURRENT is listed, and what is deleted is withdrawn from what the run replaces": (
        lambda: abort.withdrawn(seen([pending("b")]), giving_up(**QUIET)),
        [Act(DeletePendingMaterial(KEY, B, name()))],
    ),
    "what is pending is not what is given up": (
        lambda: abort.withdrawn(seen(entries=marked("c")), giving_up(**QUIET)),
        [],
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
    "no import can be on its way after 3 minutes": (
        lambda: abort.gone(seen([current("a")], marked(ago=LAG)), giving_up(settled=settled_everywhere())),
        [],
    ),
    "no import can be on its way of what was imported": (
        lambda: abort.gone(seen([current("a")], marked("b", ago=SECOND)), giving_up(settled=settled_everywhere())),
        [],
    ),
    "no import can be on its way of what a person named": (
        lambda: abort.gone(seen([current("a")], (first(),)), giving_up(named=B, settled=settled_everywhere())),
        [],
    ),
    "one Region was not looked at, and one confirmed nothing": (
        lambda: abort.gone(seen([current("a")], eu=None), giving_up(settled={US: Streak(3, NOW)})),
        [
            Wait(Reason.SETTLING, f"{AP} confirmed 0 of 3 times that nothing is pending", AP, LAG, look=(AP,)),
            Wait(Reason.LOOKING, f"looking at {EU}", EU, look=(EU,)),
        ],
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
        [Act(ImportMaterial(KEY.within(EU), name(None), ImportType.EXISTING, A, days(90), Purpose.RESTORE))],
    ),
    "a Region lacks material that the store does not hold": (
        lambda: repaired(seen([current("c")], (first(),), eu=[current("c", imported=False)]), RUN),
        [
            Block(
                Reason.STORE_LACKS,
                f"{EU} needs key material cccccccc, and the store does not hold it",
                f"bring the bytes: mrk adopt NAME FILE --material-id {C}",
                EU,
            )
        ],
    ),
    "a Region lacks material that the store cannot read": (
        lambda: repaired(
            seen(
                [current("a")],
                (first(**TORN),),
                eu=[current("a", imported=False)],
            ),
            RUN,
        ),
        [
            Block(
                Reason.STORE_UNREADABLE,
                f"{EU} needs key material aaaaaaaa, and the store cannot read it: torn",
                f"put it back; or bring the bytes: mrk adopt NAME FILE --material-id {A}",
                EU,
            )
        ],
    ),
    "a Region will lack material that the store cannot read": (
        lambda: [
            *renew.renewed(
                seen(
                    [current("a")],
                    (first(**TORN),),
                    eu=[current("a", valid_to=days(30))],
                ),
                RUN,
            ),
            *renew.sound(
                seen(
                    [current("a")],
                    (first(**TORN),),
                    eu=[current("a", valid_to=days(30))],
                ),
                RUN,
            ),
        ],
        [
            Block(
                Reason.STORE_UNREADABLE,
                f"{EU} needs key material aaaaaaaa, and the store cannot read it: torn",
                f"put it back; or bring the bytes: mrk adopt NAME FILE --material-id {A}",
                EU,
            )
        ],
    ),
    "repair has not seen the store": (
        lambda: repair.sound(View(KEY, NOW, a_key(), None, {}), RUN),
        [Wait(Reason.LOOKING, "looking at store", None, look=(STORE,))],
    ),
    "repair has seen no Region": (
        lambda: repair.sound(a_view({}), RUN),
        [Wait(Reason.LOOKING, f"looking at {region}", region, look=(region,)) for region in (AP, EU, US)],
    ),
    "repair makes no replica but those that the run began with": (
        lambda: repair.sound(a_view(a_key(regions=(US, EU))), a_run(a_goal(policy=REPLICATING, members=TWO))),
        [
            Block(
                Reason.REGION_LACKING,
                f"the config lists {AP}, but the key has no member there",
                f"take {AP} out of `regions`; or replicate the key there: mrk repair NAME",
                AP,
            )
        ],
    ),
    "a Region that this run brought everything back to says PendingImport": (
        lambda: enabled(a_view({EU: closed(valid_to=days(1))}), a_run(restored=frozenset({EU}))),
        [
            Wait(
                Reason.KEY_STATE,
                f"{EU} has all its key material, and is PendingImport still",
                EU,
                LAG,
                look=(EU,),
                over=PENDING_IMPORT,
            )
        ],
    ),
    "a Region that has everything, and was not touched, says PendingImport": (
        lambda: enabled(a_view({EU: closed(valid_to=days(1))}), RUN),
        [PENDING_IMPORT],
    ),
    "a Region whose material has expired says PendingImport": (
        lambda: importable(closed(valid_to=NOW)),
        [PENDING_IMPORT],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_workflow_says_what_it_misses_where_and_what_to_do(case: str) -> None:
    found, expected = SAID[case]
    assert list(found()) == expected


def begun(view: View, material: Any = None, policy: Policy = POLICY) -> Any:
    return abort.whatever_is_begun(view, policy, material, unheld=True)


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
            f"if nobody wants it, delete it for good: mrk abort NAME --material-id {B} --unrecoverable",
            US,
        )
    ]
    assert begun(seen(us=None)) == [Wait(Reason.LOOKING, f"looking at {US}", US, look=(US,))]
    assert begun(View(KEY, NOW, a_key(BEGUN), None, {})) == [
        Wait(Reason.LOOKING, "looking at store", None, look=(STORE,))
    ]
    assert begun(a_view(a_key(BEGUN), store=a_store(first(), seen_at=NOW - SECOND))) == [
        Wait(Reason.LOOKING, "looking whether another run has put it into the store", None, LAG, look=(STORE,))
    ]


def test_what_is_given_up_of_a_key_that_is_named_by_a_replica_is_withdrawn_on_its_primary() -> None:
    """I5: pending material is deleted on the primary alone."""
    pinned = begun(replace(seen(entries=(first(), entry("a", "b"))), key=KEY.within(EU)))

    assert isinstance(pinned, Goal)
    assert (pinned.key.region, pinned.primary) == (EU, US)


def test_an_abort_is_a_job_that_pins_what_a_person_named_and_says_what_it_came_to() -> None:
    """The policy is the key's own; the sentence ends the run."""
    policy, foreign = replace(POLICY, deadline=HOUR), seen(entries=(first(),))
    job = abort.abort("payments", KEY, policy, B, unheld=True)

    assert (job.name, job.key, job.policy, job.stages) == ("payments", KEY, policy, abort.ABORT)
    assert job.done == "aborted: nothing is pending in any Region; the store keeps the bytes"
    assert job.pin(foreign) == begun(foreign, B, policy)
    assert abort.abort("payments", KEY, policy).pin(foreign) == begun(foreign, None, policy)
