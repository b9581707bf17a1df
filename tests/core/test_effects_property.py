"""The property that plan, prefetching and forecast stand on: what `effects.after` predicts is what is then observed.

Each action is really carried out, over HTTP, against a simulator without lag, and everything is looked at afterwards.
The id that only KMS can tell is put in the place of NEW_ID; times of looks and of creation are no part of the claim.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from core_building import sentence

from orchestrator import memory
from orchestrator.decide import decide
from orchestrator.effects import NEW_ID, after, outcome
from orchestrator.goals import as_it_stands, rotate_now
from orchestrator.model import (
    Action,
    Entry,
    EntryName,
    Goal,
    ImportMaterial,
    ImportType,
    KeyArn,
    MaterialId,
    MaterialRow,
    Policy,
    Proof,
    Region,
    RegionView,
    ReplicateKey,
    Result,
    Run,
    View,
)
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.plan import predict
from orchestrator.ports import WrappingAlgorithm
from workflows.repair import REPAIR
from workflows.rotate import ROTATE
from worlds import REGIONS, World


def performing(world: World) -> Perform:
    """Whoever carries out actions, over HTTP."""
    kms, retry = world.kms(), world.retry()
    parameters = Parameters(kms, retry, world.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    return Perform(kms, world.store, parameters, retry)


def comparable(view: View, new: MaterialId | None) -> dict[str, Any]:
    """A view without times of looks and of creation, with the real id in the place of NEW_ID."""
    store = view.store
    assert store is not None
    return {
        **{region: _region(seen, new) for region, seen in view.regions.items()},
        "store": {str(_name(entry.name, new)): _entry(entry, new) for entry in store.entries},
    }


def _id(material: MaterialId | None, new: MaterialId | None) -> MaterialId | None:
    return new if new is not None and material == NEW_ID else material


def _name(name: EntryName, new: MaterialId | None) -> EntryName:
    return replace(name, replaces=_id(name.replaces, new))


def _entry(entry: Entry, new: MaterialId | None) -> Entry:
    named = _name(entry.name, new)
    receipt = None if entry.receipt is None else replace(entry.receipt, entry=named, at=datetime.min)  # noqa: DTZ901
    untimed = replace(entry, made_at=None, noted_at=None)
    return replace(untimed, name=named, linked=_id(entry.linked, new), receipt=receipt)


def _region(seen: RegionView, new: MaterialId | None) -> RegionView:
    never = datetime.min  # noqa: DTZ901 - a time that is compared with itself only
    rows = tuple(_row(row, new) for row in seen.rows)
    return replace(seen, seen_at=never, created_at=never, told_at=None, described_at=None, skew=None, rows=rows)


def _row(row: MaterialRow, new: MaterialId | None) -> MaterialRow:
    return replace(row, material_id=_id(row.material_id, new))  # type: ignore[arg-type]


def check_every_step(world: World, arn: KeyArn, run: Run, stages: Any) -> list[str]:
    """Carry a run out step by step; before each step predict, after it compare. Returns the steps."""
    perform, steps, new = performing(world), [], None
    for _ in range(200):
        view = world.view(arn)
        turn = decide(stages, view, run, world.clock.now())
        if turn.status != "going":
            assert turn.status == "finished", turn
            return steps
        for action in turn.act:
            steps.append(sentence(action))
            new, run = check_one_step(world, arn, run, perform, action)
        if not turn.act:
            assert turn.wake is not None
            world.clock.sleep((turn.wake - world.clock.now()).total_seconds())
            view = world.view(arn)
            for region in view.regions:
                run = memory.saw(run, view, region)
            run = memory.waited(run, turn, world.clock.now())
    raise AssertionError("the run did not end", steps, new)


def check_one_step(
    world: World, arn: KeyArn, run: Run, perform: Perform, action: Action
) -> tuple[MaterialId | None, Run]:
    """Predict one action, carry it out, look, and compare."""
    before = world.view(arn)
    predicted = after(before, action)

    came = perform(action)

    assert came.result is outcome(action).result is Result.DONE, came
    new = came.material_id if outcome(action).material_id == NEW_ID else None
    assert comparable(predicted, new) == comparable(world.view(arn), new), sentence(action)
    return new, memory.learned(run, action, came, world.clock.now())


def goal_of(world: World, arn: KeyArn, policy: Policy) -> Goal:
    goal = rotate_now(world.view(arn), policy)
    assert isinstance(goal, Goal)
    return goal


KEYS = [("a primary and two replicas", REGIONS), ("a primary alone", REGIONS[:1])]
POLICIES = [
    ("full proof", Policy(proof=Proof.FULL)),
    ("ids only, and material that expires", Policy(proof=Proof.IDS_ONLY, expires=timedelta(days=90))),
]


@pytest.mark.parametrize(("key", "regions"), KEYS, ids=[row[0] for row in KEYS])
@pytest.mark.parametrize(("proof", "policy"), POLICIES, ids=[row[0] for row in POLICIES])
def test_every_action_of_a_rotation_has_the_effect_that_was_predicted(
    world: World, key: str, regions: tuple[str, ...], proof: str, policy: Policy
) -> None:
    """One idea: `effects.after` equals what is then observed; and the plan was what was done."""
    arn = world.make_key(regions)
    run = Run(goal_of(world, arn, policy))
    plan = predict(ROTATE, world.view(arn), run, world.clock.now())

    steps = check_every_step(world, arn, run, ROTATE)

    assert [_unnamed(step) for step in steps] == [_unnamed(sentence(step.action)) for step in plan.steps], (key, proof)
    assert world.true(arn).rotations == 1


def _unnamed(step: str) -> str:
    """A step without the first letter of a material's id: the plan cannot know that of new material."""
    return " ".join(word for word in step.split() if len(word) > 1)


