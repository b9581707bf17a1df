"""All simulated keys of all accounts and Regions, with as much of their past as lagging reads can ask for."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from orchestrator.simulator.events import NEVER, apply_events, next_event
from orchestrator.simulator.state import KeySet, LastUse
from orchestrator.simulator.switches import Switches
from orchestrator.simulator.timing import Lag


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a key in one account and Region; times in epoch seconds."""

    name: str
    key_id: str
    created: float
    updated: float


@dataclass(slots=True)
class World:
    """The keys and aliases; every method takes the time, none reads a clock."""

    lag: Lag
    switches: Switches
    aliases: dict[tuple[str, str], dict[str, Alias]] = field(default_factory=dict)
    uses: dict[tuple[str, str], LastUse] = field(default_factory=dict)
    """The last use of each key, by id and Region; no change of the key, so no reason to write a state file."""
    changes: int = 0
    """How often anything was stored; a state file is written when this moves."""
    _versions: dict[str, list[tuple[float, KeySet]]] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    def put(self, keys: KeySet, at: float) -> None:
        """Store what a key is from that time on."""
        self.changes += 1
        if not keys.members:
            self._versions.pop(keys.key_id, None)
            self._due.pop(keys.key_id, None)
            return
        versions = self._versions.setdefault(keys.key_id, [])
        # Versions stay in order even if somebody's clock went back.
        at = max(at, versions[-1][0]) if versions else at
        versions.append((at, keys))
        horizon = at - self.lag.propagation - self.lag.oldest
        oldest = max(0, bisect_right(versions, horizon, key=lambda version: version[0]) - 1)
        del versions[:oldest]
        self._due[keys.key_id] = next_event(keys, self.switches)

    def truth(self, key_id: str, at: float) -> KeySet | None:
        """Return the key as it really is, after everything that time has brought about."""
        while (due := self._due.get(key_id, NEVER)) <= at:
            # What was held up, as automatic rotation is by a disabled key, happens when it can, not in the past.
            since, keys = self._versions[key_id][-1]
            when = max(due, since)
            self.put(apply_events(keys, when, self.switches), when)
        versions = self._versions.get(key_id)
        return None if versions is None else versions[-1][1]

    def known(self, key_id: str, region: str, at: float, *, age: float = 0.0) -> KeySet | None:
        """Return the key as that Region knows it, other Regions' news being late; None: no such key there."""
        self.truth(key_id, at)
        here = self._as_of(key_id, at - age)
        if here is None or region not in here.members:
            return None
        if not here.multi_region or not self.lag.propagation:
            return here
        past = self._as_of(key_id, at - age - self.lag.propagation)
        return here if past is None else _seen_from(region, here, past)

    def all_truths(self, at: float) -> Iterator[KeySet]:
        """Yield every key as it really is, in the order in which they were made."""
        for key_id in tuple(self._versions):
            keys = self.truth(key_id, at)
            if keys is not None:
                yield keys

    def put_alias(self, account: str, region: str, name: str, alias: Alias | None) -> None:
        """Store an alias, or forget it (None)."""
        self.changes += 1
        names = self.aliases.setdefault((account, region), {})
        if alias is None:
            names.pop(name, None)
        else:
            names[name] = alias

    def alias(self, account: str, region: str, name: str, at: float, *, age: float = 0.0) -> Alias | None:
        """Return the alias of that name, unless its key is gone, or it is too new to be known."""
        alias = self.aliases.get((account, region), {}).get(name)
        known = alias is not None and alias.created <= at - age and self._exists(alias.key_id, region, at)
        return alias if known else None

    def aliases_of(self, account: str, region: str, at: float, *, age: float = 0.0) -> list[Alias]:
        """Return the aliases of that account and Region by name; a deleted key's are gone with it."""
        named = sorted(self.aliases.get((account, region), {}))
        found = (self.alias(account, region, name, at, age=age) for name in named)
        return [alias for alias in found if alias is not None]

    def _exists(self, key_id: str, region: str, at: float) -> bool:
        keys = self.truth(key_id, at)
        return keys is not None and region in keys.members

    def _as_of(self, key_id: str, at: float) -> KeySet | None:
        versions = self._versions.get(key_id, [])
        index = bisect_right(versions, at, key=lambda version: version[0])
        return versions[index - 1][1] if index else None


def _seen_from(region: str, here: KeySet, past: KeySet) -> KeySet:
    members = {
        name: member
        if name == region or name not in past.members
        else replace(member, holdings=past.members[name].holdings)
        for name, member in here.members.items()
    }
    seen = replace(here, members=members)
    if region == here.primary or region not in past.members:
        return seen
    return replace(seen, materials=past.materials, rotation=past.rotation)
