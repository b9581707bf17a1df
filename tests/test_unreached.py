"""What the HTTP library and the SDK end a call with: judged once, for KMS and for Secrets Manager."""

import ssl
from collections.abc import Callable

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidProxiesConfigError,
    NoRegionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import LocationParseError, ProxyError
from urllib3.exceptions import SSLError as Urllib3SSLError

from orchestrator.errors import KmsError, Trouble
from orchestrator.kms.meaning import unanswered
from orchestrator.stores.secretsmanager import meaning

URL = "https://kms.us-east-1.amazonaws.com/"
PROXY = "http://***:***@proxy.corp:3128"


def tls(cause: Exception) -> BotoCoreError:
    return SSLError(endpoint_url=URL, error=Urllib3SSLError(cause))


def untrusted(code: int, said: str) -> BotoCoreError:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code, cause.verify_message = code, said
    return tls(cause)


def openssl(reason: str) -> BotoCoreError:
    cause = ssl.SSLError(1, "what OpenSSL says")
    cause.reason = reason
    return tls(cause)


def proxied(said: str) -> BotoCoreError:
    return ProxyConnectionError(proxy_url=PROXY, error=ProxyError("Unable to connect to proxy", OSError(said)))


PERMANENT: dict[str, tuple[Exception, str, str]] = {
    "unknown CA": (untrusted(20, "unable to get local issuer certificate"), "not trusted here: unable", "CA_BUNDLE"),
    "self-signed in a chain": (untrusted(19, "self-signed certificate"), "is not trusted here", "ca_bundle in"),
    "expired": (untrusted(10, "certificate has expired"), "is not trusted here: certificate has expired", "clock"),
    "not valid yet": (untrusted(9, "certificate is not yet valid"), "is not yet valid", "clock"),
    "another host": (untrusted(62, "Hostname mismatch"), "Hostname mismatch", "see which endpoint is set"),
    "a bundle that is gone": (tls(FileNotFoundError(2, "No such file")), "the CA bundle cannot be read", "CA_BUNDLE"),
    "a bundle that may not be read": (tls(PermissionError(13, "Permission denied")), "Permission denied", "CA_BUNDLE"),
    "a bundle of no PEM": (openssl("NO_CERTIFICATE_OR_CRL_FOUND"), "holds no certificate in PEM", "CA_BUNDLE"),
    "no TLS": (openssl("WRONG_VERSION_NUMBER"), "does not speak TLS as it must", "see which endpoint is set"),
    "no TLS of ours": (openssl("TLSV1_ALERT_PROTOCOL_VERSION"), "does not speak TLS as it must", "endpoint"),
    "a proxy that wants a password": (proxied("Tunnel connection failed: 407 Auth"), "407 Auth", "HTTPS_PROXY names"),
    "a proxy that forbids": (proxied("Tunnel connection failed: 403 Forbidden"), "403 Forbidden", "NO_PROXY"),
    "a proxy that is not there": (proxied("Connection refused"), f"the proxy {PROXY} cannot be used", "HTTPS_PROXY"),
    "a proxy's settings": (InvalidProxiesConfigError(error="x"), "the proxy that is set cannot be used", "HTTPS_PROXY"),
    "a proxy with a CA of its own": (
        ProxyConnectionError(proxy_url=PROXY, error=ProxyError("x", untrusted(19, "self-signed"))),
        "cannot be used: the certificate of the proxy",
        "CA_BUNDLE",
    ),
    "a URL that is none": (HTTPClientError(error=LocationParseError("me:pw@x:99999")), "cannot be read", "HTTPS_PROXY"),
}
PASSING: dict[str, Exception] = {
    "a handshake that breaks off": tls(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")),
    "an alert of an overloaded server": openssl("TLSV1_ALERT_INTERNAL_ERROR"),
    "a proxy that reaches nobody": proxied("Tunnel connection failed: 503 Service Unavailable"),
    "no connection": EndpointConnectionError(endpoint_url=URL),
    "no connection in time": ConnectTimeoutError(endpoint_url=URL),
    "no answer in time": ReadTimeoutError(endpoint_url=URL),
    "a connection that is closed": ConnectionClosedError(endpoint_url=URL),
    "an answer that is none": ResponseParserError("<html>"),
}
JUDGES: dict[str, Callable[[Exception], KmsError]] = {
    "KMS": lambda error: unanswered(error, "DescribeKey", "x"),
    "Secrets Manager": lambda error: meaning.unanswered(error, "GetSecretValue", "mrk/x", "us-east-1"),
}


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
@pytest.mark.parametrize(("error", "said", "hint"), PERMANENT.values(), ids=PERMANENT)
def test_what_no_waiting_mends_is_permanent_and_names_what_to_mend(
    judge: Callable[[Exception], KmsError], error: Exception, said: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    found = judge(error)

    assert found.trouble is Trouble.PERMANENT
    assert " was not sent: " in found.message
    assert said in found.message
    assert hint in found.hint
    assert "pw@" not in found.message


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_what_time_may_mend_is_waited_for(judge: Callable[[Exception], KmsError], error: Exception) -> None:
    assert judge(error).trouble is Trouble.TRANSIENT


def test_the_bundle_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/corp.pem")

    assert "now it is AWS_CA_BUNDLE=/etc/corp.pem" in unanswered(untrusted(19, "self-signed"), "DescribeKey", "x").hint


def test_of_what_was_asked_for_in_secrets_manager_nothing_is_quoted() -> None:
    assert "NoRegionError" in meaning.unanswered(NoRegionError(), "PutSecretValue", "mrk/x", "us-east-1").message
