"""What each check says, to the word: which key or Region, why, and a way out that can be typed as it stands (I9).

Scripts and people act on these sentences; a check that finds the right thing and says another is as good as none.
"""

from collections.abc import Callable, Iterable, Sequence
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
    a_goal,
    a_key,
    a_run,
    a_store,
    a_view,
    cannot_see,
    current,
    days,
    entry,
    first,
    material,
    past,
    pending,
)

from orchestrator import checks, kinds, looks, spending
from orchestrator.importable import importable
from orchestrator.lasting import SAY
from orchestrator.model import (
    NEVER,
    STORE,
    Block,
    Entry,
    KeyState,
    MaterialId,
    MissingOld,
    Policy,
    Reason,
    Replicate,
    Step,
    Wait,
)

MINUTES = timedelta(minutes=1)
AGAIN = "run again: the next run follows it"
RUN = a_run()
ALLOWED = a_run(a_goal(policy=Policy(missing_old=MissingOld.ALLOW)))
BARE = [current("a", imported=False)]
EVERYWHERE = frozenset(REGIONS)
NO_REPLICA = a_key(regions=(US, EU))


def both(reason: Reason, message: str, way: str, **more: Any) -> list[Step]:
    """The same of each Region."""
    return [
        Block(reason, message.format(region), way.format(region), region, **more) for region in sorted([US, EU, AP])
    ]


