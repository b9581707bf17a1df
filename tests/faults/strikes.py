"""Counting faults: one that never struck was not tried, and where every run comes to it, that fails the test."""

from dataclasses import dataclass, field
from math import ceil

from orchestrator.simulator import Simulator
from verdict import Count, tell

Met = tuple[bool, list[str]]
"""Whether a fault struck, and all that was not as it should be."""


def struck(simulator: Simulator) -> bool:
    """Whether a fault in force has struck a call: to be asked before they are cleared."""
    rules = simulator.faults._rules.values()
    return any(rule.fault.strikes(number) for rule in rules for number in range(1, rule.seen + 1))


def surely(number: int, calls: int) -> bool:
    """Whether every run comes to the so-manieth call of a kind: how often it looks varies, which shows at its end."""
    return number <= ceil(0.75 * calls)


@dataclass
class Strikes:
    """The faults of one test: how many struck, which should have and did not, and what was not as it should be."""

    struck: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def note(self, case: str, met: Met, *, sure: bool = True) -> None:
        """Take in what came of one fault; `sure` if every run comes to where it strikes."""
        hit, wrong = met
        self.struck += hit
        self.missed += [case] if sure and not hit else []
        self.wrong += [f"{case}: {one}" for one in dict.fromkeys(wrong)]

    def conclude(self, record_property: Count) -> None:
        """Count those that struck; fail for what is wrong, and for what was not tried."""
        record_property("faults_tried", self.struck)
        assert not self.wrong, tell(self.wrong)
        assert not self.missed, f"these faults never struck:\n{tell(self.missed)}"
        assert self.struck, "no fault struck at all"
