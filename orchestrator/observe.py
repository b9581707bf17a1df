"""Look: what one Region, or the store, shows now. Nothing is changed and nothing is judged here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator.errors import KmsError, NotPrivateError, StoreError, Trouble, UsageError
from orchestrator.model import ADOPTED, STORE, EntryName, KeyArn, LookFailure, MaterialId, Region, RegionView, StoreView
from orchestrator.ports import KmsClients, KmsPort, MaterialStore
from orchestrator.reach import Reach
from orchestrator.retry import Retry

_AGREE = timedelta(seconds=3)
"""How far apart the answers of one look may be asked for, beside the time that the calls take by themselves.

A call that had to be retried makes the others old.
"""

_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, when the request that was answered was sent, and how long it took."""

    sent_at: datetime
    value: Any
    took: timedelta


class Observe:
    """Looks at one target of one key; a failure is a value, so that one bad Region never stops the others (I10)."""

    def __init__(
        self,
        kms: KmsClients,
        store: MaterialStore,
        retry: Retry,
        now: Callable[[], datetime],
        reach: Reach | None = None,
    ) -> None:
        self._kms = kms
        self._store = store
        self._retry = retry
        self._now = now
        self._reach = reach or Reach(now)

    def region(self, arn: KeyArn) -> RegionView | LookFailure:
        """DescribeKey, every ListKeyRotations row, and on the primary GetKeyRotationStatus.

        A Region that does not answer is asked by one key at a time; the others are told what came of that.
        """
        begun = self._now()
        try:
            return self._reach(arn.region, lambda: self._look(arn))
        except KmsError as error:
            # KMS says for a while that a key is not in the right state, though looking is allowed in every state.
            transient = error.trouble in {Trouble.TRANSIENT, Trouble.LOOK_AGAIN}
            gone = error.code == "NotFoundException"
            return LookFailure(arn.region, begun, error.message, transient, error.hint, gone)
        except UsageError as error:  # no client may be made for this Region: the endpoint is of another
            return LookFailure(arn.region, begun, error.message, transient=False, hint=error.hint)

    def _look(self, arn: KeyArn) -> RegionView:
        kms = self._kms(arn.region)
        described = self._ask(lambda: kms.describe_key(arn, self._now()))
        seen: RegionView = described.value
        if seen.key_spec != "SYMMETRIC_DEFAULT" or seen.origin != "EXTERNAL":
            return replace(seen, seen_at=described.sent_at, described_at=described.sent_at, told_at=self._now())
        return self._agreeing(kms, arn, {"key": described})

    def _agreeing(self, kms: KmsPort, arn: KeyArn, answers: dict[str, _Answer]) -> RegionView:
        """Ask again for what got old while others were retried, so that a look shows one moment.

        Where each call takes its time, DescribeKey is asked last: what restores or prolongs stands on that (I11).
        """
        for _ in range(_MOST_ROUNDS):
            self._ask_for_what_is_old(kms, arn, answers)
            if min(answer.sent_at for answer in answers.values()) >= self._old(answers):
                break
        if answers["key"].sent_at < self._now() - _AGREE:
            del answers["key"]
            self._ask_for_what_is_old(kms, arn, answers)
        started = answers["started"].value if "started" in answers else None
        seen: RegionView = answers["key"].value
        oldest = min(answer.sent_at for answer in answers.values())
        return replace(
            seen,
            rows=answers["rows"].value,
            rotation_started_at=started,
            seen_at=oldest,
            described_at=answers["key"].sent_at,
            told_at=self._now(),
        )

    def _old(self, answers: Mapping[str, _Answer]) -> datetime:
        """Tell before when a request must have been sent that asking again makes younger."""
        return self._now() - _AGREE - sum((answer.took for answer in answers.values()), timedelta())

    def _ask_for_what_is_old(self, kms: KmsPort, arn: KeyArn, answers: dict[str, _Answer]) -> None:
        calls: Mapping[str, Callable[[], Any]] = {
            "key": lambda: kms.describe_key(arn, self._now()),
            "rows": lambda: kms.list_key_rotations(arn),
            "started": lambda: kms.rotation_started_at(arn),
        }
        for name, call in calls.items():
            if name == "started" and not answers["key"].value.is_primary:
                answers.pop(name, None)
            elif name not in answers or answers[name].sent_at < self._old(answers):
                answers[name] = self._ask(call)

    def _ask(self, call: Callable[[], Any]) -> _Answer:
        """Send one call, again where that may help; what counts is when the one was sent that was answered."""

        def attempt() -> _Answer:
            sent_at = self._now()
            value = call()
            return _Answer(sent_at, value, self._now() - sent_at)

        return self._retry(attempt)

    def store(self, key: KeyArn, materials: Iterable[MaterialId]) -> StoreView | LookFailure:
        """Probe by exact name every attempt to replace each of these materials, and the first material's entry (P3)."""
        seen_at, materials = self._now(), tuple(materials)
        try:
            entries = self._store.look(tuple(_first_names(key, materials)))
            names = [EntryName(key.identity, replaced) for replaced in (None, *materials)]
            at, withdrawn, problem = self._withdrawn(names[-1], names[-2:])
            off, unclear = self._switched_off(key)
        except StoreError as error:
            person = isinstance(error, NotPrivateError)
            return LookFailure(STORE, seen_at, error.message, transient=False, hint=error.hint, person=person)
        except KmsError as error:
            return LookFailure(STORE, seen_at, error.message, error.trouble is Trouble.TRANSIENT, error.hint)
        return StoreView(seen_at, entries, at, problem, withdrawn, off, unclear, frozenset(materials))

    def _withdrawn(
        self, current: EntryName, names: Iterable[EntryName]
    ) -> tuple[datetime | None, frozenset[MaterialId], str]:
        """Tell when anything that was to replace CURRENT was withdrawn last, and what was, before CURRENT came, too.

        Why that cannot be read holds up new material alone.
        """
        try:
            noted = {name: self._store.withdrawn(name) for name in names}
        except StoreError as error:
            return None, frozenset(), f"{error.message}; to mend it: {error.hint}"
        return max(noted[current].values(), default=None), frozenset(one for ids in noted.values() for one in ids), ""

    def _switched_off(self, key: KeyArn) -> tuple[Mapping[Region, datetime], str]:
        """Tell which Regions the owner had switched off; why that cannot be read holds up only repairs."""
        try:
            return self._store.switched_off(key.identity), ""
        except StoreError as error:
            return {}, f"{error.message}; to mend it: {error.hint}"


def _first_names(key: KeyArn, materials: Iterable[MaterialId]) -> Iterable[EntryName]:
    """Name the first attempt to replace each material: of our own making, and adopted."""
    for replaced in (None, *materials):
        yield EntryName(key.identity, replaced)
        yield EntryName(key.identity, replaced, ADOPTED)
