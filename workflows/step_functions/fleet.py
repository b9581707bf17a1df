"""The parent machine: a Distributed Map that runs the machine of a key for every key. Pure.

Keys stand in the input, {"keys": ["payments", ...]}, or in a JSON array in S3, {"bucket": ..., "key": ...}; each is a
name in the function's config, or an object with `name` and the settings of a key. One that fails never stops the
others (I10); when all have ended, the parent fails if any did.
"""

from datetime import timedelta
from typing import Any

from workflows.step_functions.retriers import queue, retries

Json = dict[str, Any]

KEYS_AT_ONCE = 10
"""Keys of one fleet under way at once. It keeps the burst small, and no more: GetParametersForImport allows 1 request/s
for each account and Region, and ten keys that begin together want ten. What is throttled is tried again, with growing
pauses, until the deadline of its key; ten keys of two Regions end well so. Two fleets at once are not bounded.
"""

LONGEST = timedelta(days=7)
"""How long a run of the fleet may take."""


def fleet() -> Json:
    """Return the parent machine. ${KeyMachineArn} and ${ResultsBucket} are left to be filled in."""
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket.$": "$.bucket", "Key.$": "$.key"},
    }
    return {
        "Comment": "mrk for many keys: rendered by `mrk workflow render fleet`",
        "StartAt": "Source",
        "TimeoutSeconds": round(LONGEST.total_seconds()),
        "States": {
            "Source": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.keys", "IsPresent": True, "Next": "KeysFromInput"},
                    {"Variable": "$.bucket", "IsPresent": True, "Next": "KeysFromS3"},
                ],
                "Default": "NoKeys",
            },
            "KeysFromInput": {**_each("Input"), "ItemsPath": "$.keys"},
            "KeysFromS3": {**_each("S3"), "ItemReader": reader},
            "MapRun": _ask("listMapRuns", {"ExecutionArn.$": "$$.Execution.Id"}, {"arn.$": "$.MapRuns[0].MapRunArn"})
            | {"Next": "Counts"},
            "Counts": _ask("describeMapRun", {"MapRunArn.$": "$.arn"}, {"arn.$": "$.MapRunArn", **_COUNTS})
            | {"Next": "Ended"},
            "Ended": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.keys", "NumericEquals": 0, "Next": "NoKeys"},
                    {"Variable": "$.well", "NumericEqualsPath": "$.keys", "Next": "AllWell"},
                ],
                "Default": "SomeNotWell",
            },
            "AllWell": {"Type": "Succeed"},
            "SomeNotWell": {"Type": "Fail", "Error": "KeysNotWell", "CausePath": "States.JsonToString($)"},
            "NoKeys": {
                "Type": "Fail",
                "Error": "UsageError",
                "Cause": 'no keys: give {"keys": [...]}, or {"bucket": ..., "key": ...} of a JSON array in S3',
            },
        },
    }


_COUNTS = {"keys.$": "$.ItemCounts.Total", "well.$": "$.ItemCounts.Succeeded", "failed.$": "$.ItemCounts.Failed"}


def _each(source: str) -> Json:
    """Start the machine of a key for each item, and wait for its end."""
    started = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$"
    one = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {
            "StateMachineArn": "${KeyMachineArn}",
            "Input": {"key.$": "$.key", started: "$$.Execution.Id"},
        },
        "ResultSelector": {"execution.$": "$.ExecutionArn", "report.$": "$.Output"},
        "Retry": retries(["StepFunctions.ExecutionLimitExceeded", "StepFunctions.SdkClientException"]),
        "End": True,
    }
    return {
        "Type": "Map",
        "Label": f"KeysFrom{source}",
        "ItemSelector": {"key.$": "$$.Map.Item.Value"},
        "MaxConcurrency": KEYS_AT_ONCE,
        "ToleratedFailurePercentage": 100.0,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": f"KeyFrom{source}",
            "States": {f"KeyFrom{source}": one},
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": "${ResultsBucket}", "Prefix": "fleet"},
        },
        "ResultPath": None,
        "Next": "MapRun",
    }


def _ask(operation: str, parameters: Json, selected: Json) -> Json:
    """Ask Step Functions itself."""
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:sfn:{operation}",
        "Parameters": parameters,
        "ResultSelector": selected,
        "Retry": queue(["States.TaskFailed"]),
    }
