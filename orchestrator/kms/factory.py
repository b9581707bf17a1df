"""One client of KMS per Region, made once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Lock

from orchestrator.errors import KmsError, Trouble
from orchestrator.kms.calls import Client, Kms
from orchestrator.kms.endpoints import EndpointClass, endpoint_class, where
from orchestrator.kms.roles import Role
from orchestrator.kms.sessions import Clients, KmsOptions
from orchestrator.model import Region
from orchestrator.ports import Event, Listener
from orchestrator.terminal import ANSWERED, ASKED


class KmsFactory:
    """Makes one client per Region, once; safe to call from several threads."""

    def __init__(self, options: KmsOptions, now: Callable[[], datetime], listener: Listener) -> None:
        self._options = options
        self._now = now
        self._listener = listener
        self._lock = Lock()
        self._clients: Clients | None = None
        self._role: Role | None = None
        self._made: dict[Region, tuple[Kms, EndpointClass, str]] = {}

    def __call__(self, region: Region) -> Kms:
        """Return the client of one Region; raises UsageError where it would go where it must not."""
        return self._of(region)[0]

    def endpoint_class(self, region: Region) -> EndpointClass:
        """Tell whether calls go to AWS itself or to something else that speaks the KMS API (P12)."""
        return self._of(region)[1]

    def endpoint_url(self, region: Region) -> str:
        """Tell where the calls for one Region go, whatever set it."""
        return self._of(region)[2]

    def client(self, service: str, region: Region) -> Client:
        """Make a client of another service, reached alike; `endpoint_url` is for KMS alone."""
        with self._lock:
            return self._session(region).client(service, region)

    def check_credentials(self, regions: Sequence[Region]) -> None:
        """Find credentials before anything is begun: what no waiting mends is one failure of all Regions and keys.

        Raises KmsError. That STS does not answer is no such failure: a role is asked for in each Region in turn (I10).
        """
        with self._lock:
            clients = self._session(regions[0])
            for other in regions[1:] if self._options.role_arn else ():
                self._session(other)
        try:
            clients.check_credentials()
        except KmsError as error:
            if error.trouble is not Trouble.TRANSIENT:
                raise

    def _of(self, region: Region) -> tuple[Kms, EndpointClass, str]:
        with self._lock:
            if region not in self._made:
                client = self._session(region).client("kms", region)
                found, url = endpoint_class(client), where(client).rstrip("/")
                self._made[region] = Kms(client, region, self._now, self._listener), found, url
            return self._made[region]

    def _session(self, region: Region) -> Clients:
        clients = self._clients or Clients(self._options, self._asking)
        if self._options.role_arn and self._options.credentials is None:
            sts = Region(clients.sts_region(region))
            self._role = self._role or clients.assume(self._options.role_arn, self._tell)
            self._role.reached_in(sts)
        self._clients = clients
        return clients

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Have listeners on a terminal keep still while a question may stand there."""
        self._listener(Event(self._now(), ASKED))
        try:
            yield
        finally:
            self._listener(Event(self._now(), ANSWERED))

    def _tell(self, region: Region, message: str) -> None:
        self._listener(Event(self._now(), "sts", "", region, {"message": message}))


def check_endpoints(options: KmsOptions, wanted: Iterable[tuple[str, Region]]) -> None:
    """Judge where the clients of services in Regions would go, and call nothing; raises UsageError."""
    clients = Clients(replace(options, credentials=("none", "none")))  # So that nobody is asked for any.
    for service, region in dict.fromkeys(wanted):
        clients.client(service, region)
        if options.role_arn:
            clients.sts_region(region)
