"""The server: own process, own clock, own endpoints, and requests that are none."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from sim_cloud import Cloud, refusal, send

from orchestrator.simulator import Simulator, serve
from orchestrator.simulator.__main__ import main

SIGNED = "AWS4-HMAC-SHA256 Credential=111122223333/20270115/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0"


@contextmanager
def process(*flags: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "orchestrator.simulator", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield json.loads(running.stdout.readline())["endpoint_url"], running
        finally:
            running.kill()


def client(endpoint_url: str, region: str = "us-east-1") -> Any:
    return boto3.client(
        "kms",
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id="111122223333",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.mark.e2e
def test_it_runs_from_a_shell_prints_one_line_and_ends_cleanly() -> None:
    with process("--port", "0", "--lag", "instant", "--quotas", "off") as (endpoint_url, running):
        assert urlsplit(endpoint_url).hostname == "127.0.0.1"
        kms = client(endpoint_url)
        key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
        before = kms.describe_key(KeyId=key)["KeyMetadata"]["CreationDate"]
        moved = send(endpoint_url, "/_simulator/clock", {"advance": 86400})[1]["now"]
        assert moved >= before.timestamp() + 86400
        running.terminate()
        out, err = running.communicate(timeout=20)
        assert (running.returncode, out, err) == (0, "", "")


@pytest.mark.e2e
def test_it_ends_cleanly_on_interrupt_too() -> None:
    with process() as (_, running):
        running.send_signal(2)
        assert running.wait(timeout=20) == 0


@pytest.mark.e2e
def test_a_killed_simulator_comes_back_with_its_keys(tmp_path: Path) -> None:
    flags = ("--lag", "instant", "--state", str(tmp_path / "state.json"))
    with process(*flags) as (endpoint_url, running):
        key = client(endpoint_url).create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        client(endpoint_url).replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
        running.kill()
        running.wait(timeout=20)
    with process(*flags) as (endpoint_url, _):
        for region in ("us-east-1", "eu-west-1"):
            assert client(endpoint_url, region).describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.mark.e2e
def test_a_clock_that_was_moved_or_stopped_comes_back_so(tmp_path: Path) -> None:
    flags = ("--lag", "instant", "--state", str(tmp_path / "state.json"))
    with process(*flags) as (endpoint_url, running):
        moved = send(endpoint_url, "/_simulator/clock", {"advance": 40 * 86400, "freeze": True})[1]["now"]
        running.terminate()
        assert running.wait(timeout=20) == 0
    with process(*flags) as (endpoint_url, running):
        assert send(endpoint_url, "/_simulator/clock", method="GET")[1]["now"] == moved
        send(endpoint_url, "/_simulator/clock", {"freeze": False})
        running.kill()
        running.wait(timeout=20)
    with process(*flags) as (endpoint_url, _):
        assert send(endpoint_url, "/_simulator/clock", method="GET")[1]["now"] > moved


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", "::"])  # noqa: S104 - refused
def test_it_serves_this_machine_only(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--host", host])
    assert ended.value.code == 2
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--lag", "none"], ["--quotas", "many"], ["--quotas", "-1"], ["--port", "x"]])
def test_wrong_flags_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_it_serves_ipv6_loopback_and_closes_twice() -> None:
    served = serve(Simulator(), host="::1")
    with served:
        assert served.endpoint_url.startswith("http://[::1]:")
        client(served.endpoint_url).list_keys()
    served.close()


class TestControl:
    def test_the_clock_is_read_moved_and_frozen(self) -> None:
        sim = Simulator()
        with serve(sim) as served:
            url, path = served.endpoint_url, "/_simulator/clock"
            assert send(url, path, {"freeze": True})[0] == 200
            now = send(url, path, method="GET")[1]["now"]
            assert send(url, path, {"advance": 10})[1]["now"] == now + 10
            assert send(url, path, {"freeze": False, "advance": 5})[1]["now"] >= now + 15

    def test_an_order_that_is_refused_does_nothing_at_all(self) -> None:
        sim = Simulator()
        sim.advance(3_000_000_000)
        with serve(sim) as served:
            for freeze in (True, False):
                order = {"freeze": freeze, "advance": 3_000_000_000}
                assert send(served.endpoint_url, "/_simulator/clock", order)[0] == 400
                assert sim.clock.frozen_at is None
        sim.clock.freeze()
        at = sim.clock()
        with pytest.raises(ValueError, match="century"):
            sim.move_clock(3_000_000_000, freeze=False)
        assert sim.clock() == sim.clock.frozen_at == at

    @pytest.mark.parametrize("body", [[], "x", 1, None])
    def test_an_order_is_one_json_object(self, cloud: Cloud, body: Any) -> None:
        for path in ("clock", "faults"):
            connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
            connection.request("POST", f"/_simulator/{path}", json.dumps(body))
            answer = connection.getresponse()
            assert (answer.status, json.load(answer)["message"]) == (400, "the body is one JSON object")
            connection.close()

    @pytest.mark.parametrize(
        ("path", "body", "message"),
        [
            ("clock", {"advance": -1}, "advance: Input should be greater than or equal to 0"),
            ("clock", {"advance": "x"}, "advance: Input should be a valid number"),
            ("clock", {"advance": True}, "advance: Input should be a valid number"),
            ("clock", {"advance": [1]}, "advance: Input should be a valid number"),
            ("clock", {"advance": 1e300}, "advance: Input should be less than or equal to 3162240000"),
            ("clock", {"advance": float("nan")}, "advance: Input should be a finite number"),
            ("clock", {"freeze": 1}, "freeze: Input should be a valid boolean"),
            ("clock", {"freeze": "yes"}, "freeze: Input should be a valid boolean"),
            ("clock", {"forward": 1}, "forward: unknown; known: advance, freeze"),
            ("clock", {}, "advance (seconds) or freeze (true or false) is needed"),
            ("clock", {"advance": None}, "advance (seconds) or freeze (true or false) is needed"),
            ("faults", {}, "a fault needs an error, a drop or a delay"),
            ("faults", {"status": 500}, "a fault needs an error, a drop or a delay"),
            ("faults", {"drop": "after", "status": 500}, "message, status and after_effect go with an error"),
            ("faults", {"error": "E", "status": 42}, "status: Input should be greater than or equal to 400"),
            ("faults", {"error": "E", "status": 9999}, "status: Input should be less than or equal to 599"),
            ("faults", {"error": "E", "status": "x"}, "status: Input should be a valid integer"),
            ("faults", {"error": "E", "status": True}, "status: Input should be a valid integer"),
            ("faults", {"error": "E", "status": 500.5}, "status: Input should be a valid integer"),
            ("faults", {"error": 1}, "error: Input should be a valid string"),
            ("faults", {"error": ""}, "error: String should have at least 1 character"),
            ("faults", {"error": "E", "message": 1}, "message: Input should be a valid string"),
            ("faults", {"error": "E", "operation": ["x"]}, "operation: Input should be a valid string"),
            ("faults", {"error": "E", "operation": "Rotate"}, "operation: there is no operation 'Rotate'"),
            ("faults", {"error": "E", "region": {}}, "region: Input should be a valid string"),
            ("faults", {"error": "E", "region": "zz-no-1"}, "region: there is no Region 'zz-no-1'"),
            ("faults", {"error": "E", "calls": 1}, "calls: Input should be a valid list"),
            ("faults", {"error": "E", "calls": ["1"]}, "calls.0: Input should be a valid integer"),
            ("faults", {"error": "E", "calls": [0]}, "calls.0: Input should be greater than or equal to 1"),
            ("faults", {"error": "E", "times": 0}, "times: Input should be greater than or equal to 1"),
            ("faults", {"error": "E", "times": "2"}, "times: Input should be a valid integer"),
            ("faults", {"drop": "sometimes"}, "drop: Input should be 'before' or 'after'"),
            ("faults", {"drop": True}, "drop: Input should be 'before' or 'after'"),
            ("faults", {"delay": -1}, "delay: Input should be greater than or equal to 0"),
            ("faults", {"delay": "1"}, "delay: Input should be a valid number"),
            ("faults", {"error": "E", "after_effect": 1}, "after_effect: Input should be a valid boolean"),
            ("faults", {"error": "a b\n"}, "error: String should match pattern"),
            ("faults", {"error": "E", "calls": []}, "calls: List should have at least 1 item"),
            ("faults", {"error": "E", "calls": [1], "times": 1}, "calls and times exclude each other"),
            ("faults", {"error": "E", "drop": "before"}, "error and drop exclude each other"),
            ("faults", {"error": "E", "drop": "after", "after_effect": True}, "error and drop exclude each other"),
            ("faults", {"error": "E", "delay_after": 1}, "delay_after needs an effect"),
            ("faults", {"drop": "before", "delay_after": 1}, "delay_after needs an effect"),
            ("faults", {"delay_after": 3601}, "delay_after: Input should be less than or equal to 3600"),
            ("faults", {"error": 1, "times": "2"}, "times: Input should be a valid integer; error: Input should be"),
        ],
    )
    def test_wrong_orders_are_refused_by_the_name_of_the_field(
        self, path: str, body: dict[str, Any], message: str
    ) -> None:
        sim = Simulator()
        sim.clock.freeze()
        before = sim.clock()
        with serve(sim) as served:
            status, answer = send(served.endpoint_url, f"/_simulator/{path}", body)
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert answer["message"].startswith(message)
        assert (sim.clock(), sim.faults.in_force()) == (before, [])

    @pytest.mark.parametrize(
        ("method", "path", "body", "message"),
        [
            ("DELETE", "faults", {"number": "1"}, "number: Input should be a valid integer"),
            ("DELETE", "faults", {"number": True}, "number: Input should be a valid integer"),
            ("DELETE", "faults", {"number": None}, "number: Input should be a valid integer"),
            ("DELETE", "faults", {"numbers": 1}, "numbers: unknown; known: number"),
            ("DELETE", "calls", {"after": 1}, "after: unknown; known: nothing"),
            ("GET", "calls?after=x", None, "after: Input should be a valid integer"),
            ("GET", "calls?after=-1", None, "after: Input should be greater than or equal to 0"),
            ("GET", "calls?before=1", None, "before: unknown; known: after"),
            ("GET", "clock?now=1", None, "now: unknown; known: nothing"),
            ("GET", "faults?number=1", None, "number: unknown; known: nothing"),
        ],
    )
    def test_so_are_wrong_questions_and_deletions(
        self, cloud: Cloud, method: str, path: str, body: Any, message: str
    ) -> None:
        cloud.sim.faults.add(error="ThrottlingException", operation="ListKeys")
        status, answer = send(cloud.endpoint_url, f"/_simulator/{path}", body, method)
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert answer["message"].startswith(message)
        assert len(cloud.sim.faults.in_force()) == 1

    def test_the_clock_never_leaves_what_a_date_can_tell(self) -> None:
        with serve(Simulator()) as served:
            century = {"advance": 3162240000}
            assert send(served.endpoint_url, "/_simulator/clock", {"advance": 3162230000})[0] == 200
            status, answer = send(served.endpoint_url, "/_simulator/clock", century)
            assert (status, answer["message"]) == (
                400,
                "the clock only moves forward, and to a century from now at most",
            )
            assert client(served.endpoint_url).create_key()["KeyMetadata"]["CreationDate"].year < 2200

    def test_a_given_clock_is_not_moved(self, cloud: Cloud) -> None:
        status, answer = send(cloud.endpoint_url, "/_simulator/clock", {"advance": 1})
        assert (status, answer["__type"]) == (400, "ValidationException")
        assert "given its clock" in answer["message"]

    def test_an_unknown_path_says_what_there_is(self, cloud: Cloud) -> None:
        status, answer = send(cloud.endpoint_url, "/_simulator/nothing", {})
        assert status == 400
        assert "POST /_simulator/faults" in answer["message"]


BAD_REQUESTS: list[tuple[dict[str, str], bytes, str]] = [
    ({}, b"{}", "MissingAuthenticationTokenException"),
    ({"Authorization": "Bearer x"}, b"{}", "IncompleteSignatureException"),
    ({"Authorization": "garbage"}, b"{}", "IncompleteSignatureException"),
    ({"Authorization": SIGNED.partition(", Signature")[0]}, b"{}", "IncompleteSignatureException"),
    ({"Authorization": SIGNED.replace(" SignedHeaders=host,", "")}, b"{}", "IncompleteSignatureException"),
    ({"Authorization": SIGNED.replace("/kms/", "/")}, b"{}", "IncompleteSignatureException"),
    ({"Authorization": SIGNED.replace("/kms/", "/s3/")}, b"{}", "InvalidSignatureException"),
    ({"Authorization": SIGNED}, b"{}", "UnknownOperationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService"}, b"{}", "UnknownOperationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.Nothing"}, b"{}", "UnknownOperationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "DynamoDB.ListKeys"}, b"{}", "UnknownOperationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.DescribeCustomKeyStores"}, b"{}", "NotSimulatedException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b"{", "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b"\xff\xfe", "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b"[]", "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b"[" * 99999, "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b'{"Limit": "1"}', "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b'{"Limit": 1e999}', "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b'{"Limit": NaN}', "SerializationException"),
    ({"Authorization": SIGNED, "X-Amz-Target": "TrentService.ListKeys"}, b'{"Limit": true}', "SerializationException"),
    (
        {"Authorization": SIGNED, "X-Amz-Target": "TrentService.Decrypt"},
        b'{"CiphertextBlob": "%%%"}',
        "SerializationException",
    ),
    (
        {"Authorization": SIGNED, "X-Amz-Target": "TrentService.DescribeKey", "Content-Type": "text/html"},
        b"{}",
        "ValidationException",
    ),
]


@pytest.mark.parametrize(("headers", "body", "code"), BAD_REQUESTS)
def test_bad_requests_are_answered_and_the_next_one_is_served(
    cloud: Cloud, headers: dict[str, str], body: bytes, code: str
) -> None:
    host = urlsplit(cloud.endpoint_url).netloc
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    told = json.load(answer)
    assert told["__type"] == code
    assert code != "UnknownOperationException" or "message" not in told
    assert answer.status in (400, 501)
    connection.close()
    cloud.key()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST / HTTP/9.9\r\n" + b"X: " + b"y" * 300_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort",
    ],
)
def test_what_is_no_http_never_brings_it_down(cloud: Cloud, raw: bytes) -> None:
    host, port = urlsplit(cloud.endpoint_url).hostname, urlsplit(cloud.endpoint_url).port
    # The server may hang up at any point of what is no HTTP; only whether it serves on afterwards counts.
    with suppress(OSError), socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
    cloud.key()


def test_an_oversized_body_is_refused(cloud: Cloud) -> None:
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc, timeout=10)
    try:
        connection.request("POST", "/", b"x" * 3_000_000)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (413, "application/x-amz-json-1.1")
        assert json.load(answer)["__type"] == "RequestEntityTooLarge"
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        connection.close()
    cloud.key()


def test_every_answer_says_that_it_is_simulated_and_has_a_request_id(cloud: Cloud) -> None:
    headers = cloud.kms().list_keys()["ResponseMetadata"]["HTTPHeaders"]
    assert headers["server"] == "mrk-simulator"
    assert len(headers["x-amzn-requestid"]) == 36


def test_what_is_not_simulated_says_so(cloud: Cloud) -> None:
    code, message = refusal(cloud.kms().describe_custom_key_stores)
    assert code == "NotSimulatedException"
    assert "DescribeCustomKeyStores" in message
    for given in ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, {"Origin": "AWS_CLOUDHSM"}):
        assert refusal(cloud.kms().create_key, **given)[0] == "NotSimulatedException"
