"""The four promises, judged from outside: by what the simulated world really is, and by the bytes in the stores."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.model import KeyArn, KeyIdentity
from orchestrator.ports import MaterialStore
from orchestrator.simulator import Call, Simulator, TrueKey
from orchestrator.simulator.events import material_id

PROMISES = ("lost", "double", "unusable", "false_success")
"""Materials lost, rotations too many, usable keys made unusable, successes told that were none."""

Count = Callable[[str, object], None]
"""Pytest's record_property: what is counted here is summed up by `make prove`."""


@dataclass
class Tally:
    """How often each promise was judged in one test, and what was found broken; what is found twice counts once."""

    judged: Counter[str] = field(default_factory=Counter)
    broken: dict[str, set[str]] = field(default_factory=lambda: {promise: set() for promise in PROMISES})

    def clear(self) -> None:
        """Begin anew."""
        self.judged.clear()
        for found in self.broken.values():
            found.clear()

    def note(self, promises: Iterable[str], key: KeyArn, found: Iterable[str]) -> None:
        """Note that these promises were judged of a key, and what was found: lines that begin with a promise."""
        self.judged.update(promises)
        for one in found:
            self.broken[one.split(":", 1)[0]].add(f"{key}: {one}")

    def numbers(self) -> Mapping[str, int]:
        """What `make prove` sums up: nothing of what nobody judged."""
        broken = {name: len(self.broken[name]) for name in self.judged}
        return broken | {f"{name}_judged": often for name, often in self.judged.items()}


TALLY = Tally()
"""Of the test that runs: conftest.py begins a new one for each, and reports it, however the test ends."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a key was like before something was done to it."""

    rotations: int
    current: str | None
    enabled: frozenset[str]


def everywhere(simulator: Simulator, arn: KeyArn) -> dict[str, TrueKey]:
    """The key as it really is in every Region."""
    first = simulator.key(arn.region, str(arn))
    assert first is not None
    found = {region: simulator.key(region, str(arn)) for region in first.regions}
    return {region: key for region, key in found.items() if key is not None}


def before(simulator: Simulator, arn: KeyArn) -> Before:
    """Note what a key is like."""
    keys = everywhere(simulator, arn)
    true = keys[arn.region]
    return Before(true.rotations, true.current, frozenset(r for r, key in keys.items() if key.key_state == "Enabled"))


def held(*stores: MaterialStore, key: KeyIdentity | None = None) -> set[bytes]:
    """The bytes that these stores can give back, of one key or of all."""
    found = set()
    for store in stores:
        for entry in store.entries(key):
            try:
                found.add(store._vault.open(entry.name).reveal())  # type: ignore[attr-defined]
            except StoreError:
                continue
    return found


def broken(
    simulator: Simulator,
    arn: KeyArn,
    earlier: Before,
    stores: Iterable[MaterialStore],
    *,
    success: bool,
    rotations: int = 1,
    moved: bool = True,
    known: Iterable[bytes] = (),
) -> list[str]:
    """Name every promise that was broken, and count it.

    `rotations` are wanted at most, and `moved` tells whether a success says that CURRENT is another one where any is
    wanted; `known` are bytes that somebody else keeps.
    """
    keys, stores = everywhere(simulator, arn), tuple(stores)
    found = [f"lost: no store has {name}" for name in _lost(keys, arn, {*held(*stores, key=arn.identity), *known})]
    done = keys[arn.region].rotations - earlier.rotations
    if done > rotations:
        found.append(f"double: {done} rotations, {rotations} wanted")
    states = {region: keys[region].key_state if region in keys else "gone" for region in sorted(earlier.enabled)}
    found += [f"unusable: {region} {state}" for region, state in states.items() if state != "Enabled"]
    if success:
        found += [f"false_success: {why}" for why in _not_as_told(keys, arn, earlier, stores, moved and rotations > 0)]
    TALLY.note(PROMISES if success else PROMISES[:3], arn, found)
    return found


class Watch:
    """Looks at a key after every call, so that no Region is unusable for a while and whole again in the end.

    A hook of the simulator. `earlier` names the Regions that are to stay as they are.
    """

    def __init__(self, simulator: Simulator, arn: KeyArn, earlier: Before) -> None:
        self._simulator = simulator
        self._arn = arn
        self._enabled = earlier.enabled
        self.found: list[str] = []
        simulator.hooks.append(self)

    def __call__(self, call: Call, when: str) -> None:
        """Look, and note what is broken once for each Region."""
        if when != "after":
            return
        keys = everywhere(self._simulator, self._arn)
        states = {region: keys[region].key_state if region in keys else "gone" for region in sorted(self._enabled)}
        for region, state in states.items():
            if state not in {"Enabled", "Updating"}:
                self.found.append(f"unusable: {region} {state} after call {call.number}, {call.operation}")
                TALLY.note([], self._arn, self.found[-1:])
                self._enabled -= {region}


def untrue(simulator: Simulator, arn: KeyArn, earlier: Before, stores: Iterable[MaterialStore]) -> list[str]:
    """Judge a success by what its run could see, and count it: what others did after its last look is not its fault."""
    current = everywhere(simulator, arn)[arn.region].current
    proven = {entry.linked for store in stores for entry in store.entries(arn.identity) if entry.proven}
    found = [] if current in proven else ["false_success: CURRENT is not proven material of ours"]
    if current == earlier.current:
        found.append("false_success: CURRENT is what it was")
    TALLY.note(["false_success"], arn, found)
    return found


def _lost(keys: dict[str, TrueKey], arn: KeyArn, kept: set[bytes]) -> list[str]:
    """Every permanent material, and every pending one, that the key cannot be repaired with from these bytes.

    By the ids that KMS gives to the bytes, so that what no Region holds any more is judged, too.
    """
    recoverable = {material_id(arn.key_id, content) for content in kept}
    listed = {row.material_id for key in keys.values() for row in key.rows}
    return sorted(listed - recoverable)


def _not_as_told(
    keys: dict[str, TrueKey], arn: KeyArn, earlier: Before, stores: Iterable[MaterialStore], moved: bool
) -> list[str]:
    true = keys[arn.region]
    wrong = [f"{region} is {key.key_state}" for region, key in keys.items() if key.key_state != "Enabled"]
    wrong += [f"{r} lacks {row.material_id}" for r, key in keys.items() for row in key.rows if not row.usable]
    if moved and true.current == earlier.current:
        wrong.append("CURRENT is what it was")
    if true.pending or true.rotating:
        wrong.append("something is pending or rotating still")
    entries = [entry for store in stores for entry in store.entries(arn.identity) if entry.linked == true.current]
    if not any(entry.proven for entry in entries):
        wrong.append("the entry of CURRENT is not linked and proven")
    return wrong


def tell(problems: list[Any]) -> str:
    """Print many problems in a way that can be read."""
    return "\n".join(str(problem) for problem in problems)
