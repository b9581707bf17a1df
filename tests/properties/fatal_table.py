"""What KMS would accept and the owner would regret: states of a key, and the refusal and way out of each.

Each row names the line of the design's invariants and protocol that it holds to.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from orchestrator.errors import Exit
from orchestrator.goals import rotate_now
from orchestrator.model import (
    EntryName,
    ImportType,
    KeyArn,
    MaterialId,
    MissingOld,
    Policy,
    Reason,
    Region,
    Replicate,
)
from orchestrator.progress import Job
from orchestrator.settings import KeySettings
from orchestrator.simulator import Call, Lag
from workflows import jobs
from workflows.abort import abort
from workflows.rotate import ROTATE
from worlds import REGIONS, World

PRIMARY, REPLICA = REGIONS[0], REGIONS[2]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: the job, and the command that plans it."""

    job: Callable[[World, KeyArn, Policy], Job]
    command: tuple[str, ...]


def _rotation(world: World, arn: KeyArn, policy: Policy) -> Job:
    return world.job(arn, policy=policy)


def _rotation_of_another(_: World, arn: KeyArn, policy: Policy) -> Job:
    return Job("payments", arn, policy, ROTATE, partial(rotate_now, policy=policy, replaces=NEVER_CURRENT))


NEVER_CURRENT = MaterialId("12345678" * 8)
ROTATION = Asked(_rotation, ("rotate",))
ANOTHER = Asked(_rotation_of_another, ("rotate", "--replaces", NEVER_CURRENT))
ABORTED = Asked(lambda _, arn, policy: abort("payments", arn, policy), ("abort",))
ABORT_BY_ID = Asked(
    lambda _, arn, policy: abort("payments", arn, policy, NEVER_CURRENT), ("abort", "--material-id", NEVER_CURRENT)
)
REPAIRED = Asked(lambda _, arn, policy: jobs.repair("payments", KeySettings(arn=str(arn)), policy), ("repair",))


@dataclass(frozen=True, slots=True)
class Fatal:
    """A state of a key, what it is refused for, and what must stand in the way out."""

    claim: str
    bring_about: Callable[[World, KeyArn], object]
    reason: Reason
    way_out: str
    asked: Asked = ROTATION
    policy: dict[str, Any] | None = None
    made_with: dict[str, Any] | None = None
    make: Callable[[World], KeyArn] | None = None
    lag: Lag | str = "instant"
    run_mends: bool = False
    """Whether `mrk run` has something else to do first, or nothing, so that `mrk plan` shows no refusal."""
    by_settings: bool = False
    """Whether no config can say this: the commands refuse that before they look."""

    @property
    def told(self) -> tuple[Exit, bool]:
        """How a command ends that shows the plan, and whether it names the reason."""
        return (Exit.USAGE, False) if self.by_settings else (Exit.BLOCKED, True)


def loses(region: str, which: int = -1) -> Callable[[World, KeyArn], object]:
    """Somebody deletes one of the key's materials in a Region."""

    def act(world: World, arn: KeyArn) -> None:
        material = world.true(arn).rows[which].material_id
        world.client(region).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=material)

    return act


def loses_old(world: World, arn: KeyArn) -> None:
    """After a rotation, a replica loses the old material: KMS would rotate, and that Region would stay dead."""
    assert world.rotate(arn).status == "finished"
    world.clock.advance(days=2)
    loses(REPLICA, 0)(world, arn)


def expires(days: float) -> dict[str, Any]:
    return {"valid_to_in": timedelta(days=days)}


def passes(days: float) -> Callable[[World, KeyArn], object]:
    return lambda world, _: world.clock.advance(days=days)


def disables(region: str) -> Callable[[World, KeyArn], object]:
    return lambda world, arn: world.client(region).disable_key(KeyId=arn.key_id)


def deletes(region: str) -> Callable[[World, KeyArn], object]:
    return lambda world, arn: world.client(region).schedule_key_deletion(KeyId=arn.key_id, PendingWindowInDays=7)


def forgets_old(world: World, _: KeyArn) -> None:
    """The store is another one: it holds nothing of the key."""
    world.store = world.open_store(f"file:{world.directory / 'empty'}")


def spoils_the_store(world: World, arn: KeyArn) -> None:
    """The one entry of the key cannot be read any more."""
    entry = next(path for path in (world.directory / "store").rglob("*.age") if arn.key_id in str(path))
    entry.unlink()
    entry.write_bytes(b"age-encryption.org/v1\n")
    entry.chmod(0o600)


