"""What KMS would accept and the user would regret: refused before anything is deposited, and again before the rotation.

The key: `a` is old material, `b` is CURRENT and to be replaced, `c` is the new one.
"""

from collections.abc import Iterable, Mapping
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
    past,
    pending,
    told,
)

from orchestrator.checks import not_seen, store_holds
from orchestrator.model import (
    STORE,
    Act,
    Block,
    Entry,
    KeyState,
    LookFailure,
    MaterialRow,
    MissingOld,
    Policy,
    Receipt,
    Region,
    RegionView,
    RotateOnDemand,
    Run,
    View,
)
from orchestrator.stages import healthy, ready

BEFORE = (past("a"), current("b"))
READY = (*BEFORE, pending("c"))
STORED = (first(), entry("a", "b", **marked()))
SHORT = {US: "us", EU: "eu", AP: "ap"}
PROVED = dict.fromkeys(REGIONS, B)


@dataclass(frozen=True)
class Refusal:
    """One thing that is wrong: what it is, what is said of it, and how the key, the store or the wish differs."""

    claim: str
    says: tuple[str, ...]
    region: Mapping[Region, Mapping[str, Any]] = field(default_factory=dict)
    rows: Mapping[Region, Mapping[str, Mapping[str, Any] | None]] = field(default_factory=dict)
    failures: tuple[LookFailure, ...] = ()
    unseen: tuple[Region, ...] = ()
    stored: tuple[Entry, ...] = STORED
    policy: Policy = field(default_factory=Policy)
    goal: Mapping[str, Any] = field(default_factory=dict)

    def view(self, rows: Iterable[MaterialRow], *more: Entry) -> View:
        """The key with these rows, except for what is wrong."""
        key = {region: self._in(region, seen) for region, seen in a_key(list(rows)).items()}
        gone = {failure.target for failure in self.failures} | set(self.unseen)
        key = {region: seen for region, seen in key.items() if region not in gone}
        store = a_store(*self.stored, *more)
        return a_view(key, store=store, failures=self.failures)

    def _in(self, region: Region, seen: RegionView) -> RegionView:
        changes = self.rows.get(region, {})
        kept = [row for row in seen.rows if changes.get(_letter(row), {}) is not None]
        changed = tuple(replace(row, **(changes.get(_letter(row)) or {})) for row in kept)
        return replace(seen, rows=changed, **self.region.get(region, {}))

    def run(self) -> Run:
        return a_run(a_goal("b", policy=self.policy, **self.goal))


def _letter(row: MaterialRow) -> str:
    return row.material_id[0]


def everywhere(**changes: Any) -> dict[Region, dict[str, Any]]:
    """The same difference in every Region."""
    return dict.fromkeys(REGIONS, changes)


