"""A way out that is printed is a test: what is advised is done word by word, and what stood in the way is gone (I9)."""

from collections.abc import Callable

import pytest

from orchestrator.model import Reason
from sizes import some
from ways import expiries, files, pending, regions, rotations, settings, stores
from ways.sites import functions, refusals, sites
from ways.stand import REPLICA, Stand
from ways.way import Way, go, gone, meet, printed

ROWS: dict[str, Way] = {
    **regions.LISTED,
    **regions.STATES,
    **expiries.EXPIRIES,
    **pending.PENDING,
    **rotations.ATTEMPTS,
    **rotations.TIMES,
    **stores.ENTRIES,
    **stores.MARKS,
    **files.ADOPTED,
    **files.CLOCKS,
    **stores.REFUSED,
    **settings.KEYS,
    **settings.TRUST,
}
CASES = some([(row, name) for row, way in ROWS.items() for name in way.ways], 40)

Count = Callable[[str, int], None]

MACHINE = "in a state machine alone: tests/step_functions"
WAITS = "a Region that lags: it tells so for a moment, and time mends it"
NEVER = "the settings refuse what would lead there"
ELSEWHERE: dict[str, str] = {
    "orchestrator.checks.one_current": "goals._never_imported tells of the primary first; of a replica: " + WAITS,
    "orchestrator.checks.expiry_long_enough": NEVER,
    "orchestrator.checks.pending_everywhere": "an entry that breaks within the last seconds; `_kept` tells it before",
    "orchestrator.goals._not_finished": "verify tells it in its own words: workflows.verify.judged",
    "orchestrator.report.telling._would": "a copy of another block, for a plan",
    "orchestrator.settling._unsound": WAITS,
    "workflows.step_functions.look._in_time": MACHINE,
    "workflows.step_functions.look._judged": MACHINE,
    "workflows.step_functions.look._making_nothing": MACHINE,
    "workflows.repair.whatever_is_broken": "a Region that the key has not is named: tests/e2e/test_enable.py",
    "workflows.cli.asking._pinned": "another key material than was shown is CURRENT: tests/e2e/test_asking.py",
    "orchestrator.goals.damaged": "beside every row of stores.HARMLESS, below",
    "workflows.step_functions.unanswered.blocks": MACHINE,
}
"""Every other place that blocks, and why it has no row."""

NO_BLOCK: dict[Reason, str] = {
    Reason.LOOKING: "only waited for",
    Reason.SETTLING: "only waited for; patience over it is orchestrator.decide._lost_patience",
    Reason.SLOT: "likewise",
    Reason.SETTINGS: "told of settings in a state machine: tests/step_functions",
    Reason.NOT_APPROVED: MACHINE,
}

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("row", "name"), CASES, ids=[f"{row}: {name}" for row, name in CASES])
def test_what_is_advised_is_done_and_the_block_is_gone(
    stand: Stand, record_property: Count, row: str, name: str
) -> None:
    way = ROWS[row]
    way.state(stand)

    told = meet(stand, way)
    go(stand, way, way.ways[name], told.advice)

    gone(stand, way, name)
    deeds = [deed for deeds in way.ways.values() for deed in deeds if isinstance(deed, str)]
    assert not [one for one in printed(told.advice) if not one.startswith(tuple(deeds))], told.advice
    record_property("ways_taken", 1)


@pytest.mark.parametrize("kind", stores.HARMLESS)
def test_a_damaged_mark_keeps_nobody_from_bringing_key_material_back(stand: Stand, kind: str) -> None:
    """I11: its damage is told by the store's own check, and holds up nothing that does not need it."""
    stores.HARMLESS[kind](stand)

    stand.well("repair", "payments")

    assert stand.true(REPLICA).key_state == "Enabled"
    assert not stand.harm(success=False, rotations=0, switched_off=frozenset())
    for words in (("store", "check"), ("verify", "payments")):
        told = stand.mrk(*words)
        assert told.code == 4, told.text
    stores.put_back(stand)
    stand.well("store", "check")
    stand.well("verify", "payments")


def test_every_block_in_the_code_has_a_row() -> None:
    """A new Block without a row, or without a reason to have none, fails here; and so does a row of what is gone."""
    known = {way.site for way in ROWS.values()} | set(ELSEWHERE)
    assert set(sites()) - known == set()
    assert set(ELSEWHERE) <= set(sites())
    assert {way.site for way in ROWS.values()} <= functions()
    assert not set(ELSEWHERE) & {way.site for way in ROWS.values()}


def test_every_reason_has_a_row() -> None:
    met = {way.reason for way in ROWS.values()}
    assert set(Reason) - met - set(NO_BLOCK) == set()
    assert not met & set(NO_BLOCK)


ANOTHER = "tests/e2e/test_bad_input.py: another setting, written by hand"
REFUSED_ELSEWHERE: dict[str, str] = {
    "orchestrator.settings.of": ANOTHER,
    "orchestrator.stores.stamp.read_stamp": ANOTHER,
    "orchestrator.stores.store._check_for": ANOTHER,
    "orchestrator.stores.store._is_free": "a race with an abort: tests/races/test_aborts.py",
    "workflows.step_functions.asked_settings._written": MACHINE,
}


def test_every_refusal_that_prints_a_command_has_a_row() -> None:
    known = {way.site for way in ROWS.values()} | set(REFUSED_ELSEWHERE)
    # tests/stores/test_secret_store*.py carry out what a store in Secrets Manager advises.
    found = {site for site in refusals() if ".secretsmanager." not in site}
    assert found - known == set()
    assert set(REFUSED_ELSEWHERE) <= found