def spends(rotations: int) -> Callable[[World, KeyArn], None]:
    """Somebody rotates the key so many times, by hand, with material of their own; the last time days ago."""

    def bring_about(world: World, arn: KeyArn) -> None:
        other = world.open_store(f"file:{world.directory / 'other'}")
        for _ in range(rotations):
            name = EntryName(arn.identity, world.true(arn).current)
            other.deposit(name)
            world.send(other, arn, name, ImportType.NEW)
            world.client().rotate_key_on_demand(KeyId=str(arn))
            world.clock.advance(minutes=1)
        world.clock.advance(days=2)

    return bring_about


def rotated(world: World, arn: KeyArn) -> None:
    assert world.rotate(arn).status == "finished"


def foreign_pending(world: World, arn: KeyArn) -> None:
    other = world.open_store(f"file:{world.directory / 'other'}")
    name = EntryName(arn.identity, world.true(arn).current)
    other.deposit(name)
    world.send(other, arn, name, ImportType.NEW)


def rotates_foreign(world: World, arn: KeyArn) -> None:
    """Somebody rotates the key with material that this store never saw."""
    other = world.open_store(f"file:{world.directory / 'other'}")
    name = EntryName(arn.identity, world.true(arn).current)
    other.deposit(name)
    new = world.send(other, arn, name, ImportType.NEW)
    for region in REGIONS[1:]:
        world.send(other, arn.within(Region(region)), name, ImportType.EXISTING, new)
    world.client().rotate_key_on_demand(KeyId=str(arn))
    world.clock.advance(days=2)


def loses_what_was_pending(world: World, arn: KeyArn) -> None:
    """A run was interrupted with its material pending, and somebody deleted that."""
    runner = world.runner()

    def stop(call: Call, when: str) -> None:
        if call.operation == "ImportKeyMaterial" and when == "after":
            runner.stop()

    world.simulator.hooks.append(stop)
    runner.run([world.job(arn)])
    world.simulator.hooks.clear()
    loses(PRIMARY)(world, arn)
    world.clock.advance(minutes=20)


def begins(world: World, arn: KeyArn) -> None:
    """A rotation was left with its material pending everywhere."""
    assert world.rotate(arn, stages=ROTATE[:4]).status == "finished"
    world.clock.advance(minutes=20)


def gives_up_half(world: World, arn: KeyArn) -> None:
    """An abort was interrupted: the attempt is marked, and its material is pending still."""
    begins(world, arn)
    name = next(entry.name for entry in world.store.entries(arn.identity) if entry.name.replaces)
    world.store.discard(name, world.clock.now())


def rotates_foreign_now(world: World, arn: KeyArn) -> None:
    """Somebody's rotation, with material that this store never saw, has just been accepted."""
    other = world.open_store(f"file:{world.directory / 'other'}")
    name = EntryName(arn.identity, world.true(arn).current)
    other.deposit(name)
    new = world.send(other, arn, name, ImportType.NEW)
    for region in REGIONS[1:]:
        world.send(other, arn.within(Region(region)), name, ImportType.EXISTING, new)
    world.client().rotate_key_on_demand(KeyId=str(arn))


def a_key_of_kms(world: World) -> KeyArn:
    """A key whose material KMS made itself."""
    return KeyArn.parse(world.client().create_key(MultiRegion=True)["KeyMetadata"]["Arn"])