REFUSALS = [
    Refusal("a Region is Disabled", ("block: disabled in eu-west-1",), {EU: {"key_state": KeyState.DISABLED}}),
    Refusal("the primary is Disabled", ("block: disabled in us-east-1",), {US: {"key_state": KeyState.DISABLED}}),
    Refusal(
        "a Region is PendingImport",
        ("block: material-missing in eu-west-1",),
        {EU: {"key_state": KeyState.PENDING_IMPORT}},
    ),
    Refusal(
        "a Region is PendingDeletion",
        ("block: key-state in eu-west-1",),
        {EU: {"key_state": KeyState.PENDING_DELETION}},
    ),
    Refusal(
        "the primary waits for the deletion of its replicas",
        ("block: key-state in us-east-1",),
        {US: {"key_state": KeyState.PENDING_REPLICA_DELETION}},
    ),
    Refusal("a replica is still Creating", ("wait: key-state in eu-west-1",), {EU: {"key_state": KeyState.CREATING}}),
    Refusal(
        "both keys are Updating",
        ("wait: key-state in eu-west-1", "wait: key-state in us-east-1"),
        {US: {"key_state": KeyState.UPDATING}, EU: {"key_state": KeyState.UPDATING}},
    ),
    Refusal(
        "two Regions are Disabled: both are named",
        ("block: disabled in ap-southeast-2", "block: disabled in eu-west-1"),
        {EU: {"key_state": KeyState.DISABLED}, AP: {"key_state": KeyState.DISABLED}},
    ),
    Refusal(
        "an old material is missing in a Region",
        ("block: material-missing in eu-west-1",),
        rows={EU: {"a": {"imported": False}}},
    ),
    Refusal(
        "CURRENT material is missing in a Region",
        ("block: material-missing in ap-southeast-2",),
        rows={AP: {"b": {"imported": False}}},
    ),
    Refusal(
        "an old material reads IMPORTED with a ValidTo in the past",
        ("block: material-missing in eu-west-1",),
        rows={EU: {"a": {"valid_to": days(-1)}}},
    ),
    Refusal(
        "an old material expires at this very moment",
        ("block: material-missing in eu-west-1",),
        rows={EU: {"a": {"valid_to": NOW}}},
    ),
    Refusal(
        "an old material expires within the safety window",
        ("block: expires-soon in eu-west-1",),
        rows={EU: {"a": {"valid_to": days(6)}}},
    ),
    Refusal(
        "CURRENT material expires within the safety window",
        ("block: expires-soon in us-east-1",),
        rows={US: {"b": {"valid_to": days(7)}}},
    ),
    Refusal(
        "a Region does not list an old material yet",
        ("wait: inconsistent in eu-west-1",),
        rows={EU: {"a": None}},
    ),
    Refusal(
        "the new material would expire within the safety window",
        ("block: expires-soon",),
        policy=Policy(expires=timedelta(days=7)),
        goal={"valid_to": days(7)},
    ),
    Refusal("the store lacks an old material", ("block: store-lacks",), stored=(entry("a", "b", **marked()),)),
    Refusal("the store lacks CURRENT material", ("block: foreign-current in us-east-1",), stored=(first(),)),
    Refusal("the store holds CURRENT but has no link", ("block: store-lacks",), stored=(first(), entry("a"))),
    Refusal(
        "the store cannot read an old material back",
        ("block: store-unreadable",),
        stored=(first(receipt=None, problem="it was sealed for another identity"), entry("a", "b", **marked())),
    ),
    Refusal(
        "the store cannot read an old material back, and may lack some",
        ("block: store-unreadable",),
        stored=(first(receipt=None, problem="torn"), entry("a", "b", **marked())),
        policy=Policy(missing_old=MissingOld.ALLOW),
    ),
    Refusal("a Region was not looked at yet", ("wait: looking in eu-west-1",), unseen=(EU,)),
    Refusal(
        "a Region cannot be looked at for now",
        ("wait: cannot-look in eu-west-1",),
        failures=(cannot_see(EU),),
    ),
    Refusal(
        "a Region may not be looked at",
        ("fail: cannot-look in eu-west-1",),
        failures=(cannot_see(EU, transient=False),),
    ),
    Refusal(
        "a Region has no such key",
        ("block: region-lacking in eu-west-1",),
        failures=(cannot_see(EU, transient=False, not_found=True, hint="check the ARN"),),
    ),
    Refusal("KMS makes the material itself", ("block: not-external in us-east-1",), everywhere(origin="AWS_KMS")),
    Refusal("the key is an RSA key", ("block: not-symmetric in us-east-1",), everywhere(key_spec="RSA_2048")),
    Refusal("the primary moved during the run", ("fail: topology-changed",), everywhere(primary=EU)),
    Refusal(
        "a Region already names another primary",
        ("fail: topology-changed",),
        {EU: {"primary": EU}},
    ),
    Refusal(
        "a member was added during the run",
        ("fail: topology-changed",),
        everywhere(members=frozenset({*REGIONS, Region("sa-east-1")})),
    ),
    Refusal("a member is gone", ("fail: topology-changed",), everywhere(members=frozenset({US, EU}))),
    Refusal(
        "the config lists a Region that the key lacks",
        ("block: region-lacking in sa-east-1",),
        policy=Policy(regions=frozenset({*REGIONS, Region("sa-east-1")})),
    ),
    Refusal(
        "the key has a Region that the config lacks",
        ("block: region-unlisted in ap-southeast-2",),
        policy=Policy(regions=frozenset({US, EU})),
    ),
]

