"""How the clients of every service are made, those that fetch credentials among them.

SDK retries are off (I4): the SDK would send a rotation twice. It also takes LimitExceededException, which ends a
key's rotations for life, for throttling.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
    create_credential_resolver,
)
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader

from orchestrator.errors import KmsError, Trouble, UsageError
from orchestrator.kms.bundles import check_bundle
from orchestrator.kms.calls import Client
from orchestrator.kms.credentials import watched
from orchestrator.kms.endpoints import ASKED, judge, judge_proxy, region_named, where
from orchestrator.kms.given import Asking, Given, ask_for_code, bounded
from orchestrator.kms.meaning import meaning, unanswered
from orchestrator.kms.programs import Program
from orchestrator.kms.roles import Role
from orchestrator.kms.ungiven import Sought, ungiven, unread
from orchestrator.model import Region
from orchestrator.sending import check_timely

_FILES = {"AWS_CONFIG_FILE": "config_file", "AWS_SHARED_CREDENTIALS_FILE": "credentials_file"}


@dataclass(frozen=True, slots=True)
class KmsOptions:
    """How to reach KMS, and with all but `endpoint_url` other services. Times are seconds.

    `fips` and `dual_stack` unset: as the environment and the profile say.
    """

    endpoint_url: str | None = None
    profile: str | None = None
    run_id: str = ""
    role_arn: str | None = None
    fips: bool | None = None
    dual_stack: bool | None = None
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 20.0
    process_timeout: float = 60.0
    connections: int = 16


class Clients:
    """Makes clients of any service in any Region, which go where they may and nowhere else.

    Credentials come from where the aws command takes them, unless some were given. Raises UsageError.
    """

    def __init__(self, options: KmsOptions, asking: Asking = nullcontext) -> None:
        self._options = options
        with _told("AWS session"):
            self._session = _Session(options, asking)
            self._boto3 = boto3.Session(botocore_session=self._session)
            self._session.register_component("data_loader", _loader(self._session.get_config_variable("data_path")))
            if options.credentials is not None:
                self._session.set_credentials(*options.credentials)

    def client(self, service: str, region: Region) -> Client:
        """Make the client of a service in a Region."""
        endpoint_url = self._options.endpoint_url if service == "kms" else None
        with _told(f"{service} client for {region}"):
            if endpoint_url is not None:
                self._session.judge(service, region, endpoint_url)
            client: Client = self._boto3.client(
                service,  # type: ignore[call-overload]
                region_name=region,
                endpoint_url=endpoint_url,
            )
            self._session.judge(service, region, where(client))
        return watched(client)

    def assume(self, role_arn: str, tell: Callable[[Region, str], None]) -> Role:
        """Work in a role from now on, assumed anew whenever its credentials are about to expire."""
        role = Role(partial(self._assumed, self._session.get_credentials(), role_arn), tell)
        assumed = DeferredRefreshableCredentials(role, "assume-role")
        self._session.work_with(lambda: assumed)
        return role

    def check_credentials(self) -> None:
        """Find credentials now, rather than with the first request; raises KmsError."""
        self._session.get_credentials().get_frozen_credentials()

    def _assumed(self, source: Credentials, role_arn: str, region: Region) -> Mapping[str, str]:
        """Ask STS in one Region; raises KmsError that names the role, not the call to KMS that happened to need it."""
        name = {"RoleSessionName": f"mrk-{self._options.run_id or 'run'}"}
        try:
            creator = partial(self._session.create_client, region_name=self.sts_region(region))
            fetcher = AssumeRoleCredentialFetcher(creator, source, role_arn, extra_args=name)
            found: Mapping[str, str] = fetcher.fetch_credentials()
        except UsageError as error:
            raise KmsError(error.message, error.hint, trouble=Trouble.PERMANENT, code="Refused") from None
        except ClientError as error:
            refused = meaning(error, "AssumeRole", role_arn, new=False)
            hint = "whoever runs mrk needs sts:AssumeRole on this role, and the role's trust policy must name them"
            refused.hint = hint if refused.code.startswith("AccessDenied") else refused.hint
            raise refused from None
        except BotoCoreError as error:
            raise unanswered(error, "AssumeRole", role_arn) from None
        return found

    def sts_region(self, region: Region) -> str:
        """Choose a Region for STS, as any will do: the one that its endpoint names, where one is set."""
        with _told("sts client"):
            url = where(self._session.create_client("sts", region_name=region))
            chosen = region_named(url) or region
            self._session.judge("sts", chosen, url)
        return chosen


class _Session(botocore.session.Session):
    """botocore's session, by which it fetches credentials, too: every client that it makes follows our rules."""

    def __init__(self, options: KmsOptions, asking: Asking) -> None:
        super().__init__(profile=options.profile)
        self.set_default_client_config(_config(options))
        self._asking = asking
        self._longest = options.process_timeout
        self._sound_bundle = False

    def get_credentials(self) -> Any:
        """Return what finds credentials when they are first needed: a client can be made without any."""
        if self._credentials is None:
            self.work_with(self._load_credentials)
        return self._credentials

    def _load_credentials(self) -> Credentials | None:
        """Look for credentials where botocore does, in its order; anew each time, as it remembers what it visited."""
        run = partial(Program, longest=self._longest, asking=self._asking)
        region = getattr(self, "_last_client_region_used", None)
        resolver = create_credential_resolver(self, region_name=region)
        bounded(resolver, run, partial(ask_for_code, self._asking))
        found: Credentials | None = resolver.load_credentials()
        return found

    def create_client(self, *names: Any, **given: Any) -> Client:
        """Make a client that sends nothing to where it must not, whatever it is for."""
        client: Client = super().create_client(*names, **given)
        if client.meta.endpoint_url.startswith("https:"):
            self._check_bundle()
        if client.meta.endpoint_url.startswith("http:"):
            # No proxy is asked to carry what goes in clear: it would take that off this machine (P12).
            direct = Config(proxies={})
            given["config"] = given["config"].merge(direct) if given.get("config") else direct
            client = super().create_client(*names, **given)
        service, region = client.meta.service_model.service_name, client.meta.region_name
        client.meta.events.register("before-send", partial(self._refuse, service, region))
        if service == "kms":
            client.meta.events.register("before-send", _refuse_late)
        return client

    def work_with(self, load: Callable[[], Credentials | None]) -> None:
        """Use credentials that are found when they are needed, for which botocore has no public way."""
        self._credentials = Given(load, self._judge_credentials)

    def _judge_credentials(self, error: Exception) -> KmsError:
        profile = self.get_config_variable("profile") or "default"
        files = {variable: str(self.get_config_variable(name)) for variable, name in _FILES.items()}
        lines: Mapping[str, Any] = {}
        with suppress(BotoCoreError):  # a file that cannot be read
            lines = self.full_config["profiles"].get(profile, {})
        missing = unread(files, os.environ)
        return ungiven(error, Sought(profile, lines, " or ".join(files.values()), os.environ, missing))

    def _check_bundle(self) -> None:
        """Refuse a CA bundle that is of no use, once; raises UsageError."""
        if self._sound_bundle:
            return
        own = self.get_config_variable("ca_bundle")
        setting = "AWS_CA_BUNDLE" if os.environ.get("AWS_CA_BUNDLE") else "ca_bundle of the profile"
        if path := own or os.environ.get("REQUESTS_CA_BUNDLE"):
            check_bundle(path, setting if own else "REQUESTS_CA_BUNDLE")
        self._sound_bundle = True

    def judge(self, service: str, region: str, url: str) -> None:
        """Refuse a URL, by what the settings, the environment and the profile choose; raises UsageError."""
        fips, dual_stack = self._chosen("use_fips_endpoint"), self._chosen("use_dualstack_endpoint")
        judge(service, region, url, fips=fips, dual_stack=dual_stack)
        judge_proxy(url)

    def _chosen(self, name: str) -> bool:
        own = getattr(self.get_default_client_config(), name)
        return bool(self.get_config_variable(name) if own is None else own)

    def _refuse(self, service: str, region: str, request: Any, **_about: object) -> None:
        """Judge what is about to be sent, whoever sends it; raises KmsError."""
        try:
            self.judge(service, region, request.url if service in ASKED else request.url.partition("?")[0])
        except UsageError as error:
            raise KmsError(error.message, error.hint, trouble=Trouble.PERMANENT, code="Refused") from None


def _refuse_late(**_about: object) -> None:
    """Judge the time at which a request leaves, on every attempt; raises TooLateError."""
    check_timely()


@cache
def _loader(data_path: str | None) -> Loader:
    """Read the SDK's data once in a process: that takes longer than to make a client."""
    return create_loader(data_path)


def _config(options: KmsOptions) -> Config:
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        max_pool_connections=options.connections,
        use_fips_endpoint=options.fips,
        use_dualstack_endpoint=options.dual_stack,
        user_agent_extra=f"mrk/{version('mrk-orchestrator')} run/{options.run_id or 'none'}",
    )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell what the SDK refuses as a UsageError."""
    hint = "check the settings under aws, the AWS_... variables and the profile"
    try:
        yield
    except BotoCoreError as error:
        raise UsageError(f"no {what}: {error}", hint) from error
    except ValueError:  # Its text is not shown: it quotes the endpoint, which may hold a password.
        raise UsageError(f"no {what}: the SDK cannot read a setting, most likely the endpoint", hint) from None
