"""What `mrk run` finds to do, what it mends unattended, and when it may say that nothing is due (P5, P10)."""

from collections.abc import Sequence
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
    B,
    a_goal,
    a_key,
    a_run,
    a_store,
    a_view,
    cannot_see,
    current,
    days,
    deciding,
    entry,
    first,
    judged_by,
    marked,
    material,
    name,
    past,
    told,
)

from orchestrator.goals import Pinned
from orchestrator.model import (
    STORE,
    Block,
    Goal,
    Idle,
    KeyState,
    MaterialId,
    Memory,
    Policy,
    Reason,
    Region,
    RegionView,
    Repair,
    Replicate,
    Step,
    Wait,
)
from orchestrator.settling import FEW_LOOKS, settled
from orchestrator.stages import healthy
from workflows.renew import renewed, whatever_expires
from workflows.repair import restored
from workflows.rotate import replaced_at_the_end
from workflows.run import RUN, clean, kept_alive, whatever_is_wanted

BOTH = [past("a"), current("b")]
STORED = (first(), entry("a", "b", **marked()))
NOT_DUE = Policy(rotate_every=timedelta(days=1000), expires=timedelta(days=300), renew_before=timedelta(days=30))
MENDING = replace(NOT_DUE, repair=Repair.AUTO)
REPLICATING = replace(NOT_DUE, regions=frozenset(REGIONS), replicate=Replicate.AUTO)
LACKS_B = {"rows": [past("a"), current("b", imported=False)], "key_state": KeyState.PENDING_IMPORT}
ENDS_SOON = [past("a"), current("b", valid_to=days(20))]


def key(rows: Sequence[Any] = BOTH, **differing: Any) -> dict[Region, RegionView]:
    return a_key(rows, **differing)


def reasons(pinned: Pinned) -> list[str]:
    assert isinstance(pinned, Sequence), pinned
    return [str(step.reason) for step in pinned if isinstance(step, Block | Wait)]


# ---- what is pinned -----------------------------------------------------------------------------------------------


def test_a_rotation_that_is_due_is_pinned_away_from_current() -> None:
    pinned = whatever_is_wanted(a_view(key(), *STORED), Policy())

    assert isinstance(pinned, Goal)
    assert (pinned.entry, pinned.renewing) == (name("b"), False)


def test_nothing_is_pinned_where_nothing_is_due_and_all_is_well() -> None:
    assert isinstance(whatever_is_wanted(a_view(key(), *STORED), NOT_DUE), Idle)
    assert isinstance(whatever_is_wanted(a_view(key(), *STORED), MENDING), Idle)


def test_what_a_region_lacks_is_told_or_pinned_as_the_owner_wants_it() -> None:
    """P10: somebody may have deleted it on purpose."""
    view = a_view(key(eu=LACKS_B), *STORED)

    mended = whatever_is_wanted(view, MENDING)

    assert set(reasons(whatever_is_wanted(view, NOT_DUE))) == {"material-missing"}
    assert isinstance(mended, Goal)
    assert (mended.entry, mended.renewing) == (name("a"), False)


def test_what_expires_soon_is_pinned_as_a_renewal_whatever_repair_says() -> None:
    pinned = whatever_is_wanted(a_view(key(eu=ENDS_SOON), *STORED), NOT_DUE)

    assert isinstance(pinned, Goal)
    assert (pinned.entry, pinned.renewing) == (name("a"), True)


def test_a_key_that_never_had_material_is_told_as_such() -> None:
    assert reasons(whatever_is_wanted(a_view(key([]), first()), MENDING)) == ["never-imported"]


def test_what_the_owner_lets_be_repaired_is_material_and_nothing_else() -> None:
    """P10: a Disabled key lacks nothing; somebody may have disabled it on purpose."""
    noted = replace(a_store(*STORED), switched_off={EU: NOW})
    view = a_view(key(eu={"key_state": KeyState.DISABLED}), store=noted)

    assert reasons(whatever_is_wanted(view, MENDING)) == ["disabled"]


