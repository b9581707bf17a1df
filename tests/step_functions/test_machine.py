"""The machine, executed by an interpreter that is not ours, with the function in real Lambda runtimes."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from sfn_cloud import FIVE, TWO, Cloud
from sfn_engine import Execution

from leaks import found_in
from orchestrator.model import KeyArn
from orchestrator.simulator import Call
from workflows.jobs import WORKFLOWS
from workflows.step_functions.machine import machine
from workflows.step_functions.retriers import most_retries

pytestmark = pytest.mark.timeout(240)  # whole executions, on a machine that may have much else to do
LIMIT = 32 * 1024
MRK = str(Path(sys.executable).parent / "mrk")


def rotations(cloud: Cloud, arn: KeyArn) -> set[int]:
    return {cloud.true(arn, region).rotations for region in cloud.true(arn).regions}


def rotated_once(cloud: Cloud, arn: KeyArn) -> None:
    """One new material, one rotation, every Region whole, the entry linked and proven."""
    ending = cloud.ending(arn)
    whole = ("Enabled", 1, [(0, "NON_CURRENT", True), (1, "CURRENT", True)])
    assert ending["regions"] == dict.fromkeys(cloud.true(arn).regions, whole)
    assert ending["store"] == [(-1, 1, 0, True, True), (0, 1, 1, True, True)]


def by_hand(cloud: Cloud, arn: KeyArn) -> None:
    """Rotate a key as a person does, with the same settings and the same store."""
    key = {"arn": str(arn), "regions": sorted(cloud.true(arn).regions)}
    config = cloud.directory / "config.yaml"
    config.write_text(yaml.safe_dump({"keys": {"payments": key}}))
    command = [MRK, "rotate", "payments", "--yes", "--quiet"]
    subprocess.run(command, cwd=cloud.directory, env=cloud.environment, check=True, capture_output=True, timeout=100)


def secrets_of(cloud: Cloud, arn: KeyArn) -> list[bytes]:
    """Every key material of a key, as KMS holds it."""
    found = [cloud.simulator.material(arn.region, str(arn), row.material_id) for row in cloud.true(arn).rows]
    return [one for one in found if one is not None]


def test_a_rotation_over_five_regions_ends_as_by_hand(cloud: Cloud) -> None:
    """One new material, one rotation, proven everywhere; what was recorded is small, and holds nothing secret."""
    arn, identical = cloud.make_key(FIVE), cloud.make_key(FIVE)

    execution = cloud.start(arn, name="clean")
    ended = execution.ended()
    by_hand(cloud, identical)

    assert ended["status"] == "SUCCEEDED", ended
    rotated_once(cloud, arn)
    assert cloud.ending(arn) == cloud.ending(identical)
    assert json.loads(ended["output"])["message"].startswith("settled in every Region, and proven")
    assert_small_and_without_secrets(cloud, arn, execution)
    assert_told(cloud, execution)
    assert_counted(execution)


def assert_counted(execution: Execution, dead: int = 0) -> None:
    """What the state counts is what the engine recorded, but for the end; a dead act counts as retried to the last."""
    recorded = execution.history()
    seen = [json.loads(text) for text in execution.payloads()]
    counted = max(one["events"] for one in seen if isinstance(one, dict) and "events" in one)
    assert counted - 3 * most_retries() * dead <= len(recorded) <= counted + 3


def assert_small_and_without_secrets(cloud: Cloud, arn: KeyArn, execution: Execution) -> None:
    recorded = execution.payloads()
    secrets = secrets_of(cloud, arn)
    assert len(secrets) == 2
    assert len(recorded) > 50
    assert max(len(text.encode()) for text in recorded) < LIMIT
    told = "".join(recorded) + cloud.logs()
    for secret in secrets:
        assert not found_in(told, [secret])
    for word in ("ImportToken", "EncryptedKeyMaterial", "PublicKey"):
        assert word not in told


def assert_told(cloud: Cloud, execution: Execution) -> None:
    """Every line of the log names the execution; the last one is CloudWatch's."""
    lines = logged(cloud)
    ours = [line for line in lines if line.get("execution") == execution.arn]
    assert {"call", "turn", "acted", "run.ended"} <= {line["event"] for line in ours}
    metrics = [line for line in lines if line.get("Status") == "finished"][-1]
    names = [one["Name"] for one in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert names == ["Healthy", "Restored", "RotationsLeft", "SecondsUntilDue"]
    assert [metrics[name] for name in ("Key", "Healthy", "Restored", "RotationsLeft")] == ["payments", 1.0, 0.0, 24.0]


def test_a_replica_that_fails_twice_is_imported_into_at_last(cloud: Cloud) -> None:
    """What may pass is looked at again, after a while; nothing is rotated before."""
    arn = cloud.make_key()
    replica = TWO[1]
    cloud.simulator.faults.add(
        operation="ImportKeyMaterial", region=replica, times=2, error="KMSInvalidStateException", message="not yet"
    )

    execution = cloud.start(arn)
    ended = execution.ended()

    assert ended["status"] == "SUCCEEDED", ended
    rotated_once(cloud, arn)
    assert execution.states().count("ReplicasImported") == 3


def test_what_needs_a_person_ends_in_blocked_with_its_reason(cloud: Cloud) -> None:
    """I9: what, which key, which Region, why, and the way out."""
    arn = cloud.make_key()
    cloud.client(TWO[1]).disable_key(KeyId=arn.key_id)

    execution = cloud.start(arn)
    ended = execution.ended()

    assert (ended["status"], ended["error"]) == ("FAILED", "KeyBlocked")
    report = json.loads(ended["cause"])
    assert [(one["reason"], one["region"]) for one in report["blocks"]] == [("disabled", TWO[1])]
    assert "aws kms enable-key" in report["blocks"][0]["way_out"]
    assert execution.states()[-1] == "Blocked"
    assert rotations(cloud, arn) == {0}


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [("denied", "KeyFailed", "call-failed"), ("decryption", "KeyBlocked", "store-unreadable")],
)
def test_a_store_that_cannot_be_opened_ends_as_by_hand_with_a_report(
    cloud: Cloud, kind: str, error: str, reason: str
) -> None:
    """I9: blocked where the command line ends with 4, failed where with 3; the cause is no stack trace."""
    arn = cloud.make_key()
    cloud.secrets.faults({"operation": "GetSecretValue", "kind": kind})
    before = unwell(cloud)

    execution = cloud.start(arn)
    ended = execution.ended()

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    report = json.loads(ended["cause"])
    (block,) = report["blocks"]
    assert (report["name"], report["arn"], block["reason"]) == ("payments", str(arn), reason)
    assert block["way_out"]
    assert "us-east-1" in block["message"]
    assert unwell(cloud) == before + 1
    (line,) = [line for line in logged(cloud) if line.get("execution") == execution.arn and "status" in line]
    assert (line["event"], line["status"]) == ("run.ended", report["status"])


