"""Pinning: from a first look to the goal of one run. Unfinished work first; "nothing is due" needs a clean view."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from core_building import (
    EU,
    NOW,
    REGIONS,
    US,
    A,
    B,
    C,
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
    marked,
    material,
    name,
    past,
    pending,
    told,
)

from orchestrator.goals import (
    Pinned,
    as_it_stands,
    due_at,
    due_sentence,
    full_id,
    last_rotation,
    predecessor,
    rotate_now,
    verified,
    whatever_is_due,
)
from orchestrator.model import (
    ADOPTED,
    STORE,
    Block,
    Entry,
    EntryName,
    Goal,
    Idle,
    KeyState,
    LookFailure,
    MaterialId,
    MaterialRow,
    MissingOld,
    Policy,
    Region,
    RegionView,
    Wait,
)

YEARLY = Policy(rotate_every=timedelta(days=365))
NOT_DUE = Policy(rotate_every=timedelta(days=500))
ROTATED = [past("a"), current("b", rotated_at=days(-100), on_demand=True)]
FINISHED = (first(), entry("a", "b", **marked()))


def said(pinned: Pinned) -> list[str]:
    """What was pinned, as sentences."""
    match pinned:
        case Goal():
            return [f"replace {_letter(pinned.replaces)}, attempt {pinned.entry.attempt}"]
        case Idle():
            return ["idle"]
    return [_sentence(step) for step in pinned]


def _sentence(step: Any) -> str:
    assert isinstance(step, Wait | Block)
    verb = "wait" if isinstance(step, Wait) else "block" if step.person else "fail"
    return f"{verb}: {step.reason}" + (f" in {step.region}" if step.region else "")


def _letter(found: str | None) -> str:
    return found[0] if found else "-"


# ---- P3: the entry's name ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """What the store holds, and which attempt comes next."""

    claim: str
    stored: tuple[Entry, ...]
    attempt: int


GONE: dict[str, Any] = {"discarded_at": NOW}
ATTEMPTS = [
    Attempt("nothing is there: the first", (), 1),
    Attempt("the first is there and stands: the first", (entry("a"),), 1),
    Attempt("the first was discarded: the second", (entry("a", **GONE),), 2),
    Attempt("two were discarded: the third", (entry("a", **GONE), entry("a", attempt=2, **GONE)), 3),
    Attempt("the first was discarded, the second stands", (entry("a", **GONE), entry("a", attempt=2)), 2),
    Attempt("attempts to replace other material do not count", (entry("b", **GONE), entry(None, **GONE)), 1),
]


@pytest.mark.parametrize("case", ATTEMPTS, ids=lambda case: case.claim)
def test_the_attempt_is_the_first_one_not_discarded(case: Attempt) -> None:
    """P3: probed by exact name."""
    assert a_store(*case.stored).first_attempt(name("a")) == name("a", case.attempt)


def test_the_entrys_name_does_not_change_with_the_primary() -> None:
    """P3: partition, account, key id, replaced material, attempt; no Region."""
    moved = {region: replace(seen, primary=EU) for region, seen in a_key().items()}
    goals = [rotate_now(a_view(key), YEARLY) for key in (a_key(), moved)]

    assert all(isinstance(goal, Goal) for goal in goals)
    assert {str(goal.entry) for goal in goals if isinstance(goal, Goal)} == {
        f"aws/111122223333/mrk-1234abcd12ab34cd56ef1234567890ab/{A}.1"
    }
    assert str(EntryName(name().key, None)).endswith("/first.1")


# ---- rotate: what a person asks for -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A person says `mrk rotate`, perhaps with --replaces."""

    claim: str
    says: list[str]
    rows: list[MaterialRow] = field(default_factory=lambda: [current("a")])
    stored: tuple[Entry, ...] = (first(),)
    replaces: str | None = None
    shortened: int = 64
    policy: Policy = YEARLY
    key: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[LookFailure, ...] = ()


JUST_NOW = [past("a"), current("b", rotated_at=NOW - timedelta(hours=23), on_demand=True)]
A_DAY_AGO = [past("a"), current("b", rotated_at=NOW - timedelta(hours=24), on_demand=True)]
FOUR = [past("a"), past("b"), current("c")]
FOUR_STORED = (*FINISHED, entry("b", "c", **marked()))

