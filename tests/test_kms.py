"""The KMS adapter: what it sends, what it refuses to send, and what it makes of an answer."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from inspect import Parameter, signature
from pathlib import Path

import pytest

from leaks import told_in
from orchestrator.errors import KmsError, Trouble, UsageError
from orchestrator.kms import KmsFactory, KmsOptions
from orchestrator.model import EntryName, ImportType, KeyArn, Region
from orchestrator.ports import Event, KmsPort
from orchestrator.written import clean
from worlds import REGIONS, World

ARN = KeyArn.parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ANYBODY]})


def test_key_material_is_deleted_only_by_its_id_and_never_by_a_rotation(world: World) -> None:
    """I5: the one call of the seam that deletes wants the id, without which KMS deletes CURRENT material."""
    arn = world.make_key()

    world.rotate(arn)

    deleting = [name for name in dir(KmsPort) if "delete" in name or "disable" in name or "schedule" in name]
    assert deleting == ["delete_pending_material"]
    assert signature(KmsPort.delete_pending_material).parameters["material_id"].default is Parameter.empty
    assert not [call for call in world.simulator.calls if call.operation.startswith(("Delete", "Schedule", "Disable"))]


def test_keys_and_replicas_are_never_made_without_a_policy(world: World) -> None:
    """P11: access is never widened by leaving the policy to a default."""
    kms = world.kms()(Region(REGIONS[0]))
    arn = kms.create_key(POLICY, "a test")
    world.store.deposit(EntryName(arn.identity, None))
    world.send(world.store, arn, EntryName(arn.identity, None), ImportType.NEW)

    kms.replicate_key(arn, Region(REGIONS[1]), POLICY)

    made = world.calls("CreateKey") + world.calls("ReplicateKey")
    assert [call.parameters["Policy"] for call in made] == [POLICY, POLICY]


def test_clear_text_leaves_this_machine_neither_by_address_nor_by_proxy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: http goes to loopback alone, and no proxy is asked to carry it."""
    elsewhere = KmsFactory(KmsOptions("http://192.0.2.1:80"), world.clock.now, lambda _: None)
    with pytest.raises(UsageError, match="is not https"):
        elsewhere(Region(REGIONS[0]))
    arn = world.make_key()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert world.rotate(arn).status == "finished"


ANSWERS: dict[str, tuple[int, str, Trouble]] = {
    "throttled": (400, '{"__type": "ThrottlingException", "message": "slow down"}', Trouble.TRANSIENT),
    "internal": (500, '{"__type": "KMSInternalException"}', Trouble.TRANSIENT),
    "unavailable": (503, "<html>busy</html>", Trouble.TRANSIENT),
    "denied": (400, '{"__type": "AccessDeniedException", "message": "User: ..."}', Trouble.PERMANENT),
    "limit": (400, '{"__type": "LimitExceededException", "message": "25"}', Trouble.PERMANENT),
    "state": (400, '{"__type": "KMSInvalidStateException", "message": "..."}', Trouble.LOOK_AGAIN),
    "token": (400, '{"__type": "ExpiredImportTokenException"}', Trouble.STALE_PARAMETERS),
    "of tomorrow": (400, '{"__type": "BrandNewException", "message": "?"}', Trouble.PERMANENT),
    "a list": (200, "[]", Trouble.TRANSIENT),
    "null": (200, "null", Trouble.TRANSIENT),
    "nothing in it": (200, "{}", Trouble.PERMANENT),
    "html": (200, "<html>hello</html>", Trouble.PERMANENT),
    "an unknown state": (
        200,
        '{"Rotations": [{"KeyMaterialId": "a", "KeyMaterialState": "SHINY"}]}',
        Trouble.PERMANENT,
    ),
}


REQUEST_ID = "\x1b[2J mrk: all is well"


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Serve one answer to whatever is asked, on this machine; TOKEN in it is what the request was sent with."""
    servers: list[HTTPServer] = []

    def serve(status: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                said = body.replace("TOKEN", self.headers.get("X-Amz-Security-Token", ""))
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(said)))
                self.send_header("x-amzn-RequestId", REQUEST_ID)
                self.end_headers()
                self.wfile.write(said.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "body", "trouble"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_has_one_meaning_and_none_is_a_guess(
    world: World, answering: Callable[[int, str], str], status: int, body: str, trouble: Trouble
) -> None:
    """I9: an answer that cannot be read is an error that says so, never an empty key."""
    factory = KmsFactory(KmsOptions(answering(status, body)), world.clock.now, lambda _: None)

    with pytest.raises(KmsError) as caught:
        factory(Region("us-east-1")).list_key_rotations(ARN)

    assert caught.value.trouble is trouble
    assert "html" not in caught.value.message
    assert "ListKeyRotations" in caught.value.message


def test_credentials_in_use_are_known_wherever_they_come_from(
    world: World, answering: Callable[[int, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I14: nobody but a process gave them, and AWS's refusal of a signature quotes the token."""
    token = "aB3dE5fG7h" * 30
    (tmp_path / "answer").write_text(
        json.dumps({"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "x" * 40, "SessionToken": token})
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = /bin/cat {tmp_path / 'answer'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    url = answering(403, '{"__type": "InvalidSignatureException", "message": "should have been signed for TOKEN"}')
    events: list[Event] = []

    with pytest.raises(KmsError) as caught:
        KmsFactory(KmsOptions(url), world.clock.now, events.append)(Region("us-east-1")).list_key_rotations(ARN)

    assert told_in(caught.value.message, [token]), "KMS quotes it"
    assert not told_in(clean(caught.value.message), [token])
    calls = [event for event in events if event.kind == "call"]
    assert [event.data["request_id"] for event in calls] == [caught.value.request_id] == [""], "that is no request id"
