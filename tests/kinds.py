"""One key for each workflow, in a state in which there is something to do for it: for proofs that try them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from orchestrator.model import EntryName, ImportType, KeyArn, Policy, Region, Replicate
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from workflows import jobs
from workflows.abort import abort
from workflows.adopt import adopt
from workflows.rotate import ROTATE
from worlds import REGIONS, World

ADDED = "sa-east-1"
RENEWED = timedelta(days=300)
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Kind:
    """A workflow: a key that needs it, its job, whether all is done, and how many rotations that takes.

    `operations` are those calls of KMS that no other row has, or that mean something else here. `restores` and `renews`
    tell what it is to do to each Region by itself, whatever is odd elsewhere (I11): to renew what ends within that.
    """

    make: Callable[[World], KeyArn]
    job: Callable[[World, KeyArn, Policy], Job]
    done: Callable[[World, KeyArn], bool]
    rotations: int = 0
    operations: tuple[str, ...] = ()
    restores: bool = False
    renews: timedelta | None = None


def _old(world: World) -> KeyArn:
    arn = world.make_key()
    world.clock.advance(days=100)
    return arn


def _proven(world: World) -> KeyArn:
    """CURRENT was proven in its three Regions, as mrk marks it."""
    arn = _old(world)
    world.store.mark_proven(EntryName(arn.identity, None), {"regions": list(REGIONS), "proof": "full"})
    return arn


def _begun(world: World) -> KeyArn:
    """A rotation that was left with its material pending everywhere, 20 minutes ago."""
    arn = world.make_key()
    assert world.rotate(arn, stages=ROTATE[:4]).status == "finished"
    world.clock.advance(minutes=20)
    return arn


def _lacking(world: World) -> KeyArn:
    """A replica lost its CURRENT material."""
    arn = world.make_key()
    current = world.true(arn).current
    world.client(REGIONS[2]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    return arn


def _expiring(world: World) -> KeyArn:
    """CURRENT material expires within three weeks, everywhere."""
    arn = world.make_key()
    name, until = EntryName(arn.identity, None), (world.clock.now() + timedelta(days=20)).replace(microsecond=0)
    for region in REGIONS:
        there = arn.within(Region(region))
        world.send(world.store, there, name, ImportType.EXISTING, world.true(arn).current, until)
    return arn


def _elsewhere(world: World) -> KeyArn:
    """The store lacks the material of the key, which its owner has in a file."""
    arn = world.make_key(deposited=False)
    owners = world.open_store(f"file:{world.directory / 'elsewhere'}")
    file = _file(world, arn)
    file.write_bytes(owners._vault.open(EntryName(arn.identity, None)).reveal())  # type: ignore[attr-defined]
    file.chmod(0o600)
    return arn


def _file(world: World, arn: KeyArn) -> Any:
    return world.directory / f"{arn.key_id}.bin"


def _rotate(_: World, arn: KeyArn, policy: Policy) -> Job:
    return jobs.rotate("payments", KeySettings(arn=str(arn)), policy)


def _run(_: World, arn: KeyArn, policy: Policy) -> Job:
    return jobs.run("payments", KeySettings(arn=str(arn)), replace(policy, rotate_every=timedelta(days=90)))


def _abort(_: World, arn: KeyArn, policy: Policy) -> Job:
    return abort("payments", arn, policy)


def _repair(_: World, arn: KeyArn, policy: Policy) -> Job:
    return jobs.repair("payments", KeySettings(arn=str(arn)), policy)


def _renew(_: World, arn: KeyArn, policy: Policy) -> Job:
    wanted = replace(policy, expires=RENEWED, renew_before=RENEW_BEFORE)
    return jobs.renew("payments", KeySettings(arn=str(arn)), wanted)


def _replicate(_: World, arn: KeyArn, policy: Policy) -> Job:
    regions = frozenset(Region(region) for region in (*REGIONS, ADDED))
    wanted = replace(policy, regions=regions, replicate=Replicate.AUTO)
    return jobs.repair("payments", KeySettings(arn=str(arn)), wanted)


def _adopt(world: World, arn: KeyArn, policy: Policy) -> Job:
    file = _file(world, arn)
    return adopt("payments", arn, policy, file, None, world.store.identify(arn.identity, file))


def whole(world: World, arn: KeyArn) -> bool:
    """Whether every Region is Enabled with all of its material, and CURRENT is proven in the store."""
    proven = {entry.linked for entry in world.store.entries(arn.identity) if entry.proven}
    keys = world.everywhere(arn).values()
    usable = all(key.key_state == "Enabled" and all(row.usable for row in key.rows) for key in keys)
    return usable and world.true(arn).current in proven


def _rotated(world: World, arn: KeyArn) -> bool:
    return whole(world, arn) and len(world.true(arn).rows) > 1 and world.true(arn).pending is None


def _withdrawn(world: World, arn: KeyArn) -> bool:
    marked = [entry for entry in world.store.entries(arn.identity) if entry.discarded_at]
    return whole(world, arn) and world.true(arn).pending is None and bool(marked)


def _renewed(world: World, arn: KeyArn) -> bool:
    lasting = (world.clock.now() + RENEWED - timedelta(days=10)).timestamp()
    ends = [row.valid_to for key in world.everywhere(arn).values() for row in key.rows]
    return whole(world, arn) and all(end is not None and end > lasting for end in ends)


def _replicated(world: World, arn: KeyArn) -> bool:
    known = {region for entry in world.store.entries(arn.identity) for region in entry.proofs}
    return whole(world, arn) and ADDED in world.true(arn).regions and ADDED in known


KINDS: Mapping[str, Kind] = {
    "rotate": Kind(_old, _rotate, _rotated, rotations=1),
    "run": Kind(_old, _run, _rotated, rotations=1),
    "abort": Kind(_begun, _abort, _withdrawn, operations=("DeleteImportedKeyMaterial",)),
    "repair": Kind(_lacking, _repair, whole, operations=("ImportKeyMaterial",), restores=True),
    "renew": Kind(_expiring, _renew, _renewed, operations=("ImportKeyMaterial",), renews=RENEW_BEFORE),
    "replicate": Kind(_proven, _replicate, _replicated, operations=("ReplicateKey", "GetKeyPolicy")),
    "adopt": Kind(_elsewhere, _adopt, whole, operations=("ImportKeyMaterial",)),
}