ASKED = [
    Asked("a healthy key: replace CURRENT", ["replace a, attempt 1"]),
    Asked("the first attempt was discarded", ["replace a, attempt 2"], stored=(first(), entry("a", **GONE))),
    Asked("rotated 23 h ago: only with --replaces", ["block: recently-rotated"], JUST_NOW, FINISHED),
    Asked("rotated 23 h ago, with --replaces CURRENT", ["replace b, attempt 1"], JUST_NOW, FINISHED, "b"),
    Asked("rotated 24 h ago", ["replace b, attempt 1"], A_DAY_AGO, FINISHED),
    Asked(
        "rotated 23 h ago and not proven: finish that",
        ["replace a, attempt 1"],
        JUST_NOW,
        (first(), entry("a", "b")),
    ),
    Asked(
        "rotated 23 h ago, the next is deposited already: go on",
        ["replace b, attempt 1"],
        JUST_NOW,
        (*FINISHED, entry("b")),
    ),
    Asked(
        "rotated 23 h ago, the next is pending already: go on",
        ["replace b, attempt 1"],
        [*JUST_NOW, pending("c")],
        (*FINISHED, entry("b", "c")),
    ),
    Asked("--replaces what was replaced already, and finished", ["idle"], ROTATED, FINISHED, "a"),
    Asked(
        "--replaces what was replaced already, not proven: finish that",
        ["replace a, attempt 1"],
        ROTATED,
        (first(), entry("a", "b")),
        "a",
    ),
    Asked(
        "--replaces what was replaced long ago, CURRENT not proven: finish that",
        ["replace b, attempt 1"],
        FOUR,
        (*FINISHED, entry("b", "c")),
        "a",
    ),
    Asked("--replaces what was replaced long ago, and finished", ["idle"], FOUR, FOUR_STORED, "a"),
    Asked(
        "--replaces what was replaced already, by somebody else",
        ["block: foreign-current in us-east-1"],
        ROTATED,
        (first(),),
        "a",
    ),
    Asked(
        "--replaces what was replaced already, but a Region cannot be looked at",
        ["fail: cannot-look in eu-west-1"],
        ROTATED,
        FINISHED,
        "a",
        key={"eu": None},
        failures=(cannot_see(EU, transient=False),),
    ),
    Asked("--replaces what never was CURRENT", ["block: inconsistent"], replaces="f"),
    Asked("--replaces what is pending only", ["block: inconsistent"], [current("a"), pending("b")], replaces="b"),
    Asked(
        "CURRENT not proven, and the next rotation is under way: that one proves it before it goes on",
        ["replace b, attempt 1"],
        [past("a"), current("b"), pending("c")],
        (first(), entry("a", "b"), entry("b", "c")),
    ),
    Asked(
        "CURRENT not proven, and the next attempt is deposited: likewise",
        ["replace b, attempt 1"],
        [past("a"), current("b")],
        (first(), entry("a", "b"), entry("b")),
    ),
    Asked(
        "CURRENT not proven, and what is pending is somebody else's: finish CURRENT first",
        ["replace a, attempt 1"],
        [past("a"), current("b"), pending("c")],
        (first(), entry("a", "b")),
    ),
    Asked(
        "the mark that proves CURRENT cannot be read: the next rotation proves it again",
        ["replace b, attempt 1"],
        [past("a"), current("b")],
        (first(), entry("a", "b", damage={"proven": "cut short"})),
    ),
    Asked(
        "CURRENT cannot be read: what stands in the way is told by the next rotation",
        ["replace b, attempt 1"],
        [past("a"), current("b")],
        (first(), entry("a", "b", receipt=None, problem="cut short")),
    ),
    Asked(
        "CURRENT is in no linked entry, but one that was to replace its predecessor may hold it",
        ["replace a, attempt 1"],
        ROTATED,
        (first(), entry("a")),
    ),
    Asked(
        "CURRENT is in no linked entry, and something is pending: the stages tell",
        ["replace b, attempt 1"],
        [*ROTATED, pending("c")],
        (first(), entry("a")),
    ),
    Asked(
        "such an entry was given up: it may have been rotated in all the same",
        ["replace a, attempt 1"],
        ROTATED,
        (first(), entry("a", **GONE)),
    ),
    Asked(
        "such an entry was given up, and another was not: the other one",
        ["replace a, attempt 2"],
        ROTATED,
        (first(), entry("a", **GONE), entry("a", attempt=2)),
    ),
    Asked(
        "such an entry is a file that KMS refused: it holds nothing",
        ["replace b, attempt 1"],
        ROTATED,
        (first(), entry("a", attempt=ADOPTED, **GONE)),
    ),
    Asked(
        "such an entry was to replace older material: it is not CURRENT's",
        ["replace c, attempt 1"],
        FOUR,
        (first(), entry("a")),
    ),
    Asked(
        "pending, and a later attempt is linked to it while the first one stands: go on with that one",
        ["replace a, attempt 2"],
        [current("a"), pending("b")],
        (first(), entry("a"), entry("a", "b", attempt=2)),
    ),
    Asked(
        "pending, and the attempt that is linked to it was discarded: the next one, and the stages tell",
        ["replace a, attempt 2"],
        [current("a"), pending("b")],
        (first(), entry("a", "b", **GONE)),
    ),
    Asked(
        "pending again, and what is linked to it was to replace older material: not this rotation's",
        ["replace b, attempt 1"],
        [past("a"), current("b"), pending("c")],
        (*FINISHED, entry("a", "c", attempt=2)),
    ),
    Asked("--replaces, shortened to 8 digits", ["replace a, attempt 1"], replaces="a", shortened=8),
    Asked("--replaces, shortened to 7 digits: too few", ["block: inconsistent"], replaces="a", shortened=7),
    Asked("the key never had material", ["block: never-imported in us-east-1"], []),
    Asked("the key is KMS's own", ["block: not-external in us-east-1"], key={"us": {"origin": "AWS_KMS"}}),
    Asked(
        "the config lists a Region that the key lacks",
        ["block: region-lacking in sa-east-1"],
        policy=Policy(regions=frozenset({*REGIONS, Region("sa-east-1")})),
    ),
    Asked(
        "a replica cannot be looked at: the run begins, and its stages tell",
        ["replace a, attempt 1"],
        key={"eu": None},
        failures=(cannot_see(EU),),
    ),
    Asked(
        "the primary cannot be looked at",
        ["wait: cannot-look in us-east-1"],
        key={"us": None},
        failures=(cannot_see(US),),
    ),
    Asked("the store cannot be looked at", ["wait: cannot-look"], failures=(cannot_see(STORE),)),
]


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.claim)
def test_a_rotation_that_a_person_asks_for_is_pinned(case: Asked) -> None:
    """P4, I6, P2: what is unfinished is finished first; `--replaces` is compare-and-swap."""
    view = a_view(a_key(case.rows, **case.key), *case.stored, failures=case.failures)
    replaces = MaterialId(material(case.replaces)[: case.shortened]) if case.replaces else None

    assert said(rotate_now(view, case.policy, replaces)) == case.says


