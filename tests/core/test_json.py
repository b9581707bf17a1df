"""Goal, Memory, Run and Turn travel as small JSON between two turns: ids, Regions and times only."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from string import ascii_lowercase
from typing import Any

import pytest
from core_building import (
    KEY,
    NOW,
    REGIONS,
    B,
    a_goal,
    a_key,
    a_run,
    a_view,
    current,
    deciding,
    entry,
    first,
    material,
    name,
    past,
    pending,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.model import (
    AdoptMaterial,
    Block,
    DepositMaterial,
    DiscardMaterial,
    EntryName,
    Failed,
    Goal,
    ImportMaterial,
    ImportType,
    KeepProbe,
    KeyArn,
    KeyIdentity,
    MarkProven,
    MaterialId,
    Memory,
    MissingOld,
    Policy,
    Proof,
    ProveRegion,
    Reason,
    Region,
    Replicate,
    ReplicateKey,
    RotateOnDemand,
    Run,
    Streak,
    Turn,
    Wait,
    from_json,
    to_json,
)

regions = st.sampled_from([*REGIONS, Region("sa-east-1"), Region("us-gov-west-1")])
texts = st.text(max_size=20)
times = st.datetimes(timezones=st.just(UTC))
durations = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
materials = st.text("0123456789abcdef", min_size=64, max_size=64).map(MaterialId)
identities = st.builds(KeyIdentity, st.sampled_from(["aws", "aws-cn"]), st.just("111122223333"), texts)
arns = st.builds(KeyArn, st.sampled_from(["aws", "aws-cn"]), regions, st.just("111122223333"), texts)
names = st.builds(EntryName, identities, st.none() | materials, st.integers(1, 99))
policies = st.builds(
    Policy,
    regions=st.frozensets(regions),
    rotate_every=durations,
    expires=st.none() | durations,
    safety_window=durations,
    proof=st.sampled_from(Proof),
    missing_old=st.sampled_from(MissingOld),
    replicate=st.sampled_from(Replicate),
    looks=st.integers(1, 20),
    poll=durations,
    deadline=durations,
)
goals = st.builds(
    Goal,
    key=arns,
    entry=names,
    primary=regions,
    members=st.frozensets(regions),
    valid_to=st.none() | times,
    deadline=times,
    policy=policies,
)
streaks = st.builds(Streak, count=st.integers(1, 20), last=times)
failures = st.builds(
    Failed,
    count=st.integers(1, 1000),
    message=texts,
    hint=texts,
    not_before=times,
    final=st.booleans(),
    refusals=st.integers(0, 3),
)
memories = st.builds(
    Memory,
    settled=st.dictionaries(regions, streaks, max_size=4),
    quiet=st.none() | streaks,
    waiting=st.dictionaries(texts, times, max_size=4),
    failed=st.dictionaries(texts, failures, max_size=4),
    proofs=st.dictionaries(regions, materials, max_size=4),
    unopened=st.tuples() | st.tuples(materials),
    rotation_sent=st.none() | times,
    replicated=st.frozensets(regions),
)
runs = st.builds(Run, goals, memories)
actions = st.one_of(
    st.builds(DepositMaterial, names),
    st.builds(AdoptMaterial, names, texts),
    st.builds(DiscardMaterial, names, times),
    st.builds(ImportMaterial, arns, names, st.sampled_from(ImportType), st.none() | materials, st.none() | times),
    st.builds(RotateOnDemand, arns, materials),
    st.builds(ReplicateKey, arns, regions),
    st.builds(KeepProbe, arns, names, materials),
    st.builds(ProveRegion, arns, materials, st.tuples(names), st.tuples(materials), st.tuples(materials)),
    st.builds(MarkProven, names, materials, st.tuples(regions)),
)
blocks = st.builds(
    Block,
    reason=st.sampled_from(Reason),
    message=texts,
    way_out=texts,
    region=st.none() | regions,
    person=st.booleans(),
)
waits = st.builds(
    Wait,
    reason=st.sampled_from(Reason),
    message=texts,
    region=st.none() | regions,
    at_most=durations,
    look=st.tuples(texts),
    over=st.none() | blocks,
)
turns = st.builds(
    Turn,
    stage=texts,
    status=st.sampled_from(["going", "finished", "blocked", "failed"]),
    act=st.lists(actions, max_size=3).map(tuple),
    look=st.lists(texts, max_size=3).map(tuple),
    wake=st.none() | times,
    waits=st.lists(waits, max_size=3).map(tuple),
    blocks=st.lists(blocks, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(goal=goals)
def test_a_goal_survives_json(goal: Goal) -> None:
    """One idea: what was pinned stays pinned, whoever takes the next turn."""
    assert from_json(Goal, to_json(goal)) == goal


@settings(deadline=None)
@given(memory=memories)
def test_a_memory_survives_json(memory: Memory) -> None:
    """One idea: patience is carried on."""
    assert from_json(Memory, to_json(memory)) == memory


@settings(deadline=None)
@given(run=runs)
def test_a_run_survives_json(run: Run) -> None:
    """One idea: the run is its goal and its memory, and nothing else."""
    assert from_json(Run, to_json(run)) == run


@settings(deadline=None)
@given(turn=turns)
def test_a_turn_survives_json(turn: Turn) -> None:
    """One idea: an action decided here may be carried out elsewhere; each keeps its own kind."""
    again = from_json(Turn, to_json(turn))

    assert again == turn
    assert [type(action) for action in again.act] == [type(action) for action in turn.act]


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Goal, "{}"), (Memory, "[]"), (Run, '{"goal": {}}'), (Turn, '{"stage": "x", "status": "asleep"}')],
    ids=["a goal without a key", "a list", "a goal that is none", "a status that there is not"],
)
def test_what_is_no_value_of_ours_is_refused(kind: Any, text: str) -> None:
    """What enters is parsed once, at the edge."""
    with pytest.raises(ValidationError):
        from_json(kind, text)


# ---- small ------------------------------------------------------------------------------------------------------

EVERYWHERE = tuple(Region(f"xx-somewhere-{number}") for number in range(1, 35))
SMALL = 8 * 1024


def widest_goal() -> Goal:
    """The goal for a key in 34 Regions, each listed in the config."""
    policy = Policy(regions=frozenset(EVERYWHERE), proof=Proof.FULL)
    return a_goal(primary=EVERYWHERE[0], members=frozenset(EVERYWHERE), policy=policy)


MOMENTS: list[tuple[str, Memory]] = [
    ("waiting for every slot", Memory(waiting={f"replicas_imported:{r}:slot-not-listed": NOW for r in EVERYWHERE})),
    ("settling", Memory({r: Streak(2, NOW) for r in EVERYWHERE}, Streak(9, NOW), rotation_sent=NOW)),
    ("proving", Memory({r: Streak(3, NOW) for r in EVERYWHERE}, proofs=dict.fromkeys(EVERYWHERE, B))),
]


@pytest.mark.parametrize(("moment", "memory"), MOMENTS, ids=[row[0] for row in MOMENTS])
def test_a_run_over_34_regions_is_small(moment: str, memory: Memory) -> None:
    """One idea: views do not travel; goal and memory together stay under 8 kB."""
    assert len(to_json(Run(widest_goal(), memory))) < SMALL, moment


def test_a_memory_of_failures_everywhere_is_bounded() -> None:
    """However often each fails, only the last failure of each action is kept."""
    failed = {
        f"import:{region}:EXISTING_KEY_MATERIAL:{B}": Failed(9, "m" * 200, "h" * 100, NOW, final=False)
        for region in EVERYWHERE
    }

    assert len(to_json(a_run(widest_goal(), failed=failed))) < 4 * SMALL


def test_a_turn_over_34_regions_fits_a_step_functions_payload_many_times() -> None:
    """A state's payload holds 256 kB; the widest turn imports into, or proves, every Region at once."""
    imports = tuple(ImportMaterial(KEY.within(region), name(), ImportType.EXISTING, B, NOW) for region in EVERYWHERE)
    probes = tuple(name("x", attempt) for attempt in range(1, 27))
    generations = tuple(material(letter) for letter in ascii_lowercase)
    proofs = tuple(ProveRegion(KEY.within(region), B, probes, generations) for region in EVERYWHERE)

    assert len(to_json(Turn("replicas_imported", "going", imports, EVERYWHERE, NOW))) < 3 * SMALL
    assert len(to_json(Turn("proven", "going", proofs[:1]))) < SMALL


def positions() -> Sequence[Any]:
    """A key at each step of a rotation."""
    both = [current("a"), pending("b")]
    return [
        a_view(),
        a_view(a_key(), first(), entry("a")),
        a_view(a_key(both), first(), entry("a", "b")),
        a_view(a_key([past("a"), current("b")]), first(), entry("a", "b")),
    ]


@pytest.mark.parametrize("view", positions(), ids=["untouched", "deposited", "imported", "rotated"])
def test_a_run_that_went_through_json_decides_alike(view: Any) -> None:
    """One idea: the next turn may be taken by another process."""
    run = a_run(a_goal(policy=Policy(proof=Proof.FULL)))

    assert deciding(view, from_json(Run, to_json(run))) == deciding(view, run)


def test_json_holds_ids_regions_and_times_only() -> None:
    """I2: whatever is in a run may be logged; the types have no place for bytes."""
    text = to_json(a_run())

    assert material("a") in text
    assert "plaintext" not in text.lower()
