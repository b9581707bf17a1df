"""Serving a simulator over HTTP, on this machine only."""

import json
import logging
import math
import os
import signal
import sys
from ipaddress import ip_address
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]

from orchestrator.simulator.app import App
from orchestrator.simulator.connections import Dispatcher, Resetting, Server
from orchestrator.simulator.simulator import Simulator

_THREADS = 32
_LARGEST_BODY = 1024 * 1024


class Served:
    """A simulator that is being served in a background thread; `close`, or leaving the block, ends it."""

    def __init__(self, simulator: Simulator, host: str, port: int) -> None:
        self._simulator = simulator
        self._sockets: dict[int, Any] = {}
        listening = _listening(host, port)
        dispatcher = Dispatcher()
        dispatcher.set_thread_count(_THREADS)
        self._server = Server(Resetting(App(simulator)), self._sockets, dispatcher=dispatcher, adj=listening)
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
    """Serve until SIGTERM, SIGINT or SIGHUP; print one JSON line with endpoint_url and pid when ready."""
    for name, value in (("--rotation-seconds", rotation_seconds), ("--quotas", quotas)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} takes a number from 0 up, not {value}")
    simulator = Simulator(lag=lag, rotation_seconds=rotation_seconds, quotas=quotas, state=state)
    # That many clients at once are no news to whoever reads this process's stderr.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, lambda *_: stop.set())
    with serve(simulator, host, port) as served:
        print(json.dumps({"endpoint_url": served.endpoint_url, "pid": os.getpid()}), flush=True)  # noqa: T201 - the contract
        stop.wait()
    simulator.keep()


def _listening(host: str, port: int) -> Adjustments:
    return Adjustments(
        host=_loopback(host),
        port=port,
        # Never deaf: the server itself makes room.
        connection_limit=sys.maxsize,
        max_request_body_size=_LARGEST_BODY,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
        ident="mrk-simulator",
    )


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