SAID: dict[str, tuple[Callable[[], Sequence[Step]], list[Step]]] = {
    "a Region was not seen yet": (
        lambda: looks.seen_everywhere(a_view(a_key(eu=None)), REGIONS),
        [Wait(Reason.LOOKING, "looking at eu-west-1", EU, 3 * MINUTES, look=(EU,))],
    ),
    "a Region cannot be seen for a while": (
        lambda: looks.seen_everywhere(a_view(a_key(eu=None), failures=[cannot_see(EU)]), REGIONS),
        [Wait(Reason.ACCESS, f"{EU} cannot be looked at: no answer from {EU}", EU, 5 * MINUTES, look=(EU,))],
    ),
    "a Region cannot be seen, and no hint came": (
        lambda: looks.seen_everywhere(a_view(a_key(eu=None), failures=[cannot_see(EU, transient=False)]), REGIONS),
        [Block(Reason.ACCESS, f"no answer from {EU}", "mend the cause and run again", EU, person=False)],
    ),
    "the store cannot be seen, and a hint came": (
        lambda: looks.seen_everywhere(a_view(failures=[cannot_see(STORE, transient=False, hint="mount it")]), REGIONS),
        [Block(Reason.ACCESS, "no answer from store", "mount it", None, person=False)],
    ),
    "the store is not private, which no other look mends": (
        lambda: looks.seen_everywhere(
            a_view(failures=[replace(cannot_see(STORE, transient=False, hint="chmod"), person=True)]), REGIONS
        ),
        [Block(Reason.STORE_UNREADABLE, "no answer from store", "chmod", None)],
    ),
    "the key is not there": (
        lambda: looks.seen_everywhere(
            a_view(a_key(eu=None), failures=[cannot_see(EU, transient=False, not_found=True, hint="look")]), REGIONS
        ),
        [Block(Reason.REGION_LACKING, f"no answer from {EU}", "look", EU)],
    ),
    "the store was not seen in time": (
        lambda: checks.store_holds(a_view(failures=[cannot_see(STORE)]), RUN),
        [Wait(Reason.ACCESS, "store cannot be looked at: no answer from store", None, 5 * MINUTES, look=(STORE,))],
    ),
    "the last look is too old": (
        lambda: list(checks.before_rotate(a_view(a_key(eu={"seen_at": NOW - timedelta(seconds=11)}, ap=None)), RUN)),
        [Wait(Reason.LOOKING, f"a last look before the rotation: {AP}, {EU}", None, 3 * MINUTES, look=(AP, EU))],
    ),
    "the material is made by KMS": (
        lambda: kinds.right_kind(a_view(a_key(eu={"origin": "AWS_KMS"}))),
        [
            Block(
                Reason.NOT_EXTERNAL,
                f"{KEY.within(EU)} has Origin AWS_KMS: KMS made its key material, and mrk rotates imported key material"
                " alone",
                "take it out of the config; to rotate it: "
                f"aws kms rotate-key-on-demand --region {EU} --key-id {KEY.key_id}",
                EU,
            )
        ],
    ),
    "the key is not symmetric": (
        lambda: kinds.right_kind(a_view(a_key(eu={"key_spec": "HMAC_256"}))),
        [
            Block(
                Reason.NOT_SYMMETRIC,
                f"{KEY.within(EU)} is of spec HMAC_256: KMS rotates imported key material of symmetric keys alone",
                "take it out of the config; to rotate it, make a new key and move its users",
                EU,
            )
        ],
    ),
    "the primary moved, and the Regions do not agree where": (
        lambda: checks.topology(a_view(a_key(eu={"primary": EU}, ap={"primary": AP})), a_goal()),
        [
            Block(
                Reason.TOPOLOGY,
                f"the primary key moved from {US} to {AP}, {EU}, {US} during the run",
                AGAIN,
                person=False,
            )
        ],
    ),
    "members went and came": (
        lambda: checks.topology(a_view(NO_REPLICA), a_goal(members=frozenset({US, AP, "sa-east-1"}))),
        [
            Block(
                Reason.TOPOLOGY,
                f"the members of the multi-Region key changed during the run: {AP}, {EU}, sa-east-1",
                AGAIN,
                person=False,
            )
        ],
    ),
    "the config lists a Region that is no member": (
        lambda: list(checks.listed(a_view(NO_REPLICA), Policy(regions=EVERYWHERE))),
        [
            Block(
                Reason.REGION_LACKING,
                f"the config lists {AP}, but the key has no member there",
                f"take {AP} out of `regions`; or set `replicate: auto` and run mrk repair NAME; or replicate it "
                f"yourself (aws kms replicate-key --region {US} --key-id {KEY.key_id} --replica-region {AP} "
                "--policy ...), then mrk repair NAME",
                AP,
            )
        ],
    ),
    "the config lists a Region, and wants it replicated": (
        lambda: list(checks.listed(a_view(NO_REPLICA), Policy(regions=EVERYWHERE, replicate=Replicate.AUTO))),
        [
            Block(
                Reason.REGION_LACKING,
                f"the config lists {AP}, but the key has no member there",
                f"take {AP} out of `regions`; or replicate the key there: mrk repair NAME",
                AP,
            )
        ],
    ),
    "the config lists a Region while a rotation is begun": (
        lambda: list(
            checks.listed(a_view(a_key([current("a"), pending("b")], regions=(US, EU))), Policy(regions=EVERYWHERE))
        ),
        [
            Block(
                Reason.REGION_LACKING,
                f"the config lists {AP}, but the key has no member there",
                f"take {AP} out of `regions`; or first give up the rotation that is begun, "
                "as nothing is replicated meanwhile: mrk abort NAME",
                AP,
            )
        ],
    ),
    "the config lists a second Region of a single-Region key": (
        lambda: list(checks.listed(a_view(a_key(regions=(US,))), Policy(regions=frozenset({US, EU})))),
        [
            Block(
                Reason.REGION_LACKING,
                f"the config lists {EU}, but the key has no member there",
                f"take {EU} out of `regions`; or make a multi-Region key and move its users, "
                "as KMS replicates no single-Region key",
                EU,
            )
        ],
    ),
    "a member is not in the config": (
        lambda: list(checks.listed(a_view(), Policy(regions=frozenset({US, EU})))),
        [
            Block(
                Reason.REGION_UNLISTED,
                f"the key has a member in {AP}, which the config lacks: nothing is imported there",
                f"add {AP} to `regions`, then: mrk repair NAME; or, where nobody needs it there: "
                f"aws kms schedule-key-deletion --region {AP} --key-id {KEY.key_id}",
                AP,
            )
        ],
    ),
    "the key is made just now": (
        lambda: importable(a_key(eu={"key_state": KeyState.CREATING})[EU]),
        [Wait(Reason.KEY_STATE, f"the key in {EU} is Creating", EU, 3 * MINUTES, look=(EU,))],
    ),
    "the key is Disabled": (
        lambda: importable(a_key(eu={"key_state": KeyState.DISABLED})[EU], healing=True),
        [
            Block(
                Reason.DISABLED,
                f"the key in {EU} is Disabled",
                f"if you want it back: aws kms enable-key --region {EU}"
                " --key-id mrk-1234abcd12ab34cd56ef1234567890ab; else leave it alone: an import would enable it",
                EU,
            )
        ],
    ),
    "the key lacks material": (
        lambda: importable(a_key(BARE, eu={"key_state": KeyState.PENDING_IMPORT})[EU]),
        [
            Block(
                Reason.MATERIAL_MISSING,
                f"the key in {EU} is PendingImport: it lacks key material and cannot be used there",
                f"import what is missing in {EU}: mrk repair NAME",
                EU,
            )
        ],
    ),
    "the key is to be deleted": (
        lambda: importable(a_key(eu={"key_state": KeyState.PENDING_DELETION})[EU], healing=True),
        [
            Block(
                Reason.KEY_STATE,
                f"the key in {EU} is PendingDeletion",
                f"cancel the deletion (aws kms cancel-key-deletion --region {EU} --key-id {KEY.key_id}), "
                f"which leaves the key Disabled; or take {EU} out of `regions`",
                EU,
            )
        ],
    ),
    "the key is to be deleted, and its primary with it": (
        lambda: importable(a_key(us={"key_state": KeyState.PENDING_REPLICA_DELETION})[US]),
        [
            Block(
                Reason.KEY_STATE,
                f"the key in {US} is PendingReplicaDeletion",
                f"cancel the deletion (aws kms cancel-key-deletion --region {US} --key-id {KEY.key_id}), "
                "which leaves the key Disabled; or take the key out of the config",
                US,
            )
        ],
    ),
    "there never was any material": (
        lambda: checks.one_current(a_view(a_key([])), a_goal()),
        both(
            Reason.NEVER_IMPORTED,
            "the key in {} has no key material yet",
            "import the first key material, then run again",
        ),
    ),
    "one Region names another CURRENT material": (
        lambda: checks.one_current(a_view(a_key(eu=[past("a"), current("b")])), a_goal()),
        [
            Wait(
                Reason.INCONSISTENT,
                f"{EU} still lists another CURRENT material (bbbbbbbb)",
                EU,
                3 * MINUTES,
                look=(EU,),
            )
        ],
    ),
    "somebody's material is pending": (
        lambda: checks.pending_is_ours(a_view(a_key([current("a"), pending("b")])), RUN),
        [
            Block(
                Reason.FOREIGN_PENDING,
                f"{US} holds pending key material bbbbbbbb, which is not in this store",
                "if another store of yours made it, let mrk finish it there; "
                "if you have its bytes: mrk adopt NAME FILE; "
                f"only if nobody wants it, delete it for good: mrk abort NAME --material-id {B} --unrecoverable",
                US,
            )
        ],
    ),
    "material of a given-up attempt is pending": (
        lambda: checks.pending_is_ours(
            a_view(a_key([current("a"), pending("b")]), first(), entry("a", "b", discarded_at=NOW)),
            a_run(a_goal(attempt=2)),
        ),
        [
            Block(
                Reason.FOREIGN_PENDING,
                f"{US} holds pending key material bbbbbbbb, which is of an attempt that was given up",
                "finish giving it up: mrk abort NAME",
                US,
            )
        ],
    ),
    "material of an earlier attempt, which was not given up, is pending": (
        lambda: checks.pending_is_ours(
            a_view(a_key([current("a"), pending("b")]), first(), entry("a", "b")), a_run(a_goal(attempt=2))
        ),
        [
            Block(
                Reason.FOREIGN_PENDING,
                f"{US} holds pending key material bbbbbbbb, which is of attempt 1, not of this one",
                "run again, which goes on with it; "
                f"only if nobody wants it, delete it for good: mrk abort NAME --material-id {B}",
                US,
            )
        ],
    ),
    "somebody's rotation is under way": (
        lambda: checks.pending_is_ours(
            a_view(a_key([current("a"), pending("b")], eu={"rotation_started_at": NOW})), RUN
        ),
        [
            Block(
                Reason.FOREIGN_PENDING,
                f"{US} holds pending key material bbbbbbbb, which is not in this store",
                "a rotation is under way: delete nothing; once it is over, adopt its material: mrk adopt NAME FILE",
                US,
            )
        ],
    ),
    "another run may just have put it into the store": (
        lambda: checks.pending_is_ours(
            a_view(a_key([current("a"), pending("b")]), store=a_store(first(), seen_at=NOW - timedelta(seconds=1))), RUN
        ),
        [
            Wait(
                Reason.LOOKING,
                "looking whether another run has put it into the store",
                None,
                3 * MINUTES,
                look=(STORE,),
            )
        ],
    ),
    "a Region does not list old material yet": (
        lambda: checks.materials_usable(a_view(a_key([past("a"), current("b")], eu=[current("b")])), Policy()),
        [Wait(Reason.INCONSISTENT, f"{EU} does not list key material aaaaaaaa yet", EU, 3 * MINUTES, look=(EU,))],
    ),
    "a Region lacks old material": (
        lambda: checks.materials_usable(
            a_view(a_key([past("a"), current("b")], eu=[past("a", imported=False), current("b")])), Policy()
        ),
        [
            Block(
                Reason.MATERIAL_MISSING,
                f"{EU} cannot be used: key material aaaaaaaa is missing there",
                f"import it again in {EU} first: mrk repair NAME",
                EU,
            )
        ],
    ),
    "material expires at the very end of the safety window": (
        lambda: checks.materials_usable(a_view(a_key(eu=[current("a", valid_to=days(7))])), Policy(expires=NEVER)),
        [
            Block(
                Reason.EXPIRES_SOON,
                f"key material aaaaaaaa expires in {EU} on 2026-03-09",
                "import it again with a later ValidTo: mrk renew NAME, with `expires` longer than 7d",
                EU,
            )
        ],
    ),
    "material expires soon, and nothing says for how long it is to be renewed": (
        lambda: checks.materials_usable(a_view(a_key(eu=[current("a", valid_to=days(7))])), Policy()),
        [
            Block(
                Reason.EXPIRES_SOON,
                f"key material aaaaaaaa expires in {EU} on 2026-03-09, and nothing renews it: `expires` is not set",
                f"{SAY}; then: mrk renew NAME",
                EU,
            )
        ],
    ),
    "material expired, and nothing says for how long it may come back": (
        lambda: checks.materials_usable(a_view(a_key(eu=[current("a", valid_to=days(-1))])), Policy()),
        [
            Block(
                Reason.MATERIAL_MISSING,
                f"{EU} cannot be used since 2026-03-01 08:00 UTC: key material aaaaaaaa expired there",
                f"{SAY}; then: mrk repair NAME",
                EU,
            )
        ],
    ),
    "material expires after the safety window": (
        lambda: checks.materials_usable(a_view(a_key(eu=[current("a", valid_to=days(7.01))])), Policy()),
        [],
    ),
    "all rotations are used up": (
        lambda: spending.budget(a_view(a_key([past(chr(97 + number), on_demand=True) for number in range(25)]))),
        [
            Block(
                Reason.BUDGET_SPENT,
                "all 25 on-demand rotations of this key are used up, for life",
                "make a new key and move its users",
            )
        ],
    ),
    "the new material would not outlive the safety window": (
        lambda: checks.expiry_long_enough(a_view(), a_goal(valid_to=days(7))),
        [
            Block(
                Reason.EXPIRES_SOON,
                "the new key material would expire on 2026-03-09, within the safety window",
                "raise `expires`, or lower `safety_window`",
            )
        ],
    ),
    "the store lacks CURRENT material": (
        lambda: checks.store_holds(a_view(store=a_store()), RUN),
        [
            Block(
                Reason.STORE_LACKS,
                "the key needs key material aaaaaaaa, and the store does not hold it",
                f"bring the bytes: mrk adopt NAME FILE --material-id {A}; or bring its entry from the store that made"
                " it (docs/store.md)",
            )
        ],
    ),
    "the store lacks old material": (
        lambda: checks.store_holds(a_view(a_key([past("a"), current("b")]), entry("a", "b")), RUN),
        [
            Block(
                Reason.STORE_LACKS,
                "the key needs key material aaaaaaaa, and the store does not hold it",
                f"bring the bytes: mrk adopt NAME FILE --material-id {A}; or set `missing_old: allow`, and keep your"
                " own copy safe",
            )
        ],
    ),
    "the store lacks old material, which its owner allows": (
        lambda: checks.store_holds(a_view(store=a_store()), ALLOWED),
        [],
    ),
    "what was given up is needed": (
        lambda: checks.store_holds(a_view(None, first(discarded_at=NOW)), ALLOWED),
        [
            Block(
                Reason.DISCARDED,
                "key material aaaaaaaa, which the key needs, is of an attempt that was given up",
                "take that back, as KMS rotated it in: mrk abort NAME",
            )
        ],
    ),
    "the store cannot be read": (
        lambda: checks.store_holds(a_view(None, first(**TORN)), RUN),
        [
            Block(
                Reason.STORE_UNREADABLE,
                "the key needs key material aaaaaaaa, and the store cannot read it: torn",
                f"put it back; or bring the bytes: mrk adopt NAME FILE --material-id {A}",
            )
        ],
    ),
    "nothing is pending": (
        lambda: checks.pending_everywhere(a_view(None, first(), entry("a", "b")), a_goal()),
        [Wait(Reason.SLOT, "the primary does not list the pending material", US, 3 * MINUTES, look=(US,))],
    ),
    "the pending material cannot be read": (
        lambda: checks.pending_everywhere(
            a_view(
                a_key([current("a"), pending("b")]),
                first(),
                entry("a", "b", **TORN),
            ),
            a_goal(),
        ),
        [
            Block(
                Reason.STORE_UNREADABLE,
                "the store cannot read the pending material back: torn",
                "put it back",
            )
        ],
    ),
    "a replica does not list the pending material": (
        lambda: checks.pending_everywhere(
            a_view(a_key([current("a"), pending("b")], eu=[current("a")]), first(), entry("a", "b")), a_goal()
        ),
        [Wait(Reason.SLOT, f"{EU} does not list the pending material as imported", EU, 3 * MINUTES, look=(EU,))],
    ),
    "the pending material expires soon in one Region": (
        lambda: checks.pending_everywhere(
            a_view(
                a_key([current("a"), pending("b")], eu=[current("a"), pending("b", valid_to=days(7))]),
                first(),
                entry("a", "b"),
            ),
            a_goal(),
        ),
        [
            Block(
                Reason.EXPIRES_SOON,
                f"the pending material expires in {EU} on 2026-03-09",
                "raise `expires`, or lower `safety_window`, and run again",
                EU,
            )
        ],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_check_says_what_it_found_where_and_what_to_do(case: str) -> None:
    found, expected = SAID[case]
    assert list(found()) == expected


# ---- what was not seen ------------------------------------------------------------------------------------------


def test_nothing_is_said_of_pending_material_while_the_store_was_not_seen() -> None:
    """P2: whose it is, only the store can tell."""
    view = a_view(a_key([current("a"), pending("b")]), failures=[cannot_see(STORE)])

    assert checks.pending_is_ours(view, RUN) == []
    assert [step.reason for step in checks.pending_everywhere(view, a_goal()) if isinstance(step, Wait)] == [
        Reason.SLOT
    ]


def test_the_way_out_of_a_missing_member_names_the_primary_where_it_is() -> None:
    """I9: a replica is made from the primary, which may have moved; unseen, it is the key of the config."""
    policy, key = Policy(regions=EVERYWHERE), a_key(regions=(US, EU))
    moved = a_view({region: replace(seen, primary=EU) for region, seen in key.items()})
    unseen = a_view({EU: key[EU]})

    assert f"replicate-key --region {EU} " in ways(checks.listed(moved, policy))
    assert f"replicate-key --region {US} " in ways(checks.listed(unseen, policy))


def ways(steps: Iterable[Step]) -> str:
    return " ".join(step.way_out for step in steps if isinstance(step, Block))


@pytest.mark.parametrize(("ahead", "over"), [(timedelta(hours=1), False), (timedelta(hours=1, seconds=1), True)])
def test_a_time_ahead_of_ours_counts_as_far_as_a_clock_may_be_wrong(ahead: timedelta, *, over: bool) -> None:
    """P6: this run has watched for 15 minutes; what no clock can have noted is no sign of anything."""
    assert checks.long_over(NOW + ahead, NOW, a_goal(pinned_at=NOW - 15 * MINUTES)) is over


def test_a_key_that_was_seen_nowhere_has_used_no_rotation() -> None:
    """I3: the budget is judged by what KMS lists."""
    assert spending.rotations_used(a_view({})) == 0


@pytest.mark.parametrize(
    ("entries", "named", "expected"),
    [
        ((first(), entry("a", "b")), None, True),
        ((first(), entry("a", "c")), None, False),
        ((first(), entry()), None, True),
        ((first(),), None, True),
        ((first(), entry("a", "c")), B, True),
        ((first(), entry("a", "b")), material("c"), False),
        (None, None, True),
        (None, material("c"), False),
    ],
)
def test_only_what_is_named_or_linked_or_not_asked_about_is_withdrawn(
    entries: tuple[Entry, ...] | None, named: MaterialId | None, *, expected: bool
) -> None:
    """P9, I5: what is linked elsewhere, or is not the id that was named, is left alone; also without a store."""
    key = a_key([current("a"), pending("b")])
    view = a_view(key, failures=[cannot_see(STORE)]) if entries is None else a_view(key, *entries)

    assert checks.to_withdraw(view, a_run(a_goal(named=named)), view.pending) is expected
