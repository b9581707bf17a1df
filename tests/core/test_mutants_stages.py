"""What each stage says, to the word: what it waits for, for how long and where it looks, and who must do what (I9)."""

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

from orchestrator import settling, stages
from orchestrator.model import (
    STORE,
    Act,
    Block,
    Entry,
    Failed,
    ImportMaterial,
    ImportType,
    KeepProbe,
    KeyState,
    Policy,
    Proof,
    ProveRegion,
    Purpose,
    Reason,
    ReinstateMaterial,
    Run,
    Step,
    Streak,
    View,
    Wait,
    name_of,
)

LAG, ROTATION = timedelta(minutes=3), timedelta(minutes=15)
RUN = a_run()
FULL = Policy(proof=Proof.FULL)
BEGUN = (current("a"), pending("b"))
OVER = (past("a"), current("b"))
LINKED = (first(), entry("a", "b"))
HELD = (*LINKED, entry("b", "c"))
NEW = ImportMaterial(KEY, name(), ImportType.NEW, None, None)


def before(*rows: Any, entries: Sequence[Any] = (first(), entry()), **differing: Any) -> View:
    """The key with these rows, and an entry for its next rotation."""
    return a_view(a_key(list(rows) or None, **differing), *entries)


def looked(region: Any, count: int) -> Run:
    """A run that has so many confirming looks at one Region, and all it wants at the others."""
    return a_run(settled=settled_everywhere() | {region: Streak(count, NOW)})


def late(message: str, over: Block | None = None, at_most: timedelta = LAG, look: Sequence[str] = (EU,)) -> list[Step]:
    """A Region that is late."""
    return [Wait(Reason.INCONSISTENT, f"{EU}: {message}", EU, at_most, look=tuple(look), over=over)]


def settling_in(view: View) -> Sequence[Step]:
    """What the stage misses in one Region, where all is well in the others."""
    return settling.settled(view, a_run(settled=settled_everywhere(regions=(US, AP))))


def settling_renewal(entries: Sequence[Entry]) -> Sequence[Step]:
    """What a renewal misses in one Region, whose materials expire in three days; the others were renewed."""
    policy = Policy(expires=timedelta(days=90), renew_before=timedelta(days=30))
    ends = NOW + timedelta(days=3)
    key = a_key(
        [past("a", valid_to=RENEWED), current("b", valid_to=RENEWED)],
        eu=[past("a", valid_to=ends), current("b", valid_to=ends)],
    )
    goal = a_goal(None, policy=policy, renewing=True, valid_to=RENEWED)
    return settling.settled(a_view(key, *entries), a_run(goal, settled=settled_everywhere(regions=(US, AP))))


RENEWED = NOW + timedelta(days=300)

