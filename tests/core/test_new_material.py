"""From the deposit to the primary's import: receipts first, whose material it is, and when NEW must not be sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
    C,
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
    past,
    pending,
    told,
)

from orchestrator.model import (
    STORE,
    Entry,
    Failed,
    Goal,
    ImportMaterial,
    ImportType,
    KeyState,
    MaterialRow,
    Memory,
    Policy,
    Proof,
    ProveRegion,
    Region,
    RegionView,
    Run,
    Streak,
    name_of,
)
from orchestrator.settling import proven
from orchestrator.stages import LAG, ROTATION, deposited, primary_imported, rotated

ACCEPTED = NOW - timedelta(seconds=30)
REFUSED = Failed(1, "the bytes are others", "", NOW, final=True, refusals=2)
REFUSED_ONCE = Failed(1, "the bytes are others", "", NOW, final=False, refusals=1)


@dataclass(frozen=True)
class Case:
    """What a Region and the store show, and what `decide` says of it."""

    claim: str
    says: Sequence[str]
    rows: Sequence[MaterialRow] = (current("a"),)
    stored: Sequence[Entry] = (first(), entry("a"))
    region: Mapping[str, Any] = field(default_factory=dict)
    """How the primary differs."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    goal: Goal = field(default_factory=a_goal)
    withdrawn_at: datetime | None = None
    withdrawn_problem: str = ""


def decided(case: Case) -> list[str]:
    """What the whole workflow says."""
    key = a_key(list(case.rows))
    key[US] = replace(key[US], **case.region)
    store = replace(a_store(*case.stored), withdrawn_at=case.withdrawn_at, withdrawn_problem=case.withdrawn_problem)
    return told(deciding(a_view(key, store=store), Run(case.goal, Memory(**case.memory))))


# ---- I1: the receipt first --------------------------------------------------------------------------------------

RECEIPT_FIRST = [
    Case(
        "nothing is in the store, and the proof is untried: try it, and make nothing",
        ["deposited: going", *(f"prove a in {region}" for region in sorted(REGIONS))],
        stored=[first()],
    ),
    Case(
        "nothing is in the store, and every Region proved CURRENT: deposit, and nothing else",
        ["deposited: going", "deposit a.1"],
        stored=[first()],
        memory={"proofs": dict.fromkeys(REGIONS, A)},
    ),
    Case(
        "the entry is there and read back: now KMS may see it",
        ["primary_imported: going", "import NEW - into us-east-1"],
    ),
    Case(
        "the entry is there but cannot be read back: KMS never sees it",
        ["deposited: blocked", "block: store-unreadable"],
        stored=[first(), entry("a", receipt=None, problem="torn")],
    ),
    Case(
        "the attempt was discarded in the meantime: stop",
        ["deposited: blocked", "block: attempt-discarded"],
        stored=[first(), entry("a", discarded_at=NOW)],
    ),
    Case(
        "the attempt was discarded after the import: stop",
        ["deposited: blocked", "block: attempt-discarded"],
        rows=[current("a"), pending("b")],
        stored=[first(), entry("a", "b", discarded_at=NOW)],
    ),
]


@pytest.mark.parametrize("case", RECEIPT_FIRST, ids=lambda case: case.claim)
def test_kms_sees_new_material_only_after_the_store_has_read_it_back(case: Case) -> None:
    """I1, P9: no receipt, no NEW; a discarded attempt stops the run."""
    assert decided(case) == list(case.says)


def test_the_deposit_waits_for_a_look_at_the_store() -> None:
    """I1: what the store holds is looked at, not supposed."""
    view = a_view(failures=[cannot_see(STORE)])

    assert told(judged_by(deposited, view)) == ["deposited: going", "wait: cannot-look"]


def test_nothing_is_deposited_once_current_has_moved_on() -> None:
    """P4: the rotation that this run is for has happened, with or without it."""
    view = a_view(a_key([current("a")], eu=[current("b")]))

    assert told(judged_by(deposited, view)) == ["done: finished"]


