"""What the template deploys: settings, permissions and alarms, with its parameters filled in as CloudFormation does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sfn_template import TEMPLATE, Deployed, resources, template

from orchestrator.policy import MANAGED_POLICY_LIMIT, size
from orchestrator.settings import RunSettings, StoreSettings, load
from workflows.cli import invoke
from workflows.jobs import WORKFLOWS
from workflows.step_functions.metrics import NAMESPACE, UNITS

ARNS = [f"arn:aws:kms:ap-southeast-2:111122223333:key/mrk-{number:032x}" for number in range(45)]
STORE_KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-" + 32 * "f"
MAC_KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-" + 32 * "e"
OWN = {"StoreKmsKey": STORE_KEY, "StoreMacKey": MAC_KEY, "StorePrefix": "team/mrk"}
OWN |= {"StoreReplicaRegions": "eu-west-1,sa-east-1"}
INLINE_POLICIES_LIMIT = 10_240
"""Characters of all inline policies of one role, white space not counted (IAM quotas)."""
MANAGED_POLICIES_LIMIT = 10
"""Managed policies of one role (IAM quotas)."""
FOR_FILES = {"recipients", "identity", "volatile"}


def environment(**parameters: str) -> dict[str, str]:
    found: dict[str, str] = Deployed(**parameters).resources["Function"]["Properties"]["Environment"]["Variables"]
    return found


def test_the_function_is_given_every_setting_of_the_store_and_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store was made with reaches the function, or new material would be kept with less."""
    run = {"deadline": "20m", "poll": "10s", "looks": 4, "workers": 8}
    given = environment(**OWN, Run=json.dumps(run), Keys=json.dumps({"payments": {"arn": STORE_KEY}}))
    names = {name.removeprefix("MRK_STORE__").lower() for name in given if name.startswith("MRK_STORE__")}
    assert names == set(StoreSettings.model_fields) - FOR_FILES
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    settings = load(None, {})

    assert settings.store == StoreSettings(
        uri="secretsmanager:us-east-1/team/mrk",
        kms_key=STORE_KEY,
        mac_key=MAC_KEY,
        replica_regions=("eu-west-1", "sa-east-1"),
    )
    nothing_written = {"journal": settings.run.journal}
    assert settings.run == RunSettings.model_validate(run | nothing_written)
    assert settings.defaults.proof == "full"


def test_a_store_without_settings_of_its_own_is_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)

    assert load(None, {}).store == StoreSettings(uri="secretsmanager:us-east-1/mrk")


CONFIG = """
store: {uri: "secretsmanager:us-east-1/mrk"}
defaults: {proof: full}
keys:
  never: {arn: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"}
  expiring: {arn: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ac", expires: 90d}
"""


def policies(deployed: Deployed) -> dict[str, Any]:
    """Every policy of the function's role, but that of its log."""
    inline = {one["PolicyName"]: one["PolicyDocument"] for one in inline_policies(deployed)}
    return {name: document for name, document in {**inline, **managed(deployed)}.items() if name != "log"}