SAID: dict[str, tuple[Callable[[], Sequence[Step]], list[Step]]] = {
    "a discarded attempt": (
        lambda: stages.deposited(before(entries=(first(), entry(discarded_at=NOW))), RUN),
        [
            Block(
                Reason.DISCARDED,
                "attempt 1 of this rotation was discarded",
                "nothing more is done with it; run again to begin the next attempt",
            )
        ],
    ),
    "an entry that cannot be read": (
        lambda: stages.deposited(before(entries=(first(), entry(**TORN))), RUN),
        [
            Block(
                Reason.STORE_UNREADABLE,
                "the store cannot read the deposited material back: torn",
                "put it back",
            )
        ],
    ),
    "a probe that a full proof wants, of CURRENT": (
        lambda: stages.deposited(before(), a_run(a_goal(policy=FULL))),
        [Act(KeepProbe(KEY, name(None), A))],
    ),
    "a probe that a full proof wants, of what nobody saw": (
        lambda: stages.deposited(before(us=None), a_run(a_goal(policy=FULL))),
        [],
    ),
    "the new import, with the goal's expiry": (
        lambda: stages.primary_imported(before(), a_run(a_goal(valid_to=days(90)))),
        [Act(ImportMaterial(KEY, name(), ImportType.NEW, None, days(90)))],
    ),
    "the proof of a pending material, with the row's own expiry": (
        lambda: stages.primary_imported(
            before(current("a"), pending("b", valid_to=days(90))), a_run(a_goal(valid_to=days(99)))
        ),
        [Act(ImportMaterial(KEY, name(), ImportType.EXISTING, B, days(90)))],
    ),
    "a link that a crash lost, after the rotation": (
        lambda: stages.primary_imported(before(*OVER), RUN),
        [Act(ImportMaterial(KEY, name(), ImportType.EXISTING, B, None, Purpose.IDENTIFY))],
    ),
    "pending material of ours that expires too soon": (
        lambda: stages.primary_imported(
            before(current("a"), pending("b", valid_to=days(7)), entries=LINKED), a_run(a_goal(valid_to=days(90)))
        ),
        [Act(ImportMaterial(KEY, name(), ImportType.EXISTING, B, days(90)))],
    ),
    "an earlier rotation shows": (
        lambda: stages.primary_imported(before(us={"rotation_started_at": NOW}), RUN),
        [
            Wait(
                Reason.ROTATING,
                "an earlier rotation may be under way: it would rotate in whatever is imported now",
                US,
                ROTATION,
                look=(US,),
            )
        ],
    ),
    "an earlier rotation showed a moment less than 15 minutes ago": (
        lambda: stages.primary_imported(before(), a_run(rotation_seen=NOW - ROTATION + timedelta(seconds=1))),
        [
            Wait(
                Reason.ROTATING,
                "an earlier rotation may be under way: it would rotate in whatever is imported now",
                US,
                ROTATION,
                look=(US,),
            )
        ],
    ),
    "an earlier rotation showed 15 minutes ago": (
        lambda: stages.primary_imported(before(), a_run(rotation_seen=NOW - ROTATION)),
        [Act(NEW)],
    ),
    "KMS has the bytes already": (
        lambda: stages.primary_imported(
            before(), a_run(failed={name_of(NEW): Failed(1, "has them", "", NOW, final=False, refusals=1)})
        ),
        [
            Wait(
                Reason.SLOT,
                "KMS says that it has these bytes already; the primary does not list them as pending yet",
                US,
                LAG,
                look=(US, STORE),
                over=Block(
                    Reason.NOT_NEW,
                    "KMS says that it has the bytes of attempt 1 already, but lists nothing as pending",
                    "run again; if it says so again, give this attempt up: mrk abort NAME",
                    US,
                ),
            )
        ],
    ),
    "imported material that is not listed": (
        lambda: stages.primary_imported(before(entries=LINKED), RUN),
        [
            Wait(
                Reason.SLOT,
                "the primary does not list the imported material bbbbbbbb yet",
                US,
                LAG,
                look=(US, STORE),
                over=Block(
                    Reason.PENDING_VANISHED,
                    "pending key material bbbbbbbb was deleted by somebody else",
                    "find out who and why; then give this attempt up: mrk abort NAME "
                    "(the next run waits until no rotation can be under way, and begins another)",
                    US,
                ),
            )
        ],
    ),
    "an attempt was discarded lately": (
        lambda: stages.primary_imported(
            before(entries=(first(), entry(discarded_at=NOW - ROTATION + timedelta(seconds=1)), entry(attempt=2))),
            a_run(a_goal(attempt=2, pinned_at=days(-1)), quiet=Streak(3, NOW)),
        ),
        [
            Wait(
                Reason.ROTATING,
                "an earlier attempt was given up: waiting until no rotation of it can be under way",
                US,
                2 * ROTATION,
                look=(US,),
            )
        ],
    ),
    "an attempt was discarded long enough ago, and enough looks saw no rotation": (
        lambda: stages.primary_imported(
            before(entries=(first(), entry(discarded_at=NOW - ROTATION), entry(attempt=2))),
            a_run(a_goal(attempt=2, pinned_at=NOW - ROTATION), quiet=Streak(3, NOW)),
        ),
        [Act(ImportMaterial(KEY, name(attempt=2), ImportType.NEW, None, None))],
    ),
    "a replica that does not list the new material": (
        lambda: stages.replicas_imported(before(*BEGUN, entries=LINKED, eu=[current("a")]), RUN),
        [Wait(Reason.SLOT, f"{EU} does not list the new material yet", EU, LAG, look=(EU,))],
    ),
    "a replica without the bytes": (
        lambda: stages.replicas_imported(
            before(*BEGUN, entries=LINKED, eu=[current("a"), pending("b", imported=False)]),
            a_run(a_goal(valid_to=days(90))),
        ),
        [Act(ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, days(90)))],
    ),
    "KMS has not noted every replica": (
        lambda: stages.ready(before(current("a"), pending("b", ready=False), entries=LINKED), RUN),
        [
            Wait(
                Reason.SLOT,
                "KMS has not yet noted that every replica has the new material",
                US,
                LAG,
                look=(US,),
            )
        ],
    ),
    "an accepted rotation": (
        lambda: stages.rotated(before(*BEGUN, entries=LINKED), a_run(rotation_sent=NOW)),
        [
            Wait(
                Reason.ROTATING,
                "the rotation was accepted; KMS takes from seconds to minutes",
                US,
                ROTATION,
                look=(AP, EU, US),
            )
        ],
    ),
    "nothing to rotate in": (
        lambda: stages.rotated(before(), RUN),
        [Wait(Reason.SLOT, "the pending material is not listed", US, LAG, look=(US,))],
    ),
    "somebody else's CURRENT": (
        lambda: settling.settled(before(*OVER, entries=(first(),)), RUN),
        [
            Block(
                Reason.FOREIGN_CURRENT,
                "CURRENT in us-east-1 is bbbbbbbb, which is not in this store: somebody else rotated this key",
                f"adopt its material: mrk adopt NAME FILE --material-id {B}; or bring its entry from the store that"
                " made it",
                US,
            )
        ],
    ),
    "a Region that confirmed twice": (
        lambda: settling.settled(before(*OVER, entries=LINKED), looked(EU, 2)),
        [Wait(Reason.SETTLING, f"{EU} confirmed 2 of 3 times", EU, 2 * LAG, look=(EU,))],
    ),
    "a Region that confirmed often enough": (
        lambda: settling.settled(before(*OVER, entries=LINKED), looked(EU, 3)),
        [],
    ),
    "a Region that confirmed nothing yet": (
        lambda: settling_in(before(*OVER, entries=LINKED)),
        late("not confirmed yet"),
    ),
    "a Region with the old CURRENT": (
        lambda: settling_in(before(*OVER, entries=LINKED, eu=[current("a"), pending("b")])),
        late("CURRENT is still aaaaaaaa", look=(EU, AP, US)),
    ),
    "a Region with the old CURRENT, of which the store holds no copy": (
        lambda: settling_in(before(*BEGUN, entries=(entry("a", "b"),))),
        late("CURRENT is still aaaaaaaa"),
    ),
    "a Region with another CURRENT": (
        lambda: settling_in(before(*OVER, entries=HELD, eu=[past("a"), past("b"), current("c")])),
        late("the Regions do not agree on CURRENT yet", look=(EU, AP, US)),
    ),
    "a Region that another hand rotated since": (
        lambda: settling_in(before(*OVER, entries=LINKED, eu=[past("a"), past("b"), current("c")])),
        [
            Block(
                Reason.FOREIGN_CURRENT,
                "CURRENT in us-east-1 is cccccccc, which is not in this store: somebody else rotated this key",
                f"adopt its material: mrk adopt NAME FILE --material-id {C}; or bring its entry from the store that"
                " made it",
                US,
            )
        ],
    ),
    "a Region that is still rotating": (
        lambda: settling_in(before(*OVER, entries=LINKED, eu={"rotation_started_at": NOW})),
        late("a rotation is still under way"),
    ),
    "a Region that lacks material": (
        lambda: settling_in(
            before(*OVER, entries=LINKED, eu=[past("a", imported=False), current("b", imported=False)])
        ),
        late(
            "key material aaaaaaaa, bbbbbbbb is missing",
            Block(
                Reason.MATERIAL_MISSING,
                f"key material aaaaaaaa, bbbbbbbb is missing in {EU}",
                "import it again: mrk repair NAME; the other Regions are not held up",
                EU,
            ),
        ),
    ),
    "a Region that is Disabled": (
        lambda: settling_in(before(*OVER, entries=LINKED, eu={"key_state": KeyState.DISABLED})),
        late(
            f"the key in {EU} is Disabled",
            Block(
                Reason.DISABLED,
                f"the key in {EU} is Disabled",
                f"if you want it back: aws kms enable-key --region {EU}"
                " --key-id mrk-1234abcd12ab34cd56ef1234567890ab; else leave it alone: an import would enable it",
                EU,
            ),
            timedelta(seconds=20),
        ),
    ),
    "a full proof, of generations with and without a probe": (
        lambda: settling.proven(
            before(*OVER, entries=(first(), entry("a", "b", probe=True))),
            a_run(a_goal(policy=FULL), proofs={US: B, AP: B}),
        ),
        [Act(ProveRegion(KEY.within(EU), B, (name(),), (B,), (A,)))],
    ),
    "a proof where no CURRENT is listed": (
        lambda: settling.proven(a_view(a_key([]), first()), RUN),
        [Wait(Reason.LOOKING, f"looking at {US}", US, look=(US,))],
    ),
    "what was given up was rotated in": (
        lambda: settling.proven(
            before(*OVER, entries=(first(), entry("a", "b", discarded_at=NOW))),
            a_run(proofs=dict.fromkeys(REGIONS, B)),
        ),
        [Act(ReinstateMaterial(name(), NOW))],
    ),
    "the attempt before this one goes on after all": (
        lambda: stages.primary_imported(
            a_view(a_key(), first(), entry("a", "b"), entry(attempt=2)), a_run(a_goal(attempt=2))
        ),
        [
            Block(
                Reason.DISCARDED,
                "attempt 1 of this rotation goes on after all: it was rotated in",
                "run again: the next run goes on with it",
                US,
                person=False,
            )
        ],
    ),
    "the note of a withdrawal cannot be read": (
        lambda: stages.primary_imported(
            a_view(store=replace(a_store(first(), entry()), withdrawn_problem="it is no JSON")), RUN
        ),
        [
            Block(
                Reason.STORE_UNREADABLE,
                "the store cannot tell when pending material was withdrawn: it is no JSON",
                "restore that note from the store's copy, then run again",
            )
        ],
    ),
    "what was imported again expires soon still": (
        lambda: settling_renewal(entries=(first(), entry("a", "b"))),
        late("key material aaaaaaaa, bbbbbbbb expires soon still"),
    ),
    "what cannot be imported again is told elsewhere": (
        lambda: settling_renewal(entries=(first(receipt=None), entry("a", "b"))),
        late("key material bbbbbbbb expires soon still"),
    ),
    "what is in no store is told elsewhere, too": (
        lambda: settling_renewal(entries=(entry("a", "b"),)),
        late("key material bbbbbbbb expires soon still"),
    ),
    "the store was not seen": (
        lambda: stages.deposited(View(KEY, NOW, a_key(), None, {}), RUN),
        [Wait(Reason.LOOKING, "looking at store", None, LAG, look=(STORE,))],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_stage_says_what_it_misses_where_and_what_to_do(case: str) -> None:
    found, expected = SAID[case]
    assert list(found()) == expected


@pytest.mark.parametrize(
    ("rows", "linked", "said"),
    [
        (BEGUN, "b", "what was given up is listed still"),
        (BEGUN, "c", ""),
        ([current("a")], "b", ""),
    ],
)
def test_a_look_confirms_an_abort_where_what_was_given_up_is_not_listed(rows: Any, linked: str, said: str) -> None:
    """P8, P9: another run's material does not stand against it."""
    view, run = before(*rows, entries=(first(), entry("a", linked, discarded_at=NOW))), a_run(a_goal(aborting=True))

    assert settling.unconfirmed(view, view.regions[EU], run) == said


def test_pending_material_that_the_goal_gives_no_longer_is_not_imported_again() -> None:
    """An import with the same expiry would bring nothing, for ever."""
    view = before(current("a"), pending("b", valid_to=days(7)), entries=LINKED)

    assert list(stages.primary_imported(view, a_run(a_goal(valid_to=days(7))))) == []
