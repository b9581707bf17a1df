"""The composition root: the one place where the real parts are made and put together."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_hex

from orchestrator.clock import SystemClock
from orchestrator.errors import UsageError
from orchestrator.kms import (
    KmsFactory,
    KmsOptions,
    check_endpoint,
    check_environment,
    check_regions,
    endpoint_class,
    watched,
)
from orchestrator.model import Action, Outcome, Region, region_of
from orchestrator.observe import Observe
from orchestrator.parameters import Parameters
from orchestrator.perform import Perform
from orchestrator.ports import Clock, Listener, MaterialStore, WrappingAlgorithm
from orchestrator.retry import Retry
from orchestrator.runner import Runner
from orchestrator.settings import Settings
from orchestrator.stores import Cloud, Place, Wanted, check_store, init_store, open_store

Carrying = Callable[[Action], Outcome]
"""Whatever carries out one action."""


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
def engine(settings: Settings, run_id: str, listener: Listener, clock: Clock | None = None) -> Iterator[Engine]:
    """Make the parts, and let the worker threads go when they are not wanted any more."""
    executor = ThreadPoolExecutor(settings.run.workers, thread_name_prefix="mrk")
    acting = ThreadPoolExecutor(settings.run.workers, thread_name_prefix="mrk-act")
    try:
        clock = clock or SystemClock()
        kms = kms_factory(settings, run_id, listener, clock)
        yield assemble(settings, kms, listener, clock, executor, acting=acting)
    finally:
        # Not waited for: a call that does not come back must not hold up the end.
        for pool in (executor, acting):
            pool.shutdown(wait=False, cancel_futures=True)


def assemble(
    settings: Settings,
    kms: KmsFactory,
    listener: Listener,
    clock: Clock,
    executor: Executor,
    guard: Callable[[Carrying], Carrying] = lambda perform: perform,
    acting: Executor | None = None,
) -> Engine:
    """Put the parts together around KMS, a clock and executors; `guard` may refuse to begin an action."""
    retry = Retry(time.sleep)
    store = open_store(
        settings.store.uri,
        place(settings, kms),
        wanted_store(settings, kms, retry, clock, settings.store.recipients),
    )
    parameters = Parameters(kms, retry, clock.now, WrappingAlgorithm(settings.aws.wrapping_algorithm))
    perform = guard(Perform(kms, store, parameters, retry))
    observe = Observe(kms, store, retry, clock.now)
    runner = Runner(observe, perform, parameters, clock, executor, listener, jitter=random.random, acting=acting)
    return Engine(settings, clock, kms, store, observe, perform, runner)


def kms_factory(settings: Settings, run_id: str, listener: Listener, clock: Clock) -> KmsFactory:
    """Make the factory of KMS clients."""
    aws = settings.aws
    options = KmsOptions(
        aws.endpoint_url,
        aws.profile,
        run_id,
        role_arn=aws.role_arn,
        fips=aws.fips,
        dual_stack=aws.dual_stack,
        connections=2 * settings.run.workers,
    )
    return KmsFactory(options, clock.now, listener)


def check(settings: Settings) -> None:
    """Judge the settings as a whole, as far as that needs no call; raises UsageError, StoreError for the identity."""
    aws, store, partition = settings.aws, settings.store, _partition(settings)
    regions = [region for key in settings.keys.values() for region in (region_of(key.arn), *key.regions)]
    check_environment(os.environ, profile=aws.profile)
    check_regions(partition, (*regions, *store.replica_regions))
    check_endpoint(aws.endpoint_url, fips=aws.fips, dual_stack=aws.dual_stack)
    check_store(
        store.uri,
        Wanted(
            SystemClock().now,
            recipients=store.recipients,
            identity=store.identity,
            kms_key=store.kms_key,
            replica_regions=tuple(Region(region) for region in store.replica_regions),
        ),
    )


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
    clock = SystemClock()
    kms = kms_factory(settings, "", lambda _: None, clock)
    where = place(settings, kms)
    wanted = wanted_store(settings, kms, Retry(time.sleep), clock, recipients)
    return init_store(settings.store.uri, where, replace(wanted, change=change))


def wanted_store(settings: Settings, kms: KmsFactory, retry: Retry, clock: Clock, recipients: Sequence[str]) -> Wanted:
    """Tell the stores what is wanted, and how AWS is reached."""
    store = settings.store
    return Wanted(
        clock.now,
        recipients=tuple(recipients),
        identity=store.identity,
        kms_key=store.kms_key,
        replica_regions=tuple(Region(region) for region in store.replica_regions),
        cloud=Cloud(
            secrets=lambda region: watched(kms.client("secretsmanager", region)),
            key_origin=lambda region, key: kms(region).origin(key),
            endpoint_class=endpoint_class,
            retry=retry,
        ),
    )
