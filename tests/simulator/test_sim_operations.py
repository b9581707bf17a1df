"""No operation is forgotten where each of them must have a place."""

import pytest

from orchestrator.simulator import ServiceError, Simulator
from orchestrator.simulator.operations import OPERATIONS
from orchestrator.simulator.quotas import RATES
from orchestrator.simulator.rules import CRYPTOGRAPHIC, READS, REFUSED
from orchestrator.simulator.wire import operation_names

IN_EVERY_STATE = {
    *("DescribeKey", "GetKeyLastUsage", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases", "ListGrants"),
    *("ListKeyPolicies", "ListKeyRotations", "ListResourceTags", "PutKeyPolicy", "RetireGrant", "RevokeGrant"),
}
OF_NO_ONE_KEY = {"CreateKey", "DeleteAlias", "GenerateRandom", "ListKeys", "ListRetirableGrants"}


def test_every_operation_has_a_rate() -> None:
    """What is in no bucket of its own is counted as cryptography."""
    assert set(RATES) == set(OPERATIONS) - CRYPTOGRAPHIC - {"GenerateRandom"}


def test_every_operation_is_judged_by_the_key_s_state_or_is_legal_in_every_one() -> None:
    judged = set(REFUSED) | CRYPTOGRAPHIC
    assert not judged & (IN_EVERY_STATE | OF_NO_ONE_KEY)
    assert judged | IN_EVERY_STATE | OF_NO_ONE_KEY == set(OPERATIONS)


def test_every_read_may_be_late() -> None:
    reads = {name for name in OPERATIONS if name.startswith(("Describe", "Get", "List"))}
    # Parameters for an import are made, not read.
    assert reads - {"GetParametersForImport"} == READS


@pytest.mark.parametrize("named", [set(OPERATIONS), set(RATES), set(REFUSED), READS, CRYPTOGRAPHIC])
def test_only_operations_of_kms_are_named(named: set[str]) -> None:
    assert named <= operation_names()


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_every_operation_can_be_made_to_fail_and_is_in_the_record(operation: str) -> None:
    sim = Simulator(lag="instant")
    sim.faults.add(operation=operation, error="KMSInternalException")
    with pytest.raises(ServiceError, match="KMSInternalException"):
        sim.call(operation, "us-east-1", "111122223333", {})
    assert [(call.operation, call.result) for call in sim.calls] == [(operation, "KMSInternalException")]
