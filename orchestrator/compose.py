"""The composition root: the one place where the real parts are made and put together."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_hex

from orchestrator.aliases import resolve
from orchestrator.clock import SystemClock
from orchestrator.errors import KmsError, UsageError
from orchestrator.hook import check_hook
from orchestrator.kms import (
    KmsFactory,
    KmsOptions,
    check_endpoints,
    check_environment,
    check_regions,
    endpoint_class,
    simulator_here,
    time_ahead,
)
from orchestrator.lanes import Lanes
from orchestrator.model import KeyArn, KeyIdentity, Region, is_alias, region_of
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Carrying, Perform
from orchestrator.ports import Clock, Listener, MaterialStore, WrappingAlgorithm
from orchestrator.retry import Retry
from orchestrator.runner import Runner
from orchestrator.settings import Settings
from orchestrator.stores import Cloud, Place, Wanted, check_store, init_store, open_store, services


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of one invocation."""

    settings: Settings
    clock: Clock
    kms: KmsFactory
    store: MaterialStore
    observe: Observe
    perform: Carrying
    runner: Runner


def new_run_id(now: datetime) -> str:
    """Name one invocation: sortable by time, unique by chance."""
    return f"{now:%Y%m%dT%H%M%SZ}-{token_hex(3)}"


@contextmanager
def engine(
    settings: Settings, run_id: str, listener: Listener, clock: Clock | None = None, kms: KmsFactory | None = None
) -> Iterator[Engine]:
    """Make the parts, and let the worker threads go when they are not wanted any more."""
    lanes = Lanes.of_threads(settings.run.workers)
    try:
        clock = clock or clock_of(settings)
        kms = kms or kms_factory(settings, run_id, listener, clock)
        yield assemble(settings, kms, listener, clock, lanes)
    finally:
        lanes.shutdown()


def assemble(
    settings: Settings,
    kms: KmsFactory,
    listener: Listener,
    clock: Clock,
    lanes: Lanes,
    guard: Callable[[Carrying], Carrying] = lambda perform: perform,
) -> Engine:
    """Put the parts together around KMS, a clock and workers; `guard` may refuse to begin an action."""
    retry = Retry(time.sleep)
    store = open_store(
        settings.store.uri,
        place(settings, kms),
        wanted_store(settings, kms, retry, clock, settings.store.recipients),
    )
    parameters = Parameters(kms, retry, clock.now, WrappingAlgorithm(settings.aws.wrapping_algorithm))
    perform = guard(Perform(kms, store, parameters, retry))
    observe = Observe(kms, store, retry, clock.now)
    runner = Runner(observe, perform, parameters, clock, lanes, listener, jitter=random.random)
    return Engine(settings, clock, kms, store, observe, perform, runner)


def clock_of(settings: Settings) -> SystemClock:
    """Make the clock that a command goes by; raises UsageError where the simulator's is wanted and cannot be had."""
    if settings.aws.clock == "machine":
        return SystemClock()
    ahead = time_ahead(_options(settings), _called(settings))
    return SystemClock(lambda: datetime.now(UTC) + ahead)


def kms_factory(settings: Settings, run_id: str, listener: Listener, clock: Clock) -> KmsFactory:
    """Make the factory of KMS clients."""
    return KmsFactory(_options(settings, run_id), clock.now, listener)


def with_credentials(settings: Settings, run_id: str, listener: Listener) -> KmsFactory:
    """Make the factory of KMS clients, once there are credentials; raises KmsError where waiting gives none."""
    kms = kms_factory(settings, run_id, listener, clock_of(settings))
    named = [region for key in settings.keys.values() for region in (region_of(key.arn), *map(Region, key.regions))]
    kms.check_credentials(list(dict.fromkeys(named)))
    return kms


def _options(settings: Settings, run_id: str = "") -> KmsOptions:
    aws = settings.aws
    return KmsOptions(
        aws.endpoint_url,
        aws.profile,
        run_id,
        role_arn=aws.role_arn,
        fips=aws.fips,
        dual_stack=aws.dual_stack,
        connections=2 * settings.run.workers,
    )


def check(settings: Settings) -> None:
    """Judge the settings as a whole, as far as that needs no call; raises UsageError, StoreError for the identity."""
    store, partition = settings.store, _partition(settings)
    regions = _regions(settings)
    check_environment(os.environ, profile=settings.aws.profile)
    check_regions(partition, (*regions, *store.replica_regions))
    check_regions(partition, (region for _, region in services(store.uri)))
    check_endpoints(_options(settings), _called(settings))
    if settings.aws.clock == "simulator":
        simulator_here(_options(settings), _called(settings))
    _nothing_written_over(settings)
    if settings.run.after is not None:
        check_hook(settings.run.after)
    check_store(store.uri, _wanted(settings, SystemClock(), store.recipients))


