"""The demo: everything is real but KMS, which is the simulator, over HTTP on this machine."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage  # type: ignore[import-untyped]

from orchestrator.clock import SystemClock
from orchestrator.compose import Engine, assemble
from orchestrator.errors import MrkError
from orchestrator.goals import counted
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.lanes import Lanes
from orchestrator.model import (
    Action,
    DepositMaterial,
    EntryName,
    ImportMaterial,
    ImportType,
    KeyArn,
    MaterialId,
    Outcome,
    Region,
    Result,
)
from orchestrator.progress import Report
from orchestrator.runner import Runner
from orchestrator.settings import Settings
from orchestrator.simulator import Simulator, serve
from orchestrator.simulator.regions import known_regions
from orchestrator.stores import Place, Wanted, init_store
from workflows import jobs

ACCOUNT = "111122223333"
FIRST = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1", "ca-central-1")
ROTATION_SECONDS = 4.0
PATIENCE = 0.1
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Owner",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}

Say = Callable[[str], None]


def show(directory: Path, count: int, say: Say, listener: Callable[..., None]) -> Report:
    """Make a key with `count` members and its store in `directory`, rotate it, and return how that ended."""
    say(f"a simulated KMS, its own on this machine; a store in {directory}; nothing leaves either")
    simulator = Simulator(lag="small", rotation_seconds=ROTATION_SECONDS)
    with serve(simulator) as served, ThreadPoolExecutor(16) as executor:
        lanes = Lanes.of_one(executor)
        clock = SystemClock()
        options = KmsOptions(
            served.endpoint_url, run_id="demo", fips=False, dual_stack=False, credentials=(ACCOUNT, "simulated")
        )
        kms = KmsFactory(options, clock.now, lambda _: None)
        regions = region_names(count)
        key = kms(regions[0]).create_key(json.dumps(POLICY), "made by mrk demo")
        say(f"made the multi-Region key {key.key_id}: primary in {regions[0]}, {counted(count - 1, 'replica')} to come")
        settings = _settings(directory, key, regions, served.endpoint_url)
        _make_store(settings, clock)
        engine = assemble(settings, kms, listener, clock, lanes)
        quietly = assemble(settings, kms, lambda _: None, clock, lanes).runner
        material = _first_material(engine, quietly, key, regions)
        say(f"imported its first key material, {material[:8]}, in {count} Regions; here begins what mrk is for")
        name, chosen = next(iter(settings.keys.items()))
        return engine.runner.run([jobs.rotate(name, chosen, settings.policy(chosen))])[0]


def region_names(count: int) -> Sequence[Region]:
    """Choose Regions: well-known ones first."""
    others = sorted(region for region, partition in known_regions().items() if partition == "aws")
    names = dict.fromkeys((*FIRST, *others))
    return [Region(name) for name in names][:count]


def _settings(directory: Path, key: KeyArn, regions: Sequence[Region], endpoint_url: str) -> Settings:
    """Write the identity to disk as a person would, and configure one key."""
    ours, recovery = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    identity = directory / "identity.txt"
    identity.touch(mode=0o600)
    identity.write_text(f"{ours}\n", encoding="utf-8")
    return Settings.model_validate(
        {
            "store": {
                "uri": f"file:{directory / 'store'}",
                "recipients": [str(ours.to_public()), str(recovery.to_public())],
                "identity": identity,
                "volatile": "allow",
            },
            "defaults": {"proof": "full"},
            "keys": {"demo": {"arn": str(key), "regions": list(regions)}},
            "run": {"poll": "1s", "journal": directory / "runs"},
            "aws": {"endpoint_url": endpoint_url},
        }
    )


def _make_store(settings: Settings, clock: SystemClock) -> None:
    store = settings.store
    where = Place("aws", "other")
    init_store(store.uri, where, Wanted(clock.now, recipients=store.recipients, identity=store.identity, volatile=True))


def _first_material(engine: Engine, quietly: Runner, key: KeyArn, regions: Sequence[Region]) -> MaterialId:
    """Do what a key's owner did long ago: import the first key material, and replicate the key."""
    entry = EntryName(key.identity, None)
    _do(engine, DepositMaterial(entry))
    first = _do(engine, ImportMaterial(key, entry, ImportType.NEW, None, None)).material_id
    assert first is not None  # noqa: S101 - an import that is done names its material
    primary = engine.kms(key.region)
    for region in regions[1:]:
        primary.replicate_key(key, region, json.dumps(POLICY))
    while len(primary.describe_key(key, engine.clock.now()).members) < len(regions):
        time.sleep(PATIENCE)
    name, chosen = next(iter(engine.settings.keys.items()))
    quietly.run([jobs.repair(name, chosen, engine.settings.policy(chosen))])
    return first


def _do(engine: Engine, action: Action) -> Outcome:
    outcome = engine.perform(action)
    if outcome.result is not Result.DONE:
        raise MrkError(f"the demo could not {action.kind}: {outcome.message}", outcome.hint)
    return outcome