# ---- P2: whose is it? -------------------------------------------------------------------------------------------

OWNERSHIP = [
    Case(
        "pending, and our entry is linked to it: ours",
        ["rotated: going", "rotate b in us-east-1"],
        rows=[current("a"), pending("b")],
        stored=[first(), entry("a", "b")],
    ),
    Case(
        "pending, and our entry has no link (a crash, a lost reply): ask KMS with that id",
        ["primary_imported: going", "import EXISTING b into us-east-1"],
        rows=[current("a"), pending("b")],
    ),
    Case(
        "pending, our entry has no link, and KMS said that the bytes are others: foreign",
        ["healthy: blocked", "block: foreign-pending in us-east-1"],
        rows=[current("a"), pending("b")],
        memory={"failed": {f"import:us-east-1:EXISTING_KEY_MATERIAL:{B}.1": REFUSED}},
    ),
    Case(
        "pending, our entry has no link, and KMS refused the bytes once: it may have been gone then, so ask again",
        ["primary_imported: going", "import EXISTING b into us-east-1"],
        rows=[current("a"), pending("b")],
        memory={"failed": {f"import:us-east-1:EXISTING_KEY_MATERIAL:{B}.1": REFUSED_ONCE}},
    ),
    Case(
        "pending, and KMS said that the bytes are not those of pending material before: ask about this one",
        ["primary_imported: going", "import EXISTING b into us-east-1"],
        rows=[current("a"), pending("b")],
        memory={"failed": {f"import:us-east-1:EXISTING_KEY_MATERIAL:{C}.1": REFUSED}},
    ),
    Case(
        "nothing pending, and KMS said that it has the bytes already: a lost reply, which will show",
        ["primary_imported: going", "wait: slot-not-listed in us-east-1"],
        rows=[current("a")],
        memory={"failed": {"import:us-east-1:NEW_KEY_MATERIAL:new.1": REFUSED_ONCE}},
    ),
    Case(
        "nothing pending for long, and KMS said that it has the bytes already: they are no new material",
        ["primary_imported: blocked", "block: not-new in us-east-1"],
        rows=[current("a")],
        memory={
            "failed": {"import:us-east-1:NEW_KEY_MATERIAL:new.1": REFUSED_ONCE},
            "waiting": {"primary_imported:us-east-1:slot-not-listed": NOW - timedelta(minutes=3)},
        },
    ),
    Case(
        "pending, and our entry is linked to another: foreign",
        ["primary_imported: blocked", "block: foreign-pending in us-east-1"],
        rows=[current("a"), pending("c")],
        stored=[first(), entry("a", "b")],
    ),
    Case(
        "pending, and nothing of ours is there: foreign, before anything is deposited",
        ["healthy: blocked", "block: foreign-pending in us-east-1"],
        rows=[current("a"), pending("b")],
        stored=[first()],
    ),
    Case(
        "pending of a discarded attempt is not of the next one",
        ["healthy: blocked", "block: foreign-pending in us-east-1"],
        rows=[current("a"), pending("b")],
        stored=[first(), entry("a", "b", discarded_at=NOW)],
        goal=a_goal(attempt=2),
    ),
    Case(
        "CURRENT moved on and the entry has no link: ask KMS whether the bytes are CURRENT",
        ["primary_imported: going", "import EXISTING b into us-east-1"],
        rows=[replace(current("b"), valid_to=days(90))],
        stored=[first(), entry("a")],
    ),
    Case(
        "CURRENT moved on, and KMS said that the bytes are others: somebody else rotated",
        ["settled: blocked", "block: foreign-current in us-east-1"],
        rows=[current("b")],
        stored=[first(), entry("a")],
        memory={"failed": {f"import:us-east-1:EXISTING_KEY_MATERIAL:{B}.1": REFUSED}},
    ),
    Case(
        "CURRENT moved on, and nothing of ours is there: somebody else rotated",
        ["settled: blocked", "block: foreign-current in us-east-1"],
        rows=[current("b")],
        stored=[first()],
    ),
    Case(
        "CURRENT moved on, but the primary takes no import: say so",
        ["primary_imported: blocked", "block: disabled in us-east-1"],
        rows=[current("b")],
        region={"key_state": KeyState.DISABLED},
    ),
]


