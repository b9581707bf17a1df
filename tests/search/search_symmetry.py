"""States that differ only by an exchange: of runs of one kind that have one store, or of the two replicas."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from search_calls import REGIONS, Call
from search_moves import Known, Moves, State
from search_run import Mind
from search_world import Truth, swapped

Turned = tuple[bool, tuple[int, ...]]
"""What was exchanged: whether the two replicas were, and for each run the place at which it was."""

_SIDES = {1: 2, 2: 1}
_OTHER = {REGIONS[1]: REGIONS[2], REGIONS[2]: REGIONS[1]}


class Symmetry:
    """Chooses one state of all that are alike."""

    def __init__(self, moves: Moves) -> None:
        scenario = moves.scenario
        like = list(zip(scenario.kinds, scenario.stores, strict=False))
        self.like = tuple(like.index(one) for one in like)  # a run is exchanged only with one that is like it
        self._places = tuple(range(len(like)))
        assert list(self.like) == sorted(self.like), "runs that are alike stand beside each other"
        alike = not (scenario.hands or any(scenario.truth.disabled) or scenario.truth.silent or scenario.more)
        self._two_replicas = moves.regions > 2 and alike  # a hand, and what is noted of one, may tell them apart
        self._truth = _Mirror(moves.truths, _mirrored_truth)
        self._before = _Mirror(moves.befores, lambda shown: swapped(shown, 1, 2) if shown else ())
        self._mind = _Mirror(moves.minds, mirrored_mind)

    def canonical(self, state: State) -> tuple[Turned, State]:
        """Tell what was exchanged, and the state that stands for all that are alike."""
        order, best = self._in_order(state)
        if not self._two_replicas:
            return (False, order), best
        truth, before, budget, *minds = state
        mirror = self._mind
        mirrored = (self._truth[truth], self._before[before], budget, *[mirror[mind] for mind in minds])
        other, image = self._in_order(mirrored)
        return ((True, other), image) if image < best else ((False, order), best)

    def _in_order(self, state: State) -> tuple[tuple[int, ...], State]:
        like = self.like
        ranked = [(like[place], state[3 + place], place) for place in self._places]
        if len(ranked) == 2 and (like[0] != like[1] or state[3] <= state[4]):
            return self._places, state
        ranked.sort()
        return tuple([place for _, _, place in ranked]), (*state[:3], *[mind for _, mind, _ in ranked])


class _Mirror(dict[int, int]):
    """The number of each value's mirror image."""

    def __init__(self, known: Known, mirrored: Callable[[Any], Any]) -> None:
        super().__init__()
        self._known, self._mirrored = known, mirrored

    def __missing__(self, number: int) -> int:
        image = self[number] = self._known.number(self._mirrored(self._known.values[number]))
        self[image] = number
        return image


def _mirrored_truth(truth: Truth) -> Truth:
    sides = ("held", "expired", "disabled", *(("ending",) if truth.ending else ()))
    return truth._replace(**{name: swapped(getattr(truth, name), 1, 2) for name in sides})


def mirrored_mind(mind: Mind) -> Mind:
    """Exchange the two replicas in all that a run knows."""
    order = {region: number for number, region in enumerate(REGIONS)}
    calls = [_mirrored_call(call) for call in mind.acting]
    notes = mind.notes
    return mind._replace(
        seen=swapped(mind.seen, 1, 2),
        recent=swapped(mind.recent, 1, 2),
        dirty=frozenset(_SIDES.get(target, target) for target in mind.dirty),
        looking=frozenset(_SIDES.get(target, target) for target in mind.looking),
        acting=tuple(sorted(calls, key=lambda call: order.get(call.action.target, len(order)))),
        notes=notes._replace(
            settled=tuple(sorted((_OTHER.get(region, region), count) for region, count in notes.settled)),
            proofs=tuple(sorted((_OTHER.get(region, region), material) for region, material in notes.proofs)),
            restored=tuple(sorted(_OTHER.get(region, region) for region in notes.restored)),
            filled=tuple(sorted(_OTHER.get(region, region) for region in notes.filled)),
            doubted=tuple(sorted((_OTHER.get(region, region), material) for region, material in notes.doubted)),
            failed=tuple(sorted((_mirrored_name(name), final, refusals) for name, final, refusals in notes.failed)),
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
