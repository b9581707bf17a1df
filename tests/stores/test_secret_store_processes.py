"""The secretsmanager: store under several processes, over HTTP."""

import base64
import json

import pytest
from store_kit import FIRST, KEY, SecretStand, WrappingKey

from sizes import EVERYTHING

PROCESSES = 8
NAMES = 200 if EVERYTHING else 40


@pytest.mark.timeout(600)
def test_of_8_processes_that_deposit_the_same_names_at_once_one_wins_each_and_all_get_its_bytes(
    secrets: SecretStand, wrapping_key: WrappingKey
) -> None:
    """I7, P1: put-if-absent between processes; told by unwrapping what each process wrapped."""
    secrets.init()
    secrets.server.faults()
    public_key = base64.b64encode(wrapping_key.public).decode()
    workers = [secrets.worker(names=NAMES, public_key=public_key) for _ in range(PROCESSES)]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    materials = [
        {name: wrapping_key.unwrap(base64.b64decode(blob)) for name, blob in answer["wrapped"].items()}
        for answer in answers
    ]
    assert secrets.server.calls().count("CreateSecret 200") == NAMES
    assert "CreateSecret 400" in secrets.server.calls(), "no two processes met"
    assert len(materials[0]) == NAMES
    assert len(set(materials[0].values())) == NAMES
    assert all(material == materials[0] for material in materials)


def test_processes_that_note_switches_at_once_lose_none_of_them(secrets: SecretStand) -> None:
    """P10: whoever loses a turn to another takes the next one."""
    store, regions = secrets.init(), ["eu-west-1", "eu-west-2"]
    workers = [secrets.worker(names=0, switches=5, region=region) for region in regions]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert [answer["error"] for answer in answers if "error" in answer] == []
    assert store.switched_off(KEY).keys() == set(regions)


def test_processes_that_discard_and_reinstate_at_once_end_alike(secrets: SecretStand) -> None:
    """P9: each process ends on a reinstatement, so that is how it ends."""
    store = secrets.init()
    # Here, as nothing is deposited while the attempt is discarded: a slow process would meet the other's discard.
    store.deposit(FIRST)
    workers = [secrets.worker(names=0, turns=5) for _ in range(2)]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert [answer["error"] for answer in answers if "error" in answer] == []
    (entry,) = store.entries()
    assert entry.receipt
    assert entry.discarded_at is None
