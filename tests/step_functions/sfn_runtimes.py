"""Real Lambda runtimes: `awslambdaric` under the Runtime Interface Emulator, each taking one call at a time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tools import TOOLS

HANDLER = "workflows.step_functions.handler.handle"
_PATH = "/2015-03-31/functions/function/invocations"


def emulator() -> Path:
    """Find the emulator that aws-sam-cli brings; prerequisites.py has installed it."""
    found = sorted(TOOLS.glob("lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"))
    assert found, f"no Lambda emulator in {TOOLS}: run tests/prerequisites.py, as make test does"
    return found[0]


@dataclass
class Runtime:
    """One emulator with one runtime, which it starts anew when that has died."""

    environment: Mapping[str, str]
    timeout: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0
    python: str = sys.executable

    def start(self) -> None:
        ports = _free_ports(2)
        self.port = ports[0]
        addresses = ("--runtime-interface-emulator-address", f"127.0.0.1:{ports[0]}")
        inner = ("--runtime-api-address", f"127.0.0.1:{ports[1]}")
        command = [str(emulator()), "--log-level", "error", *addresses, *inner]
        function = {"AWS_LAMBDA_FUNCTION_NAME": "mrk", "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self.timeout)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, self.python, "-m", "awslambdaric", HANDLER],
                env={**self.environment, **function},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _until_open(ports[0])

    def invoke(self, event: bytes) -> Any:
        """Invoke the function; what it raised is a document with an errorType."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request("POST", _PATH, event)
            return json.loads(connection.getresponse().read())

    def ask(self, event: Mapping[str, Any]) -> Any:
        """Invoke the function as a person would."""
        return self.invoke(json.dumps(event).encode())

    def limit(self, name: str) -> tuple[str, ...]:
        """Tell a resource limit of the process of the runtime, soft and hard."""
        assert self.process is not None
        (pid,) = _children(self.process.pid)
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        return tuple(next(line for line in lines if line.startswith(name)).removeprefix(name).split()[:2])

    def kill(self) -> None:
        """Kill the process of the runtime, as a machine that dies does; the emulator lives on."""
        assert self.process is not None
        for pid in _children(self.process.pid):
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        if self.process is None:
            return
        self.kill()
        self.process.kill()
        self.process.wait()


@dataclass
class Runtimes:
    """A pool of them; `invoke` waits for a free one."""

    all: list[Runtime]
    free: "SimpleQueue[Runtime]" = field(default_factory=SimpleQueue)
    busy: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for runtime in self.all:
            runtime.start()
            self.free.put(runtime)

    def invoke(self, event: bytes) -> Any:
        with self._taken() as runtime:
            return runtime.invoke(event)

    def kill_busy(self) -> int:
        """Kill every runtime that is at work; return how many."""
        busy = [runtime for runtime in self.all if runtime.port in self.busy]
        for runtime in busy:
            runtime.kill()
        return len(busy)

    def stop(self) -> None:
        for runtime in self.all:
            runtime.stop()

    @contextmanager
    def _taken(self) -> Iterator[Runtime]:
        runtime = self.free.get(timeout=60)
        self.busy.add(runtime.port)
        try:
            yield runtime
        finally:
            self.busy.discard(runtime.port)
            self.free.put(runtime)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _until_open(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"the emulator does not listen on {port}")


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in listed for child in one.read_text().split()]