def test_a_second_rotation_has_the_effects_that_were_predicted(world: World) -> None:
    """One idea: also with old material in every Region."""
    arn = world.make_key()
    for _ in range(2):
        check_every_step(world, arn, Run(goal_of(world, arn, Policy(proof=Proof.FULL))), ROTATE)
        world.clock.advance(days=2)

    assert world.true(arn).rotations == 2
    assert all(row.usable for key in world.everywhere(arn).values() for row in key.rows)


def test_the_first_import_into_an_empty_key_has_the_effect_that_was_predicted(world: World) -> None:
    """I1: the very first material is CURRENT at once, and the key is Enabled."""
    made = world.client().create_key(Origin="EXTERNAL", MultiRegion=True)
    arn = KeyArn.parse(made["KeyMetadata"]["Arn"])
    name = EntryName(arn.identity, None)
    world.store.deposit(name)
    run = Run(Goal(arn, name, arn.region, frozenset({arn.region}), None, world.clock.now(), Policy()))

    check_one_step(world, arn, run, performing(world), ImportMaterial(arn, name, ImportType.NEW, None, None))

    assert world.true(arn).key_state == "Enabled"
    assert world.true(arn).current is not None


def test_repairing_a_region_has_the_effect_that_was_predicted(world: World) -> None:
    """P10: a Region that lost material is PendingImport; the same bytes under the same id enable it again."""
    arn = world.make_key()
    replica = arn.within(Region(REGIONS[1]))
    lost = world.true(arn).current
    world.client(replica.region).delete_imported_key_material(KeyId=str(replica), KeyMaterialId=lost)
    goal = as_it_stands(world.view(arn), Policy())
    assert isinstance(goal, Goal)

    steps = check_every_step(world, arn, Run(goal), REPAIR)

    letter = str(lost)[0]
    assert steps == [f"import EXISTING {letter} into {replica.region}", f"prove {letter} in {replica.region}"]
    assert world.true(arn, replica.region).key_state == "Enabled"


def test_a_new_replica_and_its_imports_have_the_effects_that_were_predicted(world: World) -> None:
    """P11: it lists every generation, holds none, and is Enabled with the last; every member names it at once."""
    arn, new = world.make_key(), Region("sa-east-1")
    perform, run = performing(world), Run(goal_of(world, arn, Policy()))
    check_every_step(world, arn, run, ROTATE)

    check_one_step(world, arn, run, perform, ReplicateKey(arn, new))
    assert world.true(arn, new).key_state == "PendingImport"
    for entry in world.store.entries():
        again = ImportMaterial(arn.within(new), entry.name, ImportType.EXISTING, entry.linked, None)
        check_one_step(world, arn, run, perform, again)

    assert world.true(arn, new).key_state == "Enabled"
    assert len(world.true(arn, new).rows) == 2


def test_a_replica_that_is_there_already_is_no_failure(world: World) -> None:
    """I4: the reply to an earlier call may have been lost; what is there is looked at."""
    arn = world.make_key()

    came = performing(world)(ReplicateKey(arn, Region(REGIONS[1])))

    assert came.result is Result.SKIPPED
    assert "looking again" in came.message


def test_an_import_into_a_disabled_key_is_predicted_to_enable_it(world: World) -> None:
    """I3: this is why it is refused."""
    arn = world.make_key()
    replica = arn.within(Region(REGIONS[1]))
    world.client(replica.region).disable_key(KeyId=str(replica))
    name = EntryName(arn.identity, None)
    again = ImportMaterial(replica, name, ImportType.EXISTING, MaterialId(str(world.true(arn).current)), None)

    check_one_step(world, arn, Run(goal_of(world, arn, Policy())), performing(world), again)

    assert world.true(arn, replica.region).key_state == "Enabled"
