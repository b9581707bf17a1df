"""The HTTP face of a simulator: one endpoint for all Regions, KMS's JSON 1.1 protocol, nothing brings it down."""

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

from orchestrator.simulator.accounts import Identity
from orchestrator.simulator.authentication import require_service, scope_of
from orchestrator.simulator.calls import Call
from orchestrator.simulator.control import PREFIX, control
from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.faults import ConnectionDropped
from orchestrator.simulator.regions import known_regions
from orchestrator.simulator.simulator import Simulator
from orchestrator.simulator.sts import Sts, error_document, in_its_words, recorded
from orchestrator.simulator.wire import operation_model

JSON = "application/x-amz-json-1.1"
_TARGET = "TrentService."
_NAMED = 200
_log = logging.getLogger(__name__)


class App:
    """A WSGI application around one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._sts = Sts(simulator.accounts)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one HTTP request, with the time by the simulator's own clock."""
        response = self.respond(Request(environ))
        response.headers["Date"] = http_date(self._simulator.clock())
        return response(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Return the answer to any request; ConnectionDropped where none is to be given."""
        try:
            return self._answer(request)
        except ServiceError as error:
            return _failure(request, error)
        except HTTPException as error:
            described = ServiceError("SerializationException", error.description or "", status=error.code or 400)
            return _failure(request, described)
        except ConnectionDropped:
            raise
        except Exception:  # noqa: BLE001 - whatever a request does, the next one is served
            _log.exception("the simulator failed on a request")
            return _failure(request, ServiceError("KMSInternalException", "the simulator itself failed", status=500))

    def _answer(self, request: Request) -> Response:
        if request.path.startswith(PREFIX):
            body = _body(request) if request.method != "GET" else request.args.to_dict()
            return _json(control(self._simulator, request.method, request.path, body))
        if _is_query(request):
            return _xml(self._ask_sts(request))
        return self._ask_kms(request)

    def _ask_kms(self, request: Request) -> Response:
        region, identity, refused = self._caller(request, "kms")
        target = request.headers.get("X-Amz-Target", "")
        operation = target.removeprefix(_TARGET)
        if request.method != "POST" or not target.startswith(_TARGET) or not operation:
            refused = refused or ServiceError("UnknownOperationException")

        def work(call: Call) -> Callable[[], dict[str, Any]]:
            return self._simulator.prepared(call, _body(request), identity.arn)

        answer = self._simulator.attend(operation[:_NAMED], region, identity.account, work, refused)
        # An operation that tells nothing answers with no body at all.
        return _json(answer) if operation_model(operation).output_shape else _sent("", JSON)

    def _ask_sts(self, request: Request) -> str:
        region, identity, refused = self._caller(request, "sts")
        fields = request.form.to_dict()
        # Without a signature a caller of STS is the default account.
        refused = None if refused is None or "Authorization" not in request.headers else in_its_words(refused)

        def work(call: Call) -> Callable[[], str]:
            call.parameters.update(recorded(fields))
            return lambda: self._sts.answer(fields, identity, self._simulator.clock())

        return self._simulator.attend(fields.get("Action", "")[:_NAMED], region, identity.account, work, refused)

    def _caller(self, request: Request, service: str) -> tuple[str, Identity, ServiceError | None]:
        """Return the Region and the caller, as far as the request tells them, and why it is refused, if it is."""
        accounts = self._simulator.accounts
        try:
            scope = scope_of(request.headers.get("Authorization", ""))
        except ServiceError as error:
            return "us-east-1", accounts.identity(""), error
        identity = accounts.identity(scope.access_key, known_regions().get(scope.region, "aws"))
        try:
            require_service(scope, service)
        except ServiceError as error:
            return scope.region, identity, error
        return scope.region, identity, None


def _is_query(request: Request) -> bool:
    form = request.mimetype == "application/x-www-form-urlencoded"
    return form and "X-Amz-Target" not in request.headers and not request.path.startswith(PREFIX)


def _body(request: Request) -> Any:
    raw = request.get_data()
    try:
        body = json.loads(raw or b"{}")
        if b"\\u" in raw:
            json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ServiceError("SerializationException", "the body is not JSON") from error
    return body


def _json(value: Any, status: int = 200) -> Response:
    return _sent(json.dumps(value), JSON, status)


def _xml(text: str, status: int = 200) -> Response:
    return _sent(text, "text/xml", status)


def _sent(text: str, kind: str, status: int = 200) -> Response:
    return Response(text, status=status, content_type=kind, headers={"x-amzn-RequestId": str(uuid.uuid4())})


def _failure(request: Request, error: ServiceError) -> Response:
    if _is_query(request):
        return _xml(error_document(error), error.status)
    body = {"__type": error.code}
    if error.message:
        body["message"] = error.message
    return _json(body, error.status)
