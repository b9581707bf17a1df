"""How a run ends, in sentences that claim what was done and nothing else."""

import pytest
from core_building import EU, KEY, NOW, REGIONS, US, A, B, a_goal, a_run

from orchestrator.goals import Pinned
from orchestrator.model import (
    DepositMaterial,
    Failed,
    Idle,
    Policy,
    Proof,
    RotateOnDemand,
    Run,
    Turn,
    View,
    name_of,
)
from orchestrator.progress import LOOKED, Job, Progress, in_good_order, interrupted, overdue
from workflows.jobs import up_to
from workflows.repair import REPAIR
from workflows.rotate import ROTATE

PROVED = dict.fromkeys(REGIONS, B)


def nothing(_view: View) -> Pinned:
    """Pin nothing."""
    return Idle("nothing")


def a_job(proof: Proof = Proof.FULL, until: str | None = None, done: str = "") -> Job:
    """A rotation, perhaps up to one stage only."""
    return Job("payments", KEY, Policy(proof=proof), up_to(ROTATE, until), nothing, done)


GOES_ON = "the next `mrk run`, or `mrk rotate`, goes on with it, and rotates; `mrk abort` gives it up"

GOOD: list[tuple[str, Job, Run | None, str]] = [
    ("a job that only looks", Job("payments", KEY, Policy(), (), nothing), None, LOOKED),
    ("a job with an ending of its own", a_job(done="adopted"), a_run(proofs=PROVED), "adopted"),
    (
        "up to a stage, whatever was tried in it",
        a_job(until="deposited"),
        a_run(proofs=PROVED),
        f"stopped after stage deposited, as asked: {GOES_ON}",
    ),
    (
        "up to the last stage but one: settled, not proven",
        a_job(until="settled"),
        a_run(),
        "stopped after stage settled, as asked",
    ),
    (
        "up to the last stage is the whole workflow",
        a_job(until="proven"),
        a_run(proofs=PROVED),
        "settled in every Region, and proven: each opens what every generation encrypted",
    ),
    (
        "this run proved nothing, for another had",
        a_job(),
        a_run(),
        "settled in every Region; CURRENT was proven before",
    ),
    ("no run at all", a_job(), None, "settled in every Region; CURRENT was proven before"),
    (
        "ids only",
        a_job(Proof.IDS_ONLY),
        a_run(proofs=PROVED),
        "settled in every Region; each encrypts under CURRENT (proof: ids-only opens nothing)",
    ),
    (
        "full proof",
        a_job(),
        a_run(proofs=PROVED),
        "settled in every Region, and proven: each opens what every generation encrypted",
    ),
    (
        "full proof, and a generation without a probe",
        a_job(),
        a_run(proofs=PROVED, unopened=(A,)),
        "settled in every Region; proven for every generation but aaaaaaaa (no ciphertext of it is kept to open)",
    ),
    (
        "no proof is wanted",
        a_job(Proof.OFF),
        a_run(),
        "settled in every Region (proof: off, so that nothing was tried)",
    ),
    (
        "repair ends as a rotation does",
        Job("payments", KEY, Policy(), REPAIR, nothing),
        a_run(),
        "settled in every Region; CURRENT was proven before",
    ),
]


@pytest.mark.parametrize(("claim", "job", "run", "said"), GOOD, ids=[row[0] for row in GOOD])
def test_a_good_end_claims_no_proof_that_was_not_made(claim: str, job: Job, run: Run | None, said: str) -> None:
    """P14, I9: what was not tried is never called passed."""
    assert in_good_order(job, run) == said, claim


def test_an_interrupted_run_says_whether_kms_goes_on_without_it() -> None:
    """I9, P6: an accepted rotation cannot be interrupted, and is not called "nothing"."""
    turn = Turn("rotated", "going")

    assert interrupted(None, None) == "stopped in stage located; nothing is in flight; run again to resume"
    assert interrupted(turn, a_run()) == "stopped in stage rotated; nothing is in flight; run again to resume"
    assert interrupted(turn, a_run(rotation_sent=NOW)) == (
        "stopped in stage rotated; the rotation was accepted, and KMS goes on with it; run again to finish"
    )
    in_doubt = Failed(1, "the connection was closed", "", NOW, final=False)
    assert interrupted(turn, a_run(failed={name_of(RotateOnDemand(KEY, B)): in_doubt})) == (
        "stopped in stage rotated; the rotation was sent, and may have been accepted; run again to finish"
    )


def test_an_overdue_run_names_the_calls_that_did_not_come_back() -> None:
    """I9: each target once, or the import parameters where nothing else is in flight."""
    progress = Progress(a_job(), NOW)
    assert "calls to import parameters did not" in overdue(progress)

    progress.looking |= {EU, US}
    progress.acting[US] = DepositMaterial(a_goal().entry)
    assert "calls to eu-west-1, us-east-1 did not" in overdue(progress)
