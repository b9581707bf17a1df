"""What holds for every topic, queue, bucket, log, machine, function, role and policy of the template."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data
from sfn_template import Deployed, resources, template
from template_rules import RULES, actions, problems

from orchestrator.model import Region
from orchestrator.policy import Secrets, guard
from workflows.step_functions.narrowing import Deployed as Stack

ROLE = "arn:aws:iam::111122223333:role/admin"
KEYS = ",".join(f"arn:aws:kms:{region}:111122223333:key/mrk-{32 * '1'}" for region in ("us-east-1", "eu-west-1"))
STORE_KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-" + 32 * "f"
STACKS = {
    "the least": {},
    "the most": {
        "Approval": "required",
        "Expires": "both",
        "KeysBucket": "keys",
        "StoreAdmins": ROLE,
        "StoreKmsKey": STORE_KEY,
        "StoreReplicaRegions": "eu-west-1",
        "Workflows": "run,rotate,repair,renew",
    },
}


def deployed(stack: str = "the most") -> dict[str, Any]:
    found: dict[str, Any] = Deployed(KeyArns=KEYS, **STACKS[stack]).resources
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_the_template_breaks_no_rule(stack: str) -> None:
    assert problems(deployed(stack)) == []


def test_no_resource_is_of_a_kind_that_no_rule_looks_at() -> None:
    """Whoever adds a kind of resource says here what holds for it."""
    known = {
        "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy", "AWS::Logs::LogGroup", "AWS::Serverless::StateMachine", "AWS::Serverless::Function",
        "AWS::IAM::Role", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy",
        "AWS::KMS::Key", "AWS::CloudWatch::Alarm", "AWS::Scheduler::Schedule",
    }  # fmt: skip

    assert {one["Type"] for one in resources().values()} <= known


Change = Callable[[dict[str, Any]], None]


def naked(kind: str, **properties: Any) -> Change:
    def add(stack: dict[str, Any]) -> None:
        stack["Another"] = {"Type": kind, "Properties": properties}

    return add


def without(name: str, *path: Any) -> Change:
    def take(stack: dict[str, Any]) -> None:
        node = stack[name]["Properties"]
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]

    return take


def gone(name: str) -> Change:
    return lambda stack: stack.__delitem__(name)


def allowing(*actions: str, resource: str = "x", **more: Any) -> Change:
    """Add a managed policy: of a role, or for people to attach."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return naked("AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": [statement]}, **more)


def trusting(**condition: Any) -> Change:
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Condition": condition}
    return naked("AWS::IAM::Role", AssumeRolePolicyDocument={"Statement": [statement]})


OURS: dict[str, Any] = {"Roles": ["FunctionRole"]}
MACHINE, FUNCTION = "AWS::Serverless::StateMachine", "AWS::Serverless::Function"
START, SUCCESS = "states:StartExecution", "states:SendTaskSuccess"
ACCOUNT = {"aws:SourceAccount": "111122223333"}
FOREIGN = {"aws:SourceAccount": "444455556666"}
FUNCTIONS = {"aws:SourceArn": "arn:aws:lambda:us-east-1:111122223333:function:*"}

