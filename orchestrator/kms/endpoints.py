"""Where the clients of every service go, and whether that is AWS: judged by botocore's own endpoint data.

AWS is what botocore's rules name for just this service and Region, plain, FIPS or dual-stack, and the interface
endpoints (VPC) that lead there; not whatever else ends in amazonaws.com, which anybody can have a name in.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from itertools import product
from types import SimpleNamespace
from typing import Any, Literal

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader
from botocore.utils import get_environ_proxies

from orchestrator.errors import UsageError
from orchestrator.kms.addresses import Address, address, proxy_address

EndpointClass = Literal["aws", "other"]
Ways = frozenset[tuple[bool, bool]]
"""The choices, FIPS and dual-stack in the order of _CHOSEN, that lead to one host."""

_HTTPS = 443
ASKED = {
    "kms": "list_keys",
    "secretsmanager": "list_secrets",
    "stepfunctions": "list_activities",
    "sts": "get_caller_identity",
}
"""For each service that we call an operation that needs no parameters. Their URLs have no queries."""
_VARIABLES = {"secretsmanager": "SECRETS_MANAGER", "stepfunctions": "SFN"}
_CHOSEN = {"fips": "AWS_USE_FIPS_ENDPOINT", "dual_stack": "AWS_USE_DUALSTACK_ENDPOINT"}
_INTERFACE = re.compile(
    r"vpce-[0-9a-z]+-[0-9a-z]+(-(?P<zone>[a-z0-9-]+))?\.(?P<label>[^.]+)\.(?P<region>[^.]+)\.vpce\.(?P<suffix>.+)"
)


def where(client: Any) -> str:
    """Ask a boto3 client that nobody uses yet which URL it sends to, and send nothing."""

    def answer(params: Mapping[str, Any], **_about: object) -> tuple[SimpleNamespace, dict[str, str]]:
        return SimpleNamespace(status_code=200), {"url": params["url"]}

    events, operation = client.meta.events, ASKED[_service(client)]
    events.register("before-call", answer)
    try:
        return str(getattr(client, operation)()["url"])
    finally:
        events.unregister("before-call", answer)


def endpoint_class(client: Any) -> EndpointClass:
    """Tell whether a boto3 client that nobody uses yet goes to AWS itself, or to something that speaks alike (P12)."""
    found = address(where(client))
    return "aws" if found and _ways(_service(client), client.meta.region_name, found) else "other"


def judge(service: str, region: str, url: str, *, fips: bool = False, dual_stack: bool = False) -> None:
    """Refuse a URL that a service's calls for one Region must not go to; raises UsageError.

    `fips` and `dual_stack` tell what was chosen, wherever that was.
    """
    found = address(url)
    if found is None:  # Nothing of it is quoted: it may hold a password.
        message = f"the endpoint of {service} is no plain URL, which every program reads alike"
        raise UsageError(message, f"write https://HOST or https://HOST:PORT and nothing else in {_settings(service)}")
    if found.scheme != "https" and not found.loopback:
        raise UsageError(f"{found} is not https", "key material goes over https, or stays on this machine")
    _refuse_other_region(service, region, found)
    _refuse_two_ways(service, region, found, fips=fips, dual_stack=dual_stack)


def _refuse_other_region(service: str, region: str, found: Address) -> None:
    others = _regions_named(found) - {region}
    if others and region in _known_regions():
        message = f"{found} is an endpoint of {', '.join(sorted(others))}, and {service} is asked for {region}, too"
        hint = (
            f"take it out of {_settings(service)}, so that each Region has its own (interface endpoints by private DNS)"
        )
        raise UsageError(message, f"{hint}; or write one config for each Region")


def _refuse_two_ways(service: str, region: str, found: Address, **chosen: bool) -> None:
    """Refuse what is not chosen: the SDK takes an endpoint that is set, and drops the choice without a word."""
    ways = _ways(service, region, found)
    for number, (setting, variable) in enumerate(_CHOSEN.items()):
        if chosen[setting] and not any(way[number] for way in ways):
            message = f"aws.{setting} chooses among AWS's endpoints, but the endpoint of {service} is set to {found}"
            hint = f"take the endpoint out of {_settings(service)}, or set aws.{setting}: false"
            raise UsageError(message, f"{hint}, which also overrides {variable}")


def judge_proxy(url: str) -> None:
    """Refuse a proxy that the SDK could not use, and whose URL, password and all, it would put into a message."""
    proxy = get_environ_proxies(url).get("https")
    if url.startswith("https:") and proxy and proxy_address(proxy) is None:
        # Written as a whole, with a name and a password in it, what is written would lose them to `***`.
        hint = "write http://HOST:PORT in HTTPS_PROXY, with USER:PASSWORD@ before HOST if it asks for them; no SOCKS"
        raise UsageError("the proxy for https is no plain http URL, which every program reads alike", hint)


def region_named(url: str) -> str | None:
    """Tell which Region the host of a URL names."""
    found = address(url)
    return next(iter(sorted(_regions_named(found))), None) if found else None


def _regions_named(found: Address) -> frozenset[str]:
    """Name the Regions that labels of a host are the names of."""
    return _known_regions() & frozenset(found.host.split("."))


def _settings(service: str) -> str:
    own = ["aws.endpoint_url"] if service == "kms" else []
    variable = f"AWS_ENDPOINT_URL_{_VARIABLES.get(service, service.upper())}"
    return ", ".join([*own, variable, "AWS_ENDPOINT_URL or the profile"])


def _service(client: Any) -> str:
    return str(client.meta.service_model.service_name)


def _ways(service: str, region: str, found: Address) -> Ways:
    """Tell how AWS's own choices lead to an address; none do where it is not AWS."""
    if found.scheme != "https" or found.port not in {None, _HTTPS}:
        return frozenset()
    hosts, inside = _hosts(service, region), _INTERFACE.fullmatch(found.host)
    if inside is None:
        return hosts.get(found.host, frozenset())
    if inside["zone"] and not inside["zone"].startswith(region):
        return frozenset()
    public = hosts.get(f"{inside['label']}.{inside['region']}.{inside['suffix']}", frozenset())
    return frozenset(way for way in public if way[1] is False)


@cache
def _hosts(service: str, region: str) -> Mapping[str, Ways]:
    found: dict[str, set[tuple[bool, bool]]] = defaultdict(set)
    for fips, dual_stack in product((False, True), repeat=2):
        with suppress(BotoCoreError):
            url = _rules(service).resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack).url
            if place := address(url):
                found[place.host].add((fips, dual_stack))
    return {host: frozenset(ways) for host, ways in found.items()}


@cache
def _rules(service: str) -> EndpointProvider:
    return EndpointProvider(_data().load_service_model(service, "endpoint-rule-set-1"), _data().load_data("partitions"))


@cache
def _data() -> Loader:
    """Give what botocore itself brings along: data of the user's own does not say what AWS is."""
    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


@cache
def _known_regions() -> frozenset[str]:
    partitions = _data().load_data("partitions")["partitions"]
    return frozenset(name for one in partitions for name in one["regions"] if not name.endswith("-global"))
