"""Nights of cron in cron's own environment: what one channel tells, every other one does (I13)."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from e2e.cron_nights import NOBODY, Cron
from e2e.year import Calendar
from orchestrator.simulator import Simulator, serve

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HOME, WEST, SOUTH = REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
SETTINGS = {
    "defaults": {"proof": "full", "rotate_every": "30d", "expires": "60d", "renew_before": "20d"},
    "run": {"poll": "100ms", "looks": 2, "deadline": "2m"},
}


@pytest.fixture
def bare() -> Iterator[Cron]:
    """Two keys: `payments`, which `mrk run` may repair, and `ledger`, which only a person may; no store yet."""
    calendar = Calendar()
    simulator = Simulator(calendar, lag="instant", rotation_seconds=0.2)
    directory = Path(mkdtemp(prefix="mrk-cron-"))
    directory.chmod(0o755)
    with serve(simulator) as served:
        host = Cron(directory, served.endpoint_url, simulator, calendar, more=SETTINGS)
        host.make("payments", REGIONS, repair="auto")
        host.make("ledger", (WEST, SOUTH), rotate_every="365d")
        host.handed_over()
        yield host
    shutil.rmtree(directory)


@pytest.fixture
def host(bare: Cron) -> Cron:
    """Both keys are adopted."""
    adopt(bare)
    return bare


def adopt(host: Cron) -> None:
    host.person("store", "init")
    for name in ("payments", "ledger"):
        host.person("adopt", name, f"{name}.bin", "--quiet")


def lose(host: Cron, name: str, region: str) -> None:
    """Delete a key's CURRENT material in one Region, as somebody might."""
    arn = host.keys[name]["arn"]
    true = host.simulator.key(region, arn)
    assert true is not None
    there = ":".join([*arn.split(":")[:3], region, *arn.split(":")[4:]])
    host.client(region).delete_imported_key_material(KeyId=there, KeyMaterialId=true.current)


def test_a_week_of_nights_in_which_every_channel_tells_the_same(host: Cron) -> None:
    """A quiet night, a failed Region, a repair, a blocked key, a rotation, a renewal, and hooks that fail."""
    quiet = host.cron()
    assert (quiet.mail, quiet.code, quiet.statuses) == ("", 0, {"payments": "idle", "ledger": "idle"})

    host.past.leaf(10)  # type: ignore[attr-defined]
    denied = host.simulator.faults.add(operation="DescribeKey", region=SOUTH, error="AccessDeniedException")
    host.patience("5s")
    failed = host.cron()
    host.patience("2m")
    host.simulator.faults.remove(denied)
    assert failed.code == 3
    assert SOUTH in failed.mail

    lose(host, "payments", WEST)
    lose(host, "ledger", SOUTH)
    ill = host.cron()
    assert (ill.code, ill.changes) == (4, {"restored"})
    assert ill.statuses == {"payments": "finished", "ledger": "blocked"}
    assert "mrk repair ledger" in ill.mail
    assert [ill.metrics[f"mrk_region_healthy.ledger.{region}"] for region in (WEST, SOUTH)] == [1, 0]
    host.person("repair", "ledger", "--quiet")

    host.past.leaf(20)  # type: ignore[attr-defined]
    rotation = host.cron()
    assert (rotation.code, rotation.changes) == (0, {"imported", "rotated"})

    host.past.leaf(11)  # type: ignore[attr-defined]
    renewal = host.cron()
    assert (renewal.code, renewal.changes) == (0, {"renewed"})

    for night in (quiet, failed, ill, rotation, renewal, host.cron()):
        night.agree()
    hooks_that_fail(host)


def hooks_that_fail(host: Cron) -> None:
    """Nobody was told: 3, by every channel that is left; the keys are well, and said to be."""
    hook = host.directory / "notify"
    said = hook.read_text()
    hook.write_text("#!/no/such/python\n")
    cannot_run = host.cron()
    reported = host.person("report", "last")
    hook.write_text("#!/bin/sh\nexit 7\n")
    fails = host.cron()
    hook.write_text(said)
    well = host.cron()

    cannot_run.agree()
    assert f"run.after {hook}: it cannot be run: " in reported
    assert "exit code 3" in reported
    assert cannot_run.code == 3
    assert f"run.after {hook} told nobody how this ended: it cannot be run: " in cannot_run.mail
    assert (fails.code, fails.metrics["mrk_last_exit_code"]) == (3, 3)
    assert f"run.after {hook} told nobody how this ended: it ended with exit code 7" in fails.mail
    assert set(fails.statuses.values()) == {"idle"}, "a journal ends before the hook, which gets its hash"
    assert (well.code, well.mail) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory away")
@pytest.mark.parametrize("mode", [0o777, 0o2770], ids=["an emptyDir", "a volume with an fsGroup"])
def test_what_is_left_in_a_volume_of_a_pod_is_the_users_alone(bare: Cron, mode: int) -> None:
    """The volume is root's, and open; what a run makes in it is its user's, and closed to all others."""
    volume = bare.directory / "volume"
    volume.mkdir()
    os.chown(volume, 0, NOBODY)
    volume.chmod(mode)
    identity = str(bare.directory / "identity.txt")
    about = {"recipients": bare.identities, "identity": identity, "volatile": "allow"}
    bare.more["store"] = {"uri": f"file:{volume / 'store'}", **about}
    bare.more["run"] |= {"journal": str(volume / "runs"), "metrics": str(volume / "mrk.prom")}
    bare.write_config()

    bare.person("config", "check")
    adopt(bare)
    bare.person("run", "--quiet")

    made = {path: path.stat() for path in volume.rglob("*")}
    assert len(made) > 10
    assert {found.st_uid for found in made.values()} == {NOBODY}
    assert {path.name for path, found in made.items() if found.st_mode & 0o077} == {"mrk.prom"}