def a_signing_key(world: World) -> KeyArn:
    """A key of imported material that signs."""
    wanted = {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"}
    return KeyArn.parse(world.client().create_key(**wanted)["KeyMetadata"]["Arn"])


FATAL = (
    Fatal(
        "I3 CURRENT material is missing in a replica", loses(REPLICA), Reason.MATERIAL_MISSING, "mrk repair payments"
    ),
    Fatal(
        "I3 CURRENT material is missing in the primary", loses(PRIMARY), Reason.MATERIAL_MISSING, "mrk repair payments"
    ),
    Fatal("I3 an old material is missing in a replica", loses_old, Reason.MATERIAL_MISSING, "mrk repair payments"),
    Fatal("I3 P10 material has expired", passes(21), Reason.MATERIAL_MISSING, "mrk repair", made_with=expires(20)),
    Fatal(
        "I3 material expires within the window",
        passes(15),
        Reason.EXPIRES_SOON,
        "mrk renew",
        made_with=expires(20),
    ),
    Fatal("P4 it was rotated within 24 h", rotated, Reason.RECENTLY_ROTATED, "--replaces", run_mends=True),
    Fatal(
        "I3 new material would expire within the window",
        passes(1),
        Reason.EXPIRES_SOON,
        "raise `expires`",
        policy={"expires": timedelta(days=5)},
        by_settings=True,
    ),
    Fatal(
        "I3 a replica is Disabled: an import would enable it", disables(REPLICA), Reason.DISABLED, "aws kms enable-key"
    ),
    Fatal("I3 the primary is Disabled", disables(PRIMARY), Reason.DISABLED, "aws kms enable-key"),
    Fatal("I3 a replica is PendingDeletion", deletes(REPLICA), Reason.KEY_STATE, "cancel-key-deletion"),
    Fatal("I3 the primary is PendingReplicaDeletion", deletes(PRIMARY), Reason.KEY_STATE, "cancel-key-deletion"),
    Fatal(
        "I3 the budget of 25 is spent",
        spends(25),
        Reason.BUDGET_SPENT,
        "make a new key",
        policy={"missing_old": MissingOld.ALLOW},
        made_with={"regions": REGIONS[:1]},
    ),
    Fatal(
        "I3 the reserve is a person's, and nobody is asked",
        spends(23),
        Reason.RESERVED,
        "on a terminal and without --yes: mrk rotate payments",
        policy={"missing_old": MissingOld.ALLOW},
        made_with={"regions": REGIONS[:1]},
    ),
    Fatal(
        "KMS made the material itself",
        passes(1),
        Reason.NOT_EXTERNAL,
        "rotate-key-on-demand",
        make=a_key_of_kms,
    ),
    Fatal("the key is not symmetric", passes(1), Reason.NOT_SYMMETRIC, "make a new key", make=a_signing_key),
    Fatal(
        "P4 what is to be replaced was never CURRENT",
        passes(1),
        Reason.INCONSISTENT,
        "see the ids with mrk status",
        ANOTHER,
        run_mends=True,
    ),
    Fatal(
        "P6 a rotation of foreign material is under way",
        rotates_foreign_now,
        Reason.FOREIGN_PENDING,
        "delete nothing",
        lag=replace(Lag.instant(), rotation=(3600, 3600, 3600)),
    ),
    Fatal(
        "P9 what is pending is of an attempt that was given up",
        gives_up_half,
        Reason.FOREIGN_PENDING,
        "mrk abort payments",
    ),
    Fatal(
        "P9 foreign material is withdrawn by its id alone",
        foreign_pending,
        Reason.FOREIGN_PENDING,
        "--material-id",
        ABORTED,
    ),
    Fatal("P9 what is named is not pending", begins, Reason.INCONSISTENT, "mrk status", ABORT_BY_ID, run_mends=True),
    Fatal(
        "P9 an abort needs more than 15 min",
        begins,
        Reason.TOO_LATE,
        "run.deadline above 15m",
        ABORTED,
        policy={"deadline": timedelta(minutes=10)},
        run_mends=True,
    ),
    Fatal(
        "P11 nothing is replicated while anything is pending",
        begins,
        Reason.REGION_LACKING,
        "mrk abort",
        REPAIRED,
        policy={
            "regions": frozenset(Region(region) for region in (*REGIONS, "sa-east-1")),
            "replicate": Replicate.AUTO,
        },
    ),
    Fatal("P2 foreign material is pending", foreign_pending, Reason.FOREIGN_PENDING, "mrk adopt payments FILE"),
    Fatal(
        "P2 P5 CURRENT is not of this store",
        rotates_foreign,
        Reason.FOREIGN_CURRENT,
        "mrk adopt payments FILE",
    ),
    Fatal(
        "P6 P9 what was pending was deleted by somebody else",
        loses_what_was_pending,
        Reason.PENDING_VANISHED,
        "mrk abort payments",
    ),
    Fatal("P7 the store lacks material that the key needs", forgets_old, Reason.STORE_LACKS, "mrk adopt payments FILE"),
    Fatal(
        "P7 the store cannot read material back",
        spoils_the_store,
        Reason.STORE_UNREADABLE,
        "or bring the bytes: mrk adopt",
    ),
    Fatal(
        "P11 the config lists a Region that the key lacks",
        passes(1),
        Reason.REGION_LACKING,
        "set `replicate: auto`",
        policy={"regions": frozenset(Region(region) for region in (*REGIONS, "sa-east-1"))},
    ),
    Fatal(
        "P11 the key has a Region that the config lacks",
        passes(1),
        Reason.REGION_UNLISTED,
        "add ap-southeast-2 to `regions`",
        policy={"regions": frozenset(Region(region) for region in REGIONS[:2])},
    ),
)
