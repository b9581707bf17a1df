"""What KMS would accept and the owner would regret is refused, with a reason and a way out; `plan` shows it already.

Over the wire: a real key is brought into the state in question, and after the refusal it is exactly as it was. Each row
names the line of the design's invariants and protocol that it holds to.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fatal_table import FATAL, Fatal

from crash.dying import Offset
from e2e.machine import Machine, Past
from nursery import nursery
from orchestrator.model import KeyArn, Policy, Reason, Replicate
from orchestrator.progress import Report
from orchestrator.settings import KeySettings
from verdict import Count, before, broken, held
from workflows import jobs
from worlds import World

CHANGING = ("Import", "Delete", "Rotate", "Enable", "Disable", "Schedule", "Cancel", "Replicate", "Update", "Create")


def planned_by_command(world: World, arn: KeyArn, policy: Policy, *command: str) -> tuple[int, set[str]]:
    """The exit code and the reasons that the real command prints, as a process whose clock is that of the world."""
    directory = world.directory / "machine"
    directory.mkdir(exist_ok=True)
    machine = Machine(directory, world.endpoint_url, world.simulator, Past())
    key = {"arn": str(arn), "rotate_every": "1d", "missing_old": str(policy.missing_old)}
    key |= {"regions": sorted(policy.regions)} if policy.regions else {}
    key |= {"replicate": "auto"} if policy.replicate is Replicate.AUTO else {}
    key |= {"expires": f"{policy.expires.days}d", "renew_before": "1d"} if policy.expires else {}
    uri = f"file:{world.store._vault._shelf.files.root}"  # type: ignore[attr-defined]
    store = {"uri": uri, "recipients": world.recipients, "identity": str(world.identity), "volatile": "allow"}
    deadline = f"{policy.deadline.total_seconds():.0f}s"
    running = {"looks": 2, "poll": "5s", "deadline": deadline, "journal": str(directory / "runs")}
    machine.more = {"store": store, "run": running}
    machine.write_config(payments=key)
    offset = Offset.make(directory / "offset")
    offset.add((world.clock.now() - datetime.now(UTC)).total_seconds())
    mortal = {"where": "-", "told": str(directory / "calls.txt"), "offset": str(directory / "offset")}
    words = [command[0], "payments", *command[1:], "--json"]
    process = nursery().start(words, directory, machine.environment, mortal=mortal)
    out, err = process.communicate(timeout=100)
    assert out, err
    return process.returncode, set(reasons(json.loads(out)))


def unattended(world: World, arn: KeyArn, policy: Policy) -> str:
    """What comes of the key where cron calls (P10: whatever is lacking, nobody has asked for a repair)."""
    due = replace(policy, rotate_every=timedelta(days=1))
    return world.runner().run([jobs.run("payments", KeySettings(arn=str(arn)), due)])[0].status


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
    make_world: Callable[..., World], record_property: Count, fatal: Fatal
) -> None:
    world = make_world(lag=fatal.lag)
    made_with = dict(fatal.made_with or {})
    window = made_with.pop("valid_to_in", None)
    if window:
        made_with["valid_to"] = (world.clock.now() + window).replace(microsecond=0)
    arn = fatal.make(world) if fatal.make else world.make_key(**made_with)
    known = held(world.store, key=arn.identity)
    fatal.bring_about(world, arn)
    policy = replace(world.policy, **(fatal.policy or {}))
    was, entries = picture(world, arn), len(world.store.entries(arn.identity))
    earlier, known = before(world.simulator, arn), known | elsewhere(world, arn)
    calls = world.simulator.calls[-1].number

    code, planned = planned_by_command(world, arn, policy, *fatal.asked.command, "--dry-run")
    run_code, run_planned = planned_by_command(world, arn, policy, "plan")
    report: Report = world.runner().run([fatal.asked.job(world, arn, policy)])[0]
    by_cron = None if fatal.run_mends else unattended(world, arn, policy)

    assert by_cron in {None, "blocked"}
    assert report.status == "blocked", f"{report.status}: {report.message}"
    mine = [block for block in report.blocks if block.reason is fatal.reason]
    assert mine, report.blocks
    assert any(fatal.way_out in block.way_out for block in mine), [block.way_out for block in mine]
    assert all(block.message for block in mine)
    assert (code, str(fatal.reason) in planned) == fatal.told
    assert (run_code, str(fatal.reason) in run_planned) == ((0, False) if fatal.run_mends else fatal.told)
    assert picture(world, arn) == was
    if fatal.reason is not Reason.NOT_EXTERNAL:  # what KMS made itself is in no store
        assert not broken(world.simulator, arn, earlier, [world.store], success=False, rotations=0, known=known)
    assert len(world.store.entries(arn.identity)) == entries
    sent = [call.operation for call in world.simulator.calls if call.number > calls]
    assert not [operation for operation in sent if operation.startswith(CHANGING)], sent
    record_property("refusals", 1)
