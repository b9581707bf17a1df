"""Connections: an answer is one send, and a thousand open ones keep nobody from being served."""

import http.client
import json
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from sim_cloud import Cloud, send
from test_sim_server import SIGNED, client, process

DATA_SEGMENTS_IN = 152  # tcpi_data_segs_in of Linux's struct tcp_info
MOST = 1000

STS = SIGNED.replace("/kms/", "/sts/")
QUERY = "application/x-www-form-urlencoded"


def asked(operation: str, body: Any = None) -> bytes:
    return request("POST", "/", json.dumps(body or {}).encode(), f"X-Amz-Target: TrentService.{operation}")


def request(method: str, path: str, body: bytes = b"", *headers: str, signed: str = SIGNED) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {signed}", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, *headers, "", "")).encode() + body


def segments(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_IN + 4)
    return int(struct.unpack_from("I", info, DATA_SEGMENTS_IN)[0])


def place(endpoint_url: str) -> tuple[str, int]:
    where = urlsplit(endpoint_url)
    assert where.hostname
    assert where.port
    return where.hostname, where.port


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux counts a connection's segments")
@pytest.mark.parametrize(
    ("asks", "status"),
    [
        pytest.param(asked("CreateKey"), 200, id="an answer"),
        pytest.param(asked("GenerateRandom", {"NumberOfBytes": 1024}), 200, id="bytes"),
        pytest.param(asked("DescribeKey", {"KeyId": "none"}), 400, id="a refusal"),
        pytest.param(asked("Nothing"), 400, id="no operation"),
        pytest.param(asked("CreateGrant", {"KeyId": "none"}), 400, id="what the model refuses"),
        pytest.param(asked("CreateCustomKeyStore", {"CustomKeyStoreName": "a"}), 501, id="not simulated"),
        pytest.param(asked("ListKeys"), 500, id="a fault's error"),
        pytest.param(asked("ListAliases"), 503, id="a fault's error after the effect"),
        pytest.param(request("GET", "/"), 400, id="no call of KMS"),
        pytest.param(request("HEAD", "/"), 400, id="no body asked for"),
        pytest.param(request("GET", "/_simulator/clock"), 200, id="its own clock"),
        pytest.param(request("GET", "/_simulator/calls"), 200, id="its own record"),
        pytest.param(request("GET", "/_simulator/nothing"), 400, id="its own refusal"),
        pytest.param(request("POST", "/_simulator/clock", b"{"), 400, id="its own refusal of no JSON"),
        pytest.param(
            request("POST", "/", b"Action=GetCallerIdentity", f"Content-Type: {QUERY}", signed=STS), 200, id="STS"
        ),
        pytest.param(
            request("POST", "/", b"Action=Nothing", f"Content-Type: {QUERY}", signed=STS), 501, id="STS not simulated"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nA B: c\r\nnonsense\r\n\r\n", 400, id="no HTTP"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413, id="too large"),
    ],
)
def test_every_answer_is_sent_in_one_piece(cloud: Cloud, asks: bytes, status: int) -> None:
    cloud.sim.faults.add(operation="ListKeys", error="KMSInternalException")
    cloud.sim.faults.add(operation="ListAliases", error="ServiceUnavailableException", after_effect=True)
    with socket.create_connection(place(cloud.endpoint_url), timeout=20) as connection:
        connection.sendall(asks)
        answer = http.client.HTTPResponse(connection, method="HEAD" if asks.startswith(b"HEAD") else "GET")
        answer.begin()
        body = answer.read()
        assert (answer.status, segments(connection)) == (status, 1)
        assert len(body) == int(answer.headers["Content-Length"]) or asks.startswith(b"HEAD")


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux counts a connection's segments")
def test_a_connection_that_is_kept_has_one_piece_for_each_answer(cloud: Cloud) -> None:
    with socket.create_connection(place(cloud.endpoint_url), timeout=20) as connection:
        key = cloud.kms().create_key()["KeyMetadata"]["KeyId"]
        asks = [asked("DescribeKey", {"KeyId": key}), asked("DescribeKey", {"KeyId": "none"})]
        without_body = [asked(operation, {"KeyId": key}) for operation in ("DisableKey", "EnableKey")]
        for number, one in enumerate((*asks, *without_body) * 5, start=1):
            connection.sendall(one)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert bool(answer.read()) == (one in asks)
            assert segments(connection) == number


@pytest.fixture
def crowd() -> Iterator[Callable[[str, int], list[socket.socket]]]:
    """Return a maker of so many connections; the limit on open files is raised for them, and for the simulator."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + 600
    if 0 <= hard < wanted:
        pytest.skip(f"this machine allows {hard} open files in one process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with ExitStack() as all_of_them:

        def make(endpoint_url: str, count: int) -> list[socket.socket]:
            where = place(endpoint_url)
            return [all_of_them.enter_context(socket.create_connection(where, timeout=30)) for _ in range(count)]

        yield make
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.e2e
def test_idle_connections_make_room_for_new_ones(crowd: Callable[[str, int], list[socket.socket]]) -> None:
    with process("--lag", "instant") as (endpoint_url, _):
        idle = crowd(endpoint_url, MOST + 50)
        half = crowd(endpoint_url, 50)
        for connection in half:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le")
        assert client(endpoint_url).create_key()["KeyMetadata"]["KeyState"] == "Enabled"
        assert send(endpoint_url, "/_simulator/clock", method="GET")[0] == 200
        assert idle[0].recv(1) == b"", "the one that was idle for longest was closed"
        idle[-1].sendall(request("GET", "/_simulator/calls"))
        assert idle[-1].recv(12) == b"HTTP/1.1 200"


@pytest.mark.e2e
def test_where_all_are_at_work_new_calls_are_refused_at_once_and_the_control_endpoints_answer(
    crowd: Callable[[str, int], list[socket.socket]],
) -> None:
    with process("--lag", "instant") as (endpoint_url, _):
        assert send(endpoint_url, "/_simulator/faults", {"operation": "ListKeys", "delay": 3600})[0] == 200
        at_work = crowd(endpoint_url, MOST - 1)
        for connection in at_work:
            connection.sendall(asked("ListKeys"))
        # Whoever is answered here came later: all others have been read.
        assert send(endpoint_url, "/_simulator/calls", method="GET")[0] == 200
        last = one_more_at_work(crowd, endpoint_url)
        assert refusal_of_a_newcomer(endpoint_url) == (503, "ServiceUnavailable")
        assert send(endpoint_url, "/_simulator/calls", method="GET")[0] == 200
        assert send(endpoint_url, "/_simulator/faults", {}, "DELETE")[0] == 200
        assert {connection.recv(12) for connection in (*at_work, last)} == {b"HTTP/1.1 200"}
        assert client(endpoint_url).list_keys()["Keys"] == []


def one_more_at_work(crowd: Callable[[str, int], list[socket.socket]], endpoint_url: str) -> socket.socket:
    """Take the last place: the connection that was answered a moment ago may still hold it, and we are refused."""
    for _ in range(20):
        last = crowd(endpoint_url, 1)[0]
        last.sendall(asked("ListKeys"))
        last.settimeout(1)
        try:
            last.recv(1)
        except TimeoutError:
            last.settimeout(30)
            return last
    raise AssertionError("there is no place for one more, though nobody else is at work")


def refusal_of_a_newcomer(endpoint_url: str) -> tuple[int, str]:
    with socket.create_connection(place(endpoint_url), timeout=20) as connection:
        connection.sendall(asked("ListAliases"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.load(answer)["__type"]