WRITTEN: list[tuple[str, str, str]] = [
    ("8 digits that begin one id", "a" * 8, "a" * 64),
    ("7 digits", "a" * 7, "a" * 7),
    ("8 digits that begin two ids", "c" * 8, "c" * 8),
    ("as many as tell the two apart", "c" * 32 + "d", "c" * 32 + "d" * 32),
    ("8 digits that begin no id", "e" * 8, "e" * 8),
    ("a whole id", "a" * 64, "a" * 64),
]


@pytest.mark.parametrize(("claim", "written", "meant"), WRITTEN, ids=[row[0] for row in WRITTEN])
def test_a_shortened_id_is_completed_where_it_can_mean_one_material_only(claim: str, written: str, meant: str) -> None:
    """I9: messages shorten ids, so a person may; what could mean another material is left as it was written."""
    twins = [replace(past("c"), material_id=MaterialId("c" * 32 + letter * 32)) for letter in "cd"]
    view = a_view(a_key([past("a"), *twins, current("b")]))

    assert full_id(view, MaterialId(written)) == meant, claim


def test_an_id_that_one_region_alone_lists_is_completed_too() -> None:
    """P13: the other Regions' looks may lag."""
    assert full_id(a_view(a_key(eu=[current("a"), pending("b")])), MaterialId("b" * 8)) == B


def test_nothing_of_the_key_was_seen_at_all() -> None:
    """I9: the key's own Region is named."""
    assert said(rotate_now(a_view({}), YEARLY)) == ["wait: looking in us-east-1"]


