"""P11: what is replicated, and when: only where the owner says so, and where nothing stands against it."""

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

from orchestrator import memory
from orchestrator.checks import listed
from orchestrator.effects import after, outcome
from orchestrator.model import (
    Block,
    Goal,
    KeyState,
    LookFailure,
    MissingOld,
    Outcome,
    Policy,
    Region,
    RegionView,
    Repair,
    Replicate,
    ReplicateKey,
    Result,
    View,
    touched,
)
from orchestrator.stages import LAG, healthy
from workflows.repair import REPAIR, whatever_is_broken
from workflows.replicate import foreseen, replicated
from workflows.run import RUN, kept_alive, whatever_is_wanted

SA, CA = Region("sa-east-1"), Region("ca-central-1")
AUTO = Policy(regions=frozenset({*REGIONS, SA}), replicate=Replicate.AUTO)
ASK = replace(AUTO, replicate=Replicate.ASK)
GOAL = a_goal(None, policy=AUTO, members=AUTO.regions)
DUE = a_goal("a", policy=AUTO, members=AUTO.regions)
NOWHERE = cannot_see(SA, transient=False, not_found=True)
BOTH = [past("a"), current("b")]


def a_replica(**differing: Any) -> dict[Region, RegionView]:
    """The key with a fourth member, in sa-east-1, that has no key material."""
    key = a_key(regions=(*REGIONS, SA))
    new = replace(key[SA], key_state=KeyState.PENDING_IMPORT, rows=(current("a", imported=False),))
    return {**key, SA: replace(new, **differing)}


@dataclass(frozen=True)
class Case:
    """What the stage says of a key with three members where the config lists four."""

    claim: str
    says: list[str]
    key: dict[str, Any] = field(default_factory=dict)
    stored: tuple[Any, ...] = (first(),)
    failures: tuple[LookFailure, ...] = (NOWHERE,)
    policy: Policy = AUTO
    run: dict[str, Any] = field(default_factory=dict)
    rows: Any = None


