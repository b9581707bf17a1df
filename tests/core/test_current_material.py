"""From the rotation to the proof: sent once, seen everywhere several times, proven in every Region."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from core_building import (
    AP,
    EU,
    NOW,
    REGIONS,
    US,
    A,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    cannot_see,
    current,
    days,
    deciding,
    entry,
    first,
    judged_by,
    marked,
    past,
    pending,
    settled_everywhere,
    told,
)

from orchestrator.model import (
    STORE,
    Entry,
    Failed,
    KeyState,
    MaterialRow,
    Memory,
    Policy,
    Proof,
    ProveRegion,
    Region,
    Run,
    Streak,
)
from orchestrator.settling import proven, settled
from orchestrator.stages import LAG, ROTATION, rotated

BEFORE = [current("a"), pending("b")]
AFTER = [past("a"), current("b")]
OURS = (first(probe=True), entry("a", "b"))
SENT = NOW - timedelta(minutes=1)
FULL = a_goal(policy=Policy(proof=Proof.FULL))


# ---- I4: once ---------------------------------------------------------------------------------------------------

ROTATE = f"rotate:us-east-1:{B}"


def doubtful(not_before: float) -> dict[str, Failed]:
    """The memory of a rotation whose reply was lost."""
    return {ROTATE: Failed(1, "no answer", "", NOW + timedelta(seconds=not_before), final=False)}


SENDING: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("everything is ready: send it", {}, {}, ["rotate b in us-east-1"]),
    ("it was sent by this run: wait", {}, {"rotation_sent": SENT}, ["wait: rotating in us-east-1"]),
    (
        "the primary shows its start date: wait, whoever sent it",
        {"rotation_started_at": SENT},
        {},
        ["wait: rotating in us-east-1"],
    ),
    (
        "its reply was lost: look first, for a minute",
        {},
        {"failed": doubtful(60)},
        ["wait: call-failed in us-east-1"],
    ),
    (
        "its reply was lost, a minute has passed, and nothing shows: decide anew",
        {},
        {"failed": doubtful(0)},
        ["rotate b in us-east-1"],
    ),
]


@pytest.mark.parametrize(("claim", "primary", "memory", "says"), SENDING, ids=[row[0] for row in SENDING])
def test_a_rotation_is_sent_once_and_looked_for_after_any_doubt(
    claim: str, primary: dict[str, Any], memory: dict[str, Any], says: list[str]
) -> None:
    """I4, P6: never blindly sent again."""
    turn = deciding(a_view(a_key(BEFORE, us=primary), *OURS), Run(a_goal(), Memory(**memory)))

    assert told(turn) == ["rotated: going", *says], claim


def test_a_rotation_that_does_not_show_is_looked_for_in_every_region() -> None:
    """P6: CURRENT may move in any Region first."""
    turn = deciding(a_view(a_key(BEFORE), *OURS), a_run(rotation_sent=SENT))

    assert turn.look == (AP, EU, US)


def test_a_rotation_that_does_not_show_for_15_minutes_fails_and_another_run_goes_on() -> None:
    """P6, I9: exit 3; the next run looks, and decides anew."""
    run = a_run(rotation_sent=SENT, waiting={"rotated:us-east-1:rotating": NOW - ROTATION})

    turn = deciding(a_view(a_key(BEFORE), *OURS), run)

    assert told(turn) == ["rotated: failed", "fail: rotating in us-east-1"]
    assert "15 min" in turn.blocks[0].message
    assert "run again" in turn.blocks[0].way_out


def test_one_region_that_shows_the_new_current_ends_the_rotating() -> None:
    """P4, I4: KMS never goes back, so nothing is sent any more, whatever the other Regions still show."""
    view = a_view(a_key(BEFORE, ap=AFTER), *OURS)

    assert told(judged_by(rotated, view)) == ["done: finished"]
    assert deciding(view).stage == "settled"


def test_the_primary_must_be_seen_to_be_rotated() -> None:
    """I4: a Region that cannot be looked at is not acted upon."""
    view = a_view(a_key(BEFORE, us=None), *OURS, failures=[cannot_see(US)])

    assert told(judged_by(rotated, view)) == ["rotated: going", "wait: cannot-look in us-east-1"]


# ---- I8, P8: seen, several times, everywhere --------------------------------------------------------------------


@dataclass(frozen=True)
class Settling:
    """What one Region shows after the rotation, or how often it confirmed."""

    claim: str
    says: Sequence[str]
    eu: Mapping[str, Any] = field(default_factory=dict)
    looks: Mapping[Region, Streak] = field(default_factory=settled_everywhere)
    waiting: Mapping[str, Any] = field(default_factory=dict)


def without(region: Region) -> dict[Region, Streak]:
    """The other Regions have confirmed three times."""
    return {other: streak for other, streak in settled_everywhere().items() if other != region}


def a_lag_ago(region: Region) -> dict[str, Any]:
    """So long was waited for this Region that lag explains nothing any more."""
    return {f"settled:{region}:inconsistent": NOW - LAG}


SETTLING = [
    Settling("every Region confirmed three times", []),
    Settling(
        "one Region confirmed twice: once more",
        ["wait: settling in eu-west-1"],
        looks=without(EU) | {EU: Streak(2, NOW)},
    ),
    Settling("one Region has not confirmed at all", ["wait: inconsistent in eu-west-1"], looks=without(EU)),
    Settling(
        "one Region still shows the old CURRENT",
        ["wait: inconsistent in eu-west-1"],
        {"rows": BEFORE},
        without(EU),
    ),
    Settling(
        "one Region still shows the old CURRENT after the lag: another run goes on",
        ["fail: inconsistent in eu-west-1"],
        {"rows": BEFORE},
        without(EU),
        a_lag_ago(EU),
    ),
    Settling(
        "one Region lacks old material: wait, it may be a stale look",
        ["wait: inconsistent in eu-west-1"],
        {"rows": [past("a", imported=False), current("b")], "key_state": KeyState.PENDING_IMPORT},
        without(EU),
    ),
    Settling(
        "one Region lacks old material after the lag: a person must repair it",
        ["block: material-missing in eu-west-1"],
        {"rows": [past("a", imported=False), current("b")]},
        without(EU),
        a_lag_ago(EU),
    ),
    Settling(
        "one Region lacks the new material after the lag, and is PendingImport",
        ["block: material-missing in eu-west-1"],
        {"rows": [past("a"), current("b", imported=False)], "key_state": KeyState.PENDING_IMPORT},
        without(EU),
        a_lag_ago(EU),
    ),
    Settling(
        "one Region holds the new material past its ValidTo",
        ["block: material-missing in eu-west-1"],
        {"rows": [past("a"), current("b", valid_to=days(-1))]},
        without(EU),
        a_lag_ago(EU),
    ),
    Settling(
        "one Region was disabled meanwhile: only its owner may enable it",
        ["block: disabled in eu-west-1"],
        {"key_state": KeyState.DISABLED},
        without(EU),
        a_lag_ago(EU),
    ),
    Settling(
        "one Region is Updating for too long: another run goes on",
        ["fail: inconsistent in eu-west-1"],
        {"key_state": KeyState.UPDATING},
        without(EU),
        a_lag_ago(EU),
    ),
]


@pytest.mark.parametrize("case", SETTLING, ids=lambda case: case.claim)
def test_a_region_is_settled_when_it_was_seen_so_often_enough(case: Settling) -> None:
    """I8, P8, I9, I10: what is late is waited for; what needs a person says so, with a way out that fits."""
    view = a_view(a_key(AFTER, eu=dict(case.eu)), *OURS)
    turn = judged_by(settled, view, a_run(settled=case.looks, waiting=case.waiting))

    assert told(turn)[1:] == list(case.says)
    for block in turn.blocks:
        assert "eu-west-1" in block.message
        assert ("mrk repair" in block.way_out) == (block.reason == "material-missing")


def test_as_many_looks_as_the_owner_wants() -> None:
    """P8: K is the owner's."""
    run = a_run(a_goal(policy=Policy(looks=5)), settled=settled_everywhere(4))

    assert told(judged_by(settled, a_view(a_key(AFTER), *OURS), run)) == [
        "settled: going",
        "wait: settling in ap-southeast-2",
        "wait: settling in eu-west-1",
        "wait: settling in us-east-1",
    ]