def test_two_regions_that_each_name_the_other_as_primary_are_looked_at_again() -> None:
    """P13: while the primary moves, reads disagree for a moment."""
    key = {US: replace(a_key()[US], primary=EU), EU: replace(a_key()[EU], primary=US)}

    assert said(rotate_now(a_view(key), YEARLY)) == ["wait: looking in eu-west-1"]


def test_the_goal_is_pinned_once_with_all_that_the_run_needs() -> None:
    """P13, P4: key, entry, primary, members, expiry and deadline."""
    policy = Policy(expires=timedelta(days=90), deadline=timedelta(minutes=10))
    moment = NOW + timedelta(microseconds=123456)

    goal = rotate_now(a_view(at=moment), policy)

    assert isinstance(goal, Goal)
    assert goal.replaces == A
    assert goal.primary == US
    assert goal.members == frozenset(REGIONS)
    assert goal.valid_to == days(90), "whole seconds: KMS keeps no more"
    assert goal.deadline == moment + timedelta(minutes=10)


def test_the_way_out_of_a_rotation_too_soon_is_the_whole_option() -> None:
    """P4, I9: it can be copied."""
    [block] = rotate_now(a_view(a_key(JUST_NOW), *FINISHED), YEARLY)  # type: ignore[misc, union-attr]

    assert isinstance(block, Block)
    assert f"--replaces {B}" in block.way_out
    assert "2026-03-01 09:00 UTC" in block.message


def test_any_region_may_know_of_the_newest_rotation() -> None:
    """P4: the primary's look may be stale."""
    view = a_view(a_key(ROTATED, eu=JUST_NOW), *FINISHED)

    assert last_rotation(view) == NOW - timedelta(hours=23)
    assert said(rotate_now(view, YEARLY)) == ["block: recently-rotated"]


# ---- run: what cron asks for ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cron:
    """`mrk run` on a key that is not due, except where told."""

    claim: str
    says: list[str]
    rows: list[MaterialRow] = field(default_factory=lambda: list(ROTATED))
    stored: tuple[Entry, ...] = FINISHED
    policy: Policy = YEARLY
    key: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[LookFailure, ...] = ()


SPENT = [
    past("a"),
    *(
        replace(past("a"), material_id=material(f"{i:02}"), rotated_at=days(-300 + i), on_demand=True)
        for i in range(24)
    ),
    current("b", rotated_at=days(-100), on_demand=True),
]

CRON = [
    Cron("not due, and clean", ["idle"]),
    Cron("due", ["replace b, attempt 1"], policy=Policy(rotate_every=timedelta(days=100))),
    Cron("due tomorrow", ["idle"], policy=Policy(rotate_every=timedelta(days=101))),
    Cron("CURRENT is not proven: go on with that", ["replace a, attempt 1"], stored=(first(), entry("a", "b"))),
    Cron(
        "something of ours is pending: go on with that",
        ["replace b, attempt 1"],
        [*ROTATED, pending("c")],
        (*FINISHED, entry("b", "c")),
    ),
    Cron("the next is deposited: go on with that", ["replace b, attempt 1"], stored=(*FINISHED, entry("b"))),
    Cron(
        "unfinished, and one Region cannot be looked at: the others go on",
        ["replace a, attempt 1"],
        stored=(first(), entry("a", "b")),
        key={"eu": None},
        failures=(cannot_see(EU, transient=False),),
    ),
    Cron("a Region was not looked at", ["wait: looking in eu-west-1"], key={"eu": None}),
    Cron(
        "a Region cannot be looked at for now",
        ["wait: cannot-look in eu-west-1"],
        key={"eu": None},
        failures=(cannot_see(EU),),
    ),
    Cron(
        "a Region may not be looked at",
        ["fail: cannot-look in eu-west-1"],
        key={"eu": None},
        failures=(cannot_see(EU, transient=False),),
    ),
    Cron("a Region is Disabled", ["block: disabled in eu-west-1"], key={"eu": {"key_state": KeyState.DISABLED}}),
    Cron(
        "a Region lacks old material",
        ["block: material-missing in eu-west-1"],
        key={"eu": {"rows": [past("a", imported=False), ROTATED[1]]}},
    ),
    Cron(
        "a Region's material expires within the window",
        ["block: expires-soon in eu-west-1"],
        key={"eu": {"rows": [past("a", valid_to=days(5)), ROTATED[1]]}},
    ),
    Cron(
        "a Region still names the old CURRENT",
        ["wait: inconsistent in eu-west-1", "wait: inconsistent in eu-west-1"],
        key={"eu": {"rows": [current("a")]}},
    ),
    Cron("the store lacks CURRENT", ["block: foreign-current in us-east-1"], stored=(first(),)),
    Cron("the store lacks old material", ["block: store-lacks"], stored=(entry("a", "b", **marked()),)),
    Cron(
        "the store lacks old material, and the owner allows it",
        ["idle"],
        stored=(entry("a", "b", **marked()),),
        policy=Policy(missing_old=MissingOld.ALLOW),
    ),
    Cron(
        "the store cannot read old material back",
        ["block: store-unreadable"],
        stored=(first(receipt=None, problem="torn"), FINISHED[1]),
    ),
    Cron(
        "the config lists a Region that the key lacks",
        ["block: region-lacking in sa-east-1"],
        policy=Policy(regions=frozenset({*REGIONS, Region("sa-east-1")})),
    ),
    Cron(
        "the key has a Region that the config lacks",
        ["block: region-unlisted in ap-southeast-2"],
        policy=Policy(regions=frozenset({US, EU})),
    ),
    Cron("all 25 rotations are used, and nothing is due", ["idle"], SPENT, policy=Policy(missing_old=MissingOld.ALLOW)),
    Cron("no rotation could outlive the window, and none is due", ["idle"], policy=Policy(expires=timedelta(days=1))),
]


