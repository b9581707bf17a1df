"""A simulated world for tests: keys in several Regions over real HTTP, a real store on disk, and our own clock."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import boto3
import pyrage

from orchestrator import goals
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.lanes import Lanes
from orchestrator.model import (
    EntryName,
    ImportType,
    KeyArn,
    MaterialId,
    Policy,
    Proof,
    Region,
    RegionView,
    Stage,
    View,
)
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import Event, MaterialStore, WrappingAlgorithm
from orchestrator.progress import Job, Report
from orchestrator.retry import Retry, RetryPolicy
from orchestrator.runner import Carry, Runner
from orchestrator.simulator import Simulator, TrueKey
from orchestrator.stores import Place, Wanted, init_store
from workflows.rotate import ROTATE

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
ACCOUNT = "111122223333"


class ManualClock:
    """A clock that stands still while calls are in flight, and jumps when a run waits."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._set = timedelta()

    def now(self) -> datetime:
        return self._now + self._set

    def drift(self) -> timedelta:
        return self._set

    def set_ahead(self, **time: float) -> None:
        """Somebody sets the clock of the machine that mrk runs on; KMS's, which `epoch` tells, stays right."""
        self._set += timedelta(**time)

    def epoch(self) -> float:
        return self._now.timestamp()

    def advance(self, **time: float) -> None:
        self._now += timedelta(**time)

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def receive(self, inbox: "SimpleQueue[Any]", until: datetime, *, busy: bool) -> Any | None:
        try:
            return inbox.get(timeout=30 if busy else 0)
        except Empty:
            assert not busy, "a call did not come back within 30 s"
            self._now = max(self._now, until - self._set)
            return None


@dataclass
class World:
    """Everything that one test needs."""

    simulator: Simulator
    endpoint_url: str
    directory: Path
    clock: ManualClock
    executor: Executor
    events: list[Event] = field(default_factory=list)
    policy: Policy = field(default_factory=lambda: Policy(proof=Proof.FULL))
    random_bytes: Any = None

    def __post_init__(self) -> None:
        self.identity = self.directory / "identity.txt"
        self.recovery = pyrage.x25519.Identity.generate()
        ours = pyrage.x25519.Identity.generate()
        self.identity.write_text(f"{ours}\n")
        self.identity.chmod(0o600)
        self.recipients = [str(ours.to_public()), str(self.recovery.to_public())]
        self.store = self.open_store()
        self._clients: dict[str, Any] = {}
        self._kms = KmsFactory(KmsOptions(self.endpoint_url, run_id="test"), self.clock.now, self.events.append)

    @property
    def store_uri(self) -> str:
        return f"file:{self.directory / 'store'}"

    def open_store(self, uri: str | None = None, **more: Any) -> MaterialStore:
        return init_store(
            uri or self.store_uri,
            Place("aws", "other"),
            Wanted(self.clock.now, recipients=tuple(self.recipients), identity=self.identity, volatile=True, **more),
        )

    def client(self, region: str = REGIONS[0]) -> Any:
        """The stock boto3 client of a Region."""
        if region not in self._clients:
            self._clients[region] = boto3.client("kms", region_name=region, endpoint_url=self.endpoint_url)
        return self._clients[region]

    def kms(self) -> KmsFactory:
        """The clients of mrk: one set for all runs, as they take longer to make than a rotation takes."""
        return self._kms

    def make_key(
        self, regions: Sequence[str] = REGIONS, *, deposited: bool = True, valid_to: datetime | None = None
    ) -> KeyArn:
        """Make a multi-Region key whose first material is in every Region and, unless told otherwise, in the store."""
        client = self.client(regions[0])
        made = client.create_key(Origin="EXTERNAL", MultiRegion=len(regions) > 1)
        arn = KeyArn.parse(made["KeyMetadata"]["Arn"])
        self.clock.advance(seconds=self.simulator.lag.oldest)
        store = self.store if deposited else self.open_store(f"file:{self.directory / 'elsewhere'}")
        name = EntryName(arn.identity, None)
        store.deposit(name)
        material = self.send(store, arn, name, ImportType.NEW, valid_to=valid_to)
        store.link(name, material)
        for region in regions[1:]:
            client.replicate_key(KeyId=str(arn), ReplicaRegion=region)
            while self.true(arn, region).key_state == "Creating":
                self.clock.advance(seconds=5)
            self.send(store, arn.within(Region(region)), name, ImportType.EXISTING, material, valid_to)
        if deposited:
            store.mark_proven(name, {"regions": list(regions), "proof": "full"})
        self.clock.advance(minutes=10)
        return arn

    def send(
        self,
        store: MaterialStore,
        arn: KeyArn,
        name: EntryName,
        kind: ImportType,
        material: MaterialId | None = None,
        valid_to: datetime | None = None,
    ) -> MaterialId:
        """Import an entry as a person with the right files could."""
        kms = self.kms()(arn.region)
        parameters = kms.get_parameters_for_import(arn, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        wrapped = store.wrap(name, parameters.public_key, parameters.algorithm)
        return kms.import_key_material(arn, parameters, wrapped, kind, material, valid_to)

    def observe(self) -> Observe:
        return Observe(self.kms(), self.store, self.retry(), self.clock.now)

    def retry(self) -> Retry:
        return Retry(self.clock.sleep, RetryPolicy(attempts=3, total=20))

    def runner(
        self, carry: Carry | None = None, store: MaterialStore | None = None, acting: Executor | None = None
    ) -> Runner:
        kms, store, retry = self.kms(), store or self.store, self.retry()
        lanes = Lanes(lambda name: acting if acting and name.startswith("act-") else self.executor)
        parameters = Parameters(kms, retry, self.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        more: dict[str, Any] = {} if carry is None else {"carry": carry}
        return Runner(
            Observe(kms, store, retry, self.clock.now),
            Perform(kms, store, parameters, retry),
            parameters,
            self.clock,
            lanes,
            self.events.append,
            **more,
        )

    def job(self, arn: KeyArn, *, stages: Sequence[Stage] = ROTATE, policy: Policy | None = None, **pin: Any) -> Job:
        chosen = policy or self.policy
        return Job("payments", arn, chosen, stages, lambda view: goals.rotate_now(view, chosen, **pin))

    def rotate(self, arn: KeyArn, **more: Any) -> Report:
        """Run the workflow `rotate` to its end."""
        return self.runner().run([self.job(arn, **more)])[0]

    def view(self, arn: KeyArn) -> View:
        """Look at everything."""
        eyes = self.observe()
        first = eyes.region(arn)
        assert isinstance(first, RegionView), first
        seen = {region: eyes.region(arn.within(region)) for region in first.members}
        found = {region: one for region, one in seen.items() if isinstance(one, RegionView)}
        view = View(arn, self.clock.now(), found)
        return replace(view, store=eyes.store(arn, view.permanent_ids()))

    def true(self, arn: KeyArn, region: str | None = None) -> TrueKey:
        """The key as it really is in one Region."""
        key = self.simulator.key(region or arn.region, str(arn))
        assert key is not None
        return key

    def everywhere(self, arn: KeyArn) -> Mapping[str, TrueKey]:
        """The key as it really is in every Region."""
        return {region: self.true(arn, region) for region in self.true(arn).regions}

    def calls(self, operation: str) -> list[Any]:
        return [call for call in self.simulator.calls if call.operation == operation]