@pytest.mark.parametrize("case", OWNERSHIP, ids=lambda case: case.claim)
def test_material_is_ours_only_by_the_word_of_kms(case: Case) -> None:
    """P2: a link, or EXISTING with that id accepted on the primary; everything else is foreign."""
    assert decided(case) == list(case.says)


def test_the_question_whose_bytes_are_pending_changes_no_expiry() -> None:
    """P2: EXISTING replaces the expiry, so the proof carries the row's own."""
    rows = [current("a"), pending("b", valid_to=days(90))]
    turn = deciding(a_view(a_key(rows), first(), entry("a")), a_run(a_goal(valid_to=days(200))))

    [proof] = turn.act
    assert isinstance(proof, ImportMaterial)
    assert (proof.import_type, proof.material_id, proof.valid_to) == (ImportType.EXISTING, B, days(90))


QUESTIONS: list[tuple[str, MaterialRow, datetime | None]] = [
    ("it stands: the row's own", pending("b", valid_to=days(90)), days(90)),
    ("it never expires: neither does the question", pending("b"), None),
    (
        "its ValidTo has passed: the goal's, for KMS refuses one that is past",
        pending("b", valid_to=days(-1)),
        days(200),
    ),
    ("it has lost its bytes: the goal's", pending("b", imported=False), days(200)),
    ("CURRENT stands: the row's own", current("b", valid_to=days(90)), days(90)),
    ("CURRENT has expired: the goal's", current("b", valid_to=days(-1)), days(200)),
]


@pytest.mark.parametrize(("claim", "row", "valid_to"), QUESTIONS, ids=[row[0] for row in QUESTIONS])
def test_the_goals_expiry_stands_in_only_where_the_rows_own_would_be_refused(
    claim: str, row: MaterialRow, valid_to: datetime | None
) -> None:
    """P2: the proof is an import, which must be one that KMS accepts of the right bytes."""
    rows = [row] if row.permanent else [current("a"), row]
    turn = judged_by(primary_imported, a_view(a_key(rows), first(), entry("a")), a_run(a_goal(valid_to=days(200))))

    [proof] = turn.act
    assert isinstance(proof, ImportMaterial)
    assert (proof.material_id, proof.valid_to) == (B, valid_to), claim


def test_the_question_is_asked_about_what_the_primary_shows_not_about_the_replaced_material() -> None:
    """P2: while the primary's look is stale, CURRENT there is still the old material: these bytes are not its."""
    key = a_key([current("b")], us=[current("a"), pending("b")])

    assert told(deciding(a_view(key, first(), entry("a")))) == [
        "settled: going",
        "wait: inconsistent in ap-southeast-2",
        "wait: inconsistent in eu-west-1",
        "wait: inconsistent in us-east-1",
    ]


def test_foreign_pending_material_is_named_with_both_ways_out() -> None:
    """P2, I9: adopt it, or withdraw it by its id; the command is whole."""
    [block] = deciding(a_view(a_key([current("a"), pending("b")]))).blocks

    assert "us-east-1" in block.message
    assert "bbbbbbbb" in block.message
    assert "mrk adopt NAME FILE" in block.way_out
    assert f"mrk abort NAME --material-id {B}" in block.way_out


def test_nobody_is_told_to_delete_pending_material_while_a_rotation_runs() -> None:
    """I3, P6: KMS would rotate in whatever stands there then."""
    key = a_key([current("a"), pending("b")])
    key[US] = replace(key[US], rotation_started_at=ACCEPTED)

    [block] = deciding(a_view(key)).blocks

    assert block.reason == "foreign-pending"
    assert "aws kms" not in block.way_out
    assert "mrk adopt NAME FILE" in block.way_out