def test_what_a_region_lacks_is_pinned_also_where_key_material_expires() -> None:
    lasting = [past("a", valid_to=days(290)), current("b", valid_to=days(290))]
    lacking = [past("a", valid_to=days(290)), current("b", valid_to=days(-1))]

    assert isinstance(whatever_is_wanted(a_view(key(lasting, eu=lacking), *STORED), MENDING), Goal)


def test_a_region_that_the_config_lists_is_replicated_where_nothing_else_is_due() -> None:
    """P11: with `replicate: auto`, whatever `repair` says."""
    two = a_view(a_key(BOTH, regions=(US, EU)), *STORED, failures=[cannot_see(AP, not_found=True)])

    pinned = whatever_is_wanted(two, REPLICATING)

    assert isinstance(pinned, Goal)
    assert (pinned.entry, pinned.members) == (name("a"), frozenset(REGIONS))


def test_a_new_replica_is_filled_where_nothing_else_is_due() -> None:
    """P11: it came after CURRENT was proven, so it has lost nothing; that is no repair."""
    held = entry("a", "b", **marked(US, EU))
    empty = {"rows": [past("a", imported=False), current("b", imported=False)], "key_state": KeyState.PENDING_IMPORT}

    pinned = whatever_is_wanted(a_view(key(ap=empty), first(), held), REPLICATING)

    assert isinstance(pinned, Goal)
    assert pinned.entry == name("a")


def test_a_member_that_came_after_the_proof_is_proven_where_nothing_else_is_due() -> None:
    """P14: CURRENT was proven in two Regions, and there are three."""
    held = entry("a", "b", **marked(US, EU))

    pinned = whatever_is_wanted(a_view(key(), first(), held), NOT_DUE)

    assert isinstance(pinned, Goal)
    assert pinned.entry == name("a")


# ---- what is mended in mid-run ------------------------------------------------------------------------------------


def mended(view_of: dict[Region, RegionView], policy: Policy = MENDING, **goal: Any) -> list[str]:
    """What the stage says."""
    run = a_run(a_goal("b", policy=policy, **goal))
    return told(judged_by(kept_alive, a_view(view_of, *STORED), run))[1:]


def test_repair_is_the_owners_switch() -> None:
    assert mended(key(eu=LACKS_B)) == ["import EXISTING b into eu-west-1"]
    assert mended(key(eu=LACKS_B), NOT_DUE) == []


def test_what_a_region_lacks_is_brought_back_whatever_is_odd_elsewhere() -> None:
    """I11: a rotation under way, members that changed in mid-run, a primary that is not seen, one on its way out."""
    restored = ["import EXISTING b into eu-west-1"]

    assert mended(key(eu=LACKS_B, us={"rotation_started_at": NOW})) == restored
    assert mended(key(eu=LACKS_B), members=frozenset({US, EU})) == restored
    assert mended(key(eu=LACKS_B, us=None)) == restored
    assert mended(key(eu=LACKS_B, ap={"key_state": KeyState.PENDING_DELETION})) == restored


def test_nothing_is_brought_back_into_a_region_that_the_owner_does_not_list() -> None:
    """I11, P12: somebody made a replica by hand; the bytes go where they are wanted, and nowhere else."""
    elsewhere = replace(MENDING, regions=frozenset({US, AP}))

    assert mended(key(eu=LACKS_B), elsewhere) == []


def test_what_was_disabled_before_it_lost_its_material_is_not_enabled_unattended() -> None:
    """P10, I3: KMS tells no more that it was Disabled once the material has expired; the store does."""
    run = a_run(a_goal("b", policy=MENDING))
    view = a_view(key(eu=LACKS_B), store=replace(a_store(*STORED), switched_off={EU: days(-3)}))
    allowed = a_run(a_goal("b", policy=replace(MENDING, may_enable=frozenset({EU}))))

    assert told(judged_by(kept_alive, view, run)) == ["done: finished"]
    assert told(judged_by(kept_alive, view, allowed))[1:] == ["import EXISTING b into eu-west-1"]


