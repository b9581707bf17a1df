"""Everything that can happen next: a step of a run, something lost, a crash, and what time and other people do.

What one run can do depends on how things stand and on what it knows itself, never on what the others know: so it is
worked out once for each such pair, by number, and the search over all runs only puts numbers together.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

from search_calls import (
    ALWAYS,
    LOST,
    Call,
    Rules,
    carry_out,
    check_end,
    check_rotations,
    material_of,
)
from search_run import Mind, Runs, Snapshot
from search_world import Kept, Seen, Truth, WrongError, look, old, rotation_ends

from orchestrator.model import MaterialId, Outcome, Policy, Stage, name_of
from workflows.abort import ABORT, whatever_is_begun
from workflows.renew import RENEW, whatever_expires
from workflows.repair import REPAIR, whatever_is_broken
from workflows.rotate import ROTATE
from workflows.run import RUN, whatever_is_wanted


class Budget(NamedTuple):
    """How much may still go wrong, in all runs together, and how often a minute passes."""

    crashes: int = 1
    lost: int = 1
    late: int = 1
    minutes: int = 1
    hands: int = 0
    slow: int = 0
    quarters: int = 0


Hand = Callable[[Truth], Truth | None]
"""Something that somebody else may do; None where it cannot be done."""

Kind = Literal["rotate", "abort", "repair", "renew", "run"]


@dataclass(frozen=True)
class Scenario:
    """What is searched: how things stand at first, who runs, what may go wrong, and what is expected of it.

    `kinds` tells which workflow each run is, and `stores` which store it has; `blocks` are the reasons for which a run
    may call a person, and `fails` those for which a fresh run may fail; `named` is the foreign material that an abort
    is to withdraw; `more` members may come;
    `every_run` asks that from every state every run comes to an end, not only a fresh one.
    """

    name: str
    truth: Truth
    budget: Budget
    policy: Policy
    rules: Rules = ALWAYS
    hands: tuple[tuple[str, Hand], ...] = ()
    kinds: tuple[Kind, ...] = ("rotate", "rotate")
    stores: tuple[int, ...] = (0, 0, 0)
    blocks: frozenset[str] = frozenset({"recently-rotated"})
    every_run: bool = False
    stages: Sequence[Stage] = ROTATE
    more: int = 0
    named: str | None = None
    fails: frozenset[str] = frozenset()

    def runs(self, who: int) -> Runs:
        """How one of the runs goes."""
        usual = Runs(len(self.truth.held) + self.more, self.policy, self.stages, aborts="abort" in self.kinds)
        match self.kinds[who]:
            case "abort":
                named = MaterialId(self.named) if self.named else None
                pin = partial(whatever_is_begun, material=named, unheld=True)
                return replace(usual, stages=ABORT, pin=pin)
            case "repair":
                return replace(usual, stages=REPAIR, pin=whatever_is_broken)
            case "renew":
                return replace(usual, stages=RENEW, pin=whatever_expires)
            case "run":
                return replace(usual, stages=RUN, pin=whatever_is_wanted)
            case "rotate":
                return usual


State = tuple[int, ...]
"""Everything at one moment, by number: the truth, what looks showed before, what may still go wrong, and each run."""

NAMES = "ABC"
"""What the runs are called in a story."""


class Move(NamedTuple):
    """One line of a story: who does it (a run, or nobody), where, and what."""

    who: int | None
    where: int | None
    what: str


class Next(NamedTuple):
    """What stands after a move, by number; of the runs only the one that moved."""

    move: int
    truth: int
    before: int
    mind: int
    budget: int


class Known:
    """Numbers for values: equal values have equal numbers, so that states are small and quick to compare."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.values: list[Any] = []

    def number(self, value: Any) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def __len__(self) -> int:
        return len(self.values)


