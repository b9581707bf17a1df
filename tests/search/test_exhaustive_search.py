"""Everything that runs can do to one key, in every order, with crashes, lost requests and replies, and late looks.

Two or three run at once: rotations, aborts, repairs, renewals, and what cron calls.

What is searched are the shipping stages, `decide`, `memory` and `goals`; the world they act upon is written from what
was recorded of KMS and shares nothing with them. In no state may there be a second rotation (I4), a rotation while a
Region lacks key material (I3), NEW with other bytes or without a deposited entry (I1, I6, I7), NEW while a rotation
runs (P6), an import into a Disabled key, a success that is not true (I8), or a false alarm; and from every state a
fresh run comes to its end (I6). `bench/search.py`, or MRK_SEARCH=deep, lets more go wrong at once.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from search_explorer import Explorer
from search_moves import Scenario
from search_scenarios import (
    DEEP,
    NO_FAULT,
    QUICK,
    SLOW_LOOK,
    begun,
    expired,
    lacking,
    plain,
    refused,
)
from search_world import Truth, WrongError, a_key

from orchestrator.model import Stage
from orchestrator.settling import proven
from orchestrator.stages import deposited, ready, replicas_imported
from workflows.rotate import ROTATE

WANTED = {"quick": QUICK, "deep": DEEP}[os.environ.get("MRK_SEARCH", "quick")]


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """A search takes three times as long while coverage is measured."""
    tracing = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracing)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("scenario", "at_least"), WANTED.items(), ids=lambda value: getattr(value, "name", None))
def test_nothing_bad_can_happen_and_every_state_leads_to_an_end(scenario: Scenario, at_least: int) -> None:
    found = Explorer(scenario).search()
    sys.stdout.write(f"{found}\n")
    assert found.states >= at_least, f"the search has shrunk: {found}"
    assert found.alone > 0
    assert found.ends


def test_a_slow_look_at_the_primary_raises_no_false_alarm() -> None:
    Explorer(SLOW_LOOK).search()


def without(stage: Stage) -> tuple[Stage, ...]:
    return tuple(other for other in ROTATE if other is not stage)


OLD = a_key(1, past="z")


@pytest.mark.parametrize(
    ("stage", "truth", "wrong"),
    [
        (ready, lacking(begun(OLD), 1, "z"), "had to be refused"),
        (ready, expired(begun(OLD), 1, "z"), "had to be refused"),
        (deposited, a_key(1), "ends 'failed"),
        (replicas_imported, a_key(1), "ends 'failed"),
    ],
)
def test_the_search_finds_what_a_missing_stage_lets_happen(stage: Stage, truth: Truth, wrong: str) -> None:
    """Were the search blind, it would find nothing here either."""
    scenario = replace(refused("broken", truth, "material-missing", NO_FAULT), stages=without(stage))
    with pytest.raises(WrongError, match=wrong):
        Explorer(scenario).search()


def test_a_counter_example_is_told_as_a_story() -> None:
    with pytest.raises(WrongError) as caught:
        Explorer(replace(plain(1, NO_FAULT), stages=without(proven))).search()
    claim, *story = str(caught.value).splitlines()
    assert claim.startswith("success was claimed, but CURRENT is not linked and proven in the store (I8)")
    assert story[:2] == ["  0. the start", "  1. run A looks at the primary: Enabled; a CURRENT"]
    assert any("run A sends deposit at the store (done)" in step for step in story)
