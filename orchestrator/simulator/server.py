"""Serving a simulator over HTTP, on this machine only."""

import json
import logging
import math
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable
from http import HTTPStatus
from ipaddress import ip_address
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from waitress import create_server, wasyncore  # type: ignore[import-untyped]
from waitress.channel import ClientDisconnected, HTTPChannel  # type: ignore[import-untyped]
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask  # type: ignore[import-untyped]

from orchestrator.simulator.app import JSON, App
from orchestrator.simulator.control import PREFIX
from orchestrator.simulator.faults import ConnectionDropped
from orchestrator.simulator.simulator import Simulator

_THREADS = 32
_THREADS_OF_ITS_OWN = 2
_CONNECTIONS = 1000
_LARGEST_BODY = 1024 * 1024
_SOCKET = "simulator.socket"


class Served:
    """A simulator that is being served in a background thread; `close`, or leaving the block, ends it."""

    def __init__(self, simulator: Simulator, host: str, port: int) -> None:
        self._simulator = simulator
        self._sockets: dict[int, Any] = {}
        dispatcher = _Dispatcher()
        dispatcher.set_thread_count(_THREADS)
        self._server = create_server(
            _Resetting(App(simulator)),
            map=self._sockets,
            _dispatcher=dispatcher,
            host=_loopback(host),
            port=port,
            connection_limit=_CONNECTIONS,
            max_request_body_size=_LARGEST_BODY,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
            ident="mrk-simulator",
        )
        self._server.channel_class = _Channel
        self.endpoint_url = f"http://{_bracketed(host)}:{self._server.effective_port}"
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="simulator", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; returns when the listening socket and every connection are closed."""
        if self._stopping.is_set():
            return
        # In this order, so that nothing writes to the loop's wake-up pipe once it is closed.
        self._stopping.set()
        self._server.pull_trigger()
        self._thread.join()
        self._simulator.faults.release()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets, ignore_all=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=30, use_poll=True, map=self._sockets, count=1)


def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> Served:
    """Serve a simulator on a loopback address; port 0 is any free one. ValueError for any other host."""
    return Served(simulator, host, port)


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    lag: str = "small",
    rotation_seconds: float | None = None,
    quotas: float | None = None,
    state: str | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; print one JSON line with endpoint_url and pid when ready."""
    for name, value in (("--rotation-seconds", rotation_seconds), ("--quotas", quotas)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} takes a number from 0 up, not {value}")
    simulator = Simulator(lag=lag, rotation_seconds=rotation_seconds, quotas=quotas, state=state)
    # That many clients at once are no news to whoever reads this process's stderr.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve(simulator, host, port) as served:
        print(json.dumps({"endpoint_url": served.endpoint_url, "pid": os.getpid()}), flush=True)  # noqa: T201 - the contract
        stop.wait()
    simulator.keep()


class _Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Serves the simulator's own endpoints in threads of their own: calls that a fault holds never make it deaf."""

    def __init__(self) -> None:
        super().__init__()
        self._own = ThreadedTaskDispatcher()

    def set_thread_count(self, count: int) -> None:
        super().set_thread_count(count)
        self._own.set_thread_count(min(count, _THREADS_OF_ITS_OWN))

    def add_task(self, task: HTTPChannel) -> None:
        own = str(getattr(task.requests[0], "path", "")).startswith(PREFIX)
        self._own.add_task(task) if own else super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self._own.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what cannot be read as a request, or is too large, as KMS answers: in JSON, with a type."""

    def execute(self) -> None:
        error = self.request.error
        code = "SerializationException" if error.code == HTTPStatus.BAD_REQUEST else error.reason.replace(" ", "")
        body = json.dumps({"__type": code, "message": error.body}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", JSON))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Task(WSGITask):  # type: ignore[misc]
    """A request that lets the application reset its connection."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[_SOCKET] = self.channel.socket
        return environ


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    error_task_class = _ErrorTask


class _Resetting:
    """Turns a withheld reply into a connection that is reset under the client."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return self._app(environ, start_response)
        except ConnectionDropped as dropped:
            # Closing with a linger time of zero sends RST instead of FIN.
            environ[_SOCKET].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ClientDisconnected from dropped


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        good = ip_address(address).is_loopback
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"the simulator holds keys in plain memory: it serves loopback addresses only, not {host!r}")
    return address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
