"""The connections of a server: each answer in one send, and never so many that nobody else is served."""

import json
import resource
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, Task, ThreadedTaskDispatcher, WSGITask  # type: ignore[import-untyped]
from waitress.utilities import Error  # type: ignore[import-untyped]

from orchestrator.simulator.app import JSON
from orchestrator.simulator.control import PREFIX
from orchestrator.simulator.faults import ConnectionDropped

_MOST = 1000
_FILES_FOR_OTHERS = 100
_THREADS_OF_ITS_OWN = 2
_SOCKET = "simulator.socket"


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection; `crowded` if it came when there were too many already, all of them at work."""

    _held: list[bytes] | None = None

    def __init__(self, server: "Server", *connection: Any, **given: Any) -> None:
        super().__init__(server, *connection, **given)
        self.crowded = server.crowded

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send in one piece what is written meanwhile: a client may drop an answer that comes in two."""
        self._held = []
        try:
            yield
            held = b"".join(self._held)
        finally:
            self._held = None
        super().write_soon(held)

    def write_soon(self, data: bytes) -> int:
        """Send, or hold back for the end of the piece."""
        if self._held is None:
            return int(super().write_soon(data))
        self._held.append(data)
        return len(data)

    @property
    def idle(self) -> bool:
        """Tell whether no request is being answered."""
        return not self.requests and not self.total_outbufs_len


class _Whole(Task):  # type: ignore[misc]
    """A task that writes the head of its answer together with the body."""

    def write(self, data: bytes) -> None:
        with self.channel.together():
            super().write(data)


class _Task(_Whole, WSGITask):  # type: ignore[misc]
    """A request that lets the application reset its connection."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[_SOCKET] = self.channel.socket
        return environ


class _ErrorTask(_Whole, ErrorTask):  # type: ignore[misc]
    """Answers what cannot be read as a request, or is refused unread, as KMS answers: in JSON, with a type."""

    def execute(self) -> None:
        error = self.request.error
        code = "SerializationException" if error.code == HTTPStatus.BAD_REQUEST else error.reason.replace(" ", "")
        body = json.dumps({"__type": code, "message": error.body}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", JSON))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


Channel.task_class, Channel.error_task_class = _Task, _ErrorTask


class _CrowdedError(Error):  # type: ignore[misc]
    code = HTTPStatus.SERVICE_UNAVAILABLE.value
    reason = HTTPStatus.SERVICE_UNAVAILABLE.phrase


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Closes idle connections for new ones; where all are at work, new ones are good for the control endpoints only."""

    channel_class = Channel
    crowded = False

    def handle_accept(self) -> None:
        """Make room, and take the connection."""
        too_many = len(self.active_channels) + 1 - _limit()
        self.crowded = too_many > 0 and self._closed(too_many) < too_many
        super().handle_accept()

    def _closed(self, wanted: int) -> int:
        """Close so many of the connections that have been idle for longest; tell how many there were."""
        idle = sorted((one for one in self.active_channels.values() if one.idle), key=_last_active)
        return sum(_closed(channel) for channel in idle[:wanted])


def _last_active(channel: Channel) -> float:
    return float(channel.last_activity)


def _closed(channel: Channel) -> bool:
    with channel.requests_lock:
        if channel.idle:
            channel.handle_close()
            return True
        return False


def _limit() -> int:
    """Return how many connections there may be: this process may want files for other things."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if allowed < 0 else max(min(_MOST, allowed - _FILES_FOR_OTHERS), 1)


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Serves the simulator's own endpoints in threads of their own: calls that a fault holds never make it deaf."""

    def __init__(self) -> None:
        super().__init__()
        self._own = ThreadedTaskDispatcher()

    def set_thread_count(self, count: int) -> None:
        """Start threads, or stop them."""
        super().set_thread_count(count)
        self._own.set_thread_count(min(count, _THREADS_OF_ITS_OWN))

    def add_task(self, task: Channel) -> None:
        """Queue a connection's next request."""
        request = task.requests[0]
        own = str(getattr(request, "path", "")).startswith(PREFIX)
        if task.crowded:
            request.headers["CONNECTION"] = "close"
            request.error = request.error if own else _CrowdedError("too many connections are at work")
        self._own.add_task(task) if own or task.crowded else super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop all threads."""
        self._own.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class Resetting:
    """Turns a withheld reply into a connection that is reset under the client."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer, or reset."""
        try:
            return self._app(environ, start_response)
        except ConnectionDropped as dropped:
            # Closing with a linger time of zero sends RST instead of FIN.
            environ[_SOCKET].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ClientDisconnected from dropped
