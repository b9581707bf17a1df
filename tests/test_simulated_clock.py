"""The simulator's time is taken from a simulator on this machine, where the settings say so, and from nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyrage
import pytest

from orchestrator import compose
from orchestrator.errors import UsageError
from orchestrator.settings import Settings
from orchestrator.simulator import Simulator, serve

KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-" + "0" * 32
AHEAD = timedelta(days=91)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return a maker of settings that want the simulator's time."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.touch(mode=0o600)
    path.write_text(f"{identity}\n")
    recipients = [str(one.to_public()) for one in (identity, pyrage.x25519.Identity.generate())]

    def make(endpoint_url: str | None, clock: str = "simulator", **store: Any) -> Settings:
        usual = {"uri": f"file:{tmp_path / 'store'}", "identity": path, "volatile": "allow"}
        return Settings.model_validate(
            {
                "store": {"recipients": recipients} | usual | store,
                "keys": {"payments": {"arn": KEY, "regions": ["us-east-1", "eu-west-1"]}},
                "aws": {"clock": clock, **({"endpoint_url": endpoint_url} if endpoint_url else {})},
            }
        )

    return make


def ahead(settings: Settings) -> timedelta:
    return compose.clock_of(settings).now() - datetime.now(UTC)


def test_it_is_the_simulators_time(settings: Callable[..., Settings]) -> None:
    simulator = Simulator()
    simulator.advance(AHEAD.total_seconds())
    with serve(simulator) as served:
        wanted = settings(served.endpoint_url)
        compose.check(wanted)
        assert abs(ahead(wanted) - AHEAD) < timedelta(minutes=1)
        assert abs(ahead(settings(served.endpoint_url, "machine"))) < timedelta(minutes=1)
        assert len(simulator.calls) == 0


@pytest.mark.parametrize(
    "endpoint_url",
    [
        None,
        "https://kms.us-east-1.amazonaws.com",
        "https://kms-fips.us-east-1.amazonaws.com",
        "https://vpce-0a1b2c3d-4e5f6a7b.kms.us-east-1.vpce.amazonaws.com",
        "https://kms.example.org",
        "https://10.0.0.1:4599",
        "https://localhost.example.org",
    ],
)
def test_it_is_never_taken_where_aws_is_nor_from_another_machine(
    settings: Callable[..., Settings], endpoint_url: str | None
) -> None:
    wanted = settings(endpoint_url)
    if endpoint_url and "us-east-1" in endpoint_url:  # which serves that Region alone
        key = wanted.keys["payments"].model_copy(update={"regions": ("us-east-1",)})
        wanted = wanted.model_copy(update={"keys": {"payments": key}})
    with pytest.raises(UsageError, match=r"aws\.clock: simulator, but kms is .* not on this machine") as refused:
        compose.check(wanted)
    assert "MRK_AWS__CLOCK" in refused.value.hint
    with pytest.raises(UsageError, match="not on this machine"):
        compose.clock_of(wanted)


def test_a_store_at_aws_keeps_the_machines_time(settings: Callable[..., Settings]) -> None:
    simulator = Simulator()
    simulator.advance(AHEAD.total_seconds())
    with serve(simulator) as served:
        wanted = settings(served.endpoint_url, uri="secretsmanager:us-east-1/mrk", kms_key="alias/mrk")
        with pytest.raises(UsageError, match=r"secretsmanager is https://secretsmanager\.us-east-1\.amazonaws\.com"):
            compose.check(wanted)
        with pytest.raises(UsageError, match="not on this machine"):
            compose.clock_of(wanted)


NOW = (datetime.now(UTC) + AHEAD).timestamp()
TRUE = {"Server": "mrk-simulator"}
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "another server": (200, {"Server": "other"}, json.dumps({"now": NOW}).encode()),
    "no server": (200, {}, json.dumps({"now": NOW}).encode()),
    "a refusal": (400, TRUE, json.dumps({"now": NOW}).encode()),
    "a way elsewhere": (302, TRUE | {"Location": "http://127.0.0.1:1/"}, b""),
    "no JSON": (200, TRUE, b"<html>"),
    "no time": (200, TRUE, b"{}"),
    "no object": (200, TRUE, b"[1]"),
    "text": (200, TRUE, json.dumps({"now": "2030-01-01"}).encode()),
    "true": (200, TRUE, b'{"now": true}'),
    "not a number": (200, TRUE, b'{"now": NaN}'),
    "endless": (200, TRUE, b'{"now": Infinity}'),
    "long ago": (200, TRUE, b'{"now": 0}'),
    "far away": (200, TRUE, b'{"now": 1e12}'),
    "too long": (200, TRUE, b" " * 100_000 + json.dumps({"now": NOW}).encode()),
    "deep": (200, TRUE, b"[" * 900),
}


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for name, value in (headers | {"Content-Length": str(len(body)), "Connection": "close"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_simulator_is_not_believed(settings: Callable[..., Settings], name: str) -> None:
    with answering(*ANSWERS[name]) as endpoint_url:
        wanted = settings(endpoint_url)
        with pytest.raises(UsageError, match="is no `mrk simulator`"):
            compose.clock_of(wanted)


def test_a_simulator_that_is_not_there_is_told(settings: Callable[..., Settings]) -> None:
    with serve(Simulator()) as served:
        endpoint_url = served.endpoint_url
    with pytest.raises(UsageError, match=r"nothing answers at http://127\.0\.0\.1"):
        compose.clock_of(settings(endpoint_url))
