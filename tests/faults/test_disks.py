"""A disk that is full, broken or not to be written on, at any step of the store: told, and nothing lost (I1, I9).

Through the seam that the store offers for it; tests/stores meets a real limit of the file system, and real processes.
"""

import errno
import os

import pytest
from strikes import Met, Strikes
from trial import Trial

from kinds import KINDS
from orchestrator.stores import Place, Wanted
from orchestrator.stores.opening import open_file_store
from orchestrator.stores.publish import PublishedFiles
from sizes import some
from verdict import Count
from worlds import World

pytestmark = pytest.mark.timeout(1800)

CODES = (errno.ENOSPC, errno.EIO, errno.EROFS)
OFTEN = ("once", "for ever")
WRITING = ("rotate", "abort", "adopt", "replicate")
"""The workflows that change the store."""


class Disk:
    """What the store's files stand on: it fails at the so-manieth step of a publication, or of making one durable."""

    def __init__(self) -> None:
        self.steps, self.struck = 0, False
        self._from, self._until, self._code = 0, 0, 0

    def fail(self, number: int, often: str, code: int) -> None:
        """Fail from now on, at that step alone or from there on."""
        self.steps, self.struck, self._code = 0, False, code
        self._from, self._until = number, number if often == "once" else 10**9

    def mend(self) -> None:
        """Fail no more, and count anew."""
        self.fail(10**9, "once", 0)

    def at_step(self, _: str) -> None:
        self.steps += 1
        if self._from <= self.steps <= self._until:
            self.struck = True
            raise OSError(self._code, os.strerror(self._code))

    def sync(self, handle: int) -> None:
        self.at_step("sync")
        os.fsync(handle)


@pytest.fixture
def disk(world: World) -> Disk:
    """The disk below the store of the world."""
    made = Disk()
    made.mend()
    wanted = Wanted(world.clock.now, recipients=tuple(world.recipients), identity=world.identity, volatile=True)
    path, place = str(world.directory / "store"), Place("aws", "other")
    world.store = open_file_store(path, place, wanted, files=lambda root: PublishedFiles(root, made.at_step, made.sync))
    return made


def met(world: World, disk: Disk, name: str, number: int, often: str, code: int) -> Met:
    """Let one run meet the disk, and run it again on a whole one, until it is done."""
    disk.mend()
    trial = Trial(world, KINDS[name])
    disk.fail(number, often, code)
    trial.run()
    hit = disk.struck
    disk.mend()
    trial.judge()
    trial.finish()
    return hit, trial.wrong


def steps_of_a_clean_run(world: World, disk: Disk, name: str) -> int:
    """How many steps a workflow takes on the disk."""
    clean = Trial(world, KINDS[name])
    disk.mend()
    assert clean.run().status == "finished"
    assert disk.steps, "the store was not written"
    return disk.steps


@pytest.mark.parametrize("name", WRITING)
def test_a_disk_may_fail_at_any_step(world: World, disk: Disk, record_property: Count, name: str) -> None:
    """Steps are found in a clean run; then the disk fails at each, in each way."""
    steps_of_a_clean_run(world, disk, name)  # the first adoption makes directories, which no other one does
    steps, strikes = range(1, steps_of_a_clean_run(world, disk, name) + 1), Strikes()
    for number, often, code in some(
        [(number, often, code) for number in steps for often in OFTEN for code in CODES], 4
    ):
        case = f"{name}, {errno.errorcode[code]} {often} at step {number}"
        strikes.note(case, met(world, disk, name, number, often, code))
    strikes.conclude(record_property)
