"""What travels is small, whatever happens: at 33 Regions x 26 key materials no payload is over 32 KiB."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.model import (
    Block,
    EntryName,
    Failed,
    Goal,
    KeyArn,
    MaterialId,
    Memory,
    Policy,
    Proof,
    Reason,
    Region,
    Run,
    Streak,
    Turn,
    View,
)
from orchestrator.progress import Job
from workflows.step_functions.look import brief_report, final_report
from workflows.step_functions.travel import State, memory_json

LIMIT = 32 * 1024
NOW = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
REGIONS = tuple(Region(f"ap-southeast-{number}") for number in range(1, 34))
MATERIALS = tuple(MaterialId(f"{number:02d}" * 32) for number in range(26))
KEY = KeyArn("aws", REGIONS[0], "111122223333", "mrk-" + 32 * "a")
POLICY = Policy(regions=frozenset(REGIONS), proof=Proof.FULL)
GOAL = Goal(KEY, EntryName(KEY.identity, MATERIALS[0]), REGIONS[0], frozenset(REGIONS), NOW, NOW, POLICY)
ASKED = {"key": {"name": "payments", "arn": str(KEY), "regions": list(REGIONS)}, "workflow": "run"}
SENTENCE = "ImportKeyMaterial on arn:aws:kms:... failed: AccessDeniedException: " + "not authorized " * 20


def failures(*materials: MaterialId) -> dict[str, Failed]:
    """Every import into every Region failed."""
    return {
        f"import:{region}:EXISTING_KEY_MATERIAL:{material}": Failed(9, SENTENCE, SENTENCE, NOW, final=True, person=True)
        for region in REGIONS
        for material in materials
    }


MEMORIES = {
    "waiting for every slot": Memory(waiting={f"replicas_imported:{r}:slot-not-listed": NOW for r in REGIONS}),
    "settling": Memory({r: Streak(2, NOW) for r in REGIONS}, Streak(9, NOW), rotation_sent=NOW),
    "proving, and no probe could be tried": Memory(proofs=dict.fromkeys(REGIONS, MATERIALS[1]), unopened=MATERIALS),
    "every import of every material failed": Memory(
        failed=failures(*MATERIALS), proofs=dict.fromkeys(REGIONS, MATERIALS[1]), unopened=MATERIALS
    ),
}


def size(document: Any) -> int:
    return len(json.dumps(document).encode())


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
def test_no_state_is_over_32_kib(memory: Memory) -> None:
    """Not even where every Region acts next, and then notes that it failed."""
    turn = {"stage": "replicas_imported", "status": "acting", "act": list(REGIONS), "wait": 300, "message": "m" * 1000}
    written = State(ASKED, "required", str(GOAL.entry), NOW, GOAL, memory, turn=turn).write()
    one = {name: failed for name, failed in failures(MATERIALS[0]).items() if name.split(":")[1] == REGIONS[0]}
    note = {"mended": [], "memory": memory_json(Memory(failed=one), among=len(REGIONS))}

    assert size(written) < LIMIT
    assert size({**written, "acted": [note] * len(REGIONS)}) < LIMIT


def test_no_report_is_over_32_kib() -> None:
    """The cause of a failed execution holds as much."""
    blocks = tuple(Block(Reason.MATERIAL_MISSING, SENTENCE, SENTENCE, region) for region in REGIONS for _ in MATERIALS)
    job = Job("payments", KEY, POLICY, (), lambda _: [])
    memory = Memory(unopened=tuple(f"{material} has no probe" for material in MATERIALS))
    report = final_report(job, Turn("kept_alive", "blocked", blocks=blocks), Run(GOAL, memory), View(KEY, NOW))
    turn = {"stage": "kept_alive", "status": "blocked", "act": [], "wait": 0, "report": brief_report(report)}

    assert size(State(ASKED, goal=GOAL, memory=memory, turn=turn).write()) < LIMIT
    assert brief_report(report)["blocks"][0]["message"].endswith("…")


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
def test_what_travels_comes_back(memory: Memory) -> None:
    """All but the ends of long sentences, and all but one failure for each Region."""
    again = State.read(json.loads(json.dumps(State(ASKED, begun=NOW, goal=GOAL, memory=memory).write())))

    assert again.goal == GOAL
    assert again.begun == NOW
    assert replace(again.memory, failed={}) == replace(memory, failed={})
    assert {name.split(":")[1] for name in again.memory.failed} == {name.split(":")[1] for name in memory.failed}