def test_of_what_was_switched_off_the_only_hint_is_the_one_that_helps_and_nobody_waits_for_it() -> None:
    """P10: `mrk repair NAME` alone leaves it off, and nothing that a run does brings it back."""
    run = a_run(a_goal("b", policy=MENDING))
    view = a_view(key(eu=LACKS_B), store=replace(a_store(*STORED), switched_off={EU: days(-3)}))

    blocks = [step for step in clean(view, run) if isinstance(step, Block)]
    waits = [step for step in settled(view, replace(run, memory=Memory())) if step.region == EU]

    assert {block.reason for block in blocks} == {Reason.SWITCHED_OFF}
    assert all(f"mrk repair NAME --enable {EU}" in block.way_out for block in blocks)
    assert [(step.at_most, step.over) for step in waits if isinstance(step, Wait)] == [(FEW_LOOKS, blocks[0])]


def test_what_the_owner_switched_off_or_on_is_noted() -> None:
    """P10: before its key material expires, which hides it."""
    off = key(eu={"key_state": KeyState.DISABLED})
    noted = replace(a_store(*STORED), switched_off={EU: days(-3)})

    for state in (KeyState.DISABLED, KeyState.PENDING_DELETION, KeyState.PENDING_REPLICA_DELETION):
        unnoted = a_view(key(eu={"key_state": state}), *STORED, noted=False)
        for stage in (kept_alive, healthy, restored, renewed):
            assert "note that eu-west-1 is off" in told(judged_by(stage, unnoted, a_run(a_goal("b")))), (state, stage)
    assert told(judged_by(kept_alive, a_view(off, store=noted), a_run(a_goal("b")))) == ["done: finished"]
    assert told(judged_by(kept_alive, a_view(key(), store=noted), a_run(a_goal("b"))))[1:] == [
        "note that eu-west-1 is on"
    ]
    assert isinstance(whatever_is_wanted(a_view(off, *STORED, noted=False), NOT_DUE), Goal)


def test_what_our_own_deletion_took_is_brought_back_though_repairs_are_asked_for() -> None:
    """P9: it crossed a rotation; nobody deleted that on purpose."""
    lacking = key([past("a"), current("b", imported=False)])
    ours = replace(a_store(*STORED), withdrawn=frozenset({B}))

    assert told(judged_by(kept_alive, a_view(lacking, store=ours), a_run(a_goal("b", policy=NOT_DUE))))[1:] == [
        f"import EXISTING b into {region}" for region in sorted(REGIONS)
    ]


def test_a_store_that_cannot_be_seen_for_a_moment_is_waited_for_and_not_said_to_lack_anything() -> None:
    view = a_view(key(eu=LACKS_B), failures=[cannot_see(STORE)])

    turn = deciding(view, a_run(a_goal("b", policy=MENDING)), RUN)

    assert told(turn)[1:] == ["wait: cannot-look"]


def test_what_is_not_listed_yet_is_left_to_the_stages_that_follow() -> None:
    assert mended(key(eu=[current("b")])) == []


# ---- nothing is due -----------------------------------------------------------------------------------------------


def judged(view_of: dict[Region, RegionView], **more: Any) -> list[Step]:
    """What the last stage of `mrk run` says, of a run that replaced `a`."""
    view = a_view(view_of, *STORED) if not more else a_view(view_of, *STORED, **more)
    return list(clean(view, a_run(a_goal("a", policy=NOT_DUE, valid_to=days(300)))))


def test_a_key_in_good_order_is_clean_though_the_run_has_replaced_what_it_pinned() -> None:
    assert judged(key()) == []


def test_what_was_not_seen_is_looked_at_before_a_key_is_called_clean() -> None:
    """P5."""
    assert judged(key(), failures=[cannot_see(STORE)]) == [
        Wait(
            Reason.ACCESS,
            f"store cannot be looked at: no answer from {STORE}",
            None,
            timedelta(minutes=5),
            look=(STORE,),
        )
    ]
    assert judged(key(us=None)) == [Wait(Reason.LOOKING, f"looking at {US}", US, look=(US,))]


def test_what_a_region_lacks_or_will_soon_lose_is_not_clean() -> None:
    assert set(reasons(judged(key(eu=LACKS_B)))) == {"material-missing"}
    assert told(judged_by(clean, a_view(key(eu=ENDS_SOON), *STORED), a_run(a_goal("a", policy=NOT_DUE)))) == [
        "clean: going",
        "import EXISTING b into eu-west-1",
    ]


# ---- renewing -----------------------------------------------------------------------------------------------------


