"""Looks that another run has overtaken: nothing is called foreign, lost or lacking before it was looked at again (I7).

Each of these was a false alarm that the exhaustive search found, with a rotation going on beside the run.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from core_building import (
    EU,
    NOW,
    REGIONS,
    US,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    cannot_see,
    current,
    deciding,
    entry,
    first,
    judged_by,
    past,
    pending,
    settled_everywhere,
    told,
)

from orchestrator import checks
from orchestrator.holding import store_behind
from orchestrator.model import STORE, Failed, MissingOld, Policy, Region, Replicate, Stage, Streak, View, name_of
from orchestrator.settling import proven, settled
from orchestrator.stages import primary_imported, proof_of
from workflows.repair import restored, sound
from workflows.replicate import replicated

ROTATED = [past("a"), current("b")]
EARLIER = NOW - timedelta(seconds=4)
LOOK_AT_THE_STORE = ["wait: looking"]


def overtaken(view: View) -> View:
    """The store was looked at before the primary, and so before another run put `b` into it."""
    assert view.store is not None
    return replace(view, store=replace(view.store, seen_at=EARLIER))


def test_a_repair_looks_at_the_store_again_before_it_says_that_the_store_lacks_material() -> None:
    view = a_view(a_key(ROTATED, eu=[past("a"), current("b", imported=False)]), first())

    turn = judged_by(restored, overtaken(view), a_run(a_goal(None)))

    assert told(turn) == ["restored: going", *LOOK_AT_THE_STORE]
    assert turn.look == (STORE,)
    assert told(judged_by(sound, view, a_run(a_goal(None)))) == ["sound: blocked", f"block: store-lacks in {EU}"]


def test_a_rotation_looks_at_the_store_again_before_it_says_that_the_store_lacks_material() -> None:
    view = a_view(a_key(ROTATED), first())

    assert [step.look for step in checks.store_holds(overtaken(view), a_run())] == [(STORE,)]  # type: ignore[union-attr]
    assert [str(step.reason) for step in checks.store_holds(view, a_run())] == ["foreign-current"]  # type: ignore[union-attr]
    allowed = a_run(a_goal(policy=Policy(missing_old=MissingOld.ALLOW)))
    assert not checks.store_holds(overtaken(view), allowed)


def test_a_replication_looks_at_the_store_again_before_it_says_that_the_store_lacks_material() -> None:
    wanted = frozenset({*REGIONS, Region("sa-east-1")})
    goal = a_goal(None, policy=Policy(regions=wanted, replicate=Replicate.AUTO), members=wanted)
    view = a_view(a_key(ROTATED), first())

    assert told(judged_by(replicated, overtaken(view), a_run(goal))) == ["replicated: going", *LOOK_AT_THE_STORE]
    assert told(judged_by(replicated, view, a_run(goal))) == ["replicated: blocked", f"block: store-lacks in {US}"]


def test_where_the_store_or_no_region_was_seen_nothing_is_behind() -> None:
    view = overtaken(a_view(a_key(ROTATED), first()))

    assert store_behind(view, B)
    assert not store_behind(replace(view, regions={}), B)
    assert not store_behind(replace(view, store=None), B)


def test_the_store_is_behind_whichever_region_told_of_the_material() -> None:
    """I15: a replica may show it before the primary does, and be looked at after the store."""
    view = overtaken(a_view(a_key([current("a")], eu=ROTATED), first()))

    assert store_behind(view, B)
    assert not store_behind(replace(view, regions={US: view.regions[US]}), B)


def test_the_region_that_lists_the_old_current_is_looked_at_again_though_it_confirmed_that_often_enough() -> None:
    """The primary was seen before a rotation, a replica after it: both are asked, not the replica alone."""
    view = a_view(a_key([current("a")], eu=ROTATED), first(), entry("a", "b"))

    turn = judged_by(settled, view, a_run(a_goal(None), settled=settled_everywhere(regions=[US])))

    assert {EU, US} <= set(turn.look)


def test_a_run_whose_attempt_was_given_up_calls_nothing_foreign() -> None:
    """P9: what is pending may be of the next attempt, which another run has begun and not linked yet."""
    given_up = entry(discarded_at=NOW - timedelta(minutes=20))
    view = a_view(a_key([current("a"), pending("b")]), first(), given_up, entry(attempt=2))
    proof = proof_of(view.regions[US], given_up, pending("b"), view, a_run())
    refused = Failed(2, "these are other bytes", "", NOW, final=True, refusals=2)

    turn = deciding(view, a_run(failed={name_of(proof): refused}))

    assert told(turn) == ["healthy: blocked", "block: attempt-discarded"]


def test_nothing_new_is_sent_for_an_attempt_when_the_one_before_it_goes_on_after_all() -> None:
    """P4, P9: KMS rotated attempt 1 in after it was given up, and another run has taken that back; the look is old."""
    gone_on = entry("a", "b")
    view = a_view(a_key(), first(), gone_on, entry(attempt=2))

    assert told(judged_by(primary_imported, view, a_run(a_goal(attempt=2)))) == [
        "primary_imported: failed",
        f"fail: attempt-discarded in {US}",
    ]
    given_up = replace(gone_on, discarded_at=NOW - timedelta(hours=1))
    later = a_view(a_key(), first(), given_up, entry(attempt=2))
    quiet = a_run(a_goal(attempt=2, pinned_at=NOW - timedelta(hours=1)), quiet=Streak(3, NOW))
    assert told(judged_by(primary_imported, later, quiet)) == ["primary_imported: going", f"import NEW - into {US}"]


@pytest.mark.parametrize("old", [STORE, US], ids=["the store", "the primary"])
def test_new_material_is_sent_on_looks_of_the_last_ten_seconds_alone(old: str) -> None:
    """I3, P9: after the 15 min without a sign of a rotation, an attempt may have been taken back."""
    view = a_view(a_key([current("a")]), first(), entry("a"))
    stale = NOW - timedelta(seconds=11)
    assert view.store is not None
    aged = (
        replace(view, store=replace(view.store, seen_at=stale))
        if old == STORE
        else replace(view, regions={**view.regions, US: replace(view.regions[US], seen_at=stale)})
    )

    turn = deciding(aged, stages=[primary_imported])

    assert [action.kind for action in deciding(view, stages=[primary_imported]).act] == ["import"]
    assert (turn.act, turn.look) == ((), (old,))


@pytest.mark.parametrize("stage", [settled, proven])
@pytest.mark.parametrize("behind", [True, False], ids=["the primary is behind", "the primary does not answer"])
def test_what_a_replica_shows_as_rotated_in_is_not_called_foreign_before_the_primary_was_seen(
    stage: Stage, behind: bool
) -> None:
    """I15, P2: nothing links the bytes of this rotation yet, as after a planned script; only the primary is asked."""
    replicas = a_key(ROTATED, us=None)
    primary = a_key([current("a"), pending("b")])[US]
    unanswered = [] if behind else [cannot_see(US)]
    view = a_view({**replicas, **({US: primary} if behind else {})}, first(), entry("a"), failures=unanswered)

    turn = judged_by(stage, view, a_run(a_goal("a")))

    assert turn.status == "going"
    assert turn.look == (US,)
    assert not turn.blocks


@pytest.mark.parametrize("stage", [settled, proven])
def test_what_the_primary_shows_and_nothing_in_the_store_may_be_is_foreign_at_once(stage: Stage) -> None:
    view = a_view(a_key(ROTATED), first())

    assert told(judged_by(stage, view, a_run(a_goal("a"))))[1:] == [f"block: foreign-current in {US}"]
