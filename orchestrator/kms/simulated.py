"""The simulator's time, for trials by hand and demos (ADR 13).

Nothing that answers can lead a run by it: it is asked for where the settings say so and every endpoint is on this
machine, so never where AWS is; and the date of each later answer is compared with it as with any clock.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from orchestrator.errors import UsageError
from orchestrator.kms.addresses import address
from orchestrator.kms.endpoints import where
from orchestrator.kms.reading import SIMULATOR
from orchestrator.kms.sessions import Clients, KmsOptions
from orchestrator.model import Region
from orchestrator.replies import reckonable

_LARGEST = 1000
_TIMEOUT = 5.0
_HINT = "start `mrk simulator` and point aws.endpoint_url at it, or take aws.clock (MRK_AWS__CLOCK) out"


def time_ahead(options: KmsOptions, wanted: Iterable[tuple[str, Region]]) -> timedelta:
    """Ask the simulator, and tell how far its clock is ahead of this machine's; raises UsageError."""
    return _told(simulator_here(options, wanted)) - datetime.now(UTC)


def simulator_here(options: KmsOptions, wanted: Iterable[tuple[str, Region]]) -> str:
    """Tell where the simulator is, and call nothing; raises UsageError where KMS or a store is not on this machine."""
    clients = Clients(replace(options, credentials=("none", "none")))  # So that nobody is asked for any.
    found = {(service, where(clients.client(service, region)).rstrip("/")) for service, region in dict.fromkeys(wanted)}
    for service, url in sorted(found):
        place = address(url)
        if place is None or not place.loopback:
            message = f"aws.clock: simulator, but {service} is {place or 'no plain URL'}, which is not on this machine"
            raise UsageError(message, _HINT)
    urls = sorted({url for service, url in found if service == "kms"})
    if len(urls) != 1:
        raise UsageError("aws.clock: simulator, but KMS has an endpoint for each Region", _HINT)
    return urls[0]


def _told(url: str) -> datetime:
    asked = f"{url}/_simulator/clock"
    try:
        with PoolManager(timeout=Timeout(total=_TIMEOUT), retries=False) as pool:
            answer = pool.request("GET", asked, redirect=False, preload_content=False)
            status, server, body = answer.status, answer.headers.get("Server"), answer.read(_LARGEST)
            answer.release_conn()
    except (HTTPError, OSError):
        raise UsageError(f"aws.clock: simulator, but nothing answers at {address(url)}", _HINT) from None
    try:
        now = reckonable(datetime.fromtimestamp(json.loads(body)["now"], UTC))
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        now = None
    if now is None or status != 200 or server != SIMULATOR:  # noqa: PLR2004 - HTTP's own
        raise UsageError(f"aws.clock: simulator, but what answers at {address(url)} is no `mrk simulator`", _HINT)
    return now