def logged(cloud: Cloud) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cloud.logs().splitlines() if line.startswith("{")]


def unwell(cloud: Cloud) -> int:
    """Count the metrics of keys that are not well."""
    return len([line for line in logged(cloud) if line.get("Healthy") == 0.0])


def test_a_function_that_cannot_look_at_all_ends_the_execution_without_a_stack_trace(cloud: Cloud) -> None:
    """I9: what the engine retried in vain ends with its name, and where to look."""
    arn = cloud.make_key()
    cloud.engine.invoke = lambda _event: {"errorType": "ImportError", "errorMessage": "x", "stackTrace": ["File ..."]}

    ended = cloud.start(arn).ended()

    assert (ended["status"], ended["error"]) == ("FAILED", "KeyFailed")
    assert "ImportError" in ended["cause"]
    assert "stackTrace" not in ended["cause"]


def test_a_deposit_that_lambda_never_answers_is_looked_at_and_done_at_last(cloud: Cloud) -> None:
    """An act whose every attempt failed is seen at the next look, and begun again after a while."""
    arn = cloud.make_key()
    left = [1]

    def invoke(event: bytes) -> Any:
        if b'"stage": "deposited"' in event and left:
            left.pop()
            return {"errorType": "MemoryError", "errorMessage": "x"}  # not one that is retried
        return cloud.invoke(event)

    cloud.engine.invoke = invoke
    execution = cloud.start(arn)

    assert execution.ended()["status"] == "SUCCEEDED"
    assert "Unanswered" in execution.states()
    rotated_once(cloud, arn)


