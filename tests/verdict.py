"""The promises, judged from outside: by what the simulated world really is, and by the bytes in the stores."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.model import Block, Entry, KeyArn, KeyIdentity, Reason
from orchestrator.ports import MaterialStore
from orchestrator.progress import Report
from orchestrator.report import documents
from orchestrator.simulator import Call, Simulator, TrueKey
from orchestrator.simulator.events import material_id

PROMISES = (
    "lost",
    "double",
    "unusable",
    "false_success",
    "false_held",
    "let_die",
    "untold",
    "switched_on",
    "false_block",
    "leaked",
)
"""Materials lost, rotations too many, usable keys made unusable, successes told that were none; bytes said to be held
or proven that are others (I12), Regions that were well and not kept alive (I11), repairs that nothing tells of (I13),
Regions enabled that their owner switched off (P10), others blamed for what nobody did (I15), secrets written (I14)."""

ALWAYS = ("lost", "double", "unusable", "false_held")
"""What `broken` judges, whatever a run said; the rest has functions of its own."""

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
    """What a key was like before something was done to it: `lacking` names the permanent material that was missing."""

    rotations: int
    current: str | None
    enabled: frozenset[str]
    states: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict)


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
    states = {region: key.key_state for region, key in keys.items()}
    enabled = frozenset(region for region, state in states.items() if state == "Enabled")
    return Before(
        true.rotations, true.current, enabled, states, {region: _lacking(key) for region, key in keys.items()}
    )


def _lacking(key: TrueKey) -> frozenset[str]:
    """Name the permanent material that a Region lacks."""
    return frozenset(row.material_id for row in key.rows if row.material_id != key.pending and not row.usable)


def held(*stores: MaterialStore, key: KeyIdentity | None = None) -> set[bytes]:
    """The bytes that these stores can give back, of one key or of all."""
    found = set()
    for store in stores:
        for entry in store.entries(key):
            content = _content(store, entry)
            found |= {content} if content is not None else set()
    return found


def _content(store: MaterialStore, entry: Entry) -> bytes | None:
    try:
        return bytes(store._vault.open(entry.name).reveal())  # type: ignore[attr-defined]
    except StoreError:
        return None


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
    found += [f"false_held: {what}" for store in stores for what in _said_of_other_bytes(keys, arn, store)]
    if success:
        found += [f"false_success: {why}" for why in _not_as_told(keys, arn, earlier, stores, moved and rotations > 0)]
    TALLY.note((*ALWAYS, "false_success") if success else ALWAYS, arn, found)
    return found


def let_die(
    simulator: Simulator,
    arn: KeyArn,
    earlier: Before,
    stores: Iterable[MaterialStore],
    regions: Iterable[str],
    *,
    restore: bool = True,
    until: float | None = None,
) -> list[str]:
    """Name what an upkeep that was asked for left undone in these Regions, whatever is odd elsewhere (I11); count it.

    They are those that the owner lists, where KMS answers; one that he had switched off, or that is to be deleted, is
    left alone. `restore` asks for what is missing, `until` (epoch seconds) for what ends before that.
    """
    keys = everywhere(simulator, arn)
    kept = {real for store in stores for real in _known_by_bytes(arn, store)}
    found = [
        f"let_die: {region} still lacks {row.material_id}"
        if not row.usable
        else f"let_die: {row.material_id} ends soon"
        for region in sorted(regions)
        if earlier.states.get(region) in {"Enabled", "PendingImport"} and region in keys
        for row in keys[region].rows
        if row.material_id in kept and row.material_id != keys[region].pending
        if (restore and not row.usable) or (row.usable and until and row.valid_to is not None and row.valid_to < until)
    ]
    TALLY.note(["let_die"], arn, found)
    return found


ROTATED = "a rotation"


def _known_by_bytes(arn: KeyArn, store: MaterialStore) -> Iterator[str]:
    """Name every material that a store knows that it holds, and does: of what it holds unknowing, no run can know."""
    for entry in store.entries(arn.identity):
        content = _content(store, entry)
        if content is not None and (real := material_id(arn.key_id, content)) == entry.linked:
            yield real


def untold(
    simulator: Simulator, arn: KeyArn, earlier: Before, told: Iterable[str], *, rotated: bool = False
) -> list[str]:
    """Name every Region in which material that was missing is back, and that nobody was told of (I13); count it.

    `told` names the Regions that a report, a journal or a hook calls restored, or filled; and ROTATED, which is wanted
    where mrk `rotated` the key.
    """
    keys, known = everywhere(simulator, arn), set(told)
    back = {
        region: sorted(lacked - _lacking(keys[region])) for region, lacked in earlier.lacking.items() if region in keys
    }
    found = [
        f"untold: {region} has {', '.join(ids)} again" for region, ids in back.items() if ids and region not in known
    ]
    found += ["untold: a rotation"] if rotated and ROTATED not in known else []
    TALLY.note(["untold"] if rotated or any(back.values()) else [], arn, found)
    return found


def told_of(*reports: Report) -> set[str]:
    """Name the Regions that reports tell of as restored or filled, as whoever reads the documents of runs is told.

    Where they tell of a rotation, ROTATED stands for that.
    """
    changes = [change for report in reports for change in documents.report(report)["changed"]]
    regions = {change["region"] for change in changes if change["what"] in {"restored", "filled"}}
    return regions | {ROTATED for change in changes if change["what"] == "rotated"}


_OTHERS = {
    Reason.DISABLED,
    Reason.FOREIGN_CURRENT,
    Reason.FOREIGN_PENDING,
    Reason.MADE_ELSEWHERE,
    Reason.NEVER_IMPORTED,
    Reason.PENDING_VANISHED,
    Reason.REGION_LACKING,
    Reason.REGION_UNLISTED,
    Reason.SWITCHED_OFF,
    Reason.TOPOLOGY,
}
"""What a run says of other people; where nobody but mrk touched the key, none of it is true."""


def false_blocks(
    simulator: Simulator, arn: KeyArn, stores: Iterable[MaterialStore], blocks: Iterable[Block], *, alone: bool
) -> list[str]:
    """Name every block that blames somebody else for what this run did, or nobody (I15), and count them.

    `alone` tells that no other hand touched the key or the store; else that CURRENT is somebody else's is judged alone.
    """
    current = everywhere(simulator, arn)[arn.region].current
    ours = current in {material_id(arn.key_id, content) for content in held(*stores, key=arn.identity)}
    never = _OTHERS if alone else {Reason.FOREIGN_CURRENT} if ours else set()
    found = [f"false_block: {block.reason}: {block.message}" for block in blocks if block.reason in never]
    TALLY.note(["false_block"], arn, found)
    return found


_FRESH = 10
"""Seconds for which a look may be relied on (I3)."""


class Watch:
    """Looks at a key after every call, so that no Region is unusable for a while and whole again in the end.

    A hook of the simulator. `earlier` names the Regions that are to stay as they are. What the owner has switched off,
    no import may switch on (P10): where it reads Disabled, as far as a look could tell that; where its material is
    missing by now, as far as it was `noted`. While mrk is not `judging`, somebody else may switch on what he likes.
    """

    def __init__(self, simulator: Simulator, arn: KeyArn, earlier: Before, noted: Iterable[str] = ()) -> None:
        self._simulator = simulator
        self._arn = arn
        self._enabled = earlier.enabled
        self._states = dict(earlier.states)
        self._off = {region: (0.0, 0) for region, state in earlier.states.items() if state == "Disabled"}
        self._looked: set[str] = set()
        self.noted = set(noted)
        self.judging = True
        self.found: list[str] = []
        TALLY.note(["switched_on"] * len(self.noted | set(self._off)), arn, [])
        simulator.hooks.append(self)

    def __call__(self, call: Call, when: str) -> None:
        """Look, and note what is broken once for each Region."""
        if when != "after":
            return
        keys = everywhere(self._simulator, self._arn)
        states = {region: keys[region].key_state if region in keys else "gone" for region in self._states}
        if self._arn.key_id in str(call.parameters):
            self._judge_switch(call, states.get(call.region, "gone"))
        for region in sorted(self._enabled):
            if states[region] not in {"Enabled", "Updating"}:
                self.found.append(f"unusable: {region} {states[region]} after call {call.number}, {call.operation}")
                TALLY.note([], self._arn, self.found[-1:])
                self._enabled -= {region}

    def _judge_switch(self, call: Call, state: str) -> None:
        """Judge an import into a Region, and note its state; a look that was begun later than it was Disabled tells."""
        region, before = call.region, self._states.get(call.region)
        since, number = self._off.get(region, (0.0, 0))
        if call.operation == "DescribeKey" and before == "Disabled" and call.number > number:
            self._looked |= set() if self._simulator.lag.oldest else {region}
        if call.operation == "ImportKeyMaterial" and state == "Enabled" and self.judging:
            late = self._simulator.clock() - since > _FRESH + self._simulator.lag.oldest
            known = late or region in self._looked if before == "Disabled" else region in self.noted
            if known and before in {"Disabled", "PendingImport"}:
                self.found.append(f"switched_on: {region} was {before}, and call {call.number} enables it")
                TALLY.note([], self._arn, self.found[-1:])
        self._note_switch(call, state)

    def _note_switch(self, call: Call, state: str) -> None:
        region, before = call.region, self._states.get(call.region)
        self._states[region] = state
        if state == "Disabled" and before != "Disabled":
            self._off[region] = (self._simulator.clock(), call.number)
            TALLY.note(["switched_on"], self._arn, [])
        if state == "Enabled":
            self._looked.discard(region)
            self.noted.discard(region)


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


def _said_of_other_bytes(keys: dict[str, TrueKey], arn: KeyArn, store: MaterialStore) -> Iterator[str]:
    """Name every entry of which the store says what its bytes are not: by the id that KMS gives to these bytes."""
    listed = {row.material_id for key in keys.values() for row in key.rows}
    for entry in filter(None, (store.find(entry.name) for entry in store.entries(arn.identity))):
        content = _content(store, entry)
        real = None if content is None else material_id(arn.key_id, content)
        if entry.receipt is not None and real is None:
            yield f"{entry.name} has a receipt, and does not open"
        if entry.held and entry.linked != real:
            yield f"{entry.name} is said to hold {entry.linked}, and holds {real}"
        if entry.proven and real not in listed:
            yield f"{entry.name} is said to be proven, and holds no material of this key"
        probe = store.probe(entry.name) if entry.probe else None
        if probe is not None and probe[5:37].hex() != real:
            yield f"{entry.name} has a probe of other bytes"


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
