"""Import parameters: fetched once per key and Region, shared by every import there until refused or expired.

GetParametersForImport is limited to 1 request/s per account and Region, while one pair of wrapping key and token
serves many imports for 24 h (AWS KMS request quotas; recorded reuse of one pair in 18 calls).
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock

from orchestrator.errors import KmsError
from orchestrator.model import KeyArn
from orchestrator.ports import ImportParameters, KmsClients, WrappingAlgorithm
from orchestrator.retry import Retry

_MARGIN = timedelta(minutes=5)


class Parameters:
    """The wrapping keys and tokens of one process. Safe to share between threads."""

    def __init__(
        self, kms: KmsClients, retry: Retry, now: Callable[[], datetime], algorithm: WrappingAlgorithm
    ) -> None:
        self._kms = kms
        self._retry = retry
        self._now = now
        self.algorithm = algorithm
        self._guard = Lock()
        self._locks: dict[KeyArn, Lock] = {}
        self._held: dict[KeyArn, ImportParameters] = {}

    def get(self, arn: KeyArn) -> ImportParameters:
        """Return parameters that are valid for some minutes yet; whoever comes second waits for the first one's."""
        with self._lock_of(arn):
            held = self._held.get(arn)
            if held is None or held.valid_to - self._now() < _MARGIN:
                kms = self._kms(arn.region)
                held = self._retry(lambda: kms.get_parameters_for_import(arn, self.algorithm))
                self._held[arn] = held
            return held

    def prefetch(self, arn: KeyArn) -> None:
        """Fetch early; a failure is left to the import to meet and to tell."""
        with suppress(KmsError):
            self.get(arn)

    def drop(self, arn: KeyArn, refused: ImportParameters) -> None:
        """Forget parameters that KMS refused, unless others are held by now."""
        with self._lock_of(arn):
            if self._held.get(arn) is refused:
                del self._held[arn]

    def _lock_of(self, arn: KeyArn) -> Lock:
        with self._guard:
            return self._locks.setdefault(arn, Lock())
