"""Creating and reading secrets, with retries: one at a time, or many side by side."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from orchestrator.errors import EntryError
from orchestrator.model import Region
from orchestrator.retry import Retry

from .calls import BATCH, Kept, SecretsManager
from .hidden import Hidden
from .meaning import unseen

_SIDE_BY_SIDE = 8
_T = TypeVar("_T")
_R = TypeVar("_R")


class SecretReader:
    """Secrets of one Region, by name. Raises KmsError, or StoreError where the answer tells that of a secret."""

    def __init__(self, secrets: SecretsManager, retry: Retry) -> None:
        self._secrets = secrets
        self._retry = retry
        # Secrets that were seen: they are there, though a read that lags may not show it.
        self._seen: set[str] = set()

    @property
    def region(self) -> Region:
        """Where the secrets are."""
        return self._secrets.region

    def create(self, secret: str, text: Hidden, key: str | None, replicas: Mapping[Region, str | None]) -> bool:
        """Create a secret; returns False, changing nothing, where one of its name is there."""
        created = self._retry(lambda: self._secrets.create(secret, text, key, replicas))
        self._seen.add(secret)
        return created

    def read(self, secret: str) -> Hidden | None:
        """Read a secret as it was created; raises EntryError where it was changed, or is to be deleted."""
        return self._retry(lambda: self._noticed(secret, self._secrets.read(secret)))

    def read_many(self, secrets: Iterable[str]) -> Mapping[str, Hidden | EntryError | None]:
        """Read many secrets; what is wrong with one of them is told of that one."""
        found: dict[str, Hidden | EntryError | None] = {}
        for some in side_by_side(self._batch, list(_batches(list(dict.fromkeys(secrets))))):
            found |= some
        return found

    def describe(self, secret: str) -> Kept | None:
        """Describe a secret."""
        return self._retry(lambda: self.described(secret))

    def described(self, secret: str) -> Kept | None:
        """Describe a secret, without another try."""
        return self._noticed(secret, self._secrets.describe(secret))

    def names(self, beginning: str) -> tuple[str, ...]:
        """List the names that begin like this; new ones show after a while."""
        return self._retry(lambda: self._secrets.names(beginning))

    def _batch(self, secrets: Sequence[str]) -> Mapping[str, Hidden | EntryError | None]:
        found = dict(self._retry(lambda: self._secrets.read_batch(secrets)))
        for secret in secrets:
            # What does not show though it was seen, or was not answered at all, is asked for by itself.
            if secret not in found or (found[secret] is None and secret in self._seen):
                found[secret] = self._alone(secret)
            elif found[secret] is not None:
                self._seen.add(secret)
        return found

    def _alone(self, secret: str) -> Hidden | EntryError | None:
        try:
            return self.read(secret)
        except EntryError as error:
            return error

    def _noticed(self, secret: str, found: _T | None) -> _T | None:
        """Remember that a secret is there; raises a transient KmsError where one that was there does not show."""
        if found is None and secret in self._seen:
            raise unseen(secret, self.region)
        if found is not None:
            self._seen.add(secret)
        return found


def side_by_side(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """Do the same for many at once; the first error is raised when all are done."""
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(items)), thread_name_prefix="mrk-secrets") as pool:
        return list(pool.map(work, items))


def _batches(secrets: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(secrets), BATCH):
        yield secrets[start : start + BATCH]
