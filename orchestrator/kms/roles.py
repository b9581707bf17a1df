"""A role, assumed through the STS of whichever Region answers: it is one for all Regions, an outage is one's own."""

from collections.abc import Callable, Mapping
from threading import Lock

from orchestrator.errors import KmsError, Trouble
from orchestrator.model import Region

Fetch = Callable[[Region], Mapping[str, str]]
"""Asks STS in one Region for the role's credentials; raises KmsError."""

_ITS_OWN = frozenset({"RegionDisabledException"})
"""What STS of one Region answers that another may not."""


class Role:
    """Fetches credentials in the Regions that are called, in the one that answered last first (I10)."""

    def __init__(self, fetch: Fetch, tell: Callable[[Region, str], None]) -> None:
        self._fetch = fetch
        self._tell = tell
        self._lock = Lock()
        self._regions: list[Region] = []
        self._told: set[Region] = set()

    def reached_in(self, region: Region) -> None:
        """Take in a Region that is called, and so may be asked for the role's credentials."""
        with self._lock:
            if region not in self._regions:
                self._regions.append(region)

    def __call__(self) -> Mapping[str, str]:
        """Fetch credentials; the first failure is raised where no Region gives any, and at once if it is the role's."""
        failures: dict[Region, KmsError] = {}
        while region := self._next(failures):
            try:
                found = self._fetch(region)
            except KmsError as error:
                if error.trouble is not Trouble.TRANSIENT and not (error.unanswered or error.code in _ITS_OWN):
                    raise
                failures[region] = error
            else:
                self._answered(region, failures)
                return found
        raise next(iter(failures.values()))

    def _next(self, failures: Mapping[Region, KmsError]) -> Region | None:
        """Choose a Region that was not asked yet; others may have come to be called meanwhile."""
        with self._lock:
            return next((region for region in self._regions if region not in failures), None)

    def _answered(self, region: Region, failures: Mapping[Region, KmsError]) -> None:
        """Ask the silent ones last from now on, and say once of each that it was."""
        with self._lock:
            others = [one for one in self._regions if one not in failures and one != region]
            self._regions = [region, *others, *failures]
            news = [one for one in failures if one not in self._told]
            self._told.update(news)
        for one in news:
            why = failures[one].unanswered or failures[one].message
            self._tell(one, f"STS in {one} gives no credentials, so that {region}'s is asked: {why}")
