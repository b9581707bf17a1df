"""What a URL means to the library that connects, and which host it leads to. Pure.

urllib3 connects, for botocore. A proxy, a log and a person read the same URL by other rules; so whatever two parsers
read differently is refused, and whatever an endpoint has no use for.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

_PLAIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_HOST = 253
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL leads. The host has small letters and no brackets."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def loopback(self) -> bool:
        """Whether it is this machine: localhost, 127.0.0.0/8 or ::1."""
        number = _number(self.host)
        return self.host == "localhost" or any(number in network for network in _LOOPBACK if number is not None)


def address(url: str) -> Address | None:
    """Read the URL of an endpoint; None where it is not plain, or not every parser reads the same from it.

    Refused are user names, backslashes, blanks, queries, fragments, odd forms of numeric addresses (0x7f.1), zones,
    names that are not ASCII or end in a dot, and a missing host.
    """
    if not _PLAIN.fullmatch(url):
        return None
    try:
        connects, reads = parse_url(url), urlsplit(url)
        port = reads.port
    except (LocationParseError, ValueError):
        return None
    host = (connects.host or "").strip("[]")
    same = (connects.scheme, host, connects.port, connects.path or "") == (
        reads.scheme,
        reads.hostname,
        port,
        reads.path,
    )
    return Address(reads.scheme, host, port) if same and port != 0 and _well_formed(host) else None


def proxy_address(url: str) -> Address | None:
    """Read the URL of a proxy as the SDK does, a user name and all; None where it is not plain."""
    plain = url if url.startswith(("http:", "https:")) else f"http://{url.removeprefix('//')}"
    scheme, _, rest = plain.partition("://")
    found = address(f"{scheme}://{rest.rpartition('@')[2]}")
    try:
        connects = (parse_url(plain).host or "").strip("[]")
    except LocationParseError:
        return None
    return found if found and found.host == connects else None


def _well_formed(host: str) -> bool:
    """Tell whether a host is a name, or a number in the one form that every resolver takes for the same."""
    *_, last = host.split(".")
    if ":" in host or _NUMBER.fullmatch(last):
        return _number(host) is not None
    return len(host) <= _LONGEST_HOST and all(_LABEL.fullmatch(label) for label in host.split("."))


def _number(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
