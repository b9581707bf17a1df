"""What KMS would accept and the owner would regret is refused, with a reason and a way out; `plan` shows it already.

Over the wire: a real key is brought into the state in question, and after the refusal it is exactly as it was. Each row
names the line of the design's invariants and protocol that it holds to.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crash.crash_kit import nursery
from crash.dying import Offset
from e2e.machine import Machine, Past
from orchestrator.errors import Exit
from orchestrator.model import EntryName, ImportType, KeyArn, MissingOld, Policy, Reason, Region
from orchestrator.progress import Report
from orchestrator.simulator import Call
from verdict import Count, before, broken, held
from worlds import REGIONS, World

PRIMARY, REPLICA = REGIONS[0], REGIONS[2]
CHANGING = ("Import", "Delete", "Rotate", "Enable", "Disable", "Schedule", "Cancel", "Replicate", "Update", "Create")


@dataclass(frozen=True, slots=True)
class Fatal:
    """A state of a key, what it is refused for, and what must stand in the way out."""

    claim: str
    bring_about: Callable[[World, KeyArn], object]
    reason: Reason
    way_out: str
    policy: dict[str, Any] | None = None
    made_with: dict[str, Any] | None = None
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


def spends_the_budget(world: World, arn: KeyArn) -> None:
    """Somebody rotates the key 25 times, by hand, with material of their own."""
    other = world.open_store(f"file:{world.directory / 'other'}")
    for _ in range(25):
        name = EntryName(arn.identity, world.true(arn).current)
        other.deposit(name)
        world.send(other, arn, name, ImportType.NEW)
        world.client().rotate_key_on_demand(KeyId=str(arn))
        world.clock.advance(minutes=1)
    world.clock.advance(days=2)


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
        "mrk re",
        made_with=expires(20),
        run_mends=True,
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
        spends_the_budget,
        Reason.BUDGET_SPENT,
        "make a new key",
        policy={"missing_old": MissingOld.ALLOW},
        made_with={"regions": REGIONS[:1]},
    ),
    Fatal("P2 foreign material is pending", foreign_pending, Reason.FOREIGN_PENDING, "mrk adopt payments FILE"),
    Fatal(
        "P2 P5 CURRENT is not of this store",
        rotates_foreign,
        Reason.STORE_LACKS,
        "mrk adopt payments FILE",
    ),
    Fatal(
        "P6 P9 what was pending was deleted by somebody else",
        loses_what_was_pending,
        Reason.PENDING_VANISHED,
        "mrk abort payments",
    ),
    Fatal("P7 the store lacks material that the key needs", forgets_old, Reason.STORE_LACKS, "mrk adopt payments FILE"),
    Fatal("P7 the store cannot read material back", spoils_the_store, Reason.STORE_UNREADABLE, "restore the store"),
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


def planned_by_command(world: World, arn: KeyArn, policy: Policy, *command: str) -> tuple[int, set[str]]:
    """The exit code and the reasons that the real command prints, as a process whose clock is that of the world."""
    directory = world.directory / "machine"
    directory.mkdir(exist_ok=True)
    machine = Machine(directory, world.endpoint_url, world.simulator, Past())
    key = {"arn": str(arn), "rotate_every": "1d", "missing_old": str(policy.missing_old)}
    key |= {"regions": sorted(policy.regions)} if policy.regions else {}
    key |= {"expires": f"{policy.expires.days}d", "renew_before": "1d"} if policy.expires else {}
    uri = f"file:{world.store._vault._shelf.files.root}"  # type: ignore[attr-defined]
    store = {"uri": uri, "recipients": world.recipients, "identity": str(world.identity)}
    machine.more = {"store": store, "run": {"looks": 2, "poll": "5s", "journal": str(directory / "runs")}}
    machine.write_config(payments=key)
    offset = Offset.make(directory / "offset")
    offset.add((world.clock.now() - datetime.now(UTC)).total_seconds())
    process = nursery().start(
        {
            "arguments": [*command, "payments", "--json"],
            "where": "-",
            "told": str(directory / "calls.txt"),
            "offset": str(directory / "offset"),
            "cwd": str(directory),
            "environment": machine.environment,
            "out": str(directory / "out"),
            "err": str(directory / "err"),
        }
    )
    out, err = process.communicate(timeout=100)
    assert out, err
    return process.returncode, set(reasons(json.loads(out)))


def reasons(told: Any) -> Iterator[str]:
    """Every reason that stands anywhere in a document."""
    if isinstance(told, dict):
        yield from [told["reason"]] if isinstance(told.get("reason"), str) else []
    for inner in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from reasons(inner)


def elsewhere(world: World, arn: KeyArn) -> set[bytes]:
    """What the stores of this test hold."""
    stores = (world.open_store(f"file:{world.directory / name}") for name in ("store", "other"))
    return held(*stores, key=arn.identity)


def picture(world: World, arn: KeyArn) -> Any:
    """Everything that a refusal must leave alone."""
    return {
        region: (key.key_state, key.rows, key.rotations, key.pending) for region, key in world.everywhere(arn).items()
    }


@pytest.mark.parametrize("fatal", FATAL, ids=lambda fatal: fatal.claim)
def test_it_is_refused_with_its_reason_and_a_way_out_and_planned_so(
    world: World, record_property: Count, fatal: Fatal
) -> None:
    made_with = dict(fatal.made_with or {})
    window = made_with.pop("valid_to_in", None)
    if window:
        made_with["valid_to"] = (world.clock.now() + window).replace(microsecond=0)
    arn = world.make_key(**made_with)
    known = held(world.store, key=arn.identity)
    fatal.bring_about(world, arn)
    policy = replace(world.policy, **(fatal.policy or {}))
    was, entries = picture(world, arn), len(world.store.entries(arn.identity))
    earlier, known = before(world.simulator, arn), known | elsewhere(world, arn)
    calls = world.simulator.calls[-1].number

    code, planned = planned_by_command(world, arn, policy, "rotate", "--dry-run")
    run_code, run_planned = planned_by_command(world, arn, policy, "plan")
    report: Report = world.rotate(arn, policy=policy)

    assert report.status == "blocked", f"{report.status}: {report.message}"
    mine = [block for block in report.blocks if block.reason is fatal.reason]
    assert mine, report.blocks
    assert any(fatal.way_out in block.way_out for block in mine), [block.way_out for block in mine]
    assert all(block.message for block in mine)
    assert (code, str(fatal.reason) in planned) == fatal.told
    assert (run_code, str(fatal.reason) in run_planned) == ((0, False) if fatal.run_mends else fatal.told)
    assert picture(world, arn) == was
    assert not broken(world.simulator, arn, earlier, [world.store], success=False, rotations=0, known=known)
    assert len(world.store.entries(arn.identity)) == entries
    sent = [call.operation for call in world.simulator.calls if call.number > calls]
    assert not [operation for operation in sent if operation.startswith(CHANGING)], sent
    record_property("refusals", 1)
