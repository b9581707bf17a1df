"""Kill -9 at every call of a run, before it leaves and after its effect; run again: the same end (I6).

Points are found in a recorded clean run, never listed by hand. `make test` kills at some, `make prove` at all.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from crash.crash_kit import FOUR, Point, Scene, Workflow, crash_and_rerun, discover, kill_at, moments, scene
from e2e.machine import Machine
from orchestrator.clock import SystemClock
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import EntryName, ImportType, MaterialId, Region
from orchestrator.ports import WrappingAlgorithm
from sizes import EVERYTHING, some
from verdict import Count, tell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

CHUNKS = 4 if EVERYTHING else 1
REACHED = 0.9
"""The share of the reads that a killed run comes to: how often it looks varies a little. Every change is come to."""


def lose_a_replica(made: Scene) -> None:
    """Delete the CURRENT material in one replica."""
    region = FOUR[2]
    made.client(region).delete_imported_key_material(KeyId=made.arn.key_id, KeyMaterialId=made.earlier.current)


def let_it_expire_soon(made: Scene) -> None:
    """Import the CURRENT material again in every Region, to expire within three weeks."""
    first, clock = EntryName(made.arn.identity, None), SystemClock()
    kms = KmsFactory(
        KmsOptions(made.machine.endpoint_url, credentials=("111122223333", "x")), clock.now, lambda _: None
    )
    for region in FOUR:
        arn = made.arn.within(Region(region))
        parameters = kms(Region(region)).get_parameters_for_import(arn, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        wrapped = made.store.wrap(first, parameters.public_key, parameters.algorithm)
        until = (clock.now() + timedelta(days=20)).replace(microsecond=0)
        kms(Region(region)).import_key_material(
            arn, parameters, wrapped, ImportType.EXISTING, MaterialId(str(made.earlier.current)), until
        )


def begin(made: Scene) -> None:
    """Leave a rotation with its material pending in every Region."""
    begun = Workflow("begin", ("rotate", "payments", "--yes", "--until", "replicas_imported"))
    code, told = made.again(begun)
    assert code == 0, told
    (made.machine.directory / "calls.txt").unlink()


RENEW = {"expires": "300d", "renew_before": "30d"}
REPLICATE = {"replicate": "auto", "regions": [*FOUR, "ca-central-1"]}

WORKFLOWS = {
    "rotate": (Workflow("rotate", ("rotate", "payments", "--yes"), done=(4,)), 8),
    "rotate under lag": (Workflow("rotate", ("rotate", "payments", "--yes"), done=(4,), lag="aws-like"), 2),
    "run": (Workflow("run", ("run", "payments")), 2),
    "abort": (
        Workflow("abort", ("abort", "payments", "--yes"), rotations=0, prepare=begin, run={"poll": "60s"}),
        3,
    ),
    "repair": (Workflow("repair", ("repair", "payments"), rotations=0, prepare=lose_a_replica, writes=False), 2),
    "replicate": (Workflow("replicate", ("repair", "payments"), rotations=0, settings=REPLICATE), 2),
    "renew": (
        Workflow(
            "renew",
            ("renew", "payments"),
            rotations=0,
            prepare=let_it_expire_soon,
            settings=RENEW,
            writes=False,
        ),
        2,
    ),
    "adopt": (
        Workflow(
            "adopt",
            ("adopt", "payments", "payments.bin"),
            rotations=0,
            deposited=False,
            settings={"rotate_every": "300d"},
        ),
        2,
    ),
}
"""Each with how many points `make test` tries."""


def changes(point: Point) -> bool:
    """Whether a call changes the world or the store."""
    return "after" in moments(point.what)


def not_found(points: list[Point], workflow: Workflow) -> list[str]:
    """Name what a clean run must have shown: calls that go another way than they are watched on have no points."""
    called = {point.what.split(".")[0] for point in points}
    changed = {point.what.split(".")[0] for point in points if point.moment == "after"}
    wanted = {"kms", "store"} if workflow.writes else {"kms"}
    calls = [f"any call of {one}" for one in sorted({"kms", "store", "journal"} - called)]
    return calls + [f"a change in {one}" for one in sorted(wanted - changed)]


def worth_killing_at(points: list[Point], name: str) -> list[Point]:
    """Every call; of the journal, which is never read again by a run, the lines of the first workflow."""
    return [point for point in points if name == "rotate" or not point.what.startswith("journal")]


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("name", WORKFLOWS)
def test_killed_anywhere_and_run_again_it_comes_to_the_same_end(
    tmp_path: Path, record_property: Count, name: str, chunk: int
) -> None:
    """I6: one new material, one rotation, every Region whole, linked and proven; the journal can be read."""
    workflow, number = WORKFLOWS[name]
    found = sorted(discover(tmp_path / "clean", workflow))
    assert not not_found(found, workflow)
    points = worth_killing_at(found, name)
    mine = some(points, number)[chunk::CHUNKS]
    missed, wrong = [], []

    for index, point in enumerate(mine):
        reached, broken = crash_and_rerun(tmp_path / str(index), workflow, point)
        missed += [] if reached else [point]
        wrong += broken

    record_property("points_killed", len(mine) - len(missed))
    record_property("points_not_reached", len(missed))
    assert not wrong, tell(wrong)
    assert not [point for point in missed if changes(point)], "a change was not come to"
    assert len(mine) - len(missed) >= int(REACHED * len(mine)), tell(missed)


def test_a_torn_last_line_of_the_journal_is_said_and_the_rest_is_told(tmp_path: Path) -> None:
    """The journal of a killed run ends where the process ended, and the report says so: exit 3."""
    workflow = WORKFLOWS["rotate"][0]
    with scene(tmp_path / "torn", workflow) as made:
        assert kill_at(made, workflow, Point("journal.write", 40, "torn")) == -9
        machine: Machine = made.machine
        told = machine.json("mrk", "report", "last", "--json", code=3)

    assert told["journal"]["torn"]
    assert told["journal"]["intact"]
    assert told["journal"]["lines"] == 39
