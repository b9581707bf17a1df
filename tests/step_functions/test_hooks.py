"""Where these tests lean on what moto does not promise: this fails by name when a new moto moves it."""

import inspect
import os
from importlib.metadata import version

from moto import settings
from moto.core.config import default_user_config
from sfn_engine import HOOKED, Engine


def test_moto_is_the_one_that_was_measured() -> None:
    """Another one may move the places below: look at them, then raise the bound in pyproject.toml and here."""
    assert version("moto").startswith("5.2.")


def test_a_function_is_answered_for_at_lambda_simple_backend_invoke() -> None:
    """moto.awslambda_simple.models.LambdaSimpleBackend.invoke: the one method that is put another in the place of."""
    expected = ["self", "function_name", "qualifier", "body", "headers", "response_headers"]

    assert list(inspect.signature(HOOKED).parameters) == expected


def test_an_error_of_the_function_is_told_by_its_header_and_error_type(engine: Engine) -> None:
    """x-amz-function-error on the answer, errorType in it: so moto's Retry and Catch match by the error's name."""
    engine.invoke = lambda _event: {"errorType": "TooLittleTime", "errorMessage": "..."}
    definition = {
        "StartAt": "Call",
        "States": {
            "Call": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "${FunctionArn}", "Payload": {}},
                "Catch": [{"ErrorEquals": ["TooLittleTime"], "Next": "Caught"}],
                "End": True,
            },
            "Caught": {"Type": "Pass", "End": True},
        },
    }

    execution = engine.start(engine.deploy("hook", definition), {})

    assert execution.ended()["status"] == "SUCCEEDED"
    assert execution.states() == ["Call", "Caught"]


def test_the_interpreter_is_switched_on_at_moto_api_config(engine: Engine) -> None:
    """POST /moto-api/config: what it was told stands in moto.core.config, where the services look."""
    assert engine.endpoint_url
    assert default_user_config["stepfunctions"] == {"execute_state_machine": True}
    assert default_user_config["lambda"]["use_docker"] is False


def test_the_interpreter_finds_other_services_by_moto_port(engine: Engine) -> None:
    """MOTO_PORT, which moto.settings reads: a state that sends a message would else send it to port 5000."""
    assert os.environ["MOTO_PORT"] == engine.endpoint_url.rpartition(":")[2]
    assert settings.moto_server_port() == os.environ["MOTO_PORT"]
    queue = engine.client("sqs").create_queue(QueueName="hooks")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue, "MessageBody": "found"},
        "End": True,
    }

    engine.start(engine.deploy("hook-sqs", {"StartAt": "Send", "States": {"Send": task}}), {}).ended()

    assert [one["Body"] for one in engine.client("sqs").receive_message(QueueUrl=queue)["Messages"]] == ["found"]