every_refusal = pytest.mark.parametrize("wrong", REFUSALS, ids=lambda wrong: wrong.claim)


@every_refusal
def test_it_is_refused_before_anything_is_deposited(wrong: Refusal) -> None:
    """P7, I3, P10, P11, P13: nothing is deposited, imported or rotated; what is wrong is said, Region by Region."""
    turn = deciding(wrong.view(BEFORE), wrong.run())

    assert told(turn)[1:] == list(wrong.says)
    assert turn.stage == "healthy"
    assert not turn.act


@every_refusal
def test_it_is_refused_again_right_before_the_rotation(wrong: Refusal) -> None:
    """P7, I3: `ready` judges everything once more, also what changed since the new material was imported."""
    view = wrong.view(READY, entry("b", "c"))

    steps = ready(view, wrong.run())

    assert steps
    assert not [step for step in steps if isinstance(step, Act)]
    turn = deciding(view, wrong.run())
    assert not [action for action in turn.act if isinstance(action, RotateOnDemand)]
    if not view.failures and view.regions.keys() == set(REGIONS):
        assert told(judged_by(ready, view, wrong.run()))[1:] == list(wrong.says)


@pytest.mark.parametrize("rows", [BEFORE, READY], ids=["before the deposit", "before the rotation"])
def test_the_same_key_with_nothing_wrong_goes_on(rows: tuple[MaterialRow, ...]) -> None:
    """P7: the refusals above are due to what is wrong in each, and to nothing else."""
    right = Refusal("nothing is wrong", ())
    view = right.view(rows, *([] if rows is BEFORE else [entry("b", "c")]))

    assert deciding(view, right.run()).act


def test_every_refusal_tells_what_why_and_a_way_out() -> None:
    """I9: each block has a message that names its Region, and a way out that exists: no command that is yet to come."""
    blocks = [
        block
        for wrong in REFUSALS
        for step in (*healthy(wrong.view(BEFORE), wrong.run()), *ready(wrong.view(READY, entry("b", "c")), wrong.run()))
        if isinstance(block := step, Block)
    ]

    assert blocks
    for block in blocks:
        assert block.message
        assert block.way_out
        assert block.region is None or block.region in block.message
        for later in ("mrk promote", "mrk create"):
            assert later not in block.way_out


# ---- the budget -------------------------------------------------------------------------------------------------


SPENDING = [
    (22, Policy(), []),
    (23, Policy(), ["budget-reserved"]),
    (24, Policy(), ["budget-reserved"]),
    (25, Policy(), ["budget-spent"]),
    (23, Policy(attended=True), []),
    (24, Policy(attended=True), []),
    (25, Policy(attended=True), ["budget-spent"]),
    (26, Policy(attended=True), ["budget-spent"]),
    (24, Policy(reserve=0), []),
    (25, Policy(reserve=0), ["budget-spent"]),
    (19, Policy(reserve=5), []),
    (20, Policy(reserve=5), ["budget-reserved"]),
    (1, Policy(reserve=25), ["budget-reserved"]),
    (1, Policy(reserve=25, attended=True), []),
]


@pytest.mark.parametrize(("used", "policy", "reasons"), SPENDING)
def test_the_25th_rotation_of_a_key_is_its_last_and_a_person_spends_the_reserve(
    used: int, policy: Policy, reasons: list[str]
) -> None:
    """I3: the lifetime budget is counted from what KMS lists, in whichever Region lists most."""
    rotated = [replace(past("a"), material_id=material(f"{i:02}"), on_demand=True, rotated_at=NOW) for i in range(used)]
    rows = [past("a"), *rotated, current("b")]
    stored = [entry("x", attempt=i + 1, linked=f"{i:02}") for i in range(used)]
    view = a_view(a_key(rows, eu=rows[:1] + rows[2:]), *STORED, *stored)

    steps = [step for step in healthy(view, a_run(a_goal("b", policy=policy))) if isinstance(step, Block)]

    assert [step.reason for step in steps] == reasons


