"""One boto3 client per service and Region, with SDK retries off (I4): the SDK would send a rotation twice.

It also takes LimitExceededException, which ends a key's rotations for life, for throttling.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import version
from threading import Lock
from typing import Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from orchestrator.errors import UsageError
from orchestrator.kms.calls import Client, Kms
from orchestrator.kms.meaning import meaning, unanswered
from orchestrator.model import Region
from orchestrator.ports import Listener

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


@dataclass(frozen=True, slots=True)
class KmsOptions:
    """How to reach KMS. Times are seconds."""

    endpoint_url: str | None = None
    profile: str | None = None
    run_id: str = ""
    role_arn: str | None = None
    fips: bool = False
    dual_stack: bool = False
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 20.0
    connections: int = 16


class KmsFactory:
    """Makes one client per Region, once; safe to call from several threads."""

    def __init__(self, options: KmsOptions, now: Callable[[], datetime], listener: Listener) -> None:
        self._options = options
        self._now = now
        self._listener = listener
        self._lock = Lock()
        self._session: boto3.Session | None = None
        self._made: dict[Region, Kms] = {}

    def __call__(self, region: Region) -> "Kms":
        """Return the client of one Region; raises KmsError where none can be made."""
        with self._lock:
            if region not in self._made:
                client = self._client("kms", region, self._options.endpoint_url)
                self._made[region] = Kms(client, region, self._now, self._listener)
            return self._made[region]

    def client(self, service: str, region: Region) -> Client:
        """Make a client of another service, reached alike; `endpoint_url` is for KMS alone."""
        with self._lock:
            return self._client(service, region, None)

    def _client(self, service: str, region: Region, endpoint_url: str | None) -> Client:
        options = self._options
        direct = service == "kms" and _in_clear(endpoint_url)
        config = Config(
            proxies={} if direct else None,
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            max_pool_connections=options.connections,
            use_fips_endpoint=options.fips,
            use_dualstack_endpoint=options.dual_stack,
            user_agent_extra=f"mrk/{version('mrk-orchestrator')} run/{options.run_id or 'none'}",
        )
        try:
            self._session = self._session or _session(options, region)
            client: Client = self._session.client(  # type: ignore[call-overload]
                service, region_name=region, endpoint_url=endpoint_url, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise UsageError(
                f"no {service} client for {region}: {error}", "check the aws settings and profile"
            ) from error
        refuse_clear_text(client.meta.endpoint_url)
        _refuse_two_ways(options, client.meta.endpoint_url)
        if client.meta.endpoint_url.startswith("http:") and not direct:
            proxyless = config.merge(Config(proxies={}))
            client = self._session.client(service, region_name=region, config=proxyless)  # type: ignore[call-overload]
        return client

    def endpoint_class(self, region: Region) -> Literal["aws", "other"]:
        """Tell whether calls go to AWS itself or to something else that speaks the KMS API (P12)."""
        return endpoint_class(self(region).endpoint_url)


def _session(options: KmsOptions, region: Region) -> boto3.Session:
    """Take credentials from where the aws command takes them, unless some were given, and assume the role."""
    if options.credentials is not None:
        key_id, secret = options.credentials
        return boto3.Session(aws_access_key_id=key_id, aws_secret_access_key=secret)
    if options.role_arn is None:
        return boto3.Session(profile_name=options.profile)
    return _assuming(options, options.role_arn, region)


def _assuming(options: KmsOptions, role_arn: str, region: Region) -> boto3.Session:
    """Assume a role, anew whenever its credentials are about to expire."""
    session = botocore.session.Session(profile=options.profile)
    source = session.get_credentials()
    if source is None:
        raise NoCredentialsError
    name = {"RoleSessionName": f"mrk-{options.run_id or 'run'}"}
    client = partial(session.create_client, region_name=region)
    fetcher = AssumeRoleCredentialFetcher(client, source, role_arn, extra_args=name)
    assumed = botocore.session.Session()
    # boto3 offers no public way to hand credentials that renew themselves to a session.
    renewing = DeferredRefreshableCredentials(partial(_assumed, fetcher, role_arn), "assume-role")
    assumed._credentials = renewing  # type: ignore[attr-defined]  # noqa: SLF001
    return boto3.Session(botocore_session=assumed)


def _assumed(fetcher: AssumeRoleCredentialFetcher, role_arn: str) -> dict[str, str]:
    """Ask STS; raises KmsError that names the role, not the call to KMS that happened to need it."""
    try:
        found: dict[str, str] = fetcher.fetch_credentials()
    except ClientError as error:
        refused = meaning(error, "AssumeRole", role_arn, new=False)
        hint = "whoever runs mrk needs sts:AssumeRole on this role, and the role's trust policy must name them"
        refused.hint = hint if refused.code.startswith("AccessDenied") else refused.hint
        raise refused from None
    except BotoCoreError as error:
        raise unanswered(error, "AssumeRole", role_arn) from None
    return found


def _in_clear(endpoint_url: str | None) -> bool:
    """Whether calls go to this machine in clear: then no proxy may be asked, which would take them off it (P12)."""
    return _named(endpoint_url).startswith("http:")


def _named(endpoint_url: str | None) -> str:
    return endpoint_url or os.environ.get("AWS_ENDPOINT_URL_KMS") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _refuse_two_ways(options: KmsOptions, url: str) -> None:
    """Refuse an endpoint of one's own beside the choice among AWS's: the SDK would drop the latter without a word."""
    chosen = [name for name, on in (("aws.fips", options.fips), ("aws.dual_stack", options.dual_stack)) if on]
    if chosen and (_named(options.endpoint_url) or endpoint_class(url) == "other"):
        message = f"{chosen[0]} chooses among AWS's endpoints, but the endpoint is set to {url}"
        raise UsageError(message, f"leave one of them out: {chosen[0]}, or aws.endpoint_url and AWS_ENDPOINT_URL...")


def endpoint_class(url: str) -> Literal["aws", "other"]:
    """Classify an endpoint: "aws", or "other"."""
    host = urlsplit(url).hostname or ""
    return "aws" if host.endswith(_AWS_HOSTS) else "other"


def check_endpoint(endpoint_url: str | None, *, fips: bool = False, dual_stack: bool = False) -> None:
    """Judge the endpoint that the settings or the environment name, and call nothing; raises UsageError."""
    if url := _named(endpoint_url):
        refuse_clear_text(url)
        _refuse_two_ways(KmsOptions(endpoint_url, fips=fips, dual_stack=dual_stack), url)


def refuse_clear_text(url: str) -> None:
    """Refuse http to anything but this machine (P12)."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UsageError(f"{url} is not https", "key material goes over https, or stays on this machine")
