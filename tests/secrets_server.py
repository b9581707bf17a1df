"""Secrets Manager as a process of its own: moto's server on a loopback port, with faults to order.

`POST /faults` takes a JSON list; each names an `operation`, or "*", a `kind`, `times` (left out: for ever) and `after`,
how many such calls pass first. Kinds: denied, throttled, internal, decryption, hang (no answer until the client gives
up), said (an error with the fault's own `message`), lost (carried out, and the connection is cut instead of an
answer), cut (not carried out), garbage, lag (a read answers that there is no such secret), replicating (replicas are
InProgress). `GET /calls` tells the operations in order, each with the status of its answer; `GET /bodies` what was
sent.
"""

import contextlib
import http.client
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ERRORS = {
    "denied": (400, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: it"),
    "throttled": (400, "ThrottlingException", "Rate exceeded"),
    "internal": (500, "InternalServiceError", "An error occurred on the server side."),
    "decryption": (400, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text."),
    "exceeded": (400, "LimitExceededException", "You have reached the quota of secrets."),
    "lag": (400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
}


class SecretsServer:
    """The server process, and its controls."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """End the process, which ends when its standard input does."""
        self._process.communicate()

    def reset(self) -> None:
        """Forget every secret, fault and call."""
        self._ask("POST", "/moto-api/reset")
        self._ask("POST", "/faults", [])

    def faults(self, *faults: dict[str, Any]) -> None:
        """Put these faults in the place of those that there were."""
        self._ask("POST", "/faults", list(faults))

    def calls(self) -> list[str]:
        """Tell every operation that was asked for since the last order of faults, with the status of its answer."""
        return [str(call) for call in self._ask("GET", "/calls")]

    def bodies(self) -> list[str]:
        """Tell the body of every request since the last order of faults."""
        return [str(body) for body in self._ask("GET", "/bodies")]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body))
            answer = connection.getresponse().read()
        return json.loads(answer)


@contextlib.contextmanager
def secrets_server() -> Iterator[SecretsServer]:
    """Run a server for as long as it is wanted."""
    server = SecretsServer()
    try:
        yield server
    finally:
        server.close()


class Faulty:
    """A WSGI application in front of moto's: one call at a time, as CreateSecret must not race with itself."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._faults: list[dict[str, Any]] = []
        self._calls: list[str] = []
        self._bodies: list[str] = []
        self._said = ""
        self._closing = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/faults":
            return self._order(environ, start_response)
        if path in {"/calls", "/bodies"}:
            return self._tell(self._calls if path == "/calls" else self._bodies, start_response)
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            kind = self._next_fault(operation)
            if operation:
                self._bodies.append(body.decode(errors="replace"))
            if kind == "said":
                return _error(400, "InternalServiceError", self._said, start_response)
            if kind in ERRORS:
                self._calls.append(f"{operation} {ERRORS[kind][0]}")
                return _error(*ERRORS[kind], start_response)
            if kind in {"", "lost", "replicating"}:
                answered = self._answer(operation, environ)
                if kind != "lost":
                    return _again(*answered, kind, start_response)
        if kind == "garbage":
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [b"<html>" + body + b"</html>"]
        if kind == "hang":
            self._closing.wait(20)
        # An exception before anything is sent makes the server cut the connection.
        raise ConnectionAbortedError

    def _answer(self, operation: str, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        told: list[Any] = []
        content = b"".join(self._application(environ, lambda *answer: told.extend(answer)))
        if operation:
            self._calls.append(f"{operation} {told[0].partition(' ')[0]}")
        return told[0], told[1], content

    def _next_fault(self, operation: str) -> str:
        for fault in self._faults:
            if fault["operation"] not in {"*", operation} or not operation or fault.get("times") == 0:
                continue
            if fault.get("after", 0):
                fault["after"] -= 1
                continue
            self._said = str(fault.get("message", ""))
            if "times" in fault:
                fault["times"] -= 1
            return str(fault["kind"])
        return ""

    def _order(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with self._lock:
            self._faults = json.loads(content)
            self._calls.clear()
            self._bodies.clear()
        return self._tell([], start_response)

    def _tell(self, content: list[str], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(content).encode()]


def _again(
    status: str, headers: list[tuple[str, str]], content: bytes, kind: str, start_response: Any
) -> Iterable[bytes]:
    if kind == "replicating":
        content = content.replace(b"InSync", b"InProgress")
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*kept, ("Content-Length", str(len(content)))])
    return [content]


def _error(status: int, code: str, message: str, start_response: Any) -> Iterable[bytes]:
    reason = "Bad Request" if status < 500 else "Internal Server Error"
    start_response(f"{status} {reason}", [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", "r-1")])
    return [json.dumps({"__type": code, "message": message}).encode()]


def main() -> None:
    """Serve until standard input ends."""
    import logging  # noqa: PLC0415

    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: PLC0415

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ARG002
            """Cut the connection after ConnectionAbortedError, which werkzeug leaves open."""
            self.close_connection = True

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    application = Faulty(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