def inline_policies(deployed: Deployed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployed.resources["FunctionRole"]["Properties"]["Policies"]
    return found


def managed(deployed: Deployed) -> dict[str, Any]:
    kind = "AWS::IAM::ManagedPolicy"
    found = {name: one["Properties"] for name, one in deployed.resources.items() if one["Type"] == kind}
    ours = {name: one for name, one in found.items() if "Roles" in one}
    assert all(one["Roles"] == ["FunctionRole"] for one in ours.values())
    return {name: one["PolicyDocument"] for name, one in ours.items()}


def statements(deployed: Deployed) -> dict[str, dict[str, Any]]:
    return {one["Sid"]: one for document in policies(deployed).values() for one in document["Statement"]}


def printed(config: Path, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Return the statements that `mrk policy` prints for what the machines run."""
    config.write_text(text)
    served = [option for workflow in WORKFLOWS for option in ("--for", workflow)]
    assert invoke(["policy", "-c", str(config), *served]) == 0
    return {one["Sid"]: one for one in json.loads(capsys.readouterr().out)["Statement"]}


def without_resource(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {sid: {name: value for name, value in one.items() if name != "Resource"} for sid, one in found.items()}


def test_the_function_may_do_what_mrk_policy_prints_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Least privilege: the same statements, for any multi-Region key, with `proof: full`, expiring or not."""
    wanted = printed(tmp_path / "config.yaml", CONFIG, capsys)
    ours = statements(Deployed(KeyArns=",".join(ARNS[:2]), Expires="both"))

    assert without_resource(ours) == without_resource(wanted)
    for sid, one in ours.items():
        assert one["Resource"] == (wanted[sid]["Resource"] if sid.startswith("Store") else ARNS[:2]), sid


def test_a_store_with_a_key_and_replicas_is_allowed_what_mrk_policy_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store's own key in every Region, through Secrets Manager alone; a template cannot list Regions one by one."""
    store = f'store: {{uri: "secretsmanager:us-east-1/mrk", kms_key: "{STORE_KEY}", replica_regions: [eu-west-1]}}'
    text = CONFIG.replace('store: {uri: "secretsmanager:us-east-1/mrk"}', store)
    wanted = printed(tmp_path / "config.yaml", text, capsys)
    ours = statements(Deployed(StoreKmsKey=STORE_KEY, StoreReplicaRegions="eu-west-1", KeyArns=ARNS[0], Expires="both"))

    assert ours["StoreWrite"] == wanted["StoreWrite"]
    in_every_region = STORE_KEY.replace("us-east-1", "*")
    for kind in ("StoreKeyCheck", "StoreKeyUse"):
        (one, *others) = [statement for sid, statement in wanted.items() if sid.startswith(kind)]
        assert others
        assert all(other["Action"] == one["Action"] for other in others)
        assert (ours[kind]["Action"], ours[kind]["Resource"]) == (one["Action"], in_every_region)
    assert ours["StoreKeyUse"]["Condition"] == {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}
    assert set(ours) == {re.sub("(StoreKey(?:Check|Use)).*", r"\1", sid) for sid in wanted}


@pytest.mark.parametrize(
    ("expires", "sids"),
    [
        ("never", {"ImportNeverExpiring"}),
        ("always", {"ImportExpiring"}),
        ("both", {"ImportNeverExpiring", "ImportExpiring"}),
    ],
)
def test_the_function_may_import_what_expires_says_and_nothing_else(expires: str, sids: set[str]) -> None:
    ours = statements(Deployed(KeyArns=ARNS[0], Expires=expires))

    assert {sid for sid, one in ours.items() if one["Action"] == ["kms:ImportKeyMaterial"]} == sids


def test_the_policies_hold_as_many_keys_as_the_manual_says() -> None:
    """IAM counts characters: 45 ARNs, in the Region with the longest name, and a store with everything."""
    longest = [arn.replace("aws:kms:ap-southeast-2", "aws-us-gov:kms:us-gov-west-1") for arn in ARNS]
    deployed = Deployed(
        **OWN, KeyArns=",".join(longest), Expires="both", StoreAdmins="arn:aws:iam::111122223333:role/me"
    )

    found = managed(deployed)

    assert len(found) + 2 <= MANAGED_POLICIES_LIMIT, "room for two of the owner's"
    assert max(size(document) for document in found.values()) < MANAGED_POLICY_LIMIT
    assert sum(size(one["PolicyDocument"]) for one in inline_policies(deployed)) < INLINE_POLICIES_LIMIT
    assert len(",".join(longest)) < 4096, "a parameter of CloudFormation holds no more"
    assert "45 at most" in template()["Parameters"]["KeyArns"]["Description"]
    assert "45 ARNs" in (TEMPLATE.parents[2] / "docs" / "step-functions.md").read_text()


def allowed(role: str, deployed: Deployed) -> dict[str, Any]:
    """Return the resources of every action that a role may do, by its own policies and those attached to it."""
    own = [one["PolicyDocument"] for one in deployed.resources[role]["Properties"]["Policies"]]
    more = [
        one["Properties"]["PolicyDocument"]
        for one in deployed.resources.values()
        if one["Type"] == "AWS::IAM::RolePolicy" and one["Properties"]["RoleName"] == role
    ]
    found = [one for document in (*own, *more) for one in document["Statement"]]
    return {
        action: one["Resource"]
        for one in found
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }


def test_the_fleet_may_write_its_results_and_redrive_its_map_runs() -> None:
    """AWS's own policy for a result writer has these four; a Map Run is redriven by the name of its execution."""
    may = allowed("FleetMachineRole", Deployed())

    writing = ("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")
    assert {may[action] for action in writing} == {"ResultsBucket.Arn/fleet/*"}
    assert may["states:RedriveExecution"] == "arn:aws:states:us-east-1:111122223333:execution:FleetMachine.Name/*"


def test_a_schedule_that_cannot_start_the_fleet_is_told() -> None:
    """What Scheduler gives up goes into a queue, and an alarm watches that."""
    deployed = Deployed()
    target = deployed.resources["FleetSchedule"]["Properties"]["Target"]
    alarm = deployed.resources["FleetNotStarted"]["Properties"]

    assert target["DeadLetterConfig"] == {"Arn": "NotStarted.Arn"}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert allowed("ScheduleRole", deployed)["sqs:SendMessage"] == "NotStarted.Arn"
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "NotStarted.QueueName"}]
    assert alarm["AlarmActions"] == ["AlarmTopic"]


