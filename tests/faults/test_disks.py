"""A disk that is full, broken or not to be written on, at any step of the store: told, and nothing lost (I1, I9).

Through the seam that the store offers for it; tests/stores meets a real limit of the file system, and real processes.
"""

import errno
import os
from dataclasses import replace
from datetime import timedelta

import pytest

from kinds import KINDS, Kind
from orchestrator.model import KeyArn
from orchestrator.progress import Report
from orchestrator.stores import Place, Wanted
from orchestrator.stores.opening import open_file_store
from orchestrator.stores.publish import PublishedFiles
from sizes import some
from verdict import Count, before, broken, tell
from worlds import World

pytestmark = pytest.mark.timeout(1800)

CODES = (errno.ENOSPC, errno.EIO, errno.EROFS)
OFTEN = ("once", "for ever")
DEADLINE = timedelta(minutes=25)
"""An abort needs 15 of them."""
WRITING = ("rotate", "abort", "adopt", "replicate")
"""The workflows that change the store."""


class Disk:
    """What the store's files stand on: it fails at the so-manieth step of a publication, or of making one durable."""

    def __init__(self) -> None:
        self.steps = 0
        self._from, self._until, self._code = 0, 0, 0

    def fail(self, number: int, often: str, code: int) -> None:
        """Fail from now on, at that step alone or from there on."""
        self.steps, self._code = 0, code
        self._from, self._until = number, number if often == "once" else 10**9

    def mend(self) -> None:
        """Fail no more, and count anew."""
        self.fail(10**9, "once", 0)

    def at_step(self, _: str) -> None:
        self.steps += 1
        if self._from <= self.steps <= self._until:
            raise OSError(self._code, os.strerror(self._code))

    def sync(self, handle: int) -> None:
        self.at_step("sync")
        os.fsync(handle)


@pytest.fixture
def disk(world: World) -> Disk:
    """The disk below the store of the world."""
    made = Disk()
    made.mend()
    wanted = Wanted(world.clock.now, recipients=tuple(world.recipients), identity=world.identity)
    path, place = str(world.directory / "store"), Place("aws", "other")
    world.store = open_file_store(path, place, wanted, files=lambda root: PublishedFiles(root, made.at_step, made.sync))
    return made


def ran(world: World, arn: KeyArn, kind: Kind) -> Report:
    """Run it to its end."""
    policy = replace(world.policy, deadline=DEADLINE, poll=timedelta(seconds=30))
    return world.runner().run([kind.job(world, arn, policy)])[0]


def met(world: World, disk: Disk, name: str, number: int, often: str, code: int) -> list[str]:
    """Let one run meet the disk, and run it again on a whole one, until it is done."""
    kind = KINDS[name]
    disk.mend()
    arn = kind.make(world)
    known = [path.read_bytes() for path in world.directory.glob(f"{arn.key_id}.bin")]
    earlier = before(world.simulator, arn)
    reports: list[Report] = []
    wrong: list[str] = []
    disk.fail(number, often, code)
    while len(reports) < 4 and not (reports and kind.done(world, arn)):
        reports.append(ran(world, arn, kind))
        disk.mend()
        success = reports[-1].status == "finished"
        wrong += broken(
            world.simulator, arn, earlier, [world.store], success=success, rotations=kind.rotations, known=known
        )
        world.clock.advance(minutes=20)
    told = "; then ".join(f"{one.status}: {one.message}" for one in reports)
    wrong += [] if kind.done(world, arn) else [f"not done in the end: {told}"]
    wrong += [told for one in reports if one.status in {"error", "interrupted"}]
    wrong += [f"no way out: {told}" for one in reports for block in one.blocks if not block.way_out]
    return [f"{name}, {errno.errorcode[code]} {often} at step {number}: {one}" for one in dict.fromkeys(wrong)]


@pytest.mark.parametrize("name", WRITING)
def test_a_disk_may_fail_at_any_step(world: World, disk: Disk, record_property: Count, name: str) -> None:
    """Steps are found in a clean run; then the disk fails at each, in each way."""
    arn = KINDS[name].make(world)
    disk.mend()
    assert ran(world, arn, KINDS[name]).status == "finished"
    steps = range(1, disk.steps + 1)
    mine = some([(number, often, code) for number in steps for often in OFTEN for code in CODES], 4)
    wrong = [one for number, often, code in mine for one in met(world, disk, name, number, often, code)]
    record_property("faults_tried", len(mine))
    assert steps, "the store was not written"
    assert not wrong, tell(wrong)