def test_rotations_that_kms_made_by_itself_do_not_count() -> None:
    """I3: only on-demand rotations are limited to 25."""
    rows = [replace(past("a"), material_id=material(f"{i:02}"), rotated_at=NOW) for i in range(30)]
    policy = Policy(missing_old=MissingOld.ALLOW)
    view = a_view(a_key([*rows, current("b")]), *STORED)

    assert told(deciding(view, a_run(a_goal("b", policy=policy), proofs=PROVED))) == [
        "deposited: going",
        "deposit b.1",
    ]


# ---- the owner's switches ---------------------------------------------------------------------------------------


def test_a_store_that_lacks_old_material_is_accepted_if_the_owner_says_so() -> None:
    """P7: `missing_old: allow`."""
    view = a_view(a_key(list(BEFORE)), entry("a", "b", **marked()))
    policy = Policy(missing_old=MissingOld.ALLOW)

    assert told(deciding(view, a_run(a_goal("b", policy=policy), proofs=PROVED))) == [
        "deposited: going",
        "deposit b.1",
    ]


def test_the_safety_window_is_the_owners() -> None:
    """I3: with a window of one day, six days are enough."""
    rows = [past("a", valid_to=days(6)), current("b")]
    policy = Policy(safety_window=timedelta(days=1))

    assert deciding(a_view(a_key(rows), *STORED), a_run(a_goal("b", policy=policy))).stage == "deposited"


# ---- fresh looks ------------------------------------------------------------------------------------------------


def _seen_seconds_ago(seconds: Mapping[Region, float], store: float = 0) -> View:
    key = a_key(list(READY))
    aged = {
        region: replace(seen, seen_at=NOW - timedelta(seconds=seconds.get(region, 0))) for region, seen in key.items()
    }
    kept = a_store(*STORED, entry("b", "c"), seen_at=NOW - timedelta(seconds=store))
    return a_view(aged, store=kept)


@pytest.mark.parametrize(
    ("ages", "store", "again"),
    [
        ({}, 0, ()),
        ({EU: 10}, 10, ()),
        ({EU: 10.1}, 0, (EU,)),
        ({US: 60}, 0, (US,)),
        ({}, 11, (STORE,)),
        ({US: 11, EU: 11, AP: 11}, 11, (AP, EU, US, STORE)),
    ],
    ids=[
        "all seen just now",
        "all seen within 10 s",
        "a replica seen longer ago",
        "the primary seen longer ago",
        "the store read back longer ago",
        "everything seen longer ago",
    ],
)
def test_a_rotation_needs_a_look_within_10_seconds_everywhere(
    ages: Mapping[Region, float], store: float, again: tuple[str, ...]
) -> None:
    """I3, P7: what was seen longer ago is looked at again, and only that; then everything is judged on it."""
    turn = deciding(_seen_seconds_ago(ages, store), a_run(a_goal("b")))

    assert set(turn.look) == set(again)
    assert told(turn) == (["ready: going", "wait: looking"] if again else ["rotated: going", "rotate c in us-east-1"])
    assert all(target in turn.waits[0].message for target in again)


# ---- the pending material, right before the rotation --------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({EU: pending("c", imported=False)}, "wait: slot-not-listed in eu-west-1"),
        ({EU: None}, "wait: slot-not-listed in eu-west-1"),
        ({EU: pending("c", valid_to=days(-1))}, "wait: slot-not-listed in eu-west-1"),
        ({US: pending("c", valid_to=days(-1))}, "wait: slot-not-listed in us-east-1"),
        ({EU: pending("c", valid_to=days(7))}, "block: expires-soon in eu-west-1"),
        ({US: pending("c", valid_to=days(3))}, "block: expires-soon in us-east-1"),
        ({US: None}, "wait: slot-not-listed in us-east-1"),
        ({US: pending("c", ready=False)}, "wait: slot-not-listed in us-east-1"),
    ],
    ids=[
        "a replica lacks its bytes",
        "a replica does not list it",
        "it has expired in a replica: KMS would rotate onto it",
        "it has expired in the primary",
        "it expires soon in a replica",
        "it expires soon in the primary",
        "the primary does not list it",
        "KMS does not know yet that every replica has it",
    ],
)
def test_no_rotation_unless_the_pending_material_is_usable_in_every_region(
    rows: Mapping[Region, MaterialRow | None], says: str
) -> None:
    """I3: `ready` alone judges so, whatever the stages before it have seen."""
    key = {
        region: replace(seen, rows=(*BEFORE, row) if row else BEFORE)
        for region, seen in a_key(list(BEFORE)).items()
        for row in [rows.get(region, pending("c"))]
    }

    turn = judged_by(ready, a_view(key, *STORED, entry("b", "c")), a_run(a_goal("b")))

    assert told(turn)[1:] == [says]


