"""Why a request got no answer, judged once for every service of AWS: whether waiting may mend it, and what would."""

import os
import re
import ssl
from typing import NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    HTTPClientError,
    InvalidProxiesConfigError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from urllib3.exceptions import LocationValueError
from urllib3.util.ssl_match_hostname import CertificateError

from orchestrator.printable import printable
from orchestrator.replies import UNSENDABLE_HINT, told, unsendable

NO_CREDENTIALS = NoCredentialsError | PartialCredentialsError | TokenRetrievalError
GIVE_CREDENTIALS = "give credentials as for the aws command: a profile, AWS_... variables, or a role"

_NOT_YET, _EXPIRED, _OTHER_NAMES = 9, 10, {62, 64}
"""Verification codes of OpenSSL."""

_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
_NO_PEM = {"NO_CERTIFICATE_OR_CRL_FOUND", "PEM_LIB", "NO_START_LINE", "BAD_BASE64_DECODE"}
_NO_TLS = {
    "HTTPS_PROXY_REQUEST",
    "HTTP_REQUEST",
    "NO_PROTOCOLS_AVAILABLE",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}
"""What OpenSSL says of a server that speaks no TLS, or not ours; it will speak no other in a minute."""

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_SERVER_ERRORS = 500


class Unreached(NamedTuple):
    """Why no answer came: `said` is empty where one came that is none of AWS's."""

    said: str
    hint: str = ""
    passing: bool = False
    sent: bool = False


def unreached(error: Exception) -> Unreached:
    """Judge what an HTTP library, or the SDK, ended a call with."""
    if unsendable(error):
        return Unreached(told(error), UNSENDABLE_HINT)
    if isinstance(error, SSLError):
        return _tls(error, f"{error.kwargs.get('endpoint_url', 'the endpoint')}".rstrip("/"))
    if isinstance(error, ProxyConnectionError | InvalidProxiesConfigError):
        return _proxy(error)
    if isinstance(error, NO_CREDENTIALS):
        return Unreached(told(error), GIVE_CREDENTIALS)
    if isinstance(error, ParamValidationError):
        return Unreached(told(error))
    if isinstance(getattr(error, "kwargs", {}).get("error"), LocationValueError):
        return Unreached("the URL of the endpoint, or of a proxy, cannot be read", _proxy_hint())
    if isinstance(error, BotoConnectionError | HTTPClientError):
        return Unreached(told(error), passing=True, sent=True)
    if isinstance(error, BotoCoreError):
        return Unreached(told(error), sent=True)
    return Unreached("", passing=True, sent=True)


def _tls(error: Exception, place: str) -> Unreached:
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _untrusted(cause, place)
    if isinstance(cause, CertificateError):
        return Unreached(f"the certificate of {place} is for another host: {printable(cause, 200)}", _ENDPOINT)
    if isinstance(cause, _NO_FILE):
        return Unreached(f"the CA bundle cannot be read: {cause.strerror}", _bundle_hint())
    reason = getattr(cause, "reason", None)
    if reason in _NO_PEM:
        return Unreached("the CA bundle holds no certificate in PEM", _bundle_hint())
    if reason in _NO_TLS:
        return Unreached(f"{place} does not speak TLS as it must: {reason}", _ENDPOINT)
    return Unreached(told(error), passing=True, sent=True)


_ENDPOINT = "see which endpoint is set (aws.endpoint_url, AWS_ENDPOINT_URL..., the profile), and what answers there"


def _untrusted(cause: ssl.SSLCertVerificationError, place: str) -> Unreached:
    said = f"the certificate of {place} is not trusted here: {printable(cause.verify_message, 200)}"
    if cause.verify_code in {_NOT_YET, _EXPIRED}:
        return Unreached(said, "see whether the clock of this machine is right; else whoever runs that renews it")
    return Unreached(said, _ENDPOINT if cause.verify_code in _OTHER_NAMES else _bundle_hint())


def _bundle_hint() -> str:
    set_now = [f"{name}={os.environ[name]}" for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if name in os.environ]
    now = f"; now it is {set_now[0]}" if set_now else ""
    return (
        "name the PEM file of the CA that signs here (a company's proxy signs with its own) in AWS_CA_BUNDLE, or as"
        f" ca_bundle in the profile{now}"
    )


def _proxy(error: Exception) -> Unreached:
    cause = _cause(error)
    proxy = printable(getattr(error, "kwargs", {}).get("proxy_url", "that is set"), 200)
    if isinstance(cause, ssl.SSLError):
        found = _tls(error, f"the proxy {proxy}")
        return found._replace(said=f"the proxy {proxy} cannot be used: {found.said}", passing=False, sent=False)
    found_status = _TUNNEL.search(str(cause))
    if found_status and int(found_status[1]) >= _SERVER_ERRORS:
        return Unreached(f"the proxy {proxy} reaches nobody: {printable(cause, 200)}", _proxy_hint(), passing=True)
    return Unreached(f"the proxy {proxy} cannot be used: {_last_words(cause)}", _proxy_hint())


def _proxy_hint() -> str:
    name = next((name for name in ("https_proxy", "HTTPS_PROXY") if os.environ.get(name)), "HTTPS_PROXY")
    return f"mend the proxy that {name} names, or name in NO_PROXY what goes without it"


def _last_words(cause: BaseException) -> str:
    """Say the end of what urllib3 says: it begins with its own objects."""
    return printable(str(cause).rpartition("object at 0x")[2].partition(": ")[2] or cause, 200)


def _cause(error: BaseException) -> BaseException:
    """Find the innermost of the errors that the libraries have wrapped into each other."""
    while True:
        inner = getattr(error, "original_error", None) or getattr(error, "kwargs", {}).get("error")
        inner = inner or next((one for one in error.args if isinstance(one, BaseException)), None)
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner
