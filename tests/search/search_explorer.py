"""Breadth first through everything that can happen, with two runs side by side.

A state is kept once, whatever led to it; two runs that share a store, and two replicas, may be exchanged. The first way
into a state is kept, so that whatever goes wrong is told as the shortest story.
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from search_calls import REGIONS, Call, check_rotations, check_success
from search_moves import Known, Move, Moves, Next, Scenario, came, told
from search_run import Mind
from search_world import Truth, Wrong, look, rotation_ends, swapped

from orchestrator.model import name_of

State = tuple[int, int, int, int, int]
"""Everything at one moment, by number: the truth, what looks showed before, each run, and what may still go wrong."""


@dataclass
class Found:
    """What a search has covered."""

    name: str
    states: int = 0
    steps: int = 0
    depth: int = 0
    worlds: int = 0
    minds: int = 0
    fresh_runs: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        ends = ", ".join(f"{end} ({count})" for end, count in self.ends.most_common())
        return (
            f"{self.name}: {self.states:,} states, {self.steps:,} steps, depth {self.depth}, {self.worlds:,} worlds, "
            f"{self.minds:,} states of a run, {self.fresh_runs:,} fresh runs; {self.seconds:.1f} s; ends: {ends}"
        )


class Explorer:
    """Searches one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.moves = Moves(scenario)
        self.found = Found(scenario.name)
        self._runs: dict[tuple[int, Next], tuple[Next, ...]] = {}
        self._worlds: dict[tuple[int, int, int], tuple[Next, ...]] = {}
        self._minutes: dict[tuple[int, int], Next | None] = {}
        self._mirrors: dict[tuple[str, int], int] = {}
        self._states: dict[State, int] = {}
        self._parents, self._how, self._turned = array("q"), array("q"), array("b")

    def search(self, most: int = 50_000_000) -> Found:
        """Visit every state, and let a fresh run go on from every world; raises Wrong with a story."""
        begun = time.monotonic()
        layer = [self._start()]
        while layer:
            following = []
            for state in layer:
                for after, move in self._told(state):
                    self.found.steps += 1
                    turned, reached = self._canonical(after)
                    if reached not in self._states:
                        self._enter(reached, self._states[state], move, turned)
                        following.append(reached)
            self.found.depth += bool(following)
            layer = following
            if len(self._states) > most:
                raise Wrong(f"more than {most} states in {self.scenario.name}: bound it")
        self._converge()
        found, moves = self.found, self.moves
        found.states, found.worlds, found.minds = len(self._states), len(moves.truths), len(moves.minds)
        found.ends, found.seconds = moves.ends, time.monotonic() - begun
        return found

    def _start(self) -> State:
        scenario, moves = self.scenario, self.moves
        truth = moves.truths.number(scenario.truth)
        before = moves.befores.number(moves.shown(truth) if scenario.budget.late else ())
        start = (truth, before, moves.fresh, moves.fresh, moves.budgets.number(scenario.budget))
        self._enter(start, -1, moves.moves.number(Move(None, None, "the start")), 0)
        return start

    # ---- what comes next ----

    def _told(self, state: State) -> Iterator[tuple[State, int]]:
        try:
            yield from self._next(state)
        except Wrong as wrong:
            raise Wrong(f"{wrong}\n{self.story(self._states[state])}") from wrong

    def _next(self, state: State) -> Iterator[tuple[State, int]]:
        """Every state that may follow, with the number of the move."""
        truth, before, one, other, budget = state
        for move, t, b, mind, left in self._of_a_run(0, Next(0, truth, before, one, budget)):
            yield (t, b, mind, other, left), move
        for move, t, b, mind, left in self._of_a_run(1, Next(0, truth, before, other, budget)):
            yield (t, b, one, mind, left), move
        for move, t, b, _, left in self._of_the_world(truth, before, budget):
            yield (t, b, one, other, left), move
        later, also = self._minute(one, before, budget), self._minute(other, before, budget)
        if later is not None and also is not None:
            yield (truth, later.before, later.mind, also.mind, later.budget), later.move

    def _of_a_run(self, who: int, at: Next) -> tuple[Next, ...]:
        key = (self.scenario.stores[who] + 2 * who, at)
        if key not in self._runs:
            following = self.moves.of_a_run(who, at)
            self._runs[key] = tuple(after for after in following if after._replace(move=0) != at)
        return self._runs[key]

    def _of_the_world(self, truth: int, before: int, budget: int) -> tuple[Next, ...]:
        key = (truth, before, budget)
        if key not in self._worlds:
            self._worlds[key] = tuple(self.moves.of_the_world(Next(0, truth, before, self.moves.fresh, budget)))
        return self._worlds[key]

    def _minute(self, mind: int, before: int, budget: int) -> Next | None:
        key = (mind, budget)
        if key not in self._minutes:
            self._minutes[key] = self.moves.a_minute_later(Next(0, 0, before, mind, budget))
        later = self._minutes[key]
        return None if later is None else later._replace(before=before)

    # ---- states that differ by an exchange ----

    def _canonical(self, state: State) -> tuple[int, State]:
        """Choose one of the states that differ by exchanging the two runs (1), or the two replicas (2)."""
        truth, before, one, other, budget = state
        alike = self.scenario.stores[0] == self.scenario.stores[1]
        turned, best = (1, (truth, before, other, one, budget)) if alike and other < one else (0, state)
        if self.moves.regions <= 2:
            return turned, best
        moves, mirror = self.moves, self._mirror
        truth = mirror("truth", truth, moves.truths, _mirrored_truth)
        before = mirror("before", before, moves.befores, lambda shown: swapped(shown, 1, 2) if shown else ())
        one, other = (mirror("mind", mind, moves.minds, mirrored_mind) for mind in (one, other))
        swap = alike and other < one
        image = (truth, before, other, one, budget) if swap else (truth, before, one, other, budget)
        return (2 + swap, image) if image < best else (turned, best)

    def _mirror(self, kind: str, number: int, known: Known, mirrored: Callable[[Any], Any]) -> int:
        key = (kind, number)
        if key not in self._mirrors:
            self._mirrors[key] = known.number(mirrored(known.values[number]))
        return self._mirrors[key]

    # ---- stories ----

    def _enter(self, state: State, parent: int, move: int, turned: int) -> None:
        self._states[state] = len(self._parents)
        self._parents.append(parent)
        self._how.append(move)
        self._turned.append(turned)

    def story(self, number: int) -> str:
        """Tell how a state came about, from the start."""
        chain = []
        while number >= 0:
            chain.append(number)
            number = self._parents[number]
        lines, turned = [], 0
        for index, step in enumerate(reversed(chain)):
            lines.append(f"{index:3}. {self._line(self.moves.moves.values[self._how[step]], turned)}")
            turned ^= self._turned[step]
        return "\n".join(lines)

    def _line(self, move: Move, turned: int) -> str:
        where = {0: "the primary", 1: "replica 1", 2: "replica 2"}
        if turned & 2:
            where |= {1: "replica 2", 2: "replica 1"}
        where[self.moves.regions] = "the store"
        who = "" if move.who is None else f"run {'AB'[move.who ^ (turned & 1)]} "
        return who + move.what.replace("{where}", "" if move.where is None else where[move.where])

    # ---- liveness ----

    def _converge(self) -> None:
        """From every world that was reached, one fresh run without faults comes to an end that is expected."""
        first: dict[tuple[int, int], int] = {}
        for state, number in self._states.items():
            for who in (0, 1):
                first.setdefault((state[0], self.scenario.stores[who]), number * 2 + who)
        for (truth, _), found in first.items():
            number, who = divmod(found, 2)
            end, steps = self.to_the_end(self.moves.truths.values[truth], self.moves.runs.fresh(), who)
            self.found.fresh_runs += 1
            if end not in self.scenario.ends:
                lines = "\n".join(f"     {step}" for step in steps)
                raise Wrong(f"a fresh run ends {end!r}\n{self.story(number)}\nThen one fresh run:\n{lines}")

    def to_the_end(self, truth: Truth, mind: Mind, who: int, most: int = 200) -> tuple[str, list[str]]:
        """Let one run go on without faults; a rotation ends while it waits. Tells its end, and its steps."""
        runs, steps, waited = self.moves.runs, list[str](), set[tuple[Truth, Mind]]()
        while not mind.end and len(steps) < most:
            wants = [target for target in runs.wants_to_look(mind) if mind.goal is None or target in mind.dirty]
            if wants:
                mind = self._looking(truth, mind, wants[0], who, steps)
            elif mind.acting:
                truth, mind = self._acting(truth, mind, who, steps)
            elif (truth, mind) in waited:
                steps.append("has waited as long as it may")
                mind = runs.out_of_patience(mind)
            else:
                waited.add((truth, mind))
                truth, mind = self._waiting(truth, mind, who, steps)
        if mind.end == "finished":
            check_success(truth, self.scenario.stores[who], self.scenario.rules)
        return mind.ended or "in none", steps

    def _waiting(self, truth: Truth, mind: Mind, who: int, steps: list[str]) -> tuple[Truth, Mind]:
        truth = rotation_ends(truth) if truth.rotating else truth
        check_rotations(truth)
        mind = self.moves.runs.a_minute_later(mind)
        for target in self.moves.runs.wants_to_look(mind):
            if not mind.end and not mind.acting:
                mind = self._looking(truth, mind, target, who, steps)
        return truth, mind

    def _looking(self, truth: Truth, mind: Mind, target: int, who: int, steps: list[str]) -> Mind:
        store = truth.stores[self.scenario.stores[who]]
        found = look(truth, target) if target < self.moves.regions else store
        steps.append(f"looks at {target}: {told(found)}")
        return self.moves.runs.looked(mind, target, found)

    def _acting(self, truth: Truth, mind: Mind, who: int, steps: list[str]) -> tuple[Truth, Mind]:
        call = mind.acting[0]
        truth, then = self.moves.carried_out(truth, call, who)
        steps.append(f"{call.step}s {name_of(call.action)} ({came(then)})")
        return truth, self.moves.heard(mind, call, then)