FAULTS: dict[str, tuple[str, Change]] = {
    "a topic with nothing": ("topics", naked("AWS::SNS::Topic")),
    "a topic that is encrypted, without a policy": ("topics", naked("AWS::SNS::Topic", KmsMasterKeyId="StackKey")),
    "the topic of tokens, in the clear": ("topics", without("ApprovalTopic", "KmsMasterKeyId")),
    "the topic of alarms, in the clear": ("topics", without("AlarmTopic", "KmsMasterKeyId")),
    "a topic whose policy went": ("topics", gone("AlarmTopicPolicy")),
    "a queue with nothing": ("queues", naked("AWS::SQS::Queue")),
    "a queue whose policy went": ("queues", gone("NotStartedPolicy")),
    "a queue in the clear": ("queues", without("NotStarted", "SqsManagedSseEnabled")),
    "a bucket with nothing": ("buckets", naked("AWS::S3::Bucket")),
    "a bucket whose policy went": ("buckets", gone("ResultsBucketPolicy")),
    "a bucket whose policy is for its objects alone": (
        "buckets",
        without("ResultsBucketPolicy", "PolicyDocument", "Statement", 0, "Resource", 0),
    ),
    "a bucket that may be opened": (
        "buckets",
        without("ResultsBucket", "PublicAccessBlockConfiguration", "BlockPublicAcls"),
    ),
    "a log with AWS's own key": ("logs", naked("AWS::Logs::LogGroup", RetentionInDays=30)),
    "the function's log with AWS's own key": ("logs", without("FunctionLog", "KmsKeyId")),
    "the machines' log with AWS's own key": ("logs", without("MachineLog", "KmsKeyId")),
    "a machine that logs what it carries": (
        "machines",
        naked(MACHINE, Role="x", Logging={"IncludeExecutionData": True}),
    ),
    "a machine that says nothing of its log": ("machines", naked(MACHINE, Role="x")),
    "the key machine logs what it carries": ("machines", without("KeyMachine", "Logging", "IncludeExecutionData")),
    "a function with a role that is made up": ("functions", naked(FUNCTION, LoggingConfig={"LogGroup": "x"})),
    "a function with a log that is made up": ("functions", naked(FUNCTION, Role="x")),
    "a role that trusts a service": ("trusts", trusting()),
    "a role that trusts it for this account": ("trusts", trusting(StringEquals=ACCOUNT)),
    "a role that trusts it for another account": ("trusts", trusting(StringEquals=FOREIGN, ArnLike=FUNCTIONS)),
    "a role that trusts it for a function": ("trusts", trusting(ArnLike=FUNCTIONS)),
    "a role for starting and approving": ("apart", allowing(START, SUCCESS, Roles=["One"])),
    "a policy for starting, that lets others approve": ("apart", allowing(START)),
    "a policy for approving, that lets others start": ("apart", allowing(SUCCESS)),
    "a role of the stack that approves": ("apart", allowing(SUCCESS, Roles=["ScheduleRole"])),
    "a role that deletes key material": ("changes", allowing("kms:DeleteImportedKeyMaterial", **OURS)),
    "a role that changes secrets": ("changes", allowing("secretsmanager:PutSecretValue", **OURS)),
    "a role that may do everything with keys": ("changes", allowing("kms:*", **OURS)),
    "a role for every key": ("keys", allowing("kms:Decrypt", resource="*", **OURS)),
    "a role for every key of the account": (
        "keys",
        allowing("kms:Decrypt", resource="arn:aws:kms:*:111122223333:key/*", **OURS),
    ),
}


@pytest.mark.parametrize(("rule", "fault"), FAULTS.values(), ids=FAULTS)
def test_each_rule_sees_what_breaks_it(rule: str, fault: Change) -> None:
    """A resource that is added without it, and one that loses it."""
    stack = deepcopy(deployed())

    fault(stack)

    assert list(RULES[rule](stack)) != []
    assert [name for name, other in RULES.items() if name != rule and list(other(stack))] == []


def test_every_rule_was_broken_once() -> None:
    assert {rule for rule, _ in FAULTS.values()} == set(RULES)


# ---- the parameters -----------------------------------------------------------------------------------------------

MRK = "key/mrk-" + 32 * "a"
EXACT = [
    f"arn:aws:kms:us-east-1:111122223333:{MRK}",
    f"arn:aws-us-gov:kms:us-gov-west-1:111122223333:{MRK}",
    f"arn:aws-cn:kms:cn-northwest-1:111122223333:{MRK}",
    "arn:aws:kms:ap-southeast-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
]
LOOSE = [
    "*",
    "",
    f"arn:aws:kms:*:111122223333:{MRK}",
    f"arn:aws:kms:us-east-*:111122223333:{MRK}",
    f"arn:aws:kms:us-east-1:*:{MRK}",
    f"arn:*:kms:us-east-1:111122223333:{MRK}",
    f"arn:aws*:kms:us-east-1:111122223333:{MRK}",
    "arn:aws:kms:us-east-1:111122223333:key/*",
    "arn:aws:kms:us-east-1:111122223333:key/mrk-*",
    "arn:aws:kms:us-east-1:111122223333:key/mrk-" + 31 * "a" + "*",
    "arn:aws:kms:us-east-1:111122223333:key/mrk-" + 31 * "a" + "?",
    "arn:aws:kms:us-east-1:111122223333:key/" + 36 * "?",
    "arn:aws:kms:us-east-1:111122223333:alias/payments",
    f"arn:aws:s3:us-east-1:111122223333:{MRK}",
    f"arn:aws:kms:us-east-1:111122223333:{MRK} ",
    f"x\narn:aws:kms:us-east-1:111122223333:{MRK}",
]


@pytest.mark.parametrize("arn", [*EXACT, *LOOSE])
def test_key_arns_are_exact(arn: str) -> None:
    """CloudFormation holds each value of the list against the pattern, whole."""
    pattern = template()["Parameters"]["KeyArns"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, arn)) is (arn in EXACT)


def test_the_rules_of_the_template_want_keys_and_no_star() -> None:
    asserted = [one["Assert"] for one in template()["Rules"]["KeysAreNamed"]["Assertions"]]

    keys = {"Ref": "KeyArns"}
    assert {"Fn::Not": [{"Fn::Contains": [keys, "*"]}]} in asserted
    assert {"Fn::Not": [{"Fn::EachMemberEquals": [keys, ""]}]} in asserted


@pytest.mark.parametrize(("role", "taken"), [(ROLE, True), ("", True), ("*", False), ("arn:aws:iam::1:role/*", False)])
def test_roles_beside_the_functions_are_exact(role: str, taken: bool) -> None:
    assert bool(re.fullmatch(template()["Parameters"]["StoreAdmins"]["AllowedPattern"], role)) is taken


@pytest.mark.parametrize(
    ("parameters", "stack"),
    [
        ({}, {"workflows": ("run",), "approval": "none", "expires": "never"}),
        (
            {"Workflows": "run,rotate", "Approval": "required", "Expires": "both"},
            {"workflows": ("run", "rotate"), "approval": "required", "expires": "both"},
        ),
    ],
)
def test_the_function_is_told_what_the_stack_was_deployed_for(
    parameters: dict[str, str], stack: dict[str, Any]
) -> None:
    """Every field of it, or the function would hold inputs against less, or more, than the owner wrote."""
    variables = Deployed(KeyArns=KEYS, **parameters).resources["Function"]["Properties"]["Environment"]["Variables"]
    told = json.loads(variables["MRK_DEPLOYED"])

    assert set(told) == set(Stack.model_fields)
    assert Stack.model_validate_json(variables["MRK_DEPLOYED"]) == Stack(
        **stack, partition="aws", account="111122223333"
    )


def test_the_template_knows_every_workflow_and_deploys_the_least_by_itself() -> None:
    parameters = template()["Parameters"]

    assert set(parameters["Workflows"]["AllowedValues"]) == {"run", "rotate", "repair", "renew"}
    assert (parameters["Workflows"]["Default"], parameters["Expires"]["Default"]) == ("run", "never")


# ---- the key of the stack, and the store --------------------------------------------------------------------------


def test_the_stacks_own_key_serves_logs_and_alarms_of_this_account_alone() -> None:
    statements = deployed()["StackKey"]["Properties"]["KeyPolicy"]["Statement"]
    services = [one for one in statements if "Service" in one["Principal"]]

    assert len(services) == 2
    for one in services:
        assert any("111122223333" in str(value) for values in one["Condition"].values() for value in values.values())
    assert [one["Principal"] for one in statements if one not in services] == [
        {"AWS": "arn:aws:iam::111122223333:root"}
    ]
    assert deployed()["StackKey"]["DeletionPolicy"] == "Retain", "what the kept logs are encrypted with"


@pytest.mark.parametrize(("admins", "others"), [("", None), (ROLE, {"aws:PrincipalArn": [ROLE]})])
def test_nobody_but_the_function_and_named_roles_adds_to_the_store(admins: str, others: Any) -> None:
    """A10: in every Region, as a secret of that name there could be replicated into the store's."""
    stack = Deployed(KeyArns=KEYS, StoreAdmins=admins).resources
    (guard,) = stack["StoreGuard"]["Properties"]["PolicyDocument"]["Statement"]

    assert guard["Effect"] == "Deny"
    assert {"secretsmanager:CreateSecret", "secretsmanager:ReplicateSecretToRegions"} <= set(guard["Action"])
    assert guard["Resource"] == "arn:aws:secretsmanager:*:111122223333:secret:mrk/*"
    assert guard["Condition"]["ArnNotEquals"] == {"aws:PrincipalArn": "FunctionRole.Arn"}
    assert guard["Condition"].get("ArnNotLike") == others


def test_the_template_and_mrk_policy_deny_the_same() -> None:
    secrets = Secrets("aws", Region("us-east-1"), "mrk", ("111122223333",))
    (ours,) = guard(secrets, [ROLE])["Statement"]
    (theirs,) = deployed()["StoreGuard"]["Properties"]["PolicyDocument"]["Statement"]

    assert {part: ours[part] for part in ("Sid", "Effect", "Action")} == {
        part: theirs[part] for part in ("Sid", "Effect", "Action")
    }
    assert ours["Resource"] == [theirs["Resource"]]


def test_iam_knows_every_action_of_the_template() -> None:
    """policy_sentry holds what AWS documents; a misspelt denial denies nothing."""
    stack = deployed()
    named = {one for effect in ("Allow", "Deny") for found in actions(stack, effect).values() for one in found}

    assert len(named) > 40
    unknown = [one for one in named if "*" not in one and not get_action_data(*one.split(":")).get(one.split(":")[0])]
    assert unknown == []