def test_regions_settle_independently_of_a_bad_one() -> None:
    """I10: two Regions are done; the third is told."""
    view = a_view(a_key(AFTER, eu=None), *OURS, failures=[cannot_see(EU, transient=False)])

    turn = judged_by(settled, view, a_run(settled=without(EU)))

    assert told(turn) == ["settled: failed", "fail: cannot-look in eu-west-1"]


def test_the_store_must_be_seen_to_settle() -> None:
    """P5: whose CURRENT is, the store tells."""
    view = a_view(a_key(AFTER), failures=[cannot_see(STORE)])

    assert told(judged_by(settled, view)) == ["settled: going", "wait: cannot-look"]


# ---- P14: proven ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proving:
    """How far the proof is."""

    claim: str
    says: Sequence[str]
    proof: Proof = Proof.FULL
    stored: Sequence[Entry] = (first(probe=True), entry("a", "b", probe=True))
    proofs: Mapping[Region, Any] = field(default_factory=dict)


EVERY_REGION = [f"prove b in {region}" for region in sorted(REGIONS)]

PROVING = [
    Proving("no Region proved it yet: all do, at once", EVERY_REGION),
    Proving("two Regions proved it: the third does", ["prove b in eu-west-1"], proofs={US: B, AP: B}),
    Proving("they proved the material before: they do so again", EVERY_REGION, proofs=dict.fromkeys(REGIONS, A)),
    Proving("every Region proved it: mark it", ["mark b proven"], proofs=dict.fromkeys(REGIONS, B)),
    Proving("it is marked: done", [], stored=[first(), entry("a", "b", **marked())]),
    Proving(
        "it is marked, in two Regions: the one that came later proves it",
        ["prove b in ap-southeast-2"],
        stored=[first(probe=True), entry("a", "b", probe=True, **marked(US, EU))],
    ),
    Proving(
        "that one proved it, too: mark it again",
        ["mark b proven"],
        stored=[first(probe=True), entry("a", "b", probe=True, **marked(US, EU))],
        proofs={AP: B},
    ),
    Proving(
        "it is marked in every Region, and in one that is no member any more: done",
        [],
        stored=[first(), entry("a", "b", **marked(*REGIONS, Region("sa-east-1")))],
    ),
    Proving("the new material has no probe yet: keep one first", ["keep probe of b"], stored=OURS),
    Proving("ids only: no probe is wanted", EVERY_REGION, Proof.IDS_ONLY, OURS),
    Proving("ids only, proved everywhere: mark it", ["mark b proven"], Proof.IDS_ONLY, OURS, dict.fromkeys(REGIONS, B)),
    Proving("no proof is wanted: mark it", ["mark b proven"], Proof.OFF, OURS),
]


