"""Something odd comes about in one place while a run keeps a key alive: what is listed and well is kept alive (I11).

The world outside: other people, a store that was merged with another, a Region that dies, a clock that is set. Whatever
it is, and at whichever call: nothing is said to be held that is not (I12), what was done is told (I13), what the owner
switched off stays off (P10), and nobody is blamed for what he did not do (I15).
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ClientError
from race_kit import CALLS, all_raced, at_call

from kinds import KINDS
from orchestrator.model import EntryName, ImportType, KeyArn, Policy, Region, Repair
from orchestrator.progress import Job, Report
from orchestrator.settings import KeySettings
from sizes import EVERYTHING, every
from verdict import Before, Count, Watch, before, broken, false_blocks, held, let_die, told_of, untold
from workflows import jobs
from worlds import REGIONS, World

pytestmark = pytest.mark.timeout(1800)

PRIMARY, OTHER, GOOD = REGIONS
BY_HAND = "sa-east-1"
LISTED = frozenset(Region(region) for region in REGIONS)
RENEW_BEFORE = timedelta(days=30)
WANTED = Policy(
    regions=LISTED,
    repair=Repair.AUTO,
    rotate_every=timedelta(days=3000),
    expires=timedelta(days=300),
    renew_before=RENEW_BEFORE,
    deadline=timedelta(minutes=20),
    poll=timedelta(seconds=20),
)
MOMENTS = ("before", "after")
ENDS = {"finished", "idle", "blocked", "failed"}


@dataclass
class Upkeep:
    """One key and the runs that keep it alive; `wrong` is what was not as it should be."""

    world: World
    arn: KeyArn
    job: Callable[..., Job]
    policy: Policy
    restores: bool
    renews: bool
    reports: list[Report] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.earlier: Before = before(self.world.simulator, self.arn)
        self.known = held(self.world.store, key=self.arn.identity)

    def run(self) -> None:
        """Run it, and judge it where all the calls of a Region went well."""
        simulator, stores, begun = self.world.simulator, [self.world.store], len(self.world.simulator.calls)
        job = self.job("payments", KeySettings(arn=str(self.arn)), self.policy)
        report = self.world.runner().run([job])[0]
        self.reports.append(report)
        if report.status not in ENDS:
            self.wrong.append(f"{report.status}: {report.message}")
        self.wrong += [f"without a way out: {block.message}" for block in report.blocks if not block.way_out]
        struck = {call.region for call in simulator.calls[begun:] if call.result != "ok"}
        if not self.world.clock.drift():
            until = (self.world.clock.now() + RENEW_BEFORE).timestamp() if self.renews else None
            well = self.policy.regions - struck - {OTHER}
            found = let_die(simulator, self.arn, self.earlier, stores, well, restore=self.restores, until=until)
            self.wrong += [f"{one} ({report.status}: {report.message})" for one in found]

    def judge(self, odd: "Odd") -> None:
        """Judge what all the runs left, and what they told."""
        simulator, stores = self.world.simulator, [self.world.store]
        earlier = replace(self.earlier, enabled=self.earlier.enabled - odd.dead)
        theirs = held(self.world.open_store(f"file:{self.world.directory / 'theirs'}"), key=self.arn.identity)
        known = self.known | theirs
        self.wrong += broken(simulator, self.arn, earlier, stores, success=False, rotations=0, known=known)
        self.wrong += untold(simulator, self.arn, self.earlier, told_of(*self.reports))
        blocks = [block for report in self.reports for block in report.blocks]
        self.wrong += false_blocks(simulator, self.arn, stores, blocks, alone=odd.alone)


def nothing(_world: World, _arn: KeyArn) -> None:
    """It is over by itself."""


def replicates_by_hand(world: World, arn: KeyArn) -> None:
    world.client().replicate_key(KeyId=str(arn), ReplicaRegion=BY_HAND)


def leaves_early(world: World, arn: KeyArn) -> None:
    """The config lacks the Region already, which KMS goes on to name for a week and more."""
    world.client(OTHER).schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=30)


def disables(world: World, arn: KeyArn) -> None:
    world.client(OTHER).disable_key(KeyId=arn.key_id)


def disables_slowly(world: World, arn: KeyArn) -> None:
    """The call that is held meanwhile takes so long that no look from before it may be relied on (I3)."""
    disables(world, arn)
    world.clock.advance(seconds=15)


def loses(world: World, arn: KeyArn) -> None:
    """As where it expires: KMS then says PendingImport, and nothing of Disabled."""
    for row in world.true(arn, OTHER).rows:
        world.client(OTHER).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=row.material_id)


def promotes(world: World, arn: KeyArn) -> None:
    with suppress(ClientError):  # KMS refuses it while material is missing
        world.client().update_primary_region(KeyId=str(arn), PrimaryRegion=GOOD)


def imports_of_his_own(world: World, arn: KeyArn) -> None:
    theirs, name = world.open_store(f"file:{world.directory / 'theirs'}"), EntryName(arn.identity, None)
    theirs.deposit(name)
    world.send(theirs, arn, name, ImportType.NEW)


def merges_stores(world: World, arn: KeyArn) -> None:
    """Bytes of another host's copy in the place of ours, beside our link and marks."""
    theirs, name = world.open_store(f"file:{world.directory / 'copy'}"), EntryName(arn.identity, None)
    theirs.deposit(name)
    for path in (world.directory / "copy").rglob("*.age"):
        if arn.key_id in str(path):
            kept = world.directory / "store" / path.relative_to(world.directory / "copy")
            shutil.copy2(path, kept.with_suffix(".new"))
            kept.with_suffix(".new").rename(kept)