def test_pending_material_of_a_discarded_attempt_is_called_so() -> None:
    """I9, P9: the store does hold it; to say that it does not would mislead."""
    view = a_view(a_key([current("a"), pending("b")]), first(), entry("a", "b", discarded_at=NOW))

    [block] = deciding(view, a_run(a_goal(attempt=2))).blocks

    assert "of an attempt that was given up" in block.message


FOREIGN = [
    ("pending", [current("a"), pending("b")], "healthy"),
    ("CURRENT", [current("b")], "settled"),
]


@pytest.mark.parametrize(("what", "rows", "stage"), FOREIGN, ids=[what for what, _, _ in FOREIGN])
def test_a_look_at_the_store_older_than_the_regions_calls_nothing_foreign(
    what: str, rows: list[MaterialRow], stage: str
) -> None:
    """I7: another run may have deposited, imported and even rotated since; the store is looked at again first."""
    stale = a_store(first(), seen_at=NOW - timedelta(seconds=1))
    turn = deciding(a_view(a_key(rows), store=stale))

    assert told(turn) == [f"{stage}: going", "wait: looking"], what
    assert turn.look == (STORE,)


def test_current_that_turns_foreign_after_everything_settled_is_not_proven() -> None:
    """P2, P14: `proven`, too, asks the store for CURRENT's own entry."""
    assert told(judged_by(proven, a_view(a_key([current("b")])))) == [
        "proven: blocked",
        "block: foreign-current in us-east-1",
    ]


# ---- P6, I4: never NEW where a rotation may be under way --------------------------------------------------------

DISCARDED = entry("a", "b", discarded_at=NOW - timedelta(minutes=20))
SECOND = entry("a", attempt=2)


def streak(count: int) -> Streak:
    return Streak(count, NOW)


NEVER_NEW = [
    Case(
        "an earlier rotation shows its start date: it would rotate in whatever is imported now",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        region={"rotation_started_at": ACCEPTED},
    ),
    Case(
        "the material was pending before and is not listed: wait, look at the primary and the store",
        ["primary_imported: going", "wait: slot-not-listed in us-east-1"],
        stored=[first(), entry("a", "b")],
    ),
    Case(
        "it is not listed although a rotation was sent: wait",
        ["primary_imported: going", "wait: slot-not-listed in us-east-1"],
        stored=[first(), entry("a", "b")],
        memory={"rotation_sent": ACCEPTED},
    ),
    Case(
        "an attempt was discarded, and the start date's absence was not seen yet",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[first(), DISCARDED, SECOND],
        goal=a_goal(attempt=2),
    ),
    Case(
        "an attempt was discarded, and two of three looks were quiet",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[first(), DISCARDED, SECOND],
        goal=a_goal(attempt=2),
        memory={"quiet": streak(2)},
    ),
    Case(
        "an attempt was discarded a minute ago, however quiet it looks",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[first(), replace(DISCARDED, discarded_at=NOW - timedelta(minutes=1)), SECOND],
        goal=a_goal(attempt=2),
        memory={"quiet": streak(9)},
    ),
    Case(
        "the youngest of several discarded attempts counts",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[
            first(),
            DISCARDED,
            entry("a", "c", attempt=2, discarded_at=NOW - timedelta(minutes=14)),
            entry("a", attempt=3),
        ],
        goal=a_goal(attempt=3),
        memory={"quiet": streak(3)},
    ),
    Case(
        "an attempt was discarded 15 min ago, and three looks were quiet: the next one goes on",
        ["primary_imported: going", "import NEW - into us-east-1"],
        stored=[first(), replace(DISCARDED, discarded_at=NOW - ROTATION), SECOND],
        goal=a_goal(attempt=2, pinned_at=NOW - ROTATION),
        memory={"quiet": streak(3)},
    ),
    Case(
        "the same, but this run has watched for a minute less: the clock that wrote the mark may be wrong",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[first(), replace(DISCARDED, discarded_at=NOW - ROTATION), SECOND],
        goal=a_goal(attempt=2, pinned_at=NOW - timedelta(minutes=14)),
        memory={"quiet": streak(3)},
    ),
    Case(
        "an attempt was discarded so long ago that no clock can be that wrong",
        ["primary_imported: going", "import NEW - into us-east-1"],
        stored=[first(), replace(DISCARDED, discarded_at=NOW - ROTATION - timedelta(hours=1)), SECOND],
        goal=a_goal(attempt=2),
        memory={"quiet": streak(3)},
    ),
    Case(
        "pending material was deleted a minute ago, whoever's it was: an old request would rotate in what comes now",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[first(), entry("a")],
        withdrawn_at=NOW - timedelta(minutes=1),
        memory={"quiet": streak(9)},
    ),
    Case(
        "a note from half an hour to come: the clock that wrote it was ahead",
        ["primary_imported: going", "wait: rotating in us-east-1"],
        stored=[first(), entry("a")],
        withdrawn_at=NOW + timedelta(minutes=30),
        goal=a_goal(pinned_at=NOW - ROTATION),
        memory={"quiet": streak(9)},
    ),
    Case(
        "a note from a time that no clock can have been ahead by tells nothing: the run has watched for 15 min",
        ["primary_imported: going", "import NEW - into us-east-1"],
        stored=[first(), entry("a")],
        withdrawn_at=NOW + timedelta(days=2000),
        goal=a_goal(pinned_at=NOW - ROTATION),
        memory={"quiet": streak(9)},
    ),
    Case(
        "a note that cannot be read",
        ["primary_imported: blocked", "block: store-unreadable"],
        stored=[first(), entry("a")],
        withdrawn_problem="it is not a mark",
        memory={"quiet": streak(9)},
    ),
    Case(
        "a discarded attempt of an earlier rotation holds nothing up",
        ["primary_imported: going", "import NEW - into us-east-1"],
        stored=[first(), entry(None, attempt=2, discarded_at=NOW), entry("a")],
    ),
]


