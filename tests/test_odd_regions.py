"""One odd Region stops only what it must (I11): what is listed and well is repaired and renewed beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.model import EntryName, ImportType, KeyArn, LookFailure, Policy, Reason, Region, Repair
from orchestrator.progress import Report
from orchestrator.settings import KeySettings
from workflows import jobs
from worlds import REGIONS, World

PRIMARY, OTHER, GOOD = REGIONS
BY_HAND = "sa-east-1"
LISTED = frozenset(Region(region) for region in REGIONS)
WANTED = Policy(
    regions=LISTED,
    repair=Repair.AUTO,
    rotate_every=timedelta(days=3000),
    expires=timedelta(days=300),
    renew_before=timedelta(days=30),
    deadline=timedelta(minutes=20),
)

Odd = Callable[[World, KeyArn, str], None]


def replicated_by_hand(world: World, arn: KeyArn, _: str) -> None:
    world.client().replicate_key(KeyId=str(arn), ReplicaRegion=BY_HAND)


def nothing(_world: World, _arn: KeyArn, _where: str) -> None:
    """The config alone is odd."""


def disabled(world: World, arn: KeyArn, where: str) -> None:
    world.client(where).disable_key(KeyId=arn.key_id)


def to_be_deleted(world: World, arn: KeyArn, where: str) -> None:
    world.client(where).schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=30)


def without_material(world: World, arn: KeyArn, where: str) -> None:
    """The bytes are gone there, and its imports fail."""
    current = world.true(arn).current
    world.client(where).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    world.simulator.faults.add(operation="ImportKeyMaterial", region=where, error="KMSInternalException")


def failing(error: str) -> Odd:
    def odd(world: World, _arn: KeyArn, where: str) -> None:
        world.simulator.faults.add(region=where, error=error)

    return odd


def silent(world: World, _arn: KeyArn, where: str) -> None:
    world.simulator.faults.add(region=where, drop="before")


def foreign_pending(world: World, arn: KeyArn, _: str) -> None:
    """A colleague imported new material of his own."""
    theirs = world.open_store(f"file:{world.directory / 'theirs'}")
    name = EntryName(arn.identity, None)
    theirs.deposit(name)
    world.send(theirs, arn, name, ImportType.NEW)


def promoted(world: World, arn: KeyArn, where: str) -> None:
    world.client().update_primary_region(KeyId=str(arn), PrimaryRegion=where)


@dataclass(frozen=True)
class Case:
    """What is odd, where, and what the owner lists; `told` is the Region that the report names, if any."""

    odd: Odd
    where: str = OTHER
    regions: frozenset[Region] = LISTED
    told: str | None = OTHER
    status: tuple[str, ...] = ("blocked", "failed")


WITHOUT_OTHER = LISTED - {Region(OTHER)}
CASES: dict[str, Case] = {
    "a replica that somebody made by hand": Case(replicated_by_hand, told=BY_HAND),
    "a listed Region that KMS lacks": Case(nothing, regions=LISTED | {Region(BY_HAND)}, told=BY_HAND),
    "a member that the config lacks": Case(nothing, regions=WITHOUT_OTHER),
    "a replica that is Disabled": Case(disabled),
    "a primary that is Disabled": Case(disabled, PRIMARY, told=PRIMARY),
    "a replica that is being deleted": Case(to_be_deleted),
    "a replica that is being deleted, and left `regions` early": Case(to_be_deleted, regions=WITHOUT_OTHER),
    "a primary that is being deleted": Case(to_be_deleted, PRIMARY, told=PRIMARY),
    "a replica that lacks material and takes none": Case(without_material),
    "a primary that lacks material and takes none": Case(without_material, PRIMARY, told=PRIMARY),
    "a replica's Region that does not answer": Case(silent),
    "the primary's Region, which does not answer": Case(silent, PRIMARY, told=PRIMARY),
    "a replica's Region in which nothing is allowed": Case(failing("AccessDeniedException")),
    "the primary's Region, in which nothing is allowed": Case(failing("AccessDeniedException"), PRIMARY, told=PRIMARY),
    "a replica's Region that throttles everything": Case(failing("ThrottlingException")),
    "a replica's Region that fails with 500": Case(failing("KMSInternalException")),
    "a replica's Region that knows no such key": Case(failing("NotFoundException")),
    "the primary's Region, which knows no such key": Case(failing("NotFoundException"), PRIMARY, told=PRIMARY),
    "a replica's Region that is not enabled": Case(failing("OptInRequired")),
    "a replica's Region with an error that nobody knows": Case(failing("TeapotException")),
    "foreign material that is pending": Case(foreign_pending, told=None, status=("blocked", "finished")),
    "another primary than the ARN's": Case(promoted, told=None, status=("finished", "idle")),
}


def lacks(world: World, arn: KeyArn) -> None:
    """The good Region has lost its material."""
    current = world.true(arn).current
    world.client(GOOD).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)


def ends(world: World, arn: KeyArn) -> None:
    """What the good Region has ends within three weeks."""
    until = (world.clock.now() + timedelta(days=20)).replace(microsecond=0)
    there, name = arn.within(Region(GOOD)), EntryName(arn.identity, None)
    world.send(world.store, there, name, ImportType.EXISTING, world.true(arn).current, until)


WORKFLOWS: dict[str, tuple[Callable[..., Any], Callable[[World, KeyArn], None]]] = {
    "repair": (jobs.repair, lacks),
    "renew": (jobs.renew, ends),
    "run, and material is missing": (jobs.run, lacks),
    "run, and material ends": (jobs.run, ends),
}


def run(world: World, arn: KeyArn, make: Callable[..., Any], policy: Policy) -> Report:
    return world.runner().run([make("payments", KeySettings(arn=str(arn)), policy)])[0]


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize("odd", CASES)
def test_what_is_listed_and_well_is_kept_alive_beside_an_odd_region(world: World, odd: str, workflow: str) -> None:
    """I11, I9: the good Region has everything, and lastingly; what is odd elsewhere is told, and never called well."""
    case, (make, needs) = CASES[odd], WORKFLOWS[workflow]
    arn = world.make_key()
    needs(world, arn)
    case.odd(world, arn, case.where)
    world.clock.advance(minutes=1)

    report = run(world, arn, make, replace(WANTED, regions=case.regions))

    good = world.true(arn, GOOD)
    assert good.key_state == "Enabled", report
    permanent = [row for row in good.rows if row.material_id != good.pending]
    assert all(row.usable and lasts(world, row.valid_to) for row in permanent), report
    assert report.status in case.status, report
    assert case.told is None or case.told in {block.region for block in report.blocks}, report


def lasts(world: World, valid_to: float | None) -> bool:
    """Whether material does not end within four weeks."""
    return valid_to is None or valid_to > (world.clock.now() + timedelta(days=28)).timestamp()


def test_bytes_go_into_no_region_that_the_owner_does_not_list(world: World) -> None:
    """P12, I11: somebody's replica stays without material, whatever `repair` says."""
    arn = world.make_key()
    replicated_by_hand(world, arn, BY_HAND)

    for make in (jobs.run, jobs.repair, jobs.renew):
        run(world, arn, make, WANTED)

    there = world.true(arn, BY_HAND)
    assert (there.key_state, [row.usable for row in there.rows]) == ("PendingImport", [False])