DISABLED = {"key_state": KeyState.DISABLED}
REPLICATE = ["replicate to sa-east-1"]
CASES = [
    Case("KMS has no key there: make it", REPLICATE),
    Case("the owner is to be asked: the checks that follow tell", [], policy=ASK),
    Case("another replica is not seen: that does not hold this one up (I10)", REPLICATE, {"ap": None}),
    Case("another replica is Disabled: neither does that", REPLICATE, {"ap": DISABLED}),
    Case("that Region was not looked at yet", ["wait: looking in sa-east-1"], failures=()),
    Case("it does not answer", ["wait: cannot-look in sa-east-1"], failures=(cannot_see(SA),)),
    Case("it may not be asked", ["fail: cannot-look in sa-east-1"], failures=(cannot_see(SA, transient=False),)),
    Case("the primary is Disabled", ["block: disabled in us-east-1"], {"us": DISABLED}),
    Case(
        "the primary lacks material",
        ["block: material-missing in us-east-1"],
        {"us": {"key_state": KeyState.PENDING_IMPORT}},
    ),
    Case("the primary is being promoted", ["wait: key-state in us-east-1"], {"us": {"key_state": KeyState.UPDATING}}),
    Case(
        "the primary is to be deleted",
        ["block: key-state in us-east-1"],
        {"us": {"key_state": KeyState.PENDING_REPLICA_DELETION}},
    ),
    Case(
        "the primary moved during the run", ["fail: topology-changed"], {"us": {"primary": EU}, "eu": {"primary": EU}}
    ),
    Case("material is pending", ["block: region-lacking in us-east-1"], rows=[current("a"), pending("b")]),
    Case(
        "it is pending in a replica's view alone",
        ["block: region-lacking in us-east-1"],
        {"eu": [current("a"), pending("b")]},
    ),
    Case("a rotation is under way", ["wait: rotating in us-east-1"], {"us": {"rotation_started_at": NOW}}),
    Case("the store holds nothing", ["block: store-lacks in us-east-1"], stored=(entry("x"),)),
    Case(
        "nor does that suffice where rotating would: a replica needs all of it",
        ["block: store-lacks in us-east-1"],
        stored=(entry("x"),),
        policy=replace(AUTO, missing_old=MissingOld.ALLOW),
    ),
    Case(
        "the store cannot read it back",
        ["block: store-unreadable in us-east-1"],
        stored=(first(receipt=None, problem="?"),),
    ),
    Case(
        "it holds one of two generations",
        ["block: store-lacks in us-east-1"],
        stored=(entry("a", "b"),),
        rows=BOTH,
    ),
    Case("the primary was seen long ago", ["wait: looking in sa-east-1"], {"us": {"seen_at": days(-1)}}),
    Case(
        "it was made by this run, and does not show",
        ["wait: inconsistent in sa-east-1"],
        run={"replicated": frozenset({SA})},
    ),
    Case(
        "a member that the config lacks: nothing is widened",
        ["block: region-unlisted in ap-southeast-2"],
        policy=replace(AUTO, regions=frozenset({US, EU, SA})),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
def test_a_replica_is_made_where_nothing_stands_against_it(case: Case) -> None:
    """P11, I9: and each thing that does is said."""
    view = a_view(a_key(case.rows, **case.key), *case.stored, failures=case.failures)
    members = frozenset({*REGIONS, SA})
    run = a_run(a_goal(None, policy=case.policy, members=members), **case.run)

    assert told(judged_by(replicated, view, run))[1:] == case.says


def test_every_missing_region_is_replicated_at_once_and_each_is_judged_by_itself() -> None:
    """I10: one that was made waits, one that may not be asked fails, the third is made."""
    policy = replace(AUTO, regions=AUTO.regions | {CA, Region("eu-west-3")})
    view = a_view(failures=[NOWHERE, cannot_see(CA, transient=False), replace(NOWHERE, target="eu-west-3")])
    run = a_run(a_goal(None, policy=policy, members=policy.regions), replicated=frozenset({SA}))

    assert told(judged_by(replicated, view, run))[1:] == [
        "replicate to eu-west-3",
        "wait: inconsistent in sa-east-1",
        "fail: cannot-look in ca-central-1",
    ]


def test_a_new_member_that_its_own_region_does_not_know_yet_is_waited_for_and_no_verdict() -> None:
    """The primary names it; reads lag. Bounded: then another run goes on."""
    key = {region: replace(seen, members=AUTO.regions) for region, seen in a_key().items()}
    view = a_view(key, failures=[NOWHERE])
    turns = [
        judged_by(replicated, view, a_run(GOAL, waiting={"replicated:sa-east-1:inconsistent": since}))
        for since in (NOW, NOW - LAG)
    ]

    assert [turn.status for turn in turns] == ["going", "failed"]
    assert turns[0].look == (SA, US)


def test_the_order_of_work() -> None:
    """What exists is restored first, as KMS replicates no broken primary; then replicas; then their material."""
    lost = {"rows": [current("a", imported=False)], "key_state": KeyState.PENDING_IMPORT}
    broken = a_view(a_key(us=lost), failures=[NOWHERE])
    whole = a_view(failures=[NOWHERE])

    assert told(deciding(broken, a_run(GOAL), REPAIR))[:2] == ["restored: going", "import EXISTING a into us-east-1"]
    assert told(deciding(whole, a_run(GOAL), REPAIR)) == ["replicated: going", "replicate to sa-east-1"]
    assert told(deciding(whole, a_run(GOAL), RUN)) == ["replicated: going", "replicate to sa-east-1"]
    made = after(whole, ReplicateKey(whole.primary.arn, SA))  # type: ignore[union-attr]
    assert told(deciding(made, a_run(GOAL), REPAIR)) == ["restored: going", "import EXISTING a into sa-east-1"]


MARKED = first(**marked())
NEW: list[tuple[str, tuple[Any, ...], dict[str, Any], bool]] = [
    ("made by this run", (first(),), {"replicated": frozenset({SA})}, True),
    ("CURRENT was proven before it was a member", (MARKED,), {}, True),
    ("CURRENT was proven there: it lost what it had", (first(**marked(*AUTO.regions)),), {}, False),
    ("CURRENT is not proven anywhere", (first(proofs={}),), {}, False),
]


@pytest.mark.parametrize(("claim", "stored", "remembered", "new"), NEW, ids=[row[0] for row in NEW])
def test_a_new_replica_is_filled_and_what_an_old_one_lost_is_not(
    claim: str, stored: tuple[Any, ...], remembered: dict[str, Any], *, new: bool
) -> None:
    """P10: whatever `repair` says, which is about what was lost."""
    view = a_view(a_replica(), *stored)

    says = told(judged_by(kept_alive, view, a_run(GOAL, **remembered)))[1:]

    assert says == (["import EXISTING a into sa-east-1"] if new else []), claim


def test_a_new_replica_that_has_everything_may_say_for_a_while_that_it_has_not() -> None:
    view = a_view(a_replica(rows=(current("a"),)), MARKED)

    assert told(judged_by(healthy, view, a_run(DUE, restored=frozenset({SA}))))[1:] == ["wait: key-state in sa-east-1"]
    assert told(judged_by(healthy, view, a_run(DUE)))[1:] == ["block: material-missing in sa-east-1"]


def pinned(view: View, policy: Policy = AUTO) -> Any:
    return whatever_is_wanted(view, replace(policy, repair=Repair.ASK))


def test_the_goal_has_kmss_members_and_the_configs_regions() -> None:
    """P13: seen at the start; a member that is neither stops the run."""
    view = a_view(failures=[NOWHERE])

    for goal in (
        pinned(view),
        whatever_is_broken(view, AUTO),
        pinned(view, replace(AUTO, rotate_every=timedelta(days=1))),
    ):
        assert isinstance(goal, Goal)
        assert goal.members == AUTO.regions
    [block] = pinned(view, ASK)
    assert (block.reason, block.region) == ("region-lacking", SA)


def test_nothing_is_foreseen_where_nothing_is_to_be_made() -> None:
    single = a_key(regions=(US,))

    for view, policy in [
        (a_view(failures=[NOWHERE]), ASK),
        (a_view(single, failures=[NOWHERE]), AUTO),
        (a_view({}, failures=[NOWHERE]), AUTO),
        (a_view(a_replica()), AUTO),
    ]:
        assert foreseen(view, policy) == view


WAYS: list[tuple[str, dict[Region, RegionView], Policy, str]] = [
    (
        "ask",
        a_key(),
        ASK,
        "set `replicate: auto` and run mrk repair NAME; or replicate it yourself (aws kms replicate-key",
    ),
    ("auto", a_key(), AUTO, "replicate the key there: mrk repair NAME"),
    ("a single-Region key", a_key(regions=(US,)), AUTO, "make a multi-Region key and move its users"),
]


@pytest.mark.parametrize(("claim", "key", "policy", "said"), WAYS, ids=[row[0] for row in WAYS])
def test_the_block_names_the_way_out(claim: str, key: dict[Region, RegionView], policy: Policy, said: str) -> None:
    """I9."""
    blocks = [step for step in listed(a_view(key), policy) if isinstance(step, Block) and step.region == SA]

    assert [block.way_out.startswith(f"take {SA} out of `regions`; or {said}") for block in blocks] == [True], claim


@pytest.mark.parametrize("result", Result)
def test_a_run_remembers_what_it_made_so_that_it_does_not_ask_twice(result: Result) -> None:
    """A reply that says "already there" is as good; a failure is not."""
    action = ReplicateKey(a_key()[US].arn, SA)

    run = memory.learned(a_run(GOAL), action, Outcome(result), NOW)

    assert run.memory.replicated == (frozenset() if result is Result.FAILED else {SA})
    assert outcome(action) == Outcome(Result.DONE)
    assert touched(action) == {SA, US}


def test_a_repaired_key_with_a_new_member_is_proven_in_that_member_alone() -> None:
    """P14."""
    key = a_replica(rows=(current("a"),), key_state=KeyState.ENABLED)
    run = a_run(GOAL, settled=settled_everywhere(regions=AUTO.regions))

    assert told(deciding(a_view(key, MARKED), run, REPAIR)) == ["proven: going", "prove a in sa-east-1"]
    assert AP in MARKED.proofs
