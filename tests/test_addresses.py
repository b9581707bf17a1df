"""What is read from a URL is what the connection makes of it; whatever can be read in two ways is refused (P12)."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from orchestrator.kms.addresses import address, proxy_address

READ = {
    "http://127.0.0.1:4599": ("127.0.0.1", 4599, True),
    "http://127.8.9.10": ("127.8.9.10", None, True),
    "http://localhost/": ("localhost", None, True),
    "http://LOCALHOST:1": ("localhost", 1, True),
    "http://[::1]:65535": ("::1", 65535, True),
    "http://[0:0:0:0:0:0:0:1]": ("0:0:0:0:0:0:0:1", None, True),
    "https://kms.eu-west-1.amazonaws.com": ("kms.eu-west-1.amazonaws.com", None, False),
    "https://KMS.eu-west-1.amazonaws.com:443/": ("kms.eu-west-1.amazonaws.com", 443, False),
    "https://gateway.example.com/kms/v1": ("gateway.example.com", None, False),
    "https://xn--bcher-kva.example": ("xn--bcher-kva.example", None, False),
    # To connect to each of these is not to stay on this machine by every reading, or by any.
    "http://0.0.0.0": ("0.0.0.0", None, False),  # noqa: S104 - nothing is bound
    "http://128.0.0.1": ("128.0.0.1", None, False),
    "http://[::ffff:127.0.0.1]": ("::ffff:127.0.0.1", None, False),
    "http://[::]": ("::", None, False),
    "http://localhost.example.com": ("localhost.example.com", None, False),
    "http://127.0.0.1.example.com": ("127.0.0.1.example.com", None, False),
}


@pytest.mark.parametrize("url", READ)
def test_a_plain_url_is_read(url: str) -> None:
    found = address(url)

    assert found is not None
    assert (found.host, found.port, found.loopback) == READ[url]


NOT_PLAIN = [
    r"http://127.0.0.2:4599\@localhost",
    r"http://localhost\@127.0.0.2:4599",
    r"http://127.0.0.2\.localhost",
    r"https:\\127.0.0.2",
    "http://127.0.0.2:4599@localhost",
    "http://localhost@127.0.0.2:4599",
    "https://user@kms.eu-west-1.amazonaws.com",
    "https://user:password@kms.eu-west-1.amazonaws.com",
    "https://@kms.eu-west-1.amazonaws.com",
    "http://127.0.0.2#@localhost",
    "http://127.0.0.2?@localhost",
    "http://127.0.0.2/?x",
    "http://127.0.0.2/#x",
    "http://127.0.0.2;@localhost",
    "http://127.0.0.2%40localhost",
    "http://%31%32%37.0.0.1",
    "http://loc%61lhost",
    " http://localhost",
    "http://localhost ",
    "http://local host",
    "http://local\thost",
    "http://localhost\n",
    "http://localhost\r\nHost: example.com",
    "http://local\x00host",
    "\x00http://localhost",
    "http://localhost\x7f",
    "http://0x7f.1",
    "http://0x7f000001",
    "http://2130706433",
    "http://017700000001",
    "http://0177.0.0.1",
    "http://127.1",
    "http://127.0.1",
    "http://127.0.0.1.",
    "http://127.0.0.01",
    "http://127.0.0.256",
    "http://127.0.0.1.2",
    "http://127.0.0.0x1",
    "http://[::1%25lo]",
    "http://[::1%lo]",
    "http://[fe80::1%25eth0]:80",
    "http://[127.0.0.1]",
    "http://[v1.x]",
    "http://[::1",
    "http://::1",
    "http://[::1]x",
    "http://[::1].example.com",
    "http://localhost.",
    "https://kms.eu-west-1.amazonaws.com.",
    "https://kms..eu-west-1.amazonaws.com",
    "https://.amazonaws.com",
    "https://-kms.amazonaws.com",
    "https://" + "k" * 64 + ".com",
    "https://" + "k." * 127 + "com",
    "https://kms_1.example.com",
    "https://bücher.example",
    "http://１２７.０.０.１",
    "http://ⓛocalhost",
    "http://localhoſt",
    "http://127。0。0。1",
    "http://localhost:",
    "http://localhost:0",
    "http://localhost:65536",
    "http://localhost:+80",
    "http://localhost:8 0",
    "http://localhost:٨٠",
    "http://localhost:80:90",
    "https://",
    "https:///kms",
    "https:kms.example.com",
    "https:/kms.example.com",
    "//kms.example.com",
    "kms.example.com",
    "ftp://localhost",
    "file:///etc/passwd",
    "javascript://localhost",
    "HTTP://localhost",
    "https://gateway.example.com//kms",
    "https://gateway.example.com/../kms",
    "https://gateway.example.com/./kms",
    "https://gateway.example.com/%2e%2e",
    "https://gateway.example.com/kms;x",
    "",
]


@pytest.mark.parametrize("url", NOT_PLAIN)
def test_what_can_be_read_otherwise_is_refused(url: str) -> None:
    assert address(url) is None


PROXIES = {
    "http://proxy.example.com:3128": ("proxy.example.com", 3128),
    "https://proxy.example.com": ("proxy.example.com", None),
    "proxy.example.com:3128": ("proxy.example.com", 3128),
    "//proxy.example.com:3128": ("proxy.example.com", 3128),
    "http://user:p%40ss@proxy.example.com:3128/": ("proxy.example.com", 3128),
    "user:hunter2@[::1]:3128": ("::1", 3128),
    "http://user:hunter@2@proxy.example.com:3128": ("proxy.example.com", 3128),
}


@pytest.mark.parametrize("url", PROXIES)
def test_a_proxy_is_read_as_the_sdk_reads_it(url: str) -> None:
    found = proxy_address(url)

    assert found is not None
    assert (found.host, found.port) == PROXIES[url]


@pytest.mark.parametrize(
    "url",
    [
        "socks5://user:hunter2@proxy.example.com:1080",
        "ftp://user:hunter2@proxy.example.com",
        "http://user:hunter2@proxy.example.com:bad",
        "http://user:hun/ter2@proxy.example.com:3128",
        "http://user:hun#ter2@proxy.example.com:3128",
        "http://user:hun?ter2@proxy.example.com:3128",
        "http://user:hunter2@proxy example.com",
        "http://user:hunter2@[::1:3128",
        "http://user:hunter2@",
        "http:proxy.example.com",
    ],
)
def test_a_proxy_that_the_sdk_cannot_use_is_refused(url: str) -> None:
    assert proxy_address(url) is None


PIECES = st.sampled_from(
    [
        *("http", "https", "://", ":", "/", "\\", "@", "?", "#", "[", "]", "%", "%25", ".", ";", "-", "_", "user", "a"),
        *(" ", "\t", "\n", "\x00", "é", "。", "ſ", "80", "0x7f"),
        *("127.0.0.1", "127.0.0.2", "::1", "localhost", "amazonaws.com"),
    ]
)


@given(st.sampled_from(["", "http://", "https://"]), st.lists(PIECES, max_size=9))
def test_whatever_is_read_is_what_both_parsers_read(scheme: str, pieces: list[str]) -> None:
    """The one that connects, and the one that everybody else judges by."""
    url = scheme + "".join(pieces)
    found = address(url)

    if found is not None:
        connects, reads = parse_url(url), urlsplit(url)
        assert found.host == (connects.host or "").strip("[]") == reads.hostname
        assert found.scheme == connects.scheme == reads.scheme
        assert found.port == connects.port == reads.port
        assert (connects.auth, connects.query, connects.fragment) == (None, None, None)
        assert url.isascii()
        assert url.isprintable()
