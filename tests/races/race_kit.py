"""Two at once: one of them is held at a call while the other one acts, so that every order is tried, not met."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock

from orchestrator.simulator import Call, Simulator
from sizes import EVERYTHING
from verdict import Count, tell

CALLS = range(1, 301)
"""More calls than any run makes: a race at a call that is not reached ends its series."""


@dataclass
class Between:
    """What came of somebody who acts while a call is held: whether the call was reached, and what broke."""

    came: bool = False
    broke: list[str] = field(default_factory=list)


def at_call(
    simulator: Simulator, number: int, moment: str, act: Callable[[], object], operation: str | None = None
) -> Between:
    """Have something done while the so-manieth call (of one operation) is held, before its effect or after it."""
    lock, seen, between = Lock(), 0, Between()

    def hook(call: Call, when: str) -> None:
        nonlocal seen
        counts = when == moment and operation in {None, call.operation}
        with lock:
            seen += counts
            mine = counts and seen == number
        if mine:
            simulator.hooks.remove(hook)
            between.came = True
            try:
                act()
            except Exception as error:  # noqa: BLE001 - raised here it would be an answer to the run that is held
                between.broke.append(f"who came between broke off: {error!r}")

    simulator.hooks.append(hook)
    return between


Race = Callable[[int], tuple[bool | None, list[str]]]
"""Says whether the call was reached (None: it was, but nobody did anything there), and what is wrong."""


def all_raced(record_property: Count, numbers: Iterable[int], race: Race) -> None:
    """Race at each call until a run ends before it; count the races that took place, and tell what is wrong."""
    wrong, raced, ended = [], 0, False
    for number in numbers:
        came, found = race(number)
        wrong += found
        raced, ended = raced + bool(came), came is False
        if ended:
            break
    record_property("races_run", raced)
    assert not wrong, tell(wrong)
    assert raced
    assert ended or not EVERYTHING, "a run makes more calls than are raced at"
