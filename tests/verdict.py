"""The four promises, judged from outside: by what the simulated world really is, and by the bytes in the stores."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.model import KeyArn, KeyIdentity
from orchestrator.ports import MaterialStore
from orchestrator.simulator import Simulator, TrueKey

PROMISES = ("lost", "double", "unusable", "false_success")
"""Materials lost, rotations too many, usable keys made unusable, successes told that were none."""

Count = Callable[[str, object], None]
"""Pytest's record_property: what is counted here is summed up by `make prove`."""


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
    known: Iterable[bytes] = (),
) -> list[str]:
    """Name every promise that was broken. `known` are bytes that somebody else keeps."""
    keys, stores = everywhere(simulator, arn), tuple(stores)
    found = [
        f"lost: no store has {name}" for name in _lost(simulator, keys, {*held(*stores, key=arn.identity), *known})
    ]
    done = keys[arn.region].rotations - earlier.rotations
    if done > rotations:
        found.append(f"double: {done} rotations, {rotations} wanted")
    dead = [f"{region} {key.key_state}" for region, key in keys.items() if key.key_state != "Enabled"]
    found += [f"unusable: {one}" for one in dead if one.split()[0] in earlier.enabled]
    if success:
        found += [f"false_success: {why}" for why in _not_as_told(keys, arn, earlier, stores, rotations)]
    return found


def _lost(simulator: Simulator, keys: dict[str, TrueKey], kept: set[bytes]) -> list[str]:
    """Every permanent material, and every pending one, of which no copy is left to repair the key from."""
    lost = []
    for row in next(iter(keys.values())).rows:
        content = next((c for r in keys if (c := simulator.material(r, keys[r].arn, row.material_id))), None)
        if content is not None and content not in kept:
            lost.append(row.material_id)
    return lost


def _not_as_told(
    keys: dict[str, TrueKey], arn: KeyArn, earlier: Before, stores: Iterable[MaterialStore], rotations: int
) -> list[str]:
    true = keys[arn.region]
    wrong = [f"{region} is {key.key_state}" for region, key in keys.items() if key.key_state != "Enabled"]
    wrong += [f"{r} lacks {row.material_id}" for r, key in keys.items() for row in key.rows if not row.usable]
    if rotations and true.current == earlier.current:
        wrong.append("CURRENT is what it was")
    if true.pending or true.rotating:
        wrong.append("something is pending or rotating still")
    entries = [entry for store in stores for entry in store.entries(arn.identity) if entry.linked == true.current]
    if not any(entry.proven for entry in entries):
        wrong.append("the entry of CURRENT is not linked and proven")
    return wrong


def count_broken(count: Count, found: Iterable[str]) -> None:
    """Count broken promises by kind."""
    for promise in PROMISES:
        count(promise, sum(one.startswith(f"{promise}:") for one in found))


def tell(problems: list[Any]) -> str:
    """Print many problems in a way that can be read."""
    return "\n".join(str(problem) for problem in problems)