def test_killed_in_every_kind_of_act_the_engine_begins_again(cloud: Cloud) -> None:
    """I6: the runtime dies when KMS has done its part; the same material, one rotation, the same end."""
    arn = cloud.make_key()
    moments = [("ImportKeyMaterial", TWO[0]), ("ImportKeyMaterial", TWO[1]), ("RotateKeyOnDemand", TWO[0])]
    killed: list[int] = []

    def kill(call: Call, when: str) -> None:
        if moments and when == "after" and (call.operation, call.region) == moments[0]:
            moments.pop(0)
            killed.append(cloud.runtimes.kill_busy())

    cloud.simulator.hooks.append(kill)
    execution = cloud.start(arn)
    ended = execution.ended()

    assert ended["status"] == "SUCCEEDED", ended
    assert killed == [1, 1, 1]
    rotated_once(cloud, arn)
    assert "RotationInDoubt" in execution.states()
    assert "Runtime.ExitError" in json.dumps(execution.history(), default=str)
    assert_counted(execution, dead=1)


def test_two_executions_at_once_on_one_key_rotate_once(cloud: Cloud) -> None:
    """I7: whoever comes second uses the first one's bytes; both end well."""
    arn = cloud.make_key()

    both = [cloud.start(arn), cloud.start(arn)]
    ended = [execution.ended() for execution in both]

    assert [one["status"] for one in ended] == ["SUCCEEDED", "SUCCEEDED"], ended
    rotated_once(cloud, arn)


def test_every_state_run_twice_and_redriven_after_the_end_changes_nothing_more(cloud: Cloud) -> None:
    """A state derives anew what is missing: a duplicate, or a redrive of any state, finds nothing to do."""
    arn = cloud.make_key()
    cloud.doubled = True

    ended = cloud.start(arn).ended()
    cloud.doubled = False
    before, sent = cloud.ending(arn), len(cloud.calls(arn, "RotateKeyOnDemand"))
    again = [cloud.ask(**event) for event in list(cloud.events)]

    assert ended["status"] == "SUCCEEDED", ended
    rotated_once(cloud, arn)
    assert cloud.ending(arn) == before
    assert (sent, len(cloud.calls(arn, "RotateKeyOnDemand"))) == (1, 1)
    assert not [answer for answer in again if "errorType" in answer]


def test_run_does_what_is_due_and_nothing_where_nothing_is(cloud: Cloud) -> None:
    """P5: idle is a success, with a clean view only."""
    arn = cloud.make_key()

    nothing = cloud.start(arn, workflow="run").ended()

    assert nothing["status"] == "SUCCEEDED", nothing
    assert json.loads(nothing["output"])["status"] == "idle"
    assert rotations(cloud, arn) == {0}


def test_repair_brings_back_what_a_region_lost(cloud: Cloud) -> None:
    """The same bytes again, from the store; nothing is rotated. The report and the metric tell it as a repair (I13)."""
    arn = cloud.make_key()
    replica = TWO[1]
    cloud.client(replica).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=str(cloud.true(arn).current))

    before = logged(cloud)

    ended = cloud.start(arn, workflow="repair", rendered="repair").ended()

    assert ended["status"] == "SUCCEEDED", ended
    assert "brought back key material that was missing" in json.loads(ended["output"])["message"]
    assert [line["Restored"] for line in logged(cloud) if "Restored" in line and line not in before] == [1.0]
    assert cloud.true(arn, replica).key_state == "Enabled"
    assert rotations(cloud, arn) == {0}


def test_a_rotation_waits_for_the_approval_of_another_person(cloud: Cloud) -> None:
    """Two-person control: the token goes to a topic, and whoever reads that answers."""
    arn = cloud.make_key()
    topic, queue = cloud.make_topic()

    execution = cloud.start(arn, approval={"Approval": "required", "ApprovalTopicArn": topic})
    asked = cloud.receive(queue)
    assert rotations(cloud, arn) == {0}
    assert "cannot be undone" in asked["question"]
    cloud.engine.client("stepfunctions").send_task_success(taskToken=asked["task_token"], output="{}")
    ended = execution.ended()

    assert ended["status"] == "SUCCEEDED", ended
    rotated_once(cloud, arn)
    assert asked["task_token"] not in cloud.logs()


