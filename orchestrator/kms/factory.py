"""One boto3 client per Region, with SDK retries off (I4): the SDK would send a rotation twice.

It also takes LimitExceededException, which ends a key's rotations for life, for throttling.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from threading import Lock
from typing import Literal
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from orchestrator.errors import UsageError
from orchestrator.kms.calls import Client, Kms
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
                self._made[region] = Kms(self._client(region), region, self._now, self._listener)
            return self._made[region]

    def _client(self, region: Region) -> Client:
        options = self._options
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            max_pool_connections=options.connections,
            user_agent_extra=f"mrk/{version('mrk-orchestrator')} run/{options.run_id or 'none'}",
        )
        try:
            self._session = self._session or _session(options)
            client: Client = self._session.client(
                "kms", region_name=region, endpoint_url=options.endpoint_url, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise UsageError(f"no KMS client for {region}: {error}", "check the aws settings and profile") from error
        refuse_clear_text(client.meta.endpoint_url)
        return client

    def endpoint_class(self, region: Region) -> Literal["aws", "other"]:
        """Tell whether calls go to AWS itself or to something else that speaks the KMS API (P12)."""
        return endpoint_class(self(region).endpoint_url)


def _session(options: KmsOptions) -> boto3.Session:
    """Take credentials from where the aws command takes them, unless some were given."""
    if options.credentials is None:
        return boto3.Session(profile_name=options.profile)
    key_id, secret = options.credentials
    return boto3.Session(aws_access_key_id=key_id, aws_secret_access_key=secret)


def endpoint_class(url: str) -> Literal["aws", "other"]:
    """Classify an endpoint: "aws", or "other"."""
    host = urlsplit(url).hostname or ""
    return "aws" if host.endswith(_AWS_HOSTS) else "other"


def refuse_clear_text(url: str) -> None:
    """Refuse http to anything but this machine (P12)."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UsageError(f"{url} is not https", "wrapped key material goes over https, or stays on this machine")
