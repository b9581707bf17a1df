"""Breadth first through everything that can happen, with two or three runs side by side.

A state is kept once, whatever led to it, and so is one of all that are alike; where more may still go wrong in a state
that was visited, nothing new can come of this one. The first way into a state is kept, so that whatever goes wrong is
told as the shortest story.
"""

import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from search_ends import Alone
from search_moves import NAMES, Known, Move, Moves, Next, Scenario, State
from search_symmetry import Symmetry, Turned
from search_world import WrongError


@dataclass
class Found:
    """What a search has covered."""

    name: str
    states: int = 0
    steps: int = 0
    depth: int = 0
    worlds: int = 0
    minds: int = 0
    alone: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.states:,} states, {self.steps:,} steps, depth {self.depth}; {self.worlds:,} worlds, "
            f"{self.minds:,} states of a run, {self.alone:,} runs alone; {self.seconds:.1f} s; "
            f"ends: {', '.join(sorted(self.ends))}"
        )


class Explorer:
    """Searches one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.found = Found(scenario.name)
        self._moves = Moves(scenario)
        symmetry = Symmetry(self._moves)
        self._canonical, self._like = symmetry.canonical, symmetry.like
        self._runs: tuple[dict[tuple[int, ...], tuple[Next, ...]], ...] = tuple({} for _ in scenario.kinds)
        self._worlds: dict[tuple[int, int, int], tuple[Next, ...]] = {}
        self._minutes: dict[tuple[int, int, int], tuple[int, int, int] | None] = {}
        self._visited: dict[State, list[tuple[int, int]]] = {}
        self._more: dict[tuple[int, int], bool] = {}
        self._pairs: dict[tuple[int, int, int], int] = {}
        self._parents, self._how, self._turned = array("q"), array("q"), array("h")
        self._turns = Known()

    def search(self, most: int = 50_000_000) -> Found:
        """Visit every state, and let runs go on alone from there; raises WrongError with a story."""
        begun = time.monotonic()
        layer, canonical = [(self._start(), 0)], self._canonical
        while layer:
            following = []
            for state, number in layer:
                for after, move in self._next(state, number):
                    self.found.steps += 1
                    turned, reached = canonical(after)
                    if self._is_new(reached):
                        following.append((reached, self._enter(reached, number, move, turned)))
            self.found.depth += bool(following)
            layer = following
            if len(self._parents) > most:
                raise WrongError(f"more than {most} states in {self.scenario.name}: bound it")
        self._converge()
        found, moves = self.found, self._moves
        found.states, found.minds = len(self._parents), len(moves.minds)
        found.worlds = len({truth for truth, _, _ in self._pairs})
        found.ends, found.seconds = moves.ends, time.monotonic() - begun
        return found

    def _start(self) -> State:
        scenario, moves = self.scenario, self._moves
        truth = moves.truths.number(scenario.truth)
        before = moves.befores.number(moves.shown(truth) if scenario.budget.late else ())
        budget, fresh = moves.budgets.number(scenario.budget), (moves.fresh,) * len(scenario.kinds)
        start = (truth, before, budget, *fresh)
        self._is_new(start)
        self._enter(start, -1, moves.moves.number(Move(None, None, "the start")), (False, tuple(range(len(fresh)))))
        return start

    def _is_new(self, state: State) -> bool:
        """Whether a state was not yet visited, nor the same with as much or more that may still go wrong."""
        truth, before, budget, *minds = state
        visited = self._visited.setdefault((truth, *minds), [])
        if (before, budget) in visited:
            return False
        for seen_before, seen_budget in visited:
            if self._covers(seen_budget, budget) and before in {seen_before, self._moves.nothing}:
                return False
        visited.append((before, budget))
        return True

    def _covers(self, budget: int, other: int) -> bool:
        """Whether one budget allows all that another one allows."""
        key = (budget, other)
        if key not in self._more:
            budgets = self._moves.budgets.values
            self._more[key] = all(more >= less for more, less in zip(budgets[budget], budgets[other], strict=True))
        return self._more[key]

    # ---- what comes next ----

    def _next(self, state: State, number: int) -> Iterator[tuple[State, int]]:
        """Every state that may follow, with the number of the move."""
        truth, before, budget, *minds = state
        try:
            for who, one in enumerate(minds):
                earlier, others = minds[:who], minds[who + 1 :]
                for move, t, b, mind, left in self._of_a_run(who, truth, before, one, budget):
                    yield (t, b, left, *earlier, mind, *others), move
            for move, t, b, _, left in self._of_the_world(truth, before, budget):
                yield (t, b, left, *minds), move
            if quarter := self._moves.a_quarter_later(state):
                yield quarter[1], quarter[0]
            later = [self._minute(who, mind, budget) for who, mind in enumerate(minds)]
            passed = [minute for minute in later if minute]
            if passed and any(self._moves.waits(mind) for mind in minds):
                move, _, left = passed[0]
                yield (truth, before, left, *[mind for _, mind, _ in passed]), move
        except WrongError as wrong:
            raise WrongError(f"{wrong}\n{self.story(number)}") from wrong

    def _of_a_run(self, who: int, *at: int) -> tuple[Next, ...]:
        known = self._runs[who]
        if at not in known:
            here = Next(0, *at)
            following = self._moves.of_a_run(who, here)
            known[at] = tuple(after for after in following if after._replace(move=0) != here)
        return known[at]

    def _of_the_world(self, truth: int, before: int, budget: int) -> tuple[Next, ...]:
        key = (truth, before, budget)
        if key not in self._worlds:
            self._worlds[key] = tuple(self._moves.of_the_world(Next(0, truth, before, self._moves.fresh, budget)))
        return self._worlds[key]

    def _minute(self, who: int, mind: int, budget: int) -> tuple[int, int, int] | None:
        key = (who, mind, budget)
        if key not in self._minutes:
            self._minutes[key] = self._moves.a_minute_later(who, mind, budget)
        return self._minutes[key]

    # ---- stories ----

    def _enter(self, state: State, parent: int, move: int, turned: Turned) -> int:
        number, many = len(self._parents), len(self.scenario.kinds)
        for who in range(many):
            self._pairs.setdefault((state[0], state[3 + who], self._like[who]), number * many + who)
        self._parents.append(parent)
        self._how.append(move)
        self._turned.append(self._turns.number(turned))
        return number

    def story(self, number: int) -> str:
        """Tell how a state came about, from the start."""
        chain = []
        while number >= 0:
            chain.append(number)
            number = self._parents[number]
        where = [*("the primary", "replica 1", "replica 2")[: self._moves.regions], "the store"]
        lines, names = [], NAMES
        for index, step in enumerate(reversed(chain)):
            lines.append(f"{index:3}. {_line(self._moves.moves.values[self._how[step]], names, where)}")
            mirrored, order = self._turns.values[self._turned[step]]
            names = "".join(names[place] for place in order)
            if mirrored:
                where[1], where[2] = where[2], where[1]
        return "\n".join(lines)

    # ---- liveness ----

    def _converge(self) -> None:
        """A fresh run of each kind reaches a wanted end from every world; where asked, any run reaches one."""
        worlds = {(truth, like): number for (truth, _, like), number in reversed(self._pairs.items())}
        for (truth, _), number in worlds.items():
            self._alone(truth, self._moves.fresh, number, {"finished", "blocked"})
        if self.scenario.every_run:
            for (truth, mind, _), number in self._pairs.items():
                self._alone(truth, mind, number, {"finished", "blocked", "failed"})

    def _alone(self, truth: int, mind: int, found: int, ends: set[str]) -> None:
        number, who = divmod(found, len(self.scenario.kinds))
        run = Alone(self._moves, who)
        self.found.alone += 1
        try:
            ended = run.to_the_end(self._moves.truths.values[truth], self._moves.minds.values[mind])
        except WrongError as wrong:
            raise WrongError(f"{wrong}\n{self.story(number)}\n{run.told()}") from wrong
        if ended.end == "failed" and ended.reasons and ended.reasons <= self.scenario.fails:
            return
        if ended.end not in ends | (set() if self.scenario.kinds[who] == "rotate" else {"idle"}):
            raise WrongError(f"a fresh run ends {ended.ended!r}\n{self.story(number)}\n{run.told()}")


def _line(move: Move, names: str, where: Sequence[str]) -> str:
    who = "" if move.who is None else f"run {names[move.who]} "
    return who + move.what.replace("{where}", "" if move.where is None else where[move.where])