def test_the_worst_news_stands_first(world: World) -> None:
    """I9: a key that is dead in two Regions is not told as a member that the config lacks."""
    arn = world.make_key()
    replicated_by_hand(world, arn, BY_HAND)
    for region in (OTHER, GOOD):
        world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=world.true(arn).current)

    for make in (jobs.run, jobs.verify):
        report = run(world, arn, make, replace(WANTED, repair=Repair.ASK))

        assert [block.reason for block in report.blocks][:2] == ["material-missing"] * 2, report
        assert {block.region for block in report.blocks} == {OTHER, GOOD, BY_HAND}


def test_a_region_that_stays_off_holds_no_run_up_that_renewed_the_others(world: World) -> None:
    """P10, I11: the store and the Region are not looked at in turns until the deadline."""
    arn = world.make_key(valid_to=world.clock.now() + timedelta(days=40))
    world.client(OTHER).disable_key(KeyId=arn.key_id)
    renewing = replace(WANTED, expires=timedelta(days=60))
    job = jobs.run("payments", KeySettings(arn=str(arn)), renewing)
    noted = world.runner().run([job])[0]
    world.clock.advance(days=15)
    world.runner().run([job])
    world.clock.advance(days=40)
    begun = world.clock.now()

    report = world.runner().run([job])[0]

    assert (noted.status, report.status) == ("blocked", "blocked")
    assert {block.reason for block in report.blocks} == {Reason.SWITCHED_OFF}
    assert world.clock.now() - begun < timedelta(minutes=1)
    assert world.true(arn, OTHER).key_state == "PendingImport"
    assert world.true(arn, GOOD).key_state == "Enabled"
    last = min(row.valid_to or 0 for row in world.true(arn, GOOD).rows)
    assert last > (begun + timedelta(days=50)).timestamp(), "renewed by this run"


@pytest.mark.parametrize("where", REGIONS)
@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("keys", [1, 2])
def test_a_silent_region_is_asked_once_in_a_moment_whoever_asks(world: World, where: str, drop: Any, keys: int) -> None:
    """It is told as what was seen: with one key, there is no other that was told anything."""
    arns = [world.make_key().within(Region(where)) for _ in range(keys)]
    world.simulator.faults.add(region=where, drop=drop)
    observe = world.observe()

    looks = [observe.region(arn) for arn in (*arns, arns[0])]

    messages = [look.message for look in looks if isinstance(look, LookFailure)]
    assert "got no answer" in messages[0]
    assert len(messages[1:]) == keys
    assert all(message.startswith(f"{where} does not answer, as was seen a moment ago: ") for message in messages[1:])
