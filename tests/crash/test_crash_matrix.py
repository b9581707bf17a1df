"""Kill -9 at every call of a run, before it leaves and after its effect; run again: the same end (I6).

Points are found in a recorded clean run, never listed by hand. `make test` kills at some, `make prove` at all.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from crash_kit import FOUR, Point, Scene, Workflow, crash_and_rerun, discover, kill_at, scene

from e2e.machine import Machine
from orchestrator.clock import SystemClock
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import EntryName, ImportType, MaterialId, Region
from orchestrator.ports import WrappingAlgorithm
from sizes import EVERYTHING, some
from verdict import Count, tell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

CHUNKS = 4 if EVERYTHING else 1
_JOURNAL_STRIDE = 9
_FIND_STRIDE = 3


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


RENEW = {"expires": "300d", "renew_before": "30d"}

REPLICATE = {"replicate": "auto", "regions": [*FOUR, "ca-central-1"]}

WORKFLOWS = {
    "rotate": (Workflow("rotate", ("rotate", "payments", "--yes"), done=(4,)), 9, 1),
    "run": (Workflow("run", ("run", "payments")), 2, 8),
    "repair": (Workflow("repair", ("repair", "payments"), rotations=0, prepare=lose_a_replica), 2, 2),
    "replicate": (Workflow("replicate", ("repair", "payments"), rotations=0, settings=REPLICATE), 2, 2),
    "renew": (
        Workflow("renew", ("renew", "payments"), rotations=0, prepare=let_it_expire_soon, settings=RENEW),
        2,
        3,
    ),
}
"""Each with how many points `make test` tries, and every so-manieth that `make prove` tries."""


def worth_killing_at(points: list[Point], stride: int) -> list[Point]:
    """Every call of KMS, every change of the store, and some of its reads and of the journal's lines."""
    calls = [point for point in points if not point.what.startswith("journal")]
    lines = [point for point in points if point.what.startswith("journal")]
    changing = ("Import", "Rotate", "deposit", "link", "keep", "mark", "adopt")
    first = [point for point in calls if any(word in point.what for word in changing)]
    rest = [point for point in calls if point not in first]
    finds = [point for point in rest if point.what == "store.find"]
    rest = [point for point in rest if point not in finds]
    return [*first, *rest[::stride], *finds[:: _FIND_STRIDE * stride], *lines[:: _JOURNAL_STRIDE * stride]]


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("name", WORKFLOWS)
def test_killed_anywhere_and_run_again_it_comes_to_the_same_end(
    tmp_path: Path, record_property: Count, name: str, chunk: int
) -> None:
    """I6: one new material, one rotation, every Region whole, linked and proven; the journal can be read."""
    workflow, number, stride = WORKFLOWS[name]
    points = worth_killing_at(sorted(discover(tmp_path / "clean", workflow)), stride)
    mine = some(points, number)[chunk::CHUNKS]
    killed, wrong = 0, []

    for number, point in enumerate(mine):
        reached, found = crash_and_rerun(tmp_path / str(number), workflow, point)
        killed += reached
        wrong += found

    record_property("points_killed", killed)
    record_property("points_not_reached", len(mine) - killed)
    assert not wrong, tell(wrong)
    assert killed > len(mine) / 3, "more than the polls, whose number varies, was missed"


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
