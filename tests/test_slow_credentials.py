"""Credentials that are renewed inside the call: what then would leave by old looks is not sent (I3).

They come from a server as a container's do, and end so soon that the SDK asks for new ones before each request.
"""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestrator.looks import FRESH
from orchestrator.model import (
    Action,
    DeletePendingMaterial,
    EntryName,
    ImportMaterial,
    ImportType,
    KeyArn,
    Region,
    ReplicateKey,
    Result,
    RotateOnDemand,
)
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import Event, WrappingAlgorithm
from orchestrator.simulator import Call
from worlds import REGIONS, World

CHANGES = {"ImportKeyMaterial", "RotateKeyOnDemand", "DeleteImportedKeyMaterial", "ReplicateKey"}


class Renewed:
    """A world whose credentials take 45 s to be renewed once `slow` is set, the next time that they are."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slow = False
        self.renewed = 0

    def answer(self) -> bytes:
        if self.slow:
            self.slow = False
            self.renewed += 1
            self.world.clock.advance(seconds=45)
        until = datetime.now(UTC) + timedelta(minutes=2)
        pair = {"AccessKeyId": "111122223333", "SecretAccessKey": "made-up-one", "Token": "made-up"}
        return json.dumps({**pair, "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}"}).encode()


@pytest.fixture
def renewed(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> Iterator[Renewed]:
    made = Renewed(make_world())
    for region in REGIONS:
        made.world.client(region)  # The owner's have credentials that last.

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = made.answer()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/")
    yield made
    server.shutdown()
    server.server_close()


def changes(world: World) -> list[Call]:
    return [call for call in world.simulator.calls if call.operation in CHANGES]


def new_material(world: World, arn: KeyArn) -> Action:
    name = EntryName(arn.identity, world.view(arn).permanent_ids()[0])
    world.store.deposit(name)
    return ImportMaterial(arn, name, ImportType.NEW, None, None)


def existing_material(world: World, arn: KeyArn) -> Action:
    first = EntryName(arn.identity, None)
    material = world.view(arn).permanent_ids()[0]
    return ImportMaterial(arn.within(Region(REGIONS[1])), first, ImportType.EXISTING, material, None)


def pending(world: World, arn: KeyArn) -> tuple[Action, Action]:
    """Make material pending; return its rotation, and its deletion."""
    name = EntryName(arn.identity, world.view(arn).permanent_ids()[0])
    world.store.deposit(name)
    material = world.send(world.store, arn, name, ImportType.NEW)
    for region in REGIONS[1:2]:
        world.send(world.store, arn.within(Region(region)), name, ImportType.EXISTING, material)
    return RotateOnDemand(arn, material), DeletePendingMaterial(arn, material, name)


def a_replica(_: World, arn: KeyArn) -> Action:
    return ReplicateKey(arn, Region(REGIONS[2]))


KINDS: dict[str, Callable[[World, KeyArn], Action]] = {
    "new material": new_material,
    "existing material": existing_material,
    "a rotation": lambda world, arn: pending(world, arn)[0],
    "a deletion": lambda world, arn: pending(world, arn)[1],
    "a replica": a_replica,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_leave_later_than_its_looks_allow_is_not_sent(renewed: Renewed, kind: str) -> None:
    """It is no failure, and nothing is in doubt: the next attempt, by credentials at hand, does it."""
    world = renewed.world
    arn = world.make_key(REGIONS[:2])
    action = KINDS[kind](world, arn)
    parameters = Parameters(world.kms(), world.retry(), world.clock.now, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    perform = Perform(world.kms(), world.store, parameters, world.retry())
    before, by = len(changes(world)), world.clock.now() + FRESH

    def timely() -> bool:
        """Judge as the runner does; the credentials are about to end once it was first asked."""
        renewed.slow = not renewed.renewed
        return world.clock.now() <= by

    late = perform(action, timely)

    assert renewed.renewed == 1
    assert changes(world)[before:] == []
    assert (late.result, late.unsent, late.doubt) == (Result.SKIPPED, True, False)
    assert perform(action).result is Result.DONE


class Arming(list[Event]):
    """Events, of which the first of one action makes the credentials end."""

    def __init__(self, renewed: Renewed, action: str) -> None:
        super().__init__()
        self._renewed = renewed
        self._action = action

    def append(self, event: Event) -> None:
        super().append(event)
        if event.kind == "action.begun" and event.data["action"] == self._action and not self._renewed.renewed:
            self._renewed.slow = True


@pytest.mark.parametrize("action", ["import", "rotate"])
def test_a_run_looks_again_and_goes_on(renewed: Renewed, action: str) -> None:
    world = renewed.world
    arn = world.make_key(REGIONS[:2])
    looked: dict[str, datetime] = {}
    late: list[str] = []

    def watch(call: Call, moment: str) -> None:
        if moment == "before" and call.operation == "DescribeKey":
            looked[call.region] = world.clock.now()
        elif moment == "before" and call.operation in CHANGES and world.clock.now() - looked[call.region] > FRESH:
            late.append(call.operation)

    world.simulator.hooks.append(watch)
    world.events = Arming(renewed, action)

    report = world.rotate(arn)

    assert renewed.renewed == 1
    assert late == []
    assert (report.status, world.true(arn).rotations) == ("finished", 1)
