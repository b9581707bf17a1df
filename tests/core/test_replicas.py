"""The same bytes into every replica: each as soon as it lists them, none held up by another."""

from dataclasses import replace

import pytest
from core_building import (
    AP,
    EU,
    NOW,
    US,
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
    pending,
    told,
)

from orchestrator.model import Failed, ImportMaterial, ImportType, KeyState, MaterialRow, RegionView
from orchestrator.stages import replicas_imported

OURS = (first(), entry("a", "b"))
HELD = [current("a"), pending("b", ready=False)]
LACKING = [current("a"), pending("b", imported=False, ready=False)]
UNLISTED = [current("a")]

REPLICAS: list[tuple[str, list[MaterialRow], list[MaterialRow], list[str]]] = [
    (
        "both list it and lack it: both import at once",
        LACKING,
        LACKING,
        ["import EXISTING b into ap-southeast-2", "import EXISTING b into eu-west-1"],
    ),
    ("one has it: the other imports", HELD, LACKING, ["import EXISTING b into ap-southeast-2"]),
    (
        "one does not list it yet: wait for that one, import into the other",
        UNLISTED,
        LACKING,
        ["import EXISTING b into ap-southeast-2", "wait: slot-not-listed in eu-west-1"],
    ),
    (
        "neither lists it yet: wait for both",
        UNLISTED,
        UNLISTED,
        ["wait: slot-not-listed in ap-southeast-2", "wait: slot-not-listed in eu-west-1"],
    ),
    (
        "one holds it past its ValidTo: that is missing",
        [current("a"), pending("b", valid_to=days(-1))],
        HELD,
        ["import EXISTING b into eu-west-1"],
    ),
    (
        "one holds it for too short a time: import it again",
        [current("a"), pending("b", valid_to=days(3))],
        HELD,
        ["import EXISTING b into eu-west-1"],
    ),
]


@pytest.mark.parametrize(("claim", "eu", "ap", "says"), REPLICAS, ids=[row[0] for row in REPLICAS])
def test_a_replica_imports_as_soon_as_it_lists_the_material(
    claim: str, eu: list[MaterialRow], ap: list[MaterialRow], says: list[str]
) -> None:
    """I10: Regions are independent of each other."""
    turn = deciding(a_view(a_key(HELD, eu=eu, ap=ap), *OURS))

    assert told(turn) == ["replicas_imported: going", *says], claim


def test_a_replica_is_always_told_which_material_it_gets() -> None:
    """P2: with the id, KMS checks the bytes; NEW is for the primary alone."""
    turn = deciding(a_view(a_key(HELD, eu=LACKING), *OURS), a_run(a_goal(valid_to=days(90))))

    [action] = turn.act
    assert isinstance(action, ImportMaterial)
    assert (action.import_type, action.material_id, action.valid_to) == (ImportType.EXISTING, B, days(90))
    assert action.entry == entry("a").name


BAD: list[tuple[str, dict[str, RegionView | object], str]] = [
    ("is Disabled", {"key_state": KeyState.DISABLED, "rows": LACKING}, "block: disabled in eu-west-1"),
    (
        "lacks material",
        {"key_state": KeyState.PENDING_IMPORT, "rows": LACKING},
        "block: material-missing in eu-west-1",
    ),
    ("is PendingDeletion", {"key_state": KeyState.PENDING_DELETION, "rows": LACKING}, "block: key-state in eu-west-1"),
    ("is Updating", {"key_state": KeyState.UPDATING, "rows": LACKING}, "wait: key-state in eu-west-1"),
]


@pytest.mark.parametrize(("state", "how", "says"), BAD, ids=[row[0] for row in BAD])
def test_one_bad_region_never_stops_the_others(state: str, how: dict[str, object], says: str) -> None:
    """I10: the good Region imports; the bad one is told, in the same turn."""
    turn = deciding(a_view(a_key(LACKING, us=HELD, eu=how), *OURS))

    assert told(turn) == ["replicas_imported: going", "import EXISTING b into ap-southeast-2", says], state


def test_one_region_that_cannot_be_looked_at_never_stops_the_others() -> None:
    """I10: likewise where there is nothing to see."""
    key = a_key(LACKING, us=HELD, eu=None)
    for failure, says in (
        (cannot_see(EU), "wait: cannot-look in eu-west-1"),
        (cannot_see(EU, transient=False), "fail: cannot-look in eu-west-1"),
    ):
        turn = deciding(a_view(key, *OURS, failures=[failure]))
        assert told(turn) == ["replicas_imported: going", "import EXISTING b into ap-southeast-2", says]


def test_one_region_that_refuses_for_good_never_stops_the_others_and_is_not_hidden() -> None:
    """I10: the run goes on until only the bad Region is left, then it fails and names it."""
    refused = Failed(1, "AccessDeniedException in eu-west-1", "grant kms:ImportKeyMaterial", NOW, final=True)
    run = a_run(failed={f"import:eu-west-1:EXISTING_KEY_MATERIAL:{B}.1": refused})

    going = deciding(a_view(a_key(LACKING, us=HELD), *OURS), run)
    assert told(going) == [
        "replicas_imported: going",
        "import EXISTING b into ap-southeast-2",
        "fail: call-failed in eu-west-1",
    ]

    ended = deciding(a_view(a_key(HELD, eu=LACKING), *OURS), run)
    assert told(ended) == ["replicas_imported: failed", "fail: call-failed in eu-west-1"]
    assert ended.blocks[0].way_out == "grant kms:ImportKeyMaterial"


def test_a_disabled_replica_that_has_the_material_already_is_left_alone_here() -> None:
    """I3: nothing is imported into it; `ready` refuses the rotation."""
    turn = deciding(a_view(a_key(HELD, eu={"key_state": KeyState.DISABLED}), *OURS))

    assert told(turn) == ["ready: blocked", "block: disabled in eu-west-1"]


def test_nothing_is_imported_into_replicas_without_pending_material_or_after_the_rotation() -> None:
    """P4, P6: not before there is any, not while a rotation may be under way, not once CURRENT has moved."""
    rotating = a_key(LACKING, us=HELD)
    rotating[US] = replace(rotating[US], rotation_started_at=NOW)
    for claim, view in (
        ("nothing is pending", a_view(a_key(), *OURS)),
        ("a rotation is under way", a_view(rotating, *OURS)),
        ("CURRENT moved on in one Region", a_view(a_key(LACKING, ap=[current("b")]), *OURS)),
    ):
        assert told(judged_by(replicas_imported, view)) == ["done: finished"], claim


def test_a_single_region_key_has_no_replicas() -> None:
    """The same stages rotate a key without relatives."""
    key = a_key([current("a"), pending("b")], regions=[US])
    goal = a_goal(members=frozenset({US}))

    assert told(deciding(a_view(key, *OURS), a_run(goal))) == ["rotated: going", "rotate b in us-east-1"]


def test_replicas_are_named_in_the_order_of_their_regions() -> None:
    """Views, plans and reports name them alike."""
    assert [seen.region for seen in a_view().replicas] == [AP, EU]
