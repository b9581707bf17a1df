"""The simulated service: one object that takes calls for any Region and account and answers as KMS would."""

import os
import random
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from orchestrator.simulator.accounts import Accounts, root
from orchestrator.simulator.calls import Call, Calls
from orchestrator.simulator.errors import ServiceError, not_simulated
from orchestrator.simulator.faults import ConnectionDropped, Fault, Faults, Rule
from orchestrator.simulator.grants import require_tokens
from orchestrator.simulator.operations import AHEAD, OPERATIONS
from orchestrator.simulator.operations.usage import note_use
from orchestrator.simulator.quotas import Quotas
from orchestrator.simulator.regions import partition_of, require_region
from orchestrator.simulator.request import Request, Services
from orchestrator.simulator.storage import Storage
from orchestrator.simulator.switches import Switches
from orchestrator.simulator.timing import Clock, Lag
from orchestrator.simulator.tokens import ImportTokens
from orchestrator.simulator.truth import TrueKey, true_key
from orchestrator.simulator.validate import parsed
from orchestrator.simulator.view import KeyView
from orchestrator.simulator.wire import operation_model, operation_names, recorded, serialised
from orchestrator.simulator.world import World
from orchestrator.simulator.wrapping import WrappingKeys

T = TypeVar("T")
Hook = Callable[[Call, str], None]


