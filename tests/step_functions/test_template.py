"""The deployment: validators that are not ours find nothing."""

import importlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from sfn_engine import filled
from sfn_template import TEMPLATE, resources
from tools import BIN, NODE

from workflows.jobs import WORKFLOWS
from workflows.step_functions.fleet import fleet
from workflows.step_functions.machine import FUNCTION_SECONDS, machine

MACHINES = {**{name: machine(name, stages) for name, stages in WORKFLOWS.items()}, "fleet": fleet()}
VALUES = {"KeyMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:key", "ResultsBucket": "results"}


def tool(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}
    environment["HOME"] = os.environ.get("HOME", "/")
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)


def test_sam_and_cfn_lint_find_nothing() -> None:
    """`sam validate --lint` runs cfn-lint over what the template becomes."""
    found = tool(BIN / "sam", "validate", "--lint", "--template", TEMPLATE)

    assert found.returncode == 0, found.stdout + found.stderr
    assert "is a valid SAM Template" in found.stdout
    linted = tool(BIN / "cfn-lint", TEMPLATE)
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize("name", MACHINES)
def test_a_validator_of_machines_finds_nothing(tmp_path: Path, name: str) -> None:
    """asl-validator: every state is reachable, every path is one."""
    path = tmp_path / "machine.asl.json"
    path.write_text(filled(MACHINES[name], **VALUES))

    found = tool(NODE / "asl-validator", "--json-path", path)

    assert found.returncode == 0, found.stdout + found.stderr


def test_the_validator_finds_what_is_wrong(tmp_path: Path) -> None:
    """It can fail: a state that nothing leads to."""
    wrong = json.loads(filled(MACHINES["run"]))
    wrong["States"]["Look"]["Next"] = "Nowhere"
    path = tmp_path / "machine.asl.json"
    path.write_text(json.dumps(wrong))

    assert tool(NODE / "asl-validator", "--json-path", path).returncode != 0


def test_cfn_lint_finds_nothing_in_the_machines_themselves(tmp_path: Path) -> None:
    """E3601 looks only into AWS::StepFunctions::StateMachine, which is what SAM makes of ours."""
    machines = {
        name.capitalize(): {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": "arn:aws:iam::123456789012:role/mrk",
                "DefinitionString": filled(definition, **VALUES),
            },
        }
        for name, definition in MACHINES.items()
    }
    path = tmp_path / "machines.json"
    path.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": machines}))

    found = tool(BIN / "cfn-lint", path)

    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(("machine_name", "rendered"), [("KeyMachine", "run"), ("FleetMachine", "fleet")])
def test_every_place_to_fill_in_is_filled_in(machine_name: str, rendered: str) -> None:
    """A ${...} that is left over would reach Step Functions as it is."""
    properties = resources()[machine_name]["Properties"]

    assert properties["DefinitionUri"] == f"{rendered}.asl.json"
    assert set(properties["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINES[rendered])))


def test_the_function_is_the_one_that_there_is() -> None:
    """Its handler can be imported, and the machine reckons with its timeout."""
    properties = resources()["Function"]["Properties"]
    module, _, name = properties["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))
    assert properties["Timeout"] == FUNCTION_SECONDS
