"""Whether settings are sound: every mistake that shows without a call to AWS (I12), for `mrk config check`.

What would do harm in a run is refused by every command (compose.check). What is found here beside that stops only the
key that it is about, or is told by the run that meets it; and some of it is only unwise.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator import compose
from orchestrator.checks import ROTATION as ABORT
from orchestrator.durations import render
from orchestrator.errors import MrkError
from orchestrator.hook import Hook
from orchestrator.lock import default_path
from orchestrator.model import region_of
from orchestrator.places import unmakable, unwritable
from orchestrator.settings import KeySettings, RunSettings, Settings, StoreSettings
from orchestrator.spending import LIFETIME_ROTATIONS
from orchestrator.trusted import own_folder

_LONG_ENOUGH = timedelta(days=5 * 365)
"""A budget that lasts shorter is told: applications keep a key for longer."""

_ROTATION = timedelta(minutes=10)
"""KMS took up to 8 min for a rotation."""

_NIGHT = timedelta(hours=12)
_MANY = 6
_STAMP = "store.json"


def problems(settings: Settings) -> Sequence[str]:
    """Say what is wrong, a line each: nothing where the settings are sound."""
    return [
        *(f"keys.{name}: {said}" for name, key in settings.keys.items() for said in _of_key(key)),
        *_of_aws(settings),
        *_of_store(settings),
        *_of_run(settings.run),
        *_of_places(settings),
    ]


def warnings(settings: Settings, now: datetime) -> Sequence[str]:
    """Say what is unwise, a line each."""
    return [*_short_lives(settings, now), *_of_patience(settings.run), *_of_new_store(settings.store)]


def _of_key(key: KeySettings) -> Iterator[str]:
    if not key.regions:
        return
    if (own := region_of(key.arn)) not in key.regions:
        yield f"the ARN names {own}, which `regions` lacks: `regions` lists every Region of the key"
    if len(set(key.regions)) > 1 and ":key/" in key.arn and ":key/mrk-" not in key.arn:
        yield "`regions` lists several, and this is a single-Region key: the id of a multi-Region key begins with mrk-"
    for region in _twice(key.regions):
        yield f"`regions` lists {region} twice"


def _of_aws(settings: Settings) -> Iterator[str]:
    partition = _partition(next(iter(settings.keys.values())).arn)
    store = settings.store
    named = {"aws.role_arn": settings.aws.role_arn, "store.kms_key": store.kms_key, "store.mac_key": store.mac_key}
    for setting, arn in named.items():
        if arn and arn.startswith("arn:") and _partition(arn) != partition:
            yield f"{setting} is in the partition {_partition(arn)}, and the keys are in {partition}"


def _of_store(settings: Settings) -> Iterator[str]:
    store = settings.store
    if store.kms_key and store.kms_key == store.mac_key:
        yield "store.kms_key and store.mac_key are one key: one encrypts, the other makes MACs (HMAC_256)"
    for region in _twice(store.replica_regions):
        yield f"store.replica_regions lists {region} twice"
    ids = {key.arn.rpartition("/")[2]: name for name, key in settings.keys.items()}
    for setting, key in (("store.kms_key", store.kms_key), ("store.mac_key", store.mac_key)):
        if key and (name := ids.get(key.rpartition("/")[2])):
            yield f"{setting} is the key {name}: a store that needs imported key material is lost with it"
    if _stamp(store):
        try:
            compose.open_alone(settings)
        except MrkError as error:
            yield f"{error.message}; {error.hint}"


def _of_run(run: RunSettings) -> Iterator[str]:
    confirming = run.poll * run.looks
    if run.deadline <= confirming:
        told = f"run.deadline ({render(run.deadline)}) is not longer than run.poll times run.looks"
        yield f"{told} ({render(confirming)}): no run could ever confirm what it did"
    if run.after is not None and (problem := Hook(run.after, run.after_timeout, os.environ).problem()):
        yield f"run.after {run.after}: {problem}"


def _of_places(settings: Settings) -> Iterator[str]:
    """Judge where a run writes: it must be able to, and nothing but the store writes into the store."""
    run = settings.run
    arns = [key.arn for key in settings.keys.values()]
    lock = run.lock or default_path(settings.file or Path("config.yaml"), arns, run.journal)
    for setting, folder in {"run.journal": run.journal, "run.lock": lock.parent}.items():
        if problem := unmakable(folder) or _not_ours(folder, setting):
            yield f"{setting} {folder}: {problem}"
    if run.metrics is not None and (problem := unwritable(run.metrics.parent) or _directory(run.metrics)):
        yield f"run.metrics {run.metrics}: {problem}"
    if problem := _directory(lock):
        yield f"run.lock {lock}: {problem}"
    for setting, path in {"run.journal": run.journal, "run.lock": run.lock, "run.metrics": run.metrics}.items():
        if path is not None and _within(path, settings.store):
            yield f"{setting} {path} is in the store: only entries belong there"


def _not_ours(folder: Path, setting: str) -> str:
    """Say why a directory that is there is none to write evidence to."""
    if not folder.is_dir():
        return ""
    try:
        with own_folder(folder, setting):
            return ""
    except MrkError as error:
        return f"{error.message}; {error.hint}"


def _directory(path: Path) -> str:
    return "it is a directory, not a file" if path.is_dir() else ""


def _short_lives(settings: Settings, now: datetime) -> Iterator[str]:
    """Name the keys whose rotations, which are for life, are soon spent."""
    policies = {name: settings.policy(key) for name, key in settings.keys.items()}
    for every in sorted({policy.rotate_every for policy in policies.values()}):
        names = [name for name, policy in policies.items() if policy.rotate_every == every]
        if (lasting := every * LIFETIME_ROTATIONS) < _LONG_ENOUGH:
            spent = f"by {now + lasting:%Y-%m-%d} at the latest all {LIFETIME_ROTATIONS} rotations are spent"
            yield f"{_named(names)}: rotate_every: {render(every)}: {spent}, for life; then only a new key helps"
    if never := [name for name, policy in policies.items() if policy.reserve >= LIFETIME_ROTATIONS]:
        yield f"{_named(never)}: reserve: {LIFETIME_ROTATIONS}: no rotation is left that `mrk run` may spend"


def _of_patience(run: RunSettings) -> Iterator[str]:
    if run.deadline < _ROTATION:
        told = f"run.deadline ({render(run.deadline)}) is shorter than a rotation may take in KMS"
        yield f"{told} ({render(_ROTATION)}): a run ends with 3 before it is seen"
    elif run.deadline <= ABORT:
        yield f"run.deadline ({render(run.deadline)}) is too short for mrk abort, which waits {render(ABORT)}"
    if run.start_delay > _NIGHT:
        yield f"run.start_delay ({render(run.start_delay)}): the next night's run may come before this one begins"


def _of_new_store(store: StoreSettings) -> Iterator[str]:
    root = _root(store)
    if root is None:
        return
    if _stamp(store) is None:
        yield f"there is no store in {root} yet; make it with: mrk store init"
    if store.identity is not None and _within(store.identity, store):
        yield f"store.identity {store.identity} is in the store: whoever gets a copy of the store opens it"


def _stamp(store: StoreSettings) -> Path | None:
    """Find the stamp of a store that is there."""
    root = _root(store)
    return root / _STAMP if root and os.path.lexists(root / _STAMP) else None


def _root(store: StoreSettings) -> Path | None:
    scheme, _, location = store.uri.partition(":")
    return Path(location.removeprefix("//")) if scheme == "file" else None


def _within(path: Path, store: StoreSettings) -> bool:
    root = _root(store)
    return root is not None and path.resolve().is_relative_to(root.resolve())


def _partition(arn: str) -> str:
    return arn.split(":")[1]


def _twice(names: Iterable[str]) -> list[str]:
    counted: Mapping[str, int] = Counter(names)
    return [name for name, times in counted.items() if times > 1]


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"keys.{name}" for name in names) if len(names) <= _MANY else f"{len(names)} keys"
