"""Where these tests lean on what moto does not promise: this fails by name when a new moto moves it."""

import inspect
from importlib.metadata import version

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