def _nothing_written_over(settings: Settings) -> None:
    """Refuse to write a lock, or metrics, in the place of a file that a run needs."""
    run = settings.run
    needed = {"store.identity": settings.store.identity, "run.after": run.after, "the config": settings.file}
    for setting, path in {"run.lock": run.lock, "run.metrics": run.metrics}.items():
        for what, other in needed.items():
            if path is not None and other is not None and path.resolve() == other.resolve():
                message = f"{setting} {path} is {what}, too: a run would write over it"
                raise UsageError(message, f"set {setting} to a file of its own")
    if run.lock is not None and run.metrics is not None and run.lock.resolve() == run.metrics.resolve():
        raise UsageError(f"run.lock and run.metrics are one file, {run.lock}", "set each to a file of its own")


def _regions(settings: Settings) -> list[Region]:
    return [Region(name) for key in settings.keys.values() for name in (region_of(key.arn), *key.regions)]


def _called(settings: Settings) -> Sequence[tuple[str, Region]]:
    """Name the services that are called, each with its Region."""
    store, kept, regions = settings.store, tuple(services(settings.store.uri)), _regions(settings)
    if store.kms_key:  # Wherever the store is, KMS tells how that key was made.
        regions += [*map(Region, store.replica_regions), *(region for _, region in kept)]
    return [*(("kms", region) for region in regions), *kept]


def place(settings: Settings, kms: KmsFactory) -> Place:
    """Tell where key material would be sent: a store that is stamped for another place refuses (P12)."""
    partition = _partition(settings)
    return Place(partition, kms.endpoint_class(region_of(next(iter(settings.keys.values())).arn)))


def _partition(settings: Settings) -> str:
    """Return the one partition that all keys are in."""
    partitions = sorted({key.arn.split(":")[1] for key in settings.keys.values()})
    if not partitions:
        raise UsageError("the config names no keys", "add one under `keys`: a name and its arn")
    if len(partitions) > 1:
        raise UsageError(f"the config mixes keys of the partitions {', '.join(partitions)}", "use one config for each")
    return partitions[0]


def make_store(settings: Settings, recipients: Sequence[str], *, change: bool = False) -> MaterialStore:
    """Make a new, empty store, stamped for the place that the config's keys are in; `change` one that is there."""
    clock = clock_of(settings)
    kms = kms_factory(settings, "", lambda _: None, clock)
    where = place(settings, kms)
    wanted = wanted_store(settings, kms, Retry(time.sleep), clock, recipients)
    return init_store(settings.store.uri, where, replace(wanted, change=change))


def open_alone(settings: Settings, identity: Path | None = None) -> MaterialStore:
    """Open the store by itself, to look at it: on trial with another identity than the config's, if one is given."""
    clock = clock_of(settings)
    kms = kms_factory(settings, "", lambda _: None, clock)
    wanted = wanted_store(settings, kms, Retry(time.sleep), clock, settings.store.recipients)
    if identity is not None:
        wanted = replace(wanted, trial=identity)
    return open_store(settings.store.uri, place(settings, kms), wanted)


def stranger(settings: Settings, identity: Path) -> str:
    """Say why an identity that can be read opens nothing new; nothing where it is a recipient's."""
    wanted = replace(_wanted(settings, SystemClock(), settings.store.recipients), identity=identity)
    try:
        check_store(settings.store.uri, wanted)
    except UsageError as error:
        return error.message
    return ""


def key_names(settings: Settings) -> Mapping[KeyIdentity, str]:
    """Name the keys as the config does; an alias that leads nowhere now names none."""
    clock = clock_of(settings)
    kms = kms_factory(settings, "", lambda _: None, clock)
    arns = resolve(kms, clock.now, [key.arn for key in settings.keys.values() if is_alias(key.arn)])
    found = {name: arns.get(key.arn) or KeyArn.parse(key.arn) for name, key in settings.keys.items()}
    return {arn.identity: name for name, arn in found.items() if not isinstance(arn, KmsError)}


def wanted_store(settings: Settings, kms: KmsFactory, retry: Retry, clock: Clock, recipients: Sequence[str]) -> Wanted:
    """Tell the stores what is wanted, and how AWS is reached."""
    cloud = Cloud(
        secrets=partial(kms.client, "secretsmanager"),
        key_origin=lambda region, key: kms(region).origin(key),
        macs=kms,
        endpoint_class=endpoint_class,
        retry=retry,
    )
    return replace(_wanted(settings, clock, recipients), cloud=cloud)


def _wanted(settings: Settings, clock: Clock, recipients: Sequence[str]) -> Wanted:
    store = settings.store
    return Wanted(
        clock.now,
        recipients=tuple(recipients),
        identity=store.identity,
        kms_key=store.kms_key,
        mac_key=store.mac_key,
        replica_regions=tuple(Region(region) for region in store.replica_regions),
        volatile=store.volatile == "allow",
    )
