"""The deployment: validators that are not ours find nothing, and the roles allow what `mrk policy` prints, no more."""

import importlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sfn_engine import filled
from tools import BIN, NODE

import workflows.step_functions
from workflows.cli import invoke
from workflows.jobs import WORKFLOWS
from workflows.step_functions.fleet import fleet
from workflows.step_functions.machine import FUNCTION_SECONDS, machine

HERE = Path(workflows.step_functions.__file__).parent
TEMPLATE = HERE / "template.yaml"
MACHINES = {**{name: machine(name, stages) for name, stages in WORKFLOWS.items()}, "fleet": fleet()}
VALUES = {"KeyMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:key", "ResultsBucket": "results"}


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    match node:
        case yaml.ScalarNode():
            return {name: loader.construct_scalar(node)}
        case yaml.SequenceNode():
            return {name: loader.construct_sequence(node, deep=True)}
        case _:
            return {name: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _function)


def resources() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=_Loader)["Resources"]  # noqa: S506 - a safe loader
    return found


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


CONFIG = """
store: {uri: "secretsmanager:us-east-1/mrk"}
defaults: {proof: full}
keys:
  never: {arn: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"}
  expiring: {arn: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ac", expires: 90d}
"""


def test_the_function_may_do_what_mrk_policy_prints_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Least privilege: the same statements, for any multi-Region key, with `proof: full`, expiring or not."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    served = [option for workflow in WORKFLOWS for option in ("--for", workflow)]
    assert invoke(["policy", "-c", str(tmp_path / "config.yaml"), *served]) == 0
    printed = {one["Sid"]: one for one in json.loads(capsys.readouterr().out)["Statement"]}
    policies = {one["PolicyName"]: one for one in resources()["FunctionRole"]["Properties"]["Policies"]}
    ours = {one["Sid"]: one for one in policies["mrk"]["PolicyDocument"]["Statement"]}

    assert {sid: without_resource(one) for sid, one in ours.items()} == {
        sid: without_resource(one) for sid, one in printed.items()
    }
    secrets = "arn:${AWS::Partition}:secretsmanager:${StoreRegion}:${AWS::AccountId}:secret:${StorePrefix}/*"
    allowed = {"StoreRead": {"Fn::Sub": secrets}, "StoreWrite": {"Fn::Sub": secrets}}
    assert {sid: one["Resource"] for sid, one in ours.items() if sid.startswith("Store")} == allowed
    assert all(one["Resource"] == {"Ref": "KeyArns"} for sid, one in ours.items() if sid not in allowed)


def without_resource(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != "Resource"}


def test_nothing_may_delete() -> None:
    """I5: no role has a right to delete key material, secrets or keys."""
    actions = re.findall(r"\b(?:kms|secretsmanager|iam|s3):\w+", TEMPLATE.read_text())

    assert actions
    assert not [action for action in actions if re.search("Delete|ScheduleKey|Put(?!Object)|Update|Disable", action)]


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