@pytest.mark.parametrize("case", CRON, ids=lambda case: case.claim)
def test_nothing_due_is_said_only_of_a_clean_view(case: Cron) -> None:
    """P5, P10, P11, I6, I10: otherwise it is unfinished and goes on, or it is told."""
    view = a_view(a_key(case.rows, **case.key), *case.stored, failures=case.failures)

    assert said(whatever_is_due(view, case.policy)) == case.says


def test_a_key_that_is_due_with_a_spent_budget_blocks() -> None:
    """I3: then, and only then, a person must make a new key."""
    policy = Policy(rotate_every=timedelta(days=100), missing_old=MissingOld.ALLOW)
    view = a_view(a_key(SPENT), *FINISHED)
    goal = whatever_is_due(view, policy)

    assert isinstance(goal, Goal)
    assert told(deciding(view, a_run(goal))) == ["healthy: blocked", "block: budget-spent"]


VERIFIED = [
    Cron("healthy", ["idle"]),
    Cron("a Region is Disabled", ["block: disabled in eu-west-1"], key={"eu": {"key_state": KeyState.DISABLED}}),
    Cron("CURRENT is not proven", ["fail: not-proven in us-east-1"], stored=(first(), entry("a", "b"))),
    Cron(
        "something of ours is pending",
        ["fail: not-proven in us-east-1"],
        [*ROTATED, pending("c")],
        (*FINISHED, entry("b", "c")),
    ),
    Cron(
        "a later attempt of ours is pending while the first one, linked to another, stands: not foreign",
        ["fail: not-proven in us-east-1"],
        [*ROTATED, pending("d")],
        (*FINISHED, entry("b", "c"), entry("b", "d", attempt=2)),
    ),
    Cron(
        "a Region lacks CURRENT, which is not proven: both are told",
        ["block: material-missing in eu-west-1", "fail: not-proven in us-east-1"],
        [past("a"), current("b")],
        (first(), entry("a", "b")),
        key={"eu": {"rows": (past("a"), current("b", imported=False))}},
    ),
    Cron("a rotation is due: that is no illness", ["idle"], policy=Policy(rotate_every=timedelta(days=1))),
    Cron("the store cannot be looked at", ["wait: cannot-look"], failures=(cannot_see(STORE),)),
]


@pytest.mark.parametrize("case", VERIFIED, ids=lambda case: case.claim)
def test_a_key_is_judged_as_it_stands(case: Cron) -> None:
    """P5: healthy needs the same clean view as "nothing due", and nothing unfinished."""
    view = a_view(a_key(case.rows, **case.key), *case.stored, failures=case.failures)

    assert said(verified(view, case.policy)) == case.says


# ---- due --------------------------------------------------------------------------------------------------------


