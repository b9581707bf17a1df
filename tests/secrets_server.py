"""Secrets Manager as a process of its own: moto's server on a loopback port, with faults to order.

`POST /faults` takes a JSON list; each names an `operation`, or "*", a `kind`, `times` (left out: for ever) and `after`,
how many such calls pass first. Kinds: denied, throttled, internal, decryption, hang (no answer until the client gives
up), said (an error with the fault's own `message`), lost (carried out, and the connection is cut instead of an
answer), cut (not carried out), garbage, lag (a read answers that there is no such secret), replicating (replicas are
InProgress), slow (the answer takes 90 ms, as over an ocean), forgetful (a batch answers of every other secret alone).
`GET /calls` tells the operations in order, each with the status of its answer; `GET /bodies` what was sent.

BatchGetSecretValue answers as AWS does: up to 20 secrets, each as GetSecretValue has it, and what is wrong with one of
them (not there, denied, not to be decrypted) stands among the `Errors` of an answer that is none itself (API reference;
botocore's service model). moto's own looks at the first version alone.
"""

import contextlib
import http.client
import io
import json
import subprocess
import sys
import threading
import time
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
    "denied one": (400, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: it"),
}
OF_ONE = ("decryption", "lag", "denied one")
"""What a batch tells of each secret, and not of the call."""
ONE, BATCH, MOST = "GetSecretValue", "BatchGetSecretValue", 20
CARRIED_OUT = ("", "lost", "replicating", "slow", "forgetful")
Answer = tuple[str, list[tuple[str, str]], bytes]


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
            answered = self._judged(operation, kind, body)
            if answered is None and (kind in CARRIED_OUT or kind in OF_ONE):
                answered = self._answer(operation, environ)
        if answered is not None and kind != "lost":
            return _again(*answered, kind, start_response)
        if kind == "garbage":
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [b"<html>" + body + b"</html>"]
        if kind == "hang":
            self._closing.wait(20)
        # An exception before anything is sent makes the server cut the connection.
        raise ConnectionAbortedError

    def _judged(self, operation: str, kind: str, body: bytes) -> Answer | None:
        """Refuse a call, as a fault or AWS itself would."""
        if operation == BATCH and (refused := _batch_refused(body)):
            return _error(400, "InvalidParameterException", refused)
        if kind == "said":
            return _error(400, "InternalServiceError", self._said)
        if kind in ERRORS and not (operation == BATCH and kind in OF_ONE):
            self._calls.append(f"{operation} {ERRORS[kind][0]}")
            return _error(*ERRORS[kind])
        return None

    def _answer(self, operation: str, environ: dict[str, Any]) -> Answer:
        asked = self._batched if operation == BATCH else self._asked
        status, headers, content = asked(environ)
        if operation:
            self._calls.append(f"{operation} {status.partition(' ')[0]}")
        return status, headers, content

    def _asked(self, environ: dict[str, Any]) -> Answer:
        told: list[Any] = []
        content = b"".join(self._application(environ, lambda *answer: told.extend(answer)))
        return told[0], told[1], content

    def _batched(self, environ: dict[str, Any]) -> Answer:
        """Ask for each secret of a batch alone."""
        values, errors = list[Any](), list[Any]()
        for secret in json.load(environ["wsgi.input"])["SecretIdList"]:
            body = json.dumps({"SecretId": secret, "VersionStage": "AWSCURRENT"}).encode()
            target = {"HTTP_X_AMZ_TARGET": f"secretsmanager.{ONE}", "CONTENT_LENGTH": str(len(body))}
            status, _, content = self._asked({**environ, **target, "wsgi.input": io.BytesIO(body)})
            told = json.loads(content)
            if status.startswith("200"):
                values.append(told)
            else:
                errors.append({"SecretId": secret, "ErrorCode": told["__type"], "Message": told["message"]})
        answer = json.dumps({"SecretValues": values, "Errors": errors}).encode()
        return "200 OK", [("Content-Type", "application/x-amz-json-1.1")], answer

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

    def _tell(self, content: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(content).encode()]


def _again(
    status: str, headers: list[tuple[str, str]], content: bytes, kind: str, start_response: Any
) -> Iterable[bytes]:
    """Answer, or what a fault makes of an answer."""
    if kind == "slow":
        time.sleep(0.09)
    if kind == "replicating":
        content = content.replace(b"InSync", b"InProgress")
    if kind in {"forgetful", *OF_ONE} and b"SecretValues" in content:
        content = json.dumps(_spoilt(json.loads(content), kind)).encode()
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*kept, ("Content-Length", str(len(content)))])
    return [content]


def _spoilt(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    """Answer a batch of every other secret alone, or that none of the secrets that are there can be read."""
    if kind == "forgetful":
        return {name: answer[name][::2] for name in ("SecretValues", "Errors")}
    _, code, message = ERRORS[kind]
    errors = [{"SecretId": one["Name"], "ErrorCode": code, "Message": message} for one in answer["SecretValues"]]
    return {"SecretValues": [], "Errors": [*answer["Errors"], *errors]}


def _batch_refused(body: bytes) -> str:
    """Say what AWS has against a batch, which moto takes."""
    ids = json.loads(body).get("SecretIdList", ())
    return "" if 1 <= len(ids) <= MOST else f"{len(ids)} secrets: 1 to {MOST} are allowed"


def _error(status: int, code: str, message: str) -> Answer:
    reason = "Bad Request" if status < 500 else "Internal Server Error"
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", "r-1")]
    return f"{status} {reason}", headers, json.dumps({"__type": code, "message": message}).encode()


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
