"""Where a run comes to when nothing goes wrong any more: every run must come to an end."""

from search_calls import NOT_NOW, check_kept_alive, check_remembered, check_rotations
from search_moves import Moves, came, told
from search_run import Mind
from search_world import Truth, WrongError, look, old, rotation_ends

from orchestrator.model import Repair, name_of

MOST_STEPS = 200


class Alone:
    """Lets one run go on alone and without faults; a rotation ends while it waits."""

    def __init__(self, moves: Moves, who: int) -> None:
        self._moves = moves
        self._runs = moves.runs[who]
        self._who = who
        self._steps: list[str] = []

    def to_the_end(self, truth: Truth, mind: Mind) -> Mind:
        """Return how the run ends; raises WrongError where it does not, or where that end is not true."""
        self._steps.clear()
        waited: set[tuple[Truth, Mind]] = set()
        while not mind.end and len(self._steps) < MOST_STEPS:
            due = [target for target in self._runs.wants_to_look(mind) if mind.goal is None or target in mind.looking]
            if due:
                mind = self._looking(truth, mind, due[0])
            elif mind.acting:
                truth, mind = self._acting(truth, mind)
            elif (truth, mind) in waited:
                self._steps.append("has waited as long as it may")
                mind = self._runs.out_of_patience(mind)
            else:
                waited.add((truth, mind))
                truth, mind = self._waiting(truth, mind)
        if not mind.end:
            raise WrongError(f"the run comes to no end: {self.told()}")
        self._moves.judge(mind, truth, self._who)
        scenario, policy = self._moves.scenario, self._runs.policy
        listed, repairs = len(policy.regions) or len(truth.held), policy.repair is Repair.AUTO
        kind = scenario.kinds[self._who]
        check_kept_alive(kind, truth, scenario.stores[self._who], listed, repairs=repairs or kind == "repair")
        if "recently-rotated" not in mind.reasons:
            check_remembered(kind, truth, scenario.stores[self._who])
        return mind

    def told(self) -> str:
        """Tell the steps."""
        return "then one run alone:" + "".join(f"\n     {step}" for step in self._steps)

    def _waiting(self, truth: Truth, mind: Mind) -> tuple[Truth, Mind]:
        truth = rotation_ends(truth) if truth.rotating else truth
        check_rotations(truth)
        truth, mind = old(truth), self._runs.a_quarter_later(mind)
        for target in self._runs.wants_to_look(mind):
            if not mind.end and not mind.acting:
                mind = self._looking(truth, mind, target)
        return truth, mind

    def _looking(self, truth: Truth, mind: Mind, target: int) -> Mind:
        store = truth.stores[self._moves.scenario.stores[self._who]]
        found = look(truth, target) if target < self._moves.regions else store
        self._steps.append(f"looks at {target}: {told(found)}")
        return self._runs.looked(mind, target, found)

    def _acting(self, truth: Truth, mind: Mind) -> tuple[Truth, Mind]:
        call = mind.acting[0]
        truth, then = self._moves.carried_out(truth, call, self._who)
        self._steps.append(f"{call.step}s {name_of(call.action)} ({came(then)})")
        if truth.rotating and came(then) == NOT_NOW.message:  # it is not tried again at once: time passes
            truth = rotation_ends(truth)
            check_rotations(truth)
        return truth, self._moves.heard(self._who, mind, call, then)
