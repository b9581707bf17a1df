"""Answers that are not KMS's, or KMS's of tomorrow: an error that can be read, never a guess or a traceback (I9)."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mutations import TEXTS, drawn, spoiled

from kinds import KINDS
from orchestrator.errors import KmsError
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import ImportType, KeyArn, KeyState, MaterialId, MaterialState, Region, RegionView
from orchestrator.ports import ImportParameters, KmsPort, WrappingAlgorithm
from orchestrator.progress import Report
from orchestrator.simulator import Call, Simulator, serve
from sizes import EVERYTHING
from verdict import Count, before, broken, tell
from worlds import ManualClock, World

pytestmark = pytest.mark.timeout(1800)

ALGORITHM = WrappingAlgorithm.RSAES_OAEP_SHA_256
ASKED: dict[str, Callable[[KmsPort, KeyArn, ManualClock], Any]] = {
    "DescribeKey": lambda kms, arn, clock: kms.describe_key(arn, clock.now()),
    "ListKeyRotations": lambda kms, arn, _: kms.list_key_rotations(arn),
    "GetKeyRotationStatus": lambda kms, arn, _: kms.rotation_started_at(arn),
    "GetParametersForImport": lambda kms, arn, _: kms.get_parameters_for_import(arn, ALGORITHM),
    "ImportKeyMaterial": lambda kms, arn, clock: kms.import_key_material(
        arn, ImportParameters(b"", b"x", ALGORITHM, clock.now()), b"x", ImportType.NEW, None, None
    ),
    "RotateKeyOnDemand": lambda kms, arn, _: kms.rotate_key_on_demand(arn),
    "Encrypt": lambda kms, arn, _: kms.encrypt(arn, b"x", {}),
    "Decrypt": lambda kms, arn, _: kms.decrypt(arn, b"x", {}),
    "GenerateDataKeyWithoutPlaintext": lambda kms, arn, _: kms.data_key_material(arn, {}),
    "DeleteImportedKeyMaterial": lambda kms, arn, _: kms.delete_pending_material(arn, MaterialId("0" * 64)),
    "GetKeyPolicy": lambda kms, arn, _: kms.get_key_policy(arn),
    "ReplicateKey": lambda kms, arn, _: kms.replicate_key(arn, Region("sa-east-1"), "{}"),
}
ROTATING = tuple(ASKED)[:9]
OTHERS = {"DeleteImportedKeyMaterial": "abort", "GetKeyPolicy": "replicate", "ReplicateKey": "replicate"}
"""Which workflow asks for what a rotation does not."""


class Answers:
    """What the server says next."""

    status = 200
    body = b"{}"


@pytest.fixture
def says() -> Iterator[tuple[Answers, str]]:
    """A server that answers whatever it was told to, on this machine."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield answers, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def genuine(world: World) -> tuple[KeyArn, dict[str, Any]]:
    """One genuine answer of each operation, as it stands on the wire."""
    arn = world.make_key()
    assert world.rotate(arn).status == "finished"
    world.rotate(arn, replaces=MaterialId(str(world.true(arn).current)))
    known = {
        "GetParametersForImport": {"WrappingAlgorithm": str(ALGORITHM), "WrappingKeySpec": "RSA_4096"},
        "ListKeyRotations": {"IncludeKeyMaterial": "ALL_KEY_MATERIAL"},
        "Encrypt": {"Plaintext": "eA=="},
        "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    }
    answers: dict[str, Any] = {}
    for operation in ("DescribeKey", "GetKeyRotationStatus", *known):
        body = {"KeyId": str(arn), **known.get(operation, {})}
        answers[operation] = world.simulator.call(operation, arn.region, arn.account, body)
    opened = {"KeyId": str(arn), "CiphertextBlob": answers["Encrypt"]["CiphertextBlob"]}
    answers["Decrypt"] = world.simulator.call("Decrypt", arn.region, arn.account, opened)
    answers["GetKeyRotationStatus"]["OnDemandRotationStartDate"] = world.clock.epoch()
    answers["ImportKeyMaterial"] = {"KeyId": str(arn), "KeyMaterialId": world.true(arn).current}
    answers["RotateKeyOnDemand"] = {"KeyId": str(arn)}
    answers["DeleteImportedKeyMaterial"] = answers["ImportKeyMaterial"]
    answers["GetKeyPolicy"] = world.simulator.call("GetKeyPolicy", arn.region, arn.account, {"KeyId": str(arn)})
    answers["ReplicateKey"] = {"ReplicaKeyMetadata": answers["DescribeKey"]["KeyMetadata"], "ReplicaPolicy": "{}"}
    return arn, answers


def sound(found: Any) -> bool:
    """Whether what came of an answer is of the kind that the rest of the program counts on."""
    match found:
        case RegionView():
            words = (found.key_spec, found.origin, found.region, *found.members)
            return isinstance(found.key_state, KeyState) and all(isinstance(word, str) for word in words)
        case ImportParameters():
            return isinstance(found.public_key, bytes) and isinstance(found.token, bytes)
        case tuple() if found and isinstance(found[0], bytes):
            return isinstance(found[1], str)
        case tuple():
            return all(isinstance(row.material_id, str) and isinstance(row.state, MaterialState) for row in found)
    return found is None or isinstance(found, str | bytes) or hasattr(found, "tzinfo")


@pytest.mark.parametrize("operation", ASKED)
def test_a_spoiled_answer_is_read_rightly_or_refused_with_a_message(
    world: World,
    says: tuple[Answers, str],
    genuine: tuple[KeyArn, dict[str, Any]],
    record_property: Count,
    operation: str,
) -> None:
    """Missing fields, other types, unknown words, huge lists, bodies that are no JSON, errors without a code."""
    (answers, url), (arn, real) = says, genuine
    kms = KmsFactory(KmsOptions(url), world.clock.now, lambda _: None)(Region(arn.region))
    inputs = 300 if EVERYTHING else 60
    wrong = []
    for seed in range(inputs):
        dice = drawn(operation, seed)
        answers.status = dice.choice((200,) * 8 + (400, 500, 503))
        body = real[operation] if answers.status == 200 else {"__type": "ThrottlingException", "message": "slow down"}
        answers.body = json.dumps(spoiled(body, dice)).encode() if dice.random() < 0.9 else dice.choice(TEXTS)
        try:
            found = ASKED[operation](kms, arn, world.clock)
            if not sound(found):
                wrong.append(f"{operation} {seed}: {found!r:.200} from {answers.body[:200]!r}")
        except KmsError as error:
            if operation not in error.message or len(error.message) > 700:
                wrong.append(f"{operation} {seed}: {error.message:.200}")
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            wrong.append(f"{operation} {seed}: {error!r:.200} from {answers.body[:300]!r}")
    record_property("inputs_fuzzed", inputs)
    assert not wrong, tell(wrong)


def test_a_list_that_does_not_end_is_left(world: World, says: tuple[Answers, str]) -> None:
    """Every page says that there is another one."""
    answers, url = says
    answers.body = json.dumps({"Rotations": [], "Truncated": True, "NextMarker": "again"}).encode()
    kms = KmsFactory(KmsOptions(url), world.clock.now, lambda _: None)(Region("us-east-1"))

    with pytest.raises(KmsError, match="does not end"):
        kms.list_key_rotations(world.make_key())


class Lying(Simulator):
    """KMS, one of whose answers is spoiled: of an operation the so-manieth one since `lie` was set."""

    told = 0
    _lie: tuple[str, int, random.Random] | None = None
    _seen = 0

    @property
    def lie(self) -> tuple[str, int, random.Random] | None:
        """The operation, which of its answers, and what spoils it."""
        return self._lie

    @lie.setter
    def lie(self, lie: tuple[str, int, random.Random] | None) -> None:
        self._lie, self._seen = lie, 0

    def prepared(self, call: Call, body: Any, caller: str | None = None) -> Callable[[], dict[str, Any]]:
        work = super().prepared(call, body, caller)
        return lambda: self._answered(call.operation, work())

    def _answered(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        if self.lie is None or operation != self.lie[0]:
            return answer
        self._seen += 1
        if self._seen != self.lie[1]:
            return answer
        self.told += 1
        return spoiled(answer, self.lie[2])


@pytest.mark.parametrize("operation", OTHERS)
def test_one_spoiled_answer_in_another_workflow_breaks_no_promise(
    tmp_path: Path, clock: ManualClock, record_property: Count, operation: str
) -> None:
    """Run again, it is done."""
    inputs, kind = 15 if EVERYTHING else 1, KINDS[OTHERS[operation]]
    wrong: list[str] = []
    simulator = Lying(clock.epoch, lag="instant")
    with serve(simulator) as served, ThreadPoolExecutor(8) as threads:
        world = World(simulator, served.endpoint_url, tmp_path, clock, threads)
        policy = replace(world.policy, deadline=timedelta(minutes=30), poll=timedelta(seconds=30))
        for seed in range(inputs):
            dice = drawn(operation, seed)
            arn = kind.make(world)
            earlier, reports = before(simulator, arn), list[Report]()
            simulator.lie = (operation, 1, dice)
            while len(reports) < 3 and not (reports and kind.done(world, arn)):
                reports += world.runner().run([kind.job(world, arn, policy)])
                simulator.lie = None
                success = reports[-1].status == "finished"
                wrong += broken(simulator, arn, earlier, [world.store], success=success, rotations=0)
                world.clock.advance(minutes=20)
            told = "; then ".join(f"{one.status}: {one.message}" for one in reports)
            wrong += [] if kind.done(world, arn) else [f"{seed}: not done: {told}"]
            wrong += [f"{seed}: {told}" for one in reports if one.status == "error"]
    record_property("inputs_fuzzed", simulator.told)
    assert simulator.told == inputs
    assert not wrong, tell(wrong)


def asked(world: World, operation: str) -> int:
    """How often a rotation asks for this."""
    arn, begun = world.make_key(), len(world.simulator.calls)
    assert world.rotate(arn).status == "finished"
    return sum(call.operation == operation for call in world.simulator.calls[begun:])


@pytest.mark.parametrize("operation", ROTATING)
def test_one_spoiled_answer_in_a_rotation_breaks_no_promise(
    tmp_path: Path, clock: ManualClock, record_property: Count, operation: str
) -> None:
    """Whatever the run makes of it, it is no defect, nothing is lost, and the run after it finishes."""
    inputs = 15 if EVERYTHING else 2
    wrong: list[str] = []
    simulator = Lying(clock.epoch, lag="instant")
    with serve(simulator) as served, ThreadPoolExecutor(8) as threads:
        world = World(simulator, served.endpoint_url, tmp_path, clock, threads)
        policy = replace(world.policy, deadline=timedelta(minutes=5))
        # Twice: a busy machine may have to ask once more, and the lie is then never told.
        answers = min(4, asked(world, operation), asked(world, operation))
        for seed in range(inputs):
            dice = drawn(operation, seed)
            arn = world.make_key()
            earlier = before(simulator, arn)
            simulator.lie = (operation, dice.randint(1, answers), dice)
            report = world.rotate(arn, policy=policy)
            simulator.lie = None
            success = report.status == "finished"
            found = broken(simulator, arn, earlier, [world.store], success=success)
            if report.status == "error":
                found.append(report.message)
            if not success:
                world.clock.advance(minutes=20)
                after = world.rotate(arn)
                recently = {block.reason for block in after.blocks} == {"recently-rotated"}
                if after.status != "finished" and not recently:
                    found.append(f"the run after it: {after.message}; the first: {report.message}")
                found += broken(simulator, arn, earlier, [world.store], success=True)
            wrong += [f"{operation} {seed}: {one}" for one in found]
    record_property("inputs_fuzzed", simulator.told)
    assert simulator.told == inputs
    assert not wrong, tell(wrong)