def dies(world: World, _: KeyArn) -> None:
    world.simulator.faults.add(region=OTHER, drop="before")


def comes_back(world: World, _: KeyArn) -> None:
    world.simulator.faults.clear()


def steps(world: World, _: KeyArn) -> None:
    world.clock.set_ahead(hours=3)


def is_set_right(world: World, _: KeyArn) -> None:
    world.clock.set_ahead(hours=-3)


@dataclass(frozen=True)
class Odd:
    """What comes about, what ends it, and what comes about after a second run.

    `dead` are the Regions that are not Enabled for that alone; `alone` tells that nobody else touched the key, and
    `listed` what the config lists. `workers` carry out the calls: one alone has no other on its way.
    """

    act: Callable[[World, KeyArn], None]
    over: Callable[[World, KeyArn], None] = nothing
    then: Callable[[World, KeyArn], None] | None = None
    dead: frozenset[str] = frozenset()
    alone: bool = False
    listed: frozenset[Region] = LISTED
    workers: int = 8


ODDITIES = {
    "a replica made by hand": Odd(replicates_by_hand),
    "a member that left the config early": Odd(leaves_early, dead=frozenset({OTHER}), listed=LISTED - {Region(OTHER)}),
    "a Region that its owner disables, and that then expires": Odd(disables, then=loses, dead=frozenset({OTHER})),
    "a Region that its owner disables during a long call": Odd(disables_slowly, dead=frozenset({OTHER}), workers=1),
    "another primary": Odd(promotes, dead=frozenset({PRIMARY, GOOD})),
    "foreign material that is pending": Odd(imports_of_his_own),
    "a store merged with another": Odd(merges_stores),
    "a Region that dies": Odd(dies, over=comes_back, alone=True),
    "a clock that is set": Odd(steps, over=is_set_right, alone=True),
}


def both(world: World) -> KeyArn:
    """A replica lacks its material, and what the others have ends within three weeks."""
    arn = KINDS["renew"].make(world)
    current = world.true(arn).current
    world.client(GOOD).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    return arn


WORKFLOWS: dict[str, tuple[Any, Callable[[World], KeyArn], bool, bool]] = {
    "repair": (jobs.repair, KINDS["repair"].make, True, False),
    "renew": (jobs.renew, KINDS["renew"].make, False, True),
    "run": (jobs.run, both, True, True),
}


def race(world: World, workflow: str, odd: Odd, number: int, moment: str) -> tuple[bool, list[str]]:
    """Let it come about at a call of a run; then it is over, and another run follows; and one more after more."""
    job, make, restores, renews = WORKFLOWS[workflow]
    upkeep = Upkeep(world, make(world), job, replace(WANTED, regions=odd.listed), restores, renews)
    arn, enabled = upkeep.arn, upkeep.earlier.enabled - odd.dead
    watch = Watch(world.simulator, arn, replace(upkeep.earlier, enabled=enabled))
    between = at_call(world.simulator, number, moment, lambda: odd.act(world, arn))
    if number == 0:  # before the run begins
        between.came = True
        odd.act(world, arn)
    upkeep.run()
    world.simulator.hooks[:] = [watch]  # where the run made fewer calls
    if between.came:
        odd.over(world, arn)
        world.clock.advance(minutes=20)
        upkeep.run()
        if odd.then:
            watch.noted = {OTHER} if world.true(arn, OTHER).key_state == "Disabled" else set()
            odd.then(world, arn)
            upkeep.run()
        upkeep.judge(odd)
    world.simulator.hooks.clear()
    wrong = [*between.broke, *upkeep.wrong, *watch.found]
    return between.came, [f"{moment} call {number}: {one}" for one in dict.fromkeys(wrong)]


SLICE: dict[tuple[str, str], tuple[int, ...]] = {
    ("repair", "before"): (0,),
    ("repair", "after"): (9,),
    ("renew", "before"): (0,),
    ("run", "after"): (8, 10),
}
"""At which calls `make test` lets it come about: before anything was seen, and in the midst."""


@pytest.mark.parametrize(("workflow", "moment"), SLICE if not EVERYTHING else list(product(WORKFLOWS, MOMENTS)))
@pytest.mark.parametrize("name", ODDITIES)
def test_what_is_listed_and_well_is_kept_alive_whatever_comes_about(
    world: World, record_property: Count, name: str, workflow: str, moment: str
) -> None:
    numbers, odd = every(range(CALLS.stop), *SLICE.get((workflow, moment), ())), ODDITIES[name]
    with ThreadPoolExecutor(odd.workers) as world.executor:
        all_raced(record_property, numbers, lambda number: race(world, workflow, odd, number, moment))