@pytest.mark.parametrize("case", NEVER_NEW, ids=lambda case: case.claim)
def test_new_is_sent_only_where_no_rotation_can_be_under_way(case: Case) -> None:
    """P6, P8, I4: after a rotation that was sent, may have been sent, or was discarded."""
    assert decided(case) == list(case.says)


def test_pending_material_that_somebody_deleted_blocks_after_the_lag() -> None:
    """P6, I9: three minutes for a look that lags; then a person must find out, and nothing is imported."""
    view = a_view(a_key(), first(), entry("a", "b"))
    run = a_run(a_goal(), waiting={"primary_imported:us-east-1:slot-not-listed": NOW - LAG})

    turn = deciding(view, run)

    assert told(turn) == ["primary_imported: blocked", "block: pending-vanished in us-east-1"]
    assert "bbbbbbbb" in turn.blocks[0].message


def test_imports_rest_while_a_rotation_may_be_under_way() -> None:
    """I3, P6: even pending material that expires soon is not touched then."""
    key = a_key([current("a"), pending("b", valid_to=days(1))], eu=[current("a"), pending("b", imported=False)])
    view = a_view(key, first(), entry("a", "b"))
    run = a_run(a_goal(valid_to=days(90)), rotation_sent=ACCEPTED)

    assert told(deciding(view, run)) == ["rotated: going", "wait: rotating in us-east-1"]


# ---- the primary's own import -----------------------------------------------------------------------------------


def test_new_carries_the_goals_expiry_and_no_id() -> None:
    """P4: NEW knows no id; the expiry was pinned with the goal."""
    turn = deciding(a_view(a_key(), first(), entry("a")), a_run(a_goal(valid_to=days(90))))

    [new] = turn.act
    assert isinstance(new, ImportMaterial)
    assert (new.import_type, new.material_id, new.valid_to) == (ImportType.NEW, None, days(90))
    assert new.arn.region == US


