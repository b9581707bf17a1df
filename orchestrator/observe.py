"""Look: what one Region, or the store, shows now. Nothing is changed and nothing is judged here."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from orchestrator.errors import KmsError, StoreError, Trouble
from orchestrator.model import ADOPTED, STORE, Entry, EntryName, KeyArn, LookFailure, MaterialId, RegionView, StoreView
from orchestrator.ports import KmsClients, MaterialStore
from orchestrator.retry import Retry


class Observe:
    """Looks at one target of one key; a failure is a value, so that one bad Region never stops the others (I10)."""

    def __init__(self, kms: KmsClients, store: MaterialStore, retry: Retry, now: Callable[[], datetime]) -> None:
        self._kms = kms
        self._store = store
        self._retry = retry
        self._now = now

    def region(self, arn: KeyArn) -> RegionView | LookFailure:
        """DescribeKey, every ListKeyRotations row, and on the primary GetKeyRotationStatus."""
        seen_at = self._now()
        try:
            return self._look(arn, seen_at)
        except KmsError as error:
            # KMS says for a while that a key is not in the right state, though looking is allowed in every state.
            transient = error.trouble in {Trouble.TRANSIENT, Trouble.LOOK_AGAIN}
            gone = error.code == "NotFoundException"
            return LookFailure(arn.region, seen_at, error.message, transient, error.hint, gone)

    def _look(self, arn: KeyArn, seen_at: datetime) -> RegionView:
        kms = self._kms(arn.region)
        seen = self._retry(lambda: kms.describe_key(arn, seen_at))
        if seen.key_spec != "SYMMETRIC_DEFAULT" or seen.origin != "EXTERNAL":
            return seen
        seen = replace(seen, rows=self._retry(lambda: kms.list_key_rotations(arn)))
        if not seen.is_primary:
            return seen
        started = self._retry(lambda: kms.rotation_started_at(arn))
        return replace(seen, rotation_started_at=started, told_at=self._now())

    def store(self, key: KeyArn, materials: Iterable[MaterialId]) -> StoreView | LookFailure:
        """Probe by exact name every attempt to replace each of these materials, and the first material's entry (P3)."""
        seen_at, materials = self._now(), tuple(materials)
        try:
            entries = [entry for name in _first_names(key, materials) for entry in self._attempts(name)]
            note = self._withdrawn(EntryName(key.identity, materials[-1] if materials else None))
        except StoreError as error:
            return LookFailure(STORE, seen_at, error.message, transient=False, hint=error.hint)
        except KmsError as error:
            return LookFailure(STORE, seen_at, error.message, error.trouble is Trouble.TRANSIENT, error.hint)
        return StoreView(seen_at, tuple(entries), *note)

    def _withdrawn(self, current: EntryName) -> tuple[datetime | None, str]:
        """Tell when pending material was last withdrawn; why that cannot be read holds up new material alone."""
        try:
            return self._store.withdrawn_at(current), ""
        except StoreError as error:
            return None, f"{error.message}; to mend it: {error.hint}"

    def _attempts(self, name: EntryName) -> Iterable[Entry]:
        while (entry := self._store.find(name)) is not None:
            yield entry
            name = replace(name, attempt=name.attempt + 1)


def _first_names(key: KeyArn, materials: Iterable[MaterialId]) -> Iterable[EntryName]:
    """Name the first attempt to replace each material: of our own making, and adopted."""
    for replaced in (None, *materials):
        yield EntryName(key.identity, replaced)
        yield EntryName(key.identity, replaced, ADOPTED)