def test_a_renewal_is_pinned_as_such_and_says_when_there_is_none() -> None:
    pinned = whatever_expires(a_view(key(eu=ENDS_SOON), *STORED), NOT_DUE)
    idle = whatever_expires(a_view(key(), *STORED), NOT_DUE)

    assert isinstance(pinned, Goal)
    assert pinned.renewing is True
    assert idle == Idle("nothing expires within 30 days that the config gives longer")


def test_a_replica_that_this_run_made_is_filled_when_the_store_answers_again() -> None:
    empty = {"rows": [past("a", imported=False), current("b", imported=False)], "key_state": KeyState.PENDING_IMPORT}
    view = a_view(key(ap=empty), failures=[cannot_see(STORE)])
    made = a_run(a_goal("b", policy=REPLICATING), replicated=frozenset({AP}))

    assert set(told(deciding(view, made, RUN))[1:]) == {"wait: cannot-look"}


def test_what_expires_soon_and_the_config_gives_no_longer_is_nothing_to_renew() -> None:
    """It is within the safety window, too: that stands against a rotation, which names the way out."""
    short = replace(NOT_DUE, expires=timedelta(days=3))

    idle = whatever_expires(a_view(key(eu=[past("a"), current("b", valid_to=days(5))]), *STORED), short)

    assert idle == Idle("nothing expires within 30 days that the config gives longer")


def test_nothing_is_called_renewed_before_every_region_was_seen() -> None:
    assert whatever_expires(a_view(key(eu=None), *STORED), NOT_DUE) == [
        Wait(Reason.LOOKING, f"looking at {EU}", EU, look=(EU,))
    ]


def test_what_is_renewed_in_mid_run_is_whatever_can_be() -> None:
    """I11: whatever members the run knows; what cannot be is told at the end of the run."""
    run = a_run(a_goal("b", policy=NOT_DUE, valid_to=days(300)))
    others = a_run(a_goal("b", policy=NOT_DUE, valid_to=days(300), members=frozenset({US, EU})))
    view = a_view(key(eu=ENDS_SOON), *STORED)
    lacking = a_view(key(eu=[past("a", valid_to=days(3)), current("b", valid_to=days(3))]), STORED[1])

    assert told(judged_by(kept_alive, view, run))[1:] == ["import EXISTING b into eu-west-1"]
    assert told(judged_by(kept_alive, view, others))[1:] == ["import EXISTING b into eu-west-1"]
    assert told(judged_by(kept_alive, lacking, run))[1:] == ["import EXISTING b into eu-west-1"]


# ---- rotate --replaces --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [B, MaterialId(B[:8])])
def test_what_a_person_named_and_is_current_still_was_not_replaced_yet(named: MaterialId) -> None:
    """P4: a run finishes what is unfinished, and does no more; that is no success (I8)."""
    stage = replaced_at_the_end(named)

    assert list(stage(a_view(key(), *STORED), a_run())) == [
        Block(
            Reason.NOT_PROVEN,
            "an earlier rotation was finished first: bbbbbbbb is CURRENT by it, and was not replaced yet",
            f"run again: mrk rotate NAME --replaces {B}",
            person=False,
        )
    ]


def test_what_a_person_named_and_is_past_was_replaced() -> None:
    assert list(replaced_at_the_end(material("a"))(a_view(key(), *STORED), a_run())) == []
    assert list(replaced_at_the_end(B)(a_view(key([]), *STORED), a_run())) == []


# ---- deadlines ----------------------------------------------------------------------------------------------------


def test_a_goal_that_is_pinned_late_keeps_the_deadline_of_its_run_and_when_it_was_pinned() -> None:
    """I10: the time that the first looks took is not added to it; from the pinning on, the run has watched."""
    pinned = Goal(KEY, name(), US, frozenset(REGIONS), None, NOW + Policy().deadline, Policy())
    goal = pinned.of_a_run_since(NOW - timedelta(minutes=5))

    assert (goal.began, goal.pinned_at) == (NOW, NOW)
    assert goal.deadline == NOW - timedelta(minutes=5) + Policy().deadline
    assert replace(goal, pinned_at=None, deadline=pinned.deadline) == pinned