EXPIRIES: list[tuple[str, datetime | None, datetime | None, bool]] = [
    ("it has expired, and the new one never does", days(-1), None, True),
    ("it expires soon, and the new one later", days(3), days(90), True),
    ("it expires soon, and the new one sooner", days(3), days(2), False),
    ("it expires late enough", days(30), days(90), False),
    ("it never expires", None, days(90), False),
]


@pytest.mark.parametrize(("claim", "valid_to", "wanted", "again"), EXPIRIES, ids=[row[0] for row in EXPIRIES])
def test_pending_material_that_expires_too_soon_is_imported_again(
    claim: str, valid_to: datetime | None, wanted: datetime | None, *, again: bool
) -> None:
    """I3: KMS would rotate onto expired material; a longer life is given by the same bytes under the same id."""
    key = a_key([current("a"), pending("b", valid_to=valid_to)])
    turn = judged_by(primary_imported, a_view(key, first(), entry("a", "b")), a_run(a_goal(valid_to=wanted)))

    said = ["primary_imported: going", "import EXISTING b into us-east-1"] if again else ["done: finished"]
    assert told(turn) == said, claim


def test_the_primary_takes_no_import_while_it_is_disabled() -> None:
    """I3: an import would silently enable it."""
    key = a_key([current("a"), pending("b", valid_to=days(1))], us={"key_state": KeyState.DISABLED})
    turn = deciding(a_view(key, first(), entry("a", "b")), a_run(a_goal(valid_to=days(90))))

    assert told(turn) == ["primary_imported: blocked", "block: disabled in us-east-1"]


@pytest.mark.parametrize("missing", [US, STORE])
def test_the_primary_and_the_store_must_be_seen_for_it(missing: str) -> None:
    """I4: first look, then decide."""
    key: dict[Region, RegionView] = a_key()
    if missing == US:
        del key[US]
    view = a_view(key, first(), entry("a"), failures=[cannot_see(missing)])

    turn = judged_by(primary_imported, view)

    assert turn.status == "going"
    assert turn.look == (missing,)
    assert turn.waits[0].region == (US if missing == US else None)


def test_nothing_is_imported_while_no_entry_is_there() -> None:
    """I1: the stage before deposits it; this one never runs ahead."""
    assert told(judged_by(primary_imported, a_view())) == ["done: finished"]


def test_a_rotation_is_never_sent_without_pending_material() -> None:
    """I4: there is nothing to rotate to."""
    assert told(judged_by(rotated, a_view())) == ["rotated: going", "wait: slot-not-listed in us-east-1"]


# ---- P7: the proof is tried before anything is made ---------------------------------------------------------------

TRY = [f"prove a in {region}" for region in sorted(REGIONS)]
KEPT = {"probe": True}
TRIED: list[tuple[str, Proof, dict[str, Any], dict[Region, Any], list[str]]] = [
    ("no proof is wanted: nothing is tried", Proof.OFF, {}, {}, ["deposit a.1"]),
    ("ids only: every Region tries it, at once", Proof.IDS_ONLY, {}, {}, TRY),
    ("full proof, no probe kept: Encrypt is tried first", Proof.FULL, {}, {}, ["keep probe of a"]),
    ("full proof, a probe kept: every Region opens it", Proof.FULL, KEPT, {}, TRY),
    ("two Regions did: the third", Proof.FULL, KEPT, {US: A, AP: A}, ["prove a in eu-west-1"]),
    ("every Region did: deposit", Proof.FULL, KEPT, dict.fromkeys(REGIONS, A), ["deposit a.1"]),
    ("ids only, every Region did: deposit", Proof.IDS_ONLY, {}, dict.fromkeys(REGIONS, A), ["deposit a.1"]),
    ("they proved older material: they try CURRENT", Proof.IDS_ONLY, {}, dict.fromkeys(REGIONS, B), TRY),
]