@pytest.mark.parametrize("case", PROVING, ids=lambda case: case.claim)
def test_every_region_proves_the_new_material_then_it_is_marked(case: Proving) -> None:
    """P14, I8, I6: the mark is what makes a rotation finished."""
    goal = a_goal(policy=Policy(proof=case.proof))
    turn = judged_by(proven, a_view(a_key(AFTER), *case.stored), a_run(goal, proofs=case.proofs))

    assert told(turn)[1:] == list(case.says)


def opening(turn_of: Proof, *stored: Entry, rows: Sequence[MaterialRow] = AFTER) -> ProveRegion:
    """What one Region is asked to prove."""
    goal = a_goal(policy=Policy(proof=turn_of))
    [action, *_] = judged_by(proven, a_view(a_key(list(rows)), *stored), a_run(goal)).act
    assert isinstance(action, ProveRegion)
    return action


def test_full_proof_opens_a_probe_of_every_generation() -> None:
    """P14: also of those from long before."""
    old, new = first(probe=True), entry("a", "b", probe=True)

    action = opening(Proof.FULL, old, new)

    assert action.probes == (old.name, new.name)
    assert action.generations == (A, B), "each probe by the material that its entry is linked to"
    assert action.untried == ()


@pytest.mark.parametrize(
    "stored",
    [(first(), entry("a", "b", probe=True)), (entry("a", "b", probe=True),)],
    ids=["no probe was kept while it was CURRENT", "the store lacks it"],
)
def test_what_cannot_be_tried_is_skipped_never_passed(stored: Sequence[Entry]) -> None:
    """P14: a generation without a probe is named as untried."""
    action = opening(Proof.FULL, *stored)

    assert action.probes == (entry("a").name,)
    assert action.generations == (B,)
    assert action.untried == (A,)


def test_ids_only_opens_nothing() -> None:
    """P14: it asks for the id alone, and needs no Decrypt."""
    action = opening(Proof.IDS_ONLY, first(probe=True), entry("a", "b", probe=True))

    assert (action.probes, action.generations, action.untried) == ((), (), ())


@pytest.mark.parametrize("missing", [US, STORE])
def test_the_primary_and_the_store_must_be_seen_to_prove(missing: str) -> None:
    """P14: what is not seen is not marked."""
    key = a_key(AFTER)
    if missing == US:
        del key[US]

    turn = judged_by(proven, a_view(key, *OURS, failures=[cannot_see(missing)]))

    assert turn.look == (missing,)
    assert not [action for action in turn.act if not isinstance(action, ProveRegion)]


def test_a_finished_rotation_has_nothing_left_to_do() -> None:
    """I6, I8: settled everywhere and marked in the store."""
    view = a_view(a_key(AFTER), first(), entry("a", "b", **marked()))

    assert told(deciding(view, a_run(settled=settled_everywhere()))) == ["done: finished"]


def test_a_rerun_settles_again_before_it_says_so() -> None:
    """I8: success is never reported from memory alone; a new run has seen nothing yet."""
    view = a_view(a_key(AFTER), first(), entry("a", "b", **marked()))

    assert deciding(view, a_run()).status == "going"


def test_the_key_in_the_tables_is_what_kms_tells() -> None:
    """KMS lists CURRENT and NON_CURRENT as permanent, one pending at the most, each found by id."""
    view = a_key([past("a"), current("b"), pending("c")])[US]

    assert [row.material_id for row in view.permanent] == [A, B]
    assert view.pending is not None
    assert view.pending.material_id[0] == "c"
    assert view.row(B) is view.current
    assert replace(view, rows=()).pending is None
