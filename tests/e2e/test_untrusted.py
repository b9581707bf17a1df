"""A certificate that is not trusted, a CA bundle that is none, a proxy that refuses: no waiting mends that."""

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.channels import SHORT, unattended, watched_over
from e2e.machine import Machine
from orchestrator.errors import Exit

pytestmark = pytest.mark.e2e


class _Answers(BaseHTTPRequestHandler):
    """Answers whatever is asked with a refusal, as a proxy, or as a server of no AWS."""

    def do_POST(self) -> None:
        self.send_error(400)

    def do_CONNECT(self) -> None:
        self.send_error(407, "Proxy Authentication Required")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(certificate: Path | None = None) -> Iterator[int]:
    """Serve on loopback, with TLS where there is a certificate."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        yield serving.server_port
    finally:
        serving.shutdown()
        serving.server_close()


def certified(directory: Path, names: str, *, days: str = "2") -> Path:
    """Have openssl make a certificate that nobody has signed but itself; return the file with it and its key."""
    path = directory / "server.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=corp", "-days", days]
    subprocess.run([*made, "-keyout", path, "-out", path, "-addext", f"subjectAltName={names}"], check=True)
    return path


@pytest.fixture
def waiting(machine: Machine) -> Machine:
    """A machine whose runs would wait for half an hour for six Regions."""
    return watched_over(machine)


def to(machine: Machine, url: str) -> None:
    machine.more["aws"] = {"endpoint_url": url}
    machine.given["AWS_ENDPOINT_URL_KMS"] = url
    machine.write_config()


def test_a_private_ca_ends_a_run_at_once_by_its_name(waiting: Machine) -> None:
    with server(certified(waiting.directory, "IP:127.0.0.1")) as port:
        to(waiting, f"https://127.0.0.1:{port}")
        found = unattended(waiting)

    first, _ = found.document["keys"]
    assert (found.code, found.seconds < SHORT) == (Exit.FAILED, True)
    assert f"the certificate of https://127.0.0.1:{port} is not trusted here: self-signed" in first["message"]
    assert "the PEM file of the CA that signs here" in first["blocks"][0]["way_out"]
    assert "the answer is not one of KMS" not in found.err


def test_with_its_ca_in_the_bundle_it_is_spoken_to(waiting: Machine) -> None:
    certificate = certified(waiting.directory, "IP:127.0.0.1")
    waiting.given["AWS_CA_BUNDLE"] = str(certificate)
    with server(certificate) as port:
        to(waiting, f"https://127.0.0.1:{port}")
        found = unattended(waiting)

    assert "not trusted" not in found.err
    assert "certificate" not in str(found.document)


def test_a_certificate_of_another_host_is_told_as_that(waiting: Machine) -> None:
    certificate = certified(waiting.directory, "DNS:other.example")
    waiting.given["AWS_CA_BUNDLE"] = str(certificate)
    with server(certificate) as port:
        to(waiting, f"https://127.0.0.1:{port}")
        found = unattended(waiting)

    first, _ = found.document["keys"]
    assert (found.code, found.seconds < SHORT) == (Exit.FAILED, True)
    assert "is for another host" in first["message"]
    assert "see which endpoint is set" in first["blocks"][0]["way_out"]


def test_a_server_without_tls_is_not_waited_for(waiting: Machine) -> None:
    with server() as port:
        to(waiting, f"https://127.0.0.1:{port}")
        found = unattended(waiting)

    first, _ = found.document["keys"]
    assert (found.code, found.seconds < SHORT) == (Exit.FAILED, True)
    assert f"https://127.0.0.1:{port} does not speak TLS as it must" in first["message"]


def missing(path: Path) -> None:
    """Make no file."""


BUNDLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (missing, "cannot be read: No such file or directory"),
    "no PEM": (lambda path: path.write_text("corp"), "holds no certificate in PEM"),
    "empty": (lambda path: path.touch(), "holds no certificate in PEM"),
    "a directory": (lambda path: path.mkdir(), "is a directory, and the SDK takes only a file"),
}
SETTINGS = {
    "AWS_CA_BUNDLE": "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE": "REQUESTS_CA_BUNDLE",
    "a profile": "ca_bundle of the profile",
}


@pytest.mark.parametrize(("make", "said"), BUNDLES.values(), ids=BUNDLES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_bundle_that_is_none_is_refused_by_its_setting_before_anything_is_asked(
    waiting: Machine, setting: str, make: Callable[[Path], object], said: str
) -> None:
    """For AWS's own endpoints, which nothing here leads to."""
    bundle = waiting.directory / "corp-ca"
    make(bundle)
    if setting == "a profile":
        (waiting.directory / "aws").write_text(f"[default]\nca_bundle = {bundle}\n")
        waiting.given["AWS_CONFIG_FILE"] = str(waiting.directory / "aws")
    else:
        waiting.given[setting] = str(bundle)
    to(waiting, "https://127.0.0.1:9")

    found = unattended(waiting)
    judged = waiting.json("mrk", "config", "check", "--json", code=Exit.USAGE)

    assert found.code == Exit.USAGE
    assert f"{SETTINGS[setting]} {bundle} {said}" in found.error
    assert "name a PEM file" in found.error
    assert judged["error"] == found.document["error"]


def test_where_nothing_goes_over_https_no_bundle_matters(waiting: Machine) -> None:
    waiting.given["AWS_CA_BUNDLE"] = "/run/no-such-bundle"

    assert "AWS_CA_BUNDLE" not in unattended(waiting).err


@pytest.mark.parametrize(("answers", "said"), [(True, "407 Proxy Authentication Required"), (False, "refused")])
def test_a_proxy_that_refuses_is_named_without_its_password(waiting: Machine, answers: bool, said: str) -> None:
    with server() as port:
        waiting.given["https_proxy"] = f"http://me:p4ssw0rd@127.0.0.1:{port if answers else 9}"
        waiting.given["NO_PROXY"] = ""
        to(waiting, "https://127.0.0.1:10")
        found = unattended(waiting)

    first, _ = found.document["keys"]
    assert (found.code, found.seconds < SHORT) == (Exit.FAILED, True)
    assert "the proxy http://***@127.0.0.1" in first["message"]
    assert said in first["message"]
    assert "mend the proxy that https_proxy names" in first["blocks"][0]["way_out"]
    assert "p4ssw0rd" not in found.err + str(found.document) + str(found.told)