@pytest.mark.parametrize(("claim", "proof", "kept", "proofs", "says"), TRIED, ids=[row[0] for row in TRIED])
def test_the_proof_is_tried_on_current_material_before_anything_is_deposited(
    claim: str, proof: Proof, kept: dict[str, Any], proofs: dict[Region, Any], says: list[str]
) -> None:
    """P7, P14: what the proof may not do shows while nothing has been made."""
    run = a_run(a_goal(policy=Policy(proof=proof)), proofs=proofs)

    assert told(deciding(a_view(a_key(), first(**kept)), run)) == ["deposited: going", *says], claim


@pytest.mark.parametrize("proof", [Proof.IDS_ONLY, Proof.FULL])
def test_what_is_tried_first_is_what_will_be_proven_afterwards(proof: Proof) -> None:
    """P7, P14: the same calls under the same context: every Region, and with full proof every generation."""
    stored = (first(probe=True), entry("a", "b", probe=True, **marked()))
    goal = a_goal("b", policy=Policy(proof=proof))
    turn = judged_by(deposited, a_view(a_key([past("a"), current("b")]), *stored), a_run(goal))

    opened = ((first().name, entry("a").name), (A, B)) if proof is Proof.FULL else ((), ())
    assert turn.act == tuple(ProveRegion(KEY.within(region), B, *opened) for region in sorted(REGIONS))


def test_the_proof_is_not_tried_again_once_the_entry_is_there() -> None:
    """P7: before anything is made, not after; a rerun goes straight on."""
    for proof in Proof:
        run = a_run(a_goal(policy=Policy(proof=proof)))
        assert told(deciding(a_view(a_key(), first(probe=True), entry("a")), run)) == [
            "primary_imported: going",
            "import NEW - into us-east-1",
        ]


def test_a_key_without_material_has_nothing_to_try_the_proof_on() -> None:
    """P7: its first material is deposited as it is."""
    view = a_view(a_key([]), store=a_store())
    run = a_run(a_goal(None, policy=Policy(proof=Proof.FULL)))

    assert told(judged_by(deposited, view, run)) == ["deposited: going", "deposit -.1"]


def test_a_proof_that_may_not_be_made_ends_the_run_with_nothing_made() -> None:
    """P7, I10: the other Regions try theirs all the same; then the run tells, and deposits nothing."""
    denied = Failed(1, "AccessDenied", "grant kms:Decrypt", NOW, final=True)
    action = ProveRegion(KEY.within(EU), A, ())
    one = a_run(failed={name_of(action): denied})
    rest = a_run(failed={name_of(action): denied}, proofs={US: A, AP: A})

    assert told(deciding(a_view(), one)) == ["deposited: going", TRY[0], TRY[2], "fail: call-failed in eu-west-1"]
    assert told(deciding(a_view(), rest)) == ["deposited: failed", "fail: call-failed in eu-west-1"]


# ---- P14: the probe of the old material -------------------------------------------------------------------------

PROBES = [
    ("full proof, no probe kept: keep one while the material is CURRENT", Proof.FULL, {}, ["keep probe of a"]),
    ("full proof, a probe kept: go on", Proof.FULL, {"probe": True}, []),
    ("ids only: no probe is wanted", Proof.IDS_ONLY, {}, []),
    ("no proof: no probe is wanted", Proof.OFF, {}, []),
]


@pytest.mark.parametrize(("claim", "proof", "kept", "says"), PROBES, ids=[row[0] for row in PROBES])
def test_a_probe_of_the_old_material_is_kept_before_the_rotation(
    claim: str, proof: Proof, kept: dict[str, Any], says: list[str]
) -> None:
    """P14: afterwards nothing can be encrypted under it any more."""
    view = a_view(a_key(), first(**kept), entry("a"))
    turn = judged_by(deposited, view, a_run(a_goal(policy=Policy(proof=proof))))

    assert told(turn)[1:] == says, claim


def test_material_that_the_store_lacks_has_no_place_for_a_probe() -> None:
    """P14: with `missing_old: allow` there is no entry to keep it in; it is reported as untried later."""
    view = a_view(a_key(), entry("a"))

    assert told(judged_by(deposited, view, a_run(a_goal(policy=Policy(proof=Proof.FULL))))) == ["done: finished"]
