"""Any sequence of legal and illegal calls over three Regions leaves a world in which the rules still hold."""

from dataclasses import replace
from typing import Any

import boto3
from botocore.exceptions import ClientError
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sim_cloud import PRIMARY, REPLICA, THIRD, Cloud, Hand, bytes_of

from orchestrator.simulator import Lag, Simulator, TrueKey, serve

REGIONS = st.sampled_from([PRIMARY, REPLICA, THIRD])
CONTENTS = st.sampled_from([bytes_of(name) for name in "abcd"])
CONTEXTS = st.sampled_from([{}, {"a": "b"}, {"a": "c"}])
KINDS = st.sampled_from(["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL", None])
LAG = replace(Lag.small(), rotation=(20, 20, 20), evaporation=30)
SIMPLE = st.sampled_from(
    [
        "enable_key",
        "disable_key",
        "schedule_key_deletion",
        "cancel_key_deletion",
        "rotate_key_on_demand",
        "describe_key",
        "list_key_rotations",
        "get_key_rotation_status",
        "enable_key_rotation",
        "get_key_policy",
    ]
)


class Keys(RuleBasedStateMachine):
    """One imported and one generated multi-Region key, and whatever a client may think of."""

    session = boto3.Session()
    lag = LAG

    def __init__(self) -> None:
        super().__init__()
        self.clock = Hand()
        self.sim = Simulator(now=self.clock, lag=self.lag)
        self.served = serve(self.sim)
        self.cloud = Cloud(self.sim, self.clock, self.served.endpoint_url, self.session)
        self.keys = [self.cloud.key(MultiRegion=True), self.cloud.key(MultiRegion=True, Origin="AWS_KMS")]
        self.non_current: dict[str, set[str]] = {key: set() for key in self.keys}
        self.sealed: list[tuple[str, bytes, dict[str, str]]] = []
        self.which = 0
        self.codes: set[str] = set()

    def teardown(self) -> None:
        """Wait until nothing has happened for as long as news takes: then every Region tells what is true."""
        self.clock.advance(60)
        before = None
        while before != (before := self.truths()):
            self.clock.advance(15)
        for key in self.keys:
            for region in (PRIMARY, REPLICA, THIRD):
                truth = self.sim.key(region, key)
                described = self.attempt(region, "describe_key", KeyId=key)
                assert (described is None) == (truth is None)
                if truth is not None:
                    assert described["KeyMetadata"]["KeyState"] == truth.key_state
                    told = [(row["KeyMaterialId"], row["KeyMaterialState"]) for row in self.cloud.rows(key, region)]
                    assert told == [(row.material_id, row.state) for row in truth.rows]
        self.served.close()

    def truths(self) -> list[TrueKey | None]:
        return [self.sim.key(region, key) for key in self.keys for region in (PRIMARY, REPLICA, THIRD)]

    @property
    def key(self) -> str:
        return self.keys[self.which]

    def attempt(self, region: str, operation: str, **params: Any) -> Any:
        """Call; a refusal is as good an answer as any, as long as it is one of KMS's own."""
        try:
            return getattr(self.cloud.kms(region), operation)(**params)
        except ClientError as error:
            self.codes.add(error.response["Error"]["Code"])
            return None

    @initialize(replicas=st.sampled_from([(), (REPLICA,), (REPLICA, THIRD)]), pending=st.booleans())
    def begin(self, replicas: tuple[str, ...], pending: bool) -> None:
        """Start most runs where it gets interesting: a set with material, maybe with more on its way."""
        if not replicas:
            return
        key = self.keys[0]
        self.cloud.settle()
        self.cloud.new(key, bytes_of("a"))
        for region in replicas:
            for one in self.keys:
                self.cloud.kms().replicate_key(KeyId=one, ReplicaRegion=region)
        self.clock.advance(60)
        for region in replicas:
            self.cloud.existing(key, bytes_of("a"), region)
        if pending:
            self.cloud.new(key, bytes_of("b"))
            self.clock.advance(60)
            for region in replicas:
                self.cloud.existing(key, bytes_of("b"), region)
            self.clock.advance(60)

    @rule(which=st.sampled_from([0, 0, 0, 1]))
    def turn_to(self, which: int) -> None:
        self.which = which

    @rule(region=REGIONS, content=CONTENTS, kind=KINDS, valid=st.sampled_from([None, 15, 90, 86400]))
    def import_material(self, region: str, content: bytes, kind: str | None, valid: int | None) -> None:
        try:
            given: dict[str, Any] = {"KeyId": self.key, **self.cloud.wrap(region, self.key, content)}
        except ClientError as error:
            self.codes.add(error.response["Error"]["Code"])
            return
        given |= {"ImportType": kind} if kind else {}
        given |= {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"} if valid is None else {}
        given |= {"ValidTo": self.clock() + valid} if valid is not None else {}
        self.attempt(region, "import_key_material", **given)

    @rule(region=REGIONS, place=st.sampled_from([None, 0, 1, 2, -1]))
    def delete_material(self, region: str, place: int | None) -> None:
        truth = self.sim.key(region, self.key)
        named: dict[str, str] = {}
        if place is not None and truth is not None and -len(truth.rows) <= place < len(truth.rows):
            named = {"KeyMaterialId": truth.rows[place].material_id}
        self.attempt(region, "delete_imported_key_material", KeyId=self.key, **named)

    @rule(region=REGIONS, operation=SIMPLE)
    def simple(self, region: str, operation: str) -> None:
        self.attempt(region, operation, KeyId=self.key)

    @rule(region=REGIONS, other=REGIONS)
    def replicate(self, region: str, other: str) -> None:
        self.attempt(region, "replicate_key", KeyId=self.key, ReplicaRegion=other)

    @rule(region=REGIONS, other=REGIONS)
    def promote(self, region: str, other: str) -> None:
        self.attempt(region, "update_primary_region", KeyId=self.key, PrimaryRegion=other)

    @rule(region=REGIONS)
    def rotate_when_ready(self, region: str) -> None:
        """Once all news has come round, nothing is rotated that a member lacks."""
        self.clock.advance(15)
        before = self.sim.key(region, self.key)
        answer = self.attempt(region, "rotate_key_on_demand", KeyId=self.key)
        if answer is not None and before is not None and not before.rotating and self.which == 0:
            for member in before.regions:
                assert self.sim.material(member, self.key, str(before.pending)) is not None

    @rule(seconds=st.sampled_from([0.05, 1, 10, 30, 3600, 8 * 86400]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(region=REGIONS, context=CONTEXTS)
    def encrypt(self, region: str, context: dict[str, str]) -> None:
        answer = self.attempt(region, "encrypt", KeyId=self.key, Plaintext=b"p", EncryptionContext=context)
        truth = self.sim.key(region, self.key)
        if answer is not None:
            assert truth is not None
            # A replica may not know yet of the rotation that left it without material.
            assert truth.key_state in ("Enabled", "Updating") or region != truth.primary
            self.sealed.append((self.key, answer["CiphertextBlob"], context))

    @precondition(lambda self: self.sealed)
    @rule(region=REGIONS, context=CONTEXTS, data=st.data())
    def decrypt(self, region: str, context: dict[str, str], data: st.DataObject) -> None:
        key, blob, sealed_under = data.draw(st.sampled_from(self.sealed))
        answer = self.attempt(region, "decrypt", CiphertextBlob=blob, EncryptionContext=context, KeyId=self.key)
        if answer is not None:
            assert (key, sealed_under) == (self.key, context)
            assert answer["Plaintext"] == b"p"
        truth = self.sim.key(region, self.key)
        if truth is not None and truth.key_state == "Enabled" and (key, sealed_under) == (self.key, context):
            assert answer is not None

    @invariant()
    def the_rules_hold(self) -> None:
        assert "KMSInternalException" not in self.codes
        for key in self.keys:
            for region in (PRIMARY, REPLICA, THIRD):
                truth = self.sim.key(region, key)
                if truth is not None:
                    self.judge(key, truth)

    def judge(self, key: str, truth: TrueKey) -> None:
        states = [row.state for row in truth.rows]
        pending = [state for state in states if state.startswith("PENDING")]
        assert len(pending) <= 1
        assert states.count("CURRENT") == (1 if truth.current else 0)
        assert not pending or states[-1] == pending[0]
        old = {row.material_id for row in truth.rows if row.state == "NON_CURRENT"}
        assert self.non_current[key] <= old
        self.non_current[key] |= old
        permanent = [row for row in truth.rows if not row.state.startswith("PENDING")]
        complete = bool(permanent) and all(row.usable for row in permanent)
        if truth.key_state == "Enabled":
            assert complete
        if truth.key_state == "PendingImport":
            assert not complete
        assert 0 <= truth.rotations_spent <= 25
        event(f"{truth.key_state}, {truth.rotations} rotations, {len(pending)} pending")


class FlappingKeys(Keys):
    """The same with late news and stale reads."""

    lag = Lag.aws_like()


TestKeys = Keys.TestCase
TestFlappingKeys = FlappingKeys.TestCase
TestKeys.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestFlappingKeys.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