def test_no_rotation_while_the_store_cannot_read_the_pending_material_back() -> None:
    """I1, P7: the store must prove again, right before the rotation, that it holds what is to become CURRENT."""
    torn = entry("b", "c", receipt=None, problem="the file is torn")
    turn = judged_by(ready, a_view(a_key(list(READY)), *STORED, torn), a_run(a_goal("b")))

    assert told(turn)[1:] == ["block: store-unreadable"]
    assert "the file is torn" in turn.blocks[0].message


def test_nothing_is_rotated_away_from_what_was_not_proven() -> None:
    """P14: the marks of an earlier rotation may be lost; its material is proven before it becomes an old one."""
    stored = (first(probe=True), entry("a", "b", probe=True), entry("b", "c"))

    turn = judged_by(ready, a_view(a_key(list(READY)), *stored), a_run(a_goal("b")))

    assert {(action.kind, action.target) for action in turn.act} == {("prove", region) for region in REGIONS}


def test_no_rotation_onto_pending_material_that_the_entry_is_not_linked_to() -> None:
    """P2, I3: bytes that the store holds unproven are not what KMS holds, as far as anybody knows."""
    turn = judged_by(ready, a_view(a_key(list(READY)), *STORED, entry("b")), a_run(a_goal("b")))

    assert told(turn)[1:] == ["wait: slot-not-listed in us-east-1"]


# ---- nothing seen at all ----------------------------------------------------------------------------------------


def test_a_network_that_fails_everywhere_is_waited_for_not_taken_for_a_change_of_members() -> None:
    """I9, P13: the reason is that nothing can be looked at; no member was lost."""
    view = a_view({}, failures=[cannot_see(region) for region in REGIONS])

    assert told(deciding(view)) == [
        "healthy: going",
        "wait: cannot-look in ap-southeast-2",
        "wait: cannot-look in eu-west-1",
        "wait: cannot-look in us-east-1",
    ]


def test_a_store_that_cannot_be_looked_at_fails_the_run_with_its_own_hint() -> None:
    """I9: the store's hint is the way out."""
    view = a_view(failures=[cannot_see(STORE, transient=False, hint="mount the volume")])

    turn = deciding(view)

    assert told(turn) == ["healthy: failed", "fail: cannot-look"]
    assert turn.blocks[0].way_out == "mount the volume"


def test_the_last_look_before_a_rotation_includes_a_store_that_cannot_be_looked_at() -> None:
    """I3, P7: neither the freshness nor the contents of what was not seen are supposed."""
    view = a_view(a_key(list(READY)), failures=[cannot_see(STORE)])

    turn = judged_by(ready, view, a_run(a_goal("b")))

    assert told(turn) == ["ready: going", "wait: looking"]
    assert turn.look == (STORE,)
    assert store_holds(view, Policy()) == [not_seen(view, STORE)]


def test_a_key_that_was_never_imported_into_is_told_so() -> None:
    """I9: there is no CURRENT material to replace."""
    turn = deciding(a_view(a_key([], eu=[current("a")])), a_run(a_goal(None)))
    assert turn.blocks == ()  # one Region lists CURRENT material already: it has moved on from none

    turn = deciding(a_view(a_key([])), a_run(a_goal(None)))
    assert told(turn)[:2] == ["healthy: blocked", "block: never-imported in ap-southeast-2"]


def test_receipts_are_judged_by_presence_never_by_age() -> None:
    """I1: freshness is the look's; the receipt only says that the bytes were read back in that look."""
    old = first(receipt=Receipt(first().name, days(-300)))

    assert deciding(a_view(a_key(), old)).stage == "deposited"
