"""The HTTP face of a simulator: one endpoint for all Regions, KMS's JSON 1.1 protocol, nothing brings it down."""

import json
import logging
import re
import uuid
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.faults import ConnectionDropped
from orchestrator.simulator.simulator import Simulator

DEFAULT_ACCOUNT = "111122223333"
_SCOPE = re.compile(r"Credential=(?P<key>[^/,\s]+)/[^/,\s]+/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request")
_ACCOUNT = re.compile(r"[0-9]{12}")
_JSON = "application/x-amz-json-1.1"
_log = logging.getLogger(__name__)


class App:
    """A WSGI application around one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one HTTP request."""
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Return the answer to any request; ConnectionDropped where none is to be given."""
        try:
            return _json(self._answer(request))
        except ServiceError as error:
            return _failure(error)
        except HTTPException as error:
            return _failure(ServiceError("SerializationException", error.description or "", status=error.code or 400))
        except ConnectionDropped:
            raise
        except Exception:  # noqa: BLE001 - whatever a request does, the next one is served
            _log.exception("the simulator failed on a request")
            return _failure(ServiceError("KMSInternalException", "the simulator itself failed", status=500))

    def _answer(self, request: Request) -> Any:
        region, account = self._caller(request)
        prefix, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
        if prefix != "TrentService" or not operation:
            raise ServiceError("UnknownOperationException")
        return self._simulator.call(operation, region, account, _body(request))

    def _caller(self, request: Request) -> tuple[str, str]:
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        if scope is None:
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
        key = scope["key"]
        return scope["region"], key if _ACCOUNT.fullmatch(key) else DEFAULT_ACCOUNT


def _body(request: Request) -> Any:
    try:
        return json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", "the body is not JSON") from error


def _json(value: Any, status: int = 200) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(value), status=status, content_type=_JSON, headers=headers)


def _failure(error: ServiceError) -> Response:
    body = {"__type": error.code}
    if error.message:
        body["message"] = error.message
    return _json(body, error.status)