def test_a_key_that_was_never_rotated_counts_from_its_oldest_member() -> None:
    """It has no RotationDate; members are created at different times."""
    key = a_key(eu={"created_at": days(-700)})

    assert due_at(a_view(key), YEARLY) == days(-335)


def test_a_rotated_key_counts_from_its_newest_rotation() -> None:
    """Whenever it was created."""
    rows = [past("a"), past("b", rotated_at=days(-500)), current("c", rotated_at=days(-10))]

    assert due_at(a_view(a_key(rows)), YEARLY) == days(355)


SENTENCES: list[tuple[str, Callable[[], dict[Region, RegionView]], Policy, str]] = [
    (
        "never rotated",
        a_key,
        NOT_DUE,
        "never rotated, due 2026-06-10; 25 rotations left: until April 2059 at 500 days",
    ),
    (
        "rotated once",
        lambda: a_key(ROTATED),
        Policy(rotate_every=timedelta(days=90)),
        "rotated 2025-11-22, due since 2026-02-20; 24 rotations left: until October 2031 at 90 days",
    ),
    (
        "one left",
        lambda: a_key([*SPENT[:-2], SPENT[-1]]),
        YEARLY,
        "rotated 2025-11-22, due 2026-11-22; 1 rotation left: until November 2026 at 365 days",
    ),
    (
        "daily",
        lambda: a_key(ROTATED),
        Policy(rotate_every=timedelta(days=1)),
        "rotated 2025-11-22, due since 2025-11-23; 24 rotations left: until December 2025 at 1 day",
    ),
    ("none left", lambda: a_key(SPENT), YEARLY, "rotated 2025-11-22, due 2026-11-22; no rotations left"),
]


@pytest.mark.parametrize(("claim", "key", "policy", "sentence"), SENTENCES, ids=[row[0] for row in SENTENCES])
def test_a_person_is_told_when_the_key_is_due_and_how_long_its_rotations_last(
    claim: str, key: Callable[[], dict[Region, RegionView]], policy: Policy, sentence: str
) -> None:
    """I9: the budget is for life; it is told before it is spent."""
    assert due_sentence(a_view(key()), policy) == sentence, claim


# ---- repair: CURRENT as it stands -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What `mrk repair` pins."""

    claim: str
    says: list[str]
    rows: list[MaterialRow] = field(default_factory=lambda: list(ROTATED))
    stored: tuple[Entry, ...] = FINISHED


STANDING = [
    Standing("CURRENT's own entry", ["replace a, attempt 1"]),
    Standing(
        "CURRENT's own entry, whichever attempt it was",
        ["replace a, attempt 2"],
        stored=(first(), entry("a", "b", attempt=2)),
    ),
    Standing("the store lacks CURRENT: the entry that would hold it", ["replace a, attempt 1"], stored=(first(),)),
    Standing("CURRENT is the first material", ["replace -, attempt 1"], [current("a")], (first(),)),
    Standing(
        "CURRENT is the first one, and the store lacks it", ["replace -, attempt 1"], [current("a")], (entry("x"),)
    ),
    Standing("there is no material", ["block: never-imported in us-east-1"], []),
]


@pytest.mark.parametrize("case", STANDING, ids=lambda case: case.claim)
def test_repair_pins_no_rotation_but_current_as_it_stands(case: Standing) -> None:
    """P4, P10: it rotates nothing and deposits nothing."""
    view = a_view(a_key(case.rows), *case.stored)

    assert said(as_it_stands(view, YEARLY)) == case.says


PREDECESSORS: list[tuple[str, str, str | None]] = [
    ("a", "the first has none", None),
    ("b", "", "a"),
    ("c", "pending", "b"),
]


@pytest.mark.parametrize(("letter", "claim", "before"), PREDECESSORS)
def test_the_predecessor_is_the_row_before(letter: str, claim: str, before: str | None) -> None:
    """P3: ListKeyRotations tells the oldest first, and what is pending last."""
    view = a_view(a_key([past("a"), current("b"), pending("c")]))

    assert predecessor(view, material(letter)) == (material(before) if before else None), claim


def test_material_that_is_not_listed_has_no_predecessor() -> None:
    """Nor has any where the primary was not seen."""
    assert predecessor(a_view(), C) is None
    assert predecessor(a_view(a_key(us=None)), B) is None
