"""What holds for every resource of a kind in the template: rules that say what is wrong, in the template or in another.

A rule looks at all resources of its kind, so that one that is added later is held to it, too.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Resources = Mapping[str, Any]
Rule = Callable[[Resources], Iterator[str]]

_ANSWERS = {"states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"}
_STARTS = {"states:StartExecution", "states:StartSyncExecution"}
_CHANGES = re.compile(
    r":(Delete|ScheduleKey|Put(?!Object|Rule|Targets|LogEvents|ResourcePolicy$)|Update(?!LogDelivery)|Disable)"
)
_LOG_DELIVERY = {"logs:DeleteLogDelivery", "logs:UpdateLogDelivery", "logs:PutResourcePolicy"}
"""What Step Functions needs to deliver logs, as its manual lists it."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def of(kind: str, resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, one in resources.items():
        if one["Type"] == kind:
            yield name, one.get("Properties", {})


def documents(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy of an identity, with the name of the role, or of the policy that people attach."""
    for name, one in of("AWS::IAM::Role", resources):
        yield from ((name, inline["PolicyDocument"]) for inline in one.get("Policies", []))
    for _, one in of("AWS::IAM::RolePolicy", resources):
        yield one["RoleName"], one["PolicyDocument"]
    for name, one in of("AWS::IAM::ManagedPolicy", resources):
        for holder in one.get("Roles", [name]):
            yield holder, one["PolicyDocument"]


def actions(resources: Resources, effect: str) -> dict[str, set[str]]:
    """What each holder of policies is allowed, or denied."""
    found: dict[str, set[str]] = {}
    for holder, document in documents(resources):
        for statement in document["Statement"]:
            if statement["Effect"] == effect:
                found.setdefault(holder, set()).update(listed(statement["Action"]))
    return found


def tls_only(
    resources: Resources, kind: str, attached: str, named: str, arns: Callable[[str], set[str]]
) -> Iterator[str]:
    """Every resource of a kind has a policy that denies whoever does not use TLS."""
    for name, _ in of(kind, resources):
        covered = set[str]()
        for _, policy in of(attached, resources):
            if name in listed(policy[named]):
                for one in policy["PolicyDocument"]["Statement"]:
                    plain = one.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false"
                    if one["Effect"] == "Deny" and one["Principal"] == "*" and plain:
                        covered |= set(listed(one["Resource"]))
        if not arns(name) <= covered:
            yield f"{name} takes what comes without TLS"


def topics(resources: Resources) -> Iterator[str]:
    yield from (
        f"{name} is not encrypted" for name, one in of("AWS::SNS::Topic", resources) if not one.get("KmsMasterKeyId")
    )
    yield from tls_only(resources, "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics", lambda name: {name})


def queues(resources: Resources) -> Iterator[str]:
    for name, one in of("AWS::SQS::Queue", resources):
        if not (one.get("SqsManagedSseEnabled") or one.get("KmsMasterKeyId")):
            yield f"{name} is not encrypted"
    yield from tls_only(resources, "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues", lambda name: {f"{name}.Arn"})


def buckets(resources: Resources) -> Iterator[str]:
    closed = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    for name, one in of("AWS::S3::Bucket", resources):
        if not one.get("BucketEncryption"):
            yield f"{name} is not encrypted"
        if {about for about, on in one.get("PublicAccessBlockConfiguration", {}).items() if on} != closed:
            yield f"{name} may be opened to everybody"
    both = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket")
    yield from tls_only(resources, *both, lambda name: {f"{name}.Arn", f"{name}.Arn/*"})


def logs(resources: Resources) -> Iterator[str]:
    for name, one in of("AWS::Logs::LogGroup", resources):
        if one.get("KmsKeyId") != "StackKey.Arn":
            yield f"{name} is not encrypted with the stack's own key"
        if not one.get("RetentionInDays"):
            yield f"{name} is kept for ever"


def machines(resources: Resources) -> Iterator[str]:
    for name, one in of("AWS::Serverless::StateMachine", resources):
        if one.get("Logging", {}).get("IncludeExecutionData") is not False:
            yield f"{name} writes what its states carry, task tokens among it, into a log"
        if "Role" not in one:
            yield f"{name} gets a role that is made up for it"


def functions(resources: Resources) -> Iterator[str]:
    for name, one in of("AWS::Serverless::Function", resources):
        if "Role" not in one:
            yield f"{name} gets a role that is made up for it"
        if "LogGroup" not in one.get("LoggingConfig", {}):
            yield f"{name} gets a log that is made up for it"


def trusts(resources: Resources) -> Iterator[str]:
    """Whoever may assume a role is a service, for this account and for a resource of this stack's kind."""
    for name, one in of("AWS::IAM::Role", resources):
        for statement in one["AssumeRolePolicyDocument"]["Statement"]:
            asked = {key: value for values in statement.get("Condition", {}).values() for key, value in values.items()}
            (service,) = statement["Principal"].values()
            kind = service.split(".")[0]
            if set(statement["Principal"]) != {"Service"}:
                yield f"{name} trusts {statement['Principal']}"
            if asked.get("aws:SourceAccount") != "111122223333":
                yield f"{name} trusts {service} for every account"
            if not str(asked.get("aws:SourceArn")).startswith(f"arn:aws:{kind}:us-east-1:111122223333:"):
                yield f"{name} trusts {service} for everything"


def apart(resources: Resources) -> Iterator[str]:
    """Whoever may start may not approve; where people hold the policy, no other policy can change that."""
    allowed, denied = actions(resources, "Allow"), actions(resources, "Deny")
    people = {name for name, one in of("AWS::IAM::ManagedPolicy", resources) if "Roles" not in one}
    for holder, may in allowed.items():
        starts, answers = may & _STARTS, may & _ANSWERS
        if starts and answers:
            yield f"{holder} may start and approve"
        if starts and holder in people and not denied.get(holder, set()) >= {*_ANSWERS, "lambda:InvokeFunction"}:
            yield f"{holder} may start, and another policy may let it approve"
        if answers and holder in people and not denied.get(holder, set()) >= {*_STARTS, "states:RedriveExecution"}:
            yield f"{holder} may approve, and another policy may let it start"
        if answers and holder not in people:
            yield f"{holder} is a role of the stack, and may approve"


def changes(resources: Resources) -> Iterator[str]:
    """I5: nothing may delete or change a key, a key material or a secret; nobody is allowed everything."""
    for holder, may in actions(resources, "Allow").items():
        named = {one for one in may if "*" not in one} | {"kms:GenerateDataKey*"}
        wrong = (may - named) | {one for one in may - _LOG_DELIVERY if _CHANGES.search(one)}
        yield from (f"{holder} may {one}" for one in sorted(wrong))


def keys(resources: Resources) -> Iterator[str]:
    """What is allowed of KMS is allowed for the named keys, the store's own key, and the stack's."""
    for holder, document in documents(resources):
        for one in document["Statement"]:
            wide = [arn for arn in listed(one["Resource"]) if arn == "*" or arn.endswith("/*")]
            if one["Effect"] == "Allow" and wide and any(name.startswith("kms:") for name in listed(one["Action"])):
                yield f"{holder} may use every key"


RULES: Mapping[str, Rule] = {
    rule.__name__: rule for rule in (topics, queues, buckets, logs, machines, functions, trusts, apart, changes, keys)
}


def problems(resources: Resources) -> list[str]:
    """Say everything that is wrong."""
    return [problem for rule in RULES.values() for problem in rule(resources)]