class Simulator:
    """A KMS of every Region and account, in memory.

    `now` is the only clock (epoch seconds; default: the real time, which `advance` can move).
    `lag` is a profile or its name; `rotation_seconds` overrides how long a rotation takes.
    `switches` answers the open questions; `seed` fixes what is drawn at random (lag and flapping only).
    `quotas` scales the documented request rates; None switches them off. `sleep` is how a slow answer waits
    (default: until its time is over, or its rule is taken out of force).
    `state` is a file that keeps the simulated keys over a restart; ValueError if it is no simulator's.
    """

    def __init__(
        self,
        now: Callable[[], float] | None = None,
        *,
        lag: Lag | str = "small",
        rotation_seconds: float | None = None,
        switches: Switches | None = None,
        quotas: float | None = None,
        seed: int = 0,
        sleep: Callable[[float], None] | None = None,
        state: str | None = None,
    ) -> None:
        profile = Lag.named(lag) if isinstance(lag, str) else lag
        profile = profile if rotation_seconds is None else profile.with_rotation(rotation_seconds)
        self.lag = profile
        self.clock = Clock(now)
        self.accounts = Accounts()
        self.calls = Calls()
        self.faults = Faults()
        self.hooks: list[Hook] = []
        switches = switches or Switches()
        self._sleep = sleep
        self._lock = Lock()
        self._services = Services(
            world=World(profile, switches),
            lag=profile,
            switches=switches,
            tokens=ImportTokens(os.urandom(32)),
            wrapping_keys=WrappingKeys(),
            rng=random.Random(seed),  # noqa: S311 - reproducible lag, nothing secret
        )
        self._quotas = Quotas(quotas)
        self._storage = None if state is None else Storage(state)
        self._kept = 0
        if self._storage is not None:
            self._storage.load(self._services.world, self.clock)
            self._kept = self._services.world.changes

    def call(self, operation: str, region: str, account: str, body: Any, caller: str | None = None) -> dict[str, Any]:
        """Serve one call given as parsed JSON; return the answer ready for JSON.

        `caller` is the arn of who calls, if it is not the account itself.
        Raises ServiceError for an error answer, ConnectionDropped where a fault withholds the reply.
        """
        return self.attend(operation, region, account, lambda call: self.prepared(call, body, caller))

    def attend(
        self,
        operation: str,
        region: str,
        account: str,
        work: Callable[[Call], Callable[[], T]],
        refused: ServiceError | None = None,
    ) -> T:
        """Record a call, let faults and hooks at it, and return what comes of it.

        `work` judges the input and returns what has the effect; hooks are called before and after that.
        `refused` is why the call goes no further than the record.
        """
        call = self.calls.begin(operation, region, account, {}, self.clock())
        try:
            return self._attended(call, work, refused)
        except ServiceError as error:
            call.result = error.code
            raise
        except ConnectionDropped:
            call.result = "dropped"
            raise
        except Exception:
            call.result = "KMSInternalException"
            raise

    def prepared(self, call: Call, body: Any, caller: str | None = None) -> Callable[[], dict[str, Any]]:
        """Judge the input of a KMS call, enter it into the record, and return what has the call's effect."""
        if call.operation not in operation_names():
            raise ServiceError("UnknownOperationException")
        shapes = operation_model(call.operation)
        if shapes.input_shape is not None and isinstance(body, dict):
            call.parameters.update(recorded(shapes.input_shape, body))
        params = parsed(shapes.input_shape, body)
        arn = caller or root(call.account, partition_of(call.region)).arn
        return lambda: serialised(shapes.output_shape, self._perform(call, params, arn))

    def advance(self, seconds: float) -> None:
        """Move the simulator's own clock; ClockNotOwnedError where it was given one."""
        self.move_clock(seconds)

    def move_clock(self, seconds: float = 0.0, *, freeze: bool | None = None) -> None:
        """Stop its own clock, or let it run on, and move it forward; ValueError, and nothing done, if too far."""
        self.clock.move(seconds, freeze=freeze)
        self.keep()

    def keep(self) -> None:
        """Write the state file, if there is one: after each change of a key or the clock, and at the end."""
        with self._lock:
            if self._storage is not None:
                self._storage.save(self._services.world, self.clock(), self.clock)
                self._kept = self._services.world.changes

    def key(self, region: str, key_id: str) -> TrueKey | None:
        """Return what a key (id or arn) really is in that Region; None if there is none."""
        with self._lock:
            view = self._true_view(region, key_id)
            return None if view is None else true_key(view)

    def material(self, region: str, key_id: str, material_id: str) -> bytes | None:
        """Return the bytes that Region really holds for a material, also expired ones; None if it has none."""
        with self._lock:
            view = self._true_view(region, key_id)
            holding = None if view is None else view.member.holdings.get(material_id)
            return None if holding is None else holding.content

    def _attended(self, call: Call, work: Callable[[Call], Callable[[], T]], refused: ServiceError | None) -> T:
        if refused is not None:
            raise refused
        require_region(call.region)
        rule = self.faults.strike(call.operation, call.region)
        perform = _judged(call, work)
        if rule is not None:
            self._hold(rule, rule.fault.delay)
            _interfere(rule.fault, after=False)
        if isinstance(perform, ServiceError):
            raise perform
        self._run_hooks(call, "before")
        answer = perform()
        call.result = "ok"
        self._run_hooks(call, "after")
        if rule is not None:
            self._hold(rule, rule.fault.delay_after)
            _interfere(rule.fault, after=True)
        return answer

    def _hold(self, rule: Rule, seconds: float) -> None:
        if seconds and self._sleep is not None:
            self._sleep(seconds)
        elif seconds:
            rule.over.wait(seconds)

    def _perform(self, call: Call, params: dict[str, Any], caller: str) -> dict[str, Any]:
        perform = OPERATIONS.get(call.operation)
        if perform is None:
            raise not_simulated(call.operation)
        if call.operation in AHEAD:
            AHEAD[call.operation](self._services, params)
        with self._lock:
            now = self.clock()
            self._quotas.charge(call.operation, call.region, call.account, params, now)
            require_tokens(params, call.region)
            request = Request(self._services, call.operation, call.region, call.account, params, now, caller)
            try:
                answer = perform(request)
                note_use(self._services.world, call.operation, call.region, answer, now)
                return answer
            finally:
                self._keep_changes(now)

    def _keep_changes(self, now: float) -> None:
        world = self._services.world
        if self._storage is not None and world.changes != self._kept:
            self._storage.save(world, now, self.clock)
            self._kept = world.changes

    def _run_hooks(self, call: Call, moment: str) -> None:
        for hook in tuple(self.hooks):
            hook(call, moment)

    def _true_view(self, region: str, key_id: str) -> KeyView | None:
        now = self.clock()
        keys = self._services.world.truth(key_id.rsplit("/", 1)[-1], now)
        if keys is None or region not in keys.members:
            return None
        return KeyView(keys, keys.members[region], now, self._services.switches)


def _judged(call: Call, work: Callable[[Call], Callable[[], T]]) -> Callable[[], T] | ServiceError:
    """Judge the input, which records it, before any fault; what is wrong with it is told after one."""
    try:
        return work(call)
    except ServiceError as error:
        return error


def _interfere(fault: Fault, *, after: bool) -> None:
    if fault.drop == ("after" if after else "before"):
        raise ConnectionDropped
    if fault.error is not None and fault.after_effect == after:
        raise fault.answer(fault.error)