class Moves:
    """What can happen next in one scenario. `before` is what a look showed before each last change."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.regions = len(scenario.truth.held) + scenario.more
        self.runs = tuple(scenario.runs(who) for who in range(len(scenario.kinds)))
        self.truths, self.befores, self.minds, self.budgets, self.moves = (Known() for _ in range(5))
        self.fresh = self.minds.number(self.runs[0].fresh())
        self.nothing = self.befores.number(())
        self.ends: Counter[str] = Counter()
        self._shows: dict[int, tuple[Snapshot, ...]] = {}

    def shown(self, truth: int) -> tuple[Snapshot, ...]:
        """What a look at each Region, and then at each store, shows."""
        if truth not in self._shows:
            real: Truth = self.truths.values[truth]
            self._shows[truth] = (*(look(real, region) for region in range(self.regions)), *real.stores)
        return self._shows[truth]

    # ---- what nobody's run does ----

    def of_the_world(self, at: Next) -> Iterator[Next]:
        """An accepted rotation ends, or its start date vanishes early; somebody does something by hand."""
        truth: Truth = self.truths.values[at.truth]
        if truth.rotating:
            ended = rotation_ends(truth)
            check_rotations(ended)
            yield self._then(at, Move(None, None, "the accepted rotation ends"), ended)
        if truth.rotating and truth.rotation_shows:
            hidden = truth._replace(rotation_shows=False)
            yield self._then(at, Move(None, None, "the start date of the rotation vanishes early"), hidden)
        hands = self.budgets.values[at.budget].hands
        for name, hand in self.scenario.hands if hands else ():
            if (done := hand(truth)) is not None:
                yield self._spend(self._then(at, Move(None, None, name), done), hands=hands - 1)

    def waits(self, mind: int) -> bool:
        """Whether a run has nothing to do but wait: only then is time let pass, for sooner it changes little."""
        found: Mind = self.minds.values[mind]
        return not (found.end or found.acting or found.looking or found.goal is None)

    def a_quarter_later(self, at: State) -> tuple[int, State] | None:
        """15 min pass, in which every call is answered and every rotation is over; None where that cannot be yet."""
        truth, before, budget, *numbers = at
        left: Budget = self.budgets.values[budget]
        real: Truth = self.truths.values[truth]
        minds: list[Mind] = [self.minds.values[number] for number in numbers]
        if not left.quarters or real.rotating or any(mind.acting for mind in minds):
            return None
        truth = self.truths.number(old(real))
        if self.befores.values[before]:  # no look is as late as that
            before = self.befores.number(self.shown(truth))
        later = (self.minds.number(self.runs[who].a_quarter_later(mind)) for who, mind in enumerate(minds))
        passed = self.budgets.number(left._replace(quarters=left.quarters - 1))
        move = self.moves.number(Move(None, None, "a quarter of an hour passes"))
        return move, (truth, before, passed, *later)

    def a_minute_later(self, who: int, mind: int, budget: int) -> tuple[int, int, int] | None:
        """What time does to one run, as move, run and budget; None where no more time may pass."""
        left: Budget = self.budgets.values[budget]
        if not left.minutes:
            return None
        after = self.minds.number(self.runs[who].a_minute_later(self.minds.values[mind]))
        passed = self.budgets.number(left._replace(minutes=left.minutes - 1))
        return self.moves.number(Move(None, None, "a minute passes")), after, passed

    # ---- what one run does, or has done to it ----

    def of_a_run(self, who: int, at: Next) -> Iterator[Next]:
        """Everything that can come next for one run."""
        mind: Mind = self.minds.values[at.mind]
        timely = list(self._looks(who, at, mind))
        yield from timely
        if self.budgets.values[at.budget].late:
            yield from self._late_looks(who, at, mind)
        if self.budgets.values[at.budget].slow:
            yield from self._slow_looks(who, at, mind)
        for call in mind.acting:
            yield from self._calls(who, at, mind, call)
        if all(after._replace(move=at.move) == at for after in timely):  # it has seen all that there is to see
            tired = self.runs[who].out_of_patience(mind)
            if tired != mind:
                yield self._learn(at, Move(who, None, "has waited as long as it may"), tired)
        crashes = self.budgets.values[at.budget].crashes
        if crashes and at.mind != self.fresh:
            what = "is started again" if mind.end else "is killed, and started again"
            fresh = self._learn(at, Move(who, None, what), self.runs[who].fresh())
            yield self._spend(fresh, crashes=crashes - 1)

    def _looks(self, who: int, at: Next, mind: Mind) -> Iterator[Next]:
        for target in self.runs[who].wants_to_look(mind):
            found = self.shown(at.truth)[self._place(who, target)]
            move = Move(who, target, f"looks at {{where}}: {told(found)}")
            yield self._learn(at, move, self.runs[who].looked(mind, target, found))

    def _late_looks(self, who: int, at: Next, mind: Mind) -> Iterator[Next]:
        """A look shows what stood there before the last change: KMS lags, or the store was read before it."""
        late = self.budgets.values[at.budget].late
        for target in self.runs[who].wants_to_look(mind):
            place = self._place(who, target)
            found = self.befores.values[at.before][place]
            if found != self.shown(at.truth)[place]:
                move = Move(who, target, f"is shown an older state of {{where}}: {told(found)}")
                learned = self.runs[who].looked(mind, target, found, slow=target == self.regions)
                yield self._spend(self._learn(at, move, learned), late=late - 1)

    def _slow_looks(self, who: int, at: Next, mind: Mind) -> Iterator[Next]:
        """A look at the primary takes so long that one at the store overtakes it: it shows what is newer than that."""
        if 0 in self.runs[who].wants_to_look(mind) and mind.goal is not None and 0 not in mind.newer:
            found = self.shown(at.truth)[0]
            move = Move(who, 0, f"looks at {{where}}, and began before it looked at the store: {told(found)}")
            slow = self.budgets.values[at.budget].slow
            yield self._spend(self._learn(at, move, self.runs[who].looked(mind, 0, found, slow=True)), slow=slow - 1)

    def _place(self, who: int, target: int) -> int:
        return target if target < self.regions else self.regions + self.scenario.stores[who]

    def _calls(self, who: int, at: Next, mind: Mind, call: Call) -> Iterator[Next]:
        truth, then = self.carried_out(self.truths.values[at.truth], call, who)
        where = self.runs[who].target(call.action)
        what = f"{call.step}s {name_of(call.action).split(':')[0]} at {{where}}"
        done = Move(who, where, f"{what} ({came(then)})")
        yield self._learn(self._then(at, done, truth), done, self.heard(who, mind, call, then))
        lost = self.budgets.values[at.budget].lost
        if call.can_be_lost and lost:
            unheard = self.heard(who, mind, call, LOST)
            move = Move(who, where, f"{what} (the request is lost)")
            yield self._spend(self._learn(at, move, unheard), lost=lost - 1)
            if truth != self.truths.values[at.truth]:
                move = Move(who, where, f"{what} (it has its effect; the reply is lost)")
                yield self._spend(self._learn(self._then(at, move, truth), move, unheard), lost=lost - 1)

    def carried_out(self, truth: Truth, call: Call, who: int) -> tuple[Truth, Call | Outcome]:
        """Do the next step of a call."""
        store = self.scenario.stores[who]
        after, then = carry_out(truth, call, store, self.scenario.rules)
        if isinstance(then, Outcome):
            then = replace(then, material_id=material_of(after, call, store))
        return after, then

    def heard(self, who: int, mind: Mind, call: Call, then: Call | Outcome) -> Mind:
        """Let a run take in what came of a step."""
        if isinstance(then, Call):
            return self.runs[who].stepped(mind, call, then)
        return self.runs[who].learned(mind, call, then)

    # ---- putting it together ----

    def _then(self, at: Next, move: Move, truth: Truth) -> Next:
        """The same with another truth; what a late look would show is what stood there before."""
        after, before = self.truths.number(truth), self.befores.values[at.before]
        if after != at.truth and before:
            changes = zip(self.shown(at.truth), self.shown(after), before, strict=True)
            before = tuple(older if new == old else old for old, new, older in changes)
        return at._replace(move=self.moves.number(move), truth=after, before=self.befores.number(before))

    def _learn(self, at: Next, move: Move, mind: Mind) -> Next:
        number = self.minds.number(mind)
        if mind.end and number != at.mind:
            self.ends[mind.ended] += 1
            try:
                self.judge(mind, self.truths.values[at.truth], move.who or 0)
            except WrongError as wrong:
                raise WrongError(f"{wrong}; the last step: it {move.what.replace('{where}', '')}") from wrong
        return at._replace(move=self.moves.number(move), mind=number)

    def judge(self, mind: Mind, truth: Truth, who: int) -> None:
        """Let no run end in a success that is not true, or in a false alarm."""
        store = self.scenario.stores[who]
        if mind.end in {"finished", "idle"}:
            check_end(self.scenario.kinds[who], mind.end, truth, store, self.scenario.rules)
        if mind.end == "blocked" and not mind.reasons <= self.scenario.blocks:
            raise WrongError(f"run {NAMES[who]} ends in a false alarm: {mind.ended}")
        held = truth.holding(store, truth.pending or "")
        goes_on = held is not None and held.replaces == truth.current and not held.discarded
        ours = goes_on and not self.scenario.rules.may_misjudge
        if "foreign-pending" in mind.reasons and ours:
            raise WrongError(f"run {NAMES[who]} calls material foreign, and has it deleted, that is in its store")

    def _spend(self, at: Next, **left: int) -> Next:
        budget = self.budgets.values[at.budget]._replace(**left)
        at = at._replace(budget=self.budgets.number(budget))
        return at if budget.late else at._replace(before=self.befores.number(()))


def came(then: Call | Outcome) -> str:
    """Say what came of a step."""
    return "done" if isinstance(then, Call) or not then.message else then.message


def told(found: Snapshot) -> str:
    """Say what a look shows."""
    if isinstance(found, Seen):
        rows = [f"{r.material} {r.state}{'' if r.imported else ' missing'}{' expired' * r.expired}" for r in found.rows]
        return f"{found.key_state}; {', '.join(rows)}" + "; rotating" * found.rotation_shows
    return ", ".join(_told_entry(entry) for entry in found)


def _told_entry(entry: Kept) -> str:
    marks = (" linked" * entry.linked, " proven" * entry.proven, " given up" * bool(entry.discarded))
    return entry.material + "".join(marks)
