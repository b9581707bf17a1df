"""The world of these tests: a simulated KMS, a store in Secrets Manager, keys, and the function in real runtimes."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import boto3
from sfn_engine import ACCOUNT, Engine, Execution
from sfn_runtimes import Runtime, Runtimes

from orchestrator.kms import KmsFactory, KmsOptions, endpoint_class
from orchestrator.model import EntryName, ImportType, KeyArn, MaterialId, Region
from orchestrator.ports import MaterialStore, WrappingAlgorithm
from orchestrator.retry import Retry
from orchestrator.simulator import Simulator, TrueKey, serve
from orchestrator.stores import Cloud as Access
from orchestrator.stores import Place, Wanted, init_store
from secrets_server import SecretsServer
from workflows.jobs import WORKFLOWS
from workflows.step_functions.machine import machine

FIVE = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1", "ca-central-1")
TWO = FIVE[:2]
KMS_ACCOUNT = "111122223333"
CREDENTIALS = {"aws_access_key_id": KMS_ACCOUNT, "aws_secret_access_key": "made-up"}
RUNTIMES = 3
STORE = "secretsmanager:us-east-1/mrk"
DEPLOYED = {"workflows": ["run", "rotate", "repair"], "partition": "aws", "account": KMS_ACCOUNT}
SETTINGS = {
    "MRK_DEPLOYED": json.dumps(DEPLOYED),
    "MRK_STORE": json.dumps({"uri": STORE}),
    "MRK_DEFAULTS": json.dumps({"proof": "full"}),
    "MRK_RUN": json.dumps({"poll": "200ms", "looks": 2, "deadline": "150s", "workers": 8}),
}


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Cloud:
    """Leaving the block ends every process of it."""

    engine: Engine
    directory: Path
    doubled: bool = False
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.secrets = SecretsServer()
        self.simulator = Simulator(lag="instant", rotation_seconds=0.5)
        self.served = serve(self.simulator)
        made = self.client().create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")
        self.mac_key = str(made["KeyMetadata"]["Arn"])
        self.store = self._make_store()
        self.runtimes = Runtimes([self._runtime(number) for number in range(RUNTIMES)])
        self.engine.invoke = self.invoke
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runtimes.stop()
        self.served.close()
        self.secrets.close()

    def clear(self) -> None:
        self.secrets.faults()
        self.simulator.faults.clear()
        self.simulator.hooks.clear()
        self.events.clear()
        self.doubled = False
        self.engine.invoke = self.invoke

    def invoke(self, event: bytes) -> Any:
        """Invoke the function; `doubled` delivers each call twice, as an engine in doubt may."""
        self.events.append(json.loads(event))
        if self.doubled:
            self.runtimes.invoke(event)
        return self.runtimes.invoke(event)

    def ask(self, **event: Any) -> Any:
        """Invoke the function as a person would."""
        return self.runtimes.invoke(json.dumps(event).encode())

    # ---- where things are ---------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What the function and the command line see."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        coverage = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        made_up = {
            "AWS_ACCESS_KEY_ID": KMS_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_DEFAULT_REGION": FIVE[0],
            "AWS_REGION": FIVE[0],
            "AWS_ENDPOINT_URL_KMS": self.served.endpoint_url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.secrets.url,
            "AWS_ENDPOINT_URL_SFN": self.engine.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.directory / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "no-aws-credentials"),
        }
        return {**kept, **coverage, **made_up, **SETTINGS, "MRK_STORE__MAC_KEY": self.mac_key}

    def _runtime(self, number: int, timeout: int = 300, **more: str) -> Runtime:
        return Runtime({**self.environment, **more}, timeout, self.directory / f"runtime-{number}.log")

    @contextmanager
    def stack(self, **deployed: Any) -> Iterator[Runtime]:
        """The function as another stack deploys it, which answers the engine meanwhile."""
        runtime = self._runtime(RUNTIMES, MRK_DEPLOYED=json.dumps({**DEPLOYED, **deployed}))
        runtime.start()
        self.engine.invoke = runtime.invoke
        try:
            yield runtime
        finally:
            self.engine.invoke = self.invoke
            runtime.stop()

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.directory.glob("runtime-*.log")))

    def _make_store(self) -> MaterialStore:
        def secrets(region: str) -> Any:
            return boto3.client("secretsmanager", region_name=region, endpoint_url=self.secrets.url, **CREDENTIALS)

        options = KmsOptions(self.served.endpoint_url, credentials=(KMS_ACCOUNT, "made-up"))
        kms = KmsFactory(options, now, lambda _: None)
        access = Access(secrets, lambda _region, _key: "AWS_KMS", endpoint_class, Retry(time.sleep), kms)
        return init_store(STORE, Place("aws", "other"), Wanted(clock_now=now, cloud=access, mac_key=self.mac_key))

    # ---- keys ---------------------------------------------------------------------------------------------------

    def client(self, region: str = FIVE[0]) -> Any:
        return boto3.client("kms", region_name=region, endpoint_url=self.served.endpoint_url, **CREDENTIALS)

    def make_key(self, regions: Sequence[str] = TWO) -> KeyArn:
        """Make a multi-Region key whose first material is in every Region, and in the store."""
        arn = KeyArn.parse(self.client().create_key(Origin="EXTERNAL", MultiRegion=True)["KeyMetadata"]["Arn"])
        name = EntryName(arn.identity, None)
        self.store.deposit(name)
        material = self._send(arn, name, ImportType.NEW)
        self.store.link(name, material)
        for region in regions[1:]:
            self.client().replicate_key(KeyId=str(arn), ReplicaRegion=region)
            self._send(arn.within(Region(region)), name, ImportType.EXISTING, material)
        self.store.mark_proven(name, {"regions": list(regions), "proof": "full"})
        return arn

    def _send(self, arn: KeyArn, name: EntryName, kind: ImportType, material: MaterialId | None = None) -> MaterialId:
        options = KmsOptions(self.served.endpoint_url, credentials=(KMS_ACCOUNT, "made-up"))
        kms = KmsFactory(options, now, lambda _: None)(arn.region)
        parameters = kms.get_parameters_for_import(arn, WrappingAlgorithm.RSAES_OAEP_SHA_256)
        wrapped = self.store.wrap(name, parameters.public_key, parameters.algorithm)
        return kms.import_key_material(arn, parameters, wrapped, kind, material, None)

    def true(self, arn: KeyArn, region: str | None = None) -> TrueKey:
        key = self.simulator.key(region or arn.region, str(arn))
        assert key is not None
        return key

    def ending(self, arn: KeyArn) -> dict[str, Any]:
        """Tell how a key and its store entries stand, without what chance picks: ids and times."""
        regions = self.true(arn).regions
        seen = {region: self.true(arn, region) for region in regions}
        order = {row.material_id: number for number, row in enumerate(self.true(arn).rows)}
        return {
            "regions": {
                region: (key.key_state, key.rotations, [(order[r.material_id], r.state, r.usable) for r in key.rows])
                for region, key in seen.items()
            },
            "store": sorted(
                (order.get(e.name.replaces or "", -1), e.name.attempt, order.get(e.linked or ""), e.proven, e.probe)
                for e in self.store.entries(arn.identity)
            ),
        }

    def calls(self, arn: KeyArn, operation: str) -> list[Any]:
        return [c for c in self.simulator.calls if c.operation == operation and arn.key_id in str(c.parameters)]

    # ---- the machine --------------------------------------------------------------------------------------------

    def start(
        self,
        arn: KeyArn,
        workflow: str = "rotate",
        rendered: str = "run",
        name: str | None = None,
        approval: Mapping[str, str] | None = None,
        **asked: Any,
    ) -> Execution:
        """Start the machine of a key."""
        deployed = self.engine.deploy(rendered, machine(rendered, WORKFLOWS[rendered]), **(approval or {}))
        key = {"name": "payments", "arn": str(arn), "regions": sorted(self.true(arn).regions)}
        return self.engine.start(deployed, {"key": key, "workflow": workflow, **asked}, name)

    def make_topic(self) -> tuple[str, str]:
        """Make a topic, and a queue that gets what is published there; return the topic's ARN and the queue's URL."""
        sns, sqs, name = self.engine.client("sns"), self.engine.client("sqs"), f"asked-{uuid4()}"
        topic = str(sns.create_topic(Name=name)["TopicArn"])
        queue = str(sqs.create_queue(QueueName=name)["QueueUrl"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
        return topic, queue

    def receive(self, queue: str, patience: float = 40) -> dict[str, Any]:
        """Wait for a message of a topic."""
        sqs, deadline = self.engine.client("sqs"), time.monotonic() + patience
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
                told: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
                return told
            time.sleep(0.1)
        raise AssertionError("no message came")