@pytest.mark.parametrize("claimed", [{"approved": "all of them"}, {"turn": {"approved": True}}])
def test_an_input_that_claims_an_approval_is_refused(cloud: Cloud, claimed: dict[str, Any]) -> None:
    """What nobody reads would be taken for what was obeyed."""
    arn = cloud.make_key()

    ended = cloud.start(arn, **claimed).ended()

    assert (ended["status"], ended["error"]) == ("FAILED", "KeyFailed")
    assert json.loads(ended["cause"])["blocks"][0]["reason"] == "settings"
    assert rotations(cloud, arn) == {0}


def test_three_executions_make_one_rotation_whatever_they_say_is_to_be_replaced(cloud: Cloud) -> None:
    """P4: no input makes a rotation sooner; the same material may be named, or the one that is CURRENT by then."""
    arn = cloud.make_key()
    first = str(cloud.true(arn).current)
    assert cloud.start(arn, replaces=first).ended()["status"] == "SUCCEEDED"
    second = str(cloud.true(arn).current)

    again = cloud.start(arn, replaces=second).ended()
    once_more = cloud.start(arn).ended()

    for ended in (again, once_more):
        assert (ended["status"], ended["error"]) == ("FAILED", "KeyBlocked")
        assert json.loads(ended["cause"])["blocks"][0]["reason"] == "recently-rotated"
    rotated_once(cloud, arn)


@pytest.mark.parametrize("workflows", [["run"], ["repair"], ["renew", "run"]])
def test_a_stack_refuses_a_rotation_that_it_was_not_deployed_for(cloud: Cloud, workflows: list[str]) -> None:
    """An input may narrow, and widen nothing: by the machine, and by the function itself."""
    arn = cloud.make_key()

    with cloud.stack(workflows=workflows) as function:
        ended = cloud.start(arn, workflow="rotate").ended()
        whole = function.ask({"op": "run", "workflow": "rotate", "key": key_of(cloud, arn)})

    assert (ended["status"], ended["error"]) == ("FAILED", "KeyFailed")
    assert "not deployed for workflow rotate" in json.loads(ended["cause"])["message"]
    assert whole["errorType"] == "UsageError"
    assert rotations(cloud, arn) == {0}


def test_a_stack_that_wants_approval_rotates_nothing_that_nobody_approved(cloud: Cloud) -> None:
    """Neither by a machine that does not ask, nor by a whole run, nor by an act with a state made up."""
    arn = cloud.make_key()
    asked = {"key": key_of(cloud, arn), "workflow": "rotate"}

    with cloud.stack(approval="required") as function:
        ended = cloud.start(arn, workflow="rotate").ended()
        whole = function.ask({"op": "run", **asked})
        state = function.ask({"op": "look", "state": {"asked": asked, "approval": "required"}})
        act = function.ask({"op": "act", "stage": "rotated", "state": state})

    assert json.loads(ended["cause"])["blocks"][0]["reason"] == "settings"
    assert state["turn"]["status"] == "acting", state
    assert {whole["errorType"], act["errorType"]} == {"UsageError"}
    assert len(cloud.calls(arn, "RotateKeyOnDemand")) == 0


def with_short_patience(definition: dict[str, Any]) -> dict[str, Any]:
    """Wait for an approval for seconds; all else is as rendered."""
    definition["States"]["Approve"]["TimeoutSeconds"] = 8
    return definition


def test_two_executions_that_wait_for_approval_both_end_well_when_one_is_approved(cloud: Cloud) -> None:
    """P4: the one that nobody answers looks once more, and finishes what the other has made."""
    arn = cloud.make_key()
    topic, queue = cloud.make_topic()
    key = {"key": key_of(cloud, arn), "workflow": "rotate"}
    definition = with_short_patience(machine("run", WORKFLOWS["run"]))
    deployed = cloud.engine.deploy("short", definition, Approval="required", ApprovalTopicArn=topic)
    first = cloud.engine.start(deployed, key)
    asked = cloud.receive(queue)
    second = cloud.engine.start(deployed, key)

    cloud.engine.client("stepfunctions").send_task_success(taskToken=asked["task_token"], output="{}")
    ended = [first.ended(), second.ended()]

    assert [one["status"] for one in ended] == ["SUCCEEDED", "SUCCEEDED"], ended
    rotated_once(cloud, arn)
    assert len(cloud.calls(arn, "RotateKeyOnDemand")) == 1