def _mirrored_truth(truth: Truth) -> Truth:
    sides = {name: swapped(getattr(truth, name), 1, 2) for name in ("held", "expired", "disabled")}
    return truth._replace(**sides)


_OTHER = {REGIONS[1]: REGIONS[2], REGIONS[2]: REGIONS[1]}


def mirrored_mind(mind: Mind) -> Mind:
    """Exchange the two replicas in all that a run knows."""
    order = {region: number for number, region in enumerate(REGIONS)}
    calls = [_mirrored_call(call) for call in mind.acting]
    notes = mind.notes
    return mind._replace(
        seen=swapped(mind.seen, 1, 2),
        recent=swapped(mind.recent, 1, 2),
        dirty=frozenset({1: 2, 2: 1}.get(target, target) for target in mind.dirty),
        acting=tuple(sorted(calls, key=lambda call: order.get(call.action.target, len(order)))),
        notes=notes._replace(
            settled=tuple(sorted((_OTHER.get(region, region), count) for region, count in notes.settled)),
            proofs=tuple(sorted((_OTHER.get(region, region), material) for region, material in notes.proofs)),
            failed=tuple(sorted((_mirrored_name(name), final, refused) for name, final, refused in notes.failed)),
        ),
    )


def _mirrored_call(call: Call) -> Call:
    arn = getattr(call.action, "arn", None)
    if arn is None or arn.region not in _OTHER:
        return call
    return call._replace(action=replace(call.action, arn=arn.within(_OTHER[arn.region])))


def _mirrored_name(name: str) -> str:
    kind, target, what = name.split(":", 2)
    return f"{kind}:{_OTHER.get(target, target)}:{what}"