def test_a_fleet_that_does_not_run_at_all_is_told() -> None:
    """Nothing is the sign of that: so missing data rings."""
    alarm = Deployed(SilentDays="3").resources["FleetSilent"]["Properties"]

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("ExecutionsSucceeded", "Sum", 86400)
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    assert (alarm["EvaluationPeriods"], alarm["Threshold"]) == ("3", 1)
    longest = template()["Parameters"]["SilentDays"]["MaxValue"]
    assert longest * 86400 <= 604_800, "CloudWatch looks back over a week at most"


@pytest.mark.parametrize(("alarm", "machine"), [("KeyNotWell", "KeyMachine"), ("FleetNotWell", "FleetMachine")])
def test_an_execution_that_failed_was_stopped_or_timed_out_is_told(alarm: str, machine: str) -> None:
    metrics = Deployed().resources[alarm]["Properties"]["Metrics"]
    watched = {one["MetricStat"]["Metric"]["MetricName"] for one in metrics if "MetricStat" in one}

    assert watched == {"ExecutionsFailed", "ExecutionsAborted", "ExecutionsTimedOut"}
    for one in metrics:
        if "MetricStat" in one:
            assert one["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "StateMachineArn", "Value": machine}]
            assert f"FILL({one['Id']}, 0)" in metrics[0]["Expression"]


def test_what_a_run_brought_back_is_told() -> None:
    """I13: the execution succeeds, and yet somebody must ask who deleted the material."""
    alarm = Deployed().resources["KeyMaterialRestored"]["Properties"]
    (metric,) = {"Restored"} & set(UNITS)

    assert re.findall(r"\w+", alarm["Metrics"][0]["Expression"]) == [
        "SELECT",
        "MAX",
        metric,
        "FROM",
        "SCHEMA",
        NAMESPACE,
        "Key",
    ]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_the_functions_concurrency_can_be_reserved() -> None:
    """The function's calls at once are bounded, and kept free for it, where the owner says so."""
    assert "ReservedConcurrentExecutions" not in Deployed().resources["Function"]["Properties"]
    assert Deployed(Concurrency="50").resources["Function"]["Properties"]["ReservedConcurrentExecutions"] == "50"


def test_every_alarm_tells_the_topic() -> None:
    alarms = [one["Properties"] for one in resources().values() if one["Type"] == "AWS::CloudWatch::Alarm"]

    assert len(alarms) == 7
    assert all(one["AlarmActions"] == [{"Ref": "AlarmTopic"}] for one in alarms)