def test_a_rotation_that_nobody_answers_for_is_blocked(cloud: Cloud) -> None:
    """The alarm rings for a key that was not rotated, and says why."""
    arn = cloud.make_key()
    topic, _queue = cloud.make_topic()
    definition = with_short_patience(machine("run", WORKFLOWS["run"]))
    deployed = cloud.engine.deploy("short", definition, Approval="required", ApprovalTopicArn=topic)

    execution = cloud.engine.start(deployed, {"key": key_of(cloud, arn), "workflow": "rotate"})
    ended = execution.ended()

    assert (ended["status"], ended["error"]) == ("FAILED", "KeyBlocked")
    assert json.loads(ended["cause"])["blocks"][0]["reason"] == "not-approved"
    assert "NotApproved" in execution.states()
    assert rotations(cloud, arn) == {0}


def test_a_rotation_that_is_not_approved_is_not_made(cloud: Cloud) -> None:
    """No is an answer: the material stays pending, and another execution may ask again."""
    arn = cloud.make_key()
    topic, queue = cloud.make_topic()
    execution = cloud.start(arn, approval={"Approval": "required", "ApprovalTopicArn": topic})

    token = cloud.receive(queue)["task_token"]
    cloud.engine.client("stepfunctions").send_task_failure(taskToken=token, error="NotApproved", cause="not today")
    ended = execution.ended()

    assert (ended["status"], ended["error"]) == ("FAILED", "NotApproved")
    assert rotations(cloud, arn) == {0}


def key_of(cloud: Cloud, arn: KeyArn) -> dict[str, Any]:
    return {"name": "payments", "arn": str(arn), "regions": sorted(cloud.true(arn).regions)}


def test_a_whole_key_as_one_task(cloud: Cloud) -> None:
    """{"op": "run"}: the report is the task's output, and what is not well is an error by its name."""
    arn = cloud.make_key()

    report = cloud.ask(op="run", workflow="rotate", key=key_of(cloud, arn))

    assert report["status"] == "finished", report
    rotated_once(cloud, arn)
    cloud.client(TWO[1]).disable_key(KeyId=arn.key_id)
    blocked = cloud.ask(op="run", key=key_of(cloud, arn))
    assert blocked["errorType"] == "KeyBlocked"
    assert json.loads(blocked["errorMessage"])["blocks"][0]["reason"] == "disabled"


def test_an_alias_is_resolved_first(cloud: Cloud) -> None:
    """A config may name a key by its alias."""
    arn = cloud.make_key()
    cloud.client().create_alias(AliasName="alias/payments", TargetKeyId=arn.key_id)
    alias = f"arn:aws:kms:{arn.region}:{arn.account}:alias/payments"

    report = cloud.ask(op="run", key={"name": "payments", "arn": alias})

    assert (report["status"], report["arn"]) == ("idle", str(arn))


def test_the_policy_is_the_owners_whatever_a_state_says(cloud: Cloud) -> None:
    """A state that claims a laxer policy than the settings have is judged by the settings."""
    arn = cloud.make_key()
    asked = {"key": key_of(cloud, arn), "workflow": "rotate"}
    state = cloud.ask(op="look", state={"asked": asked})
    assert state["goal"]["policy"]["proof"] == "full"
    state["goal"]["policy"] = {"proof": "off", "missing_old": "allow", "regions": [], "looks": 1}

    after = cloud.ask(op="look", state=state)

    assert after["goal"]["policy"]["proof"] == "full"
    assert set(after["goal"]["policy"]["regions"]) == set(TWO)


def test_the_function_joins_its_threads(cloud: Cloud) -> None:
    """Lambda stops a process between two calls: what still ran would go on at the next one, or never."""
    arn = cloud.make_key()
    cloud.simulator.faults.add(operation="ListKeyRotations", region=TWO[1], delay=1.0, times=1)

    begun = time.monotonic()
    answer = cloud.ask(op="look", state={"asked": {"key": key_of(cloud, arn)}})

    assert time.monotonic() - begun >= 1
    assert answer["turn"]["status"] == "idle", answer
    assert not [call for call in cloud.simulator.calls if call.result is None]
