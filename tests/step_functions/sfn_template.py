"""The deployment template with parameters filled in, as CloudFormation does it; only the functions that it uses."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import workflows.step_functions

TEMPLATE = Path(workflows.step_functions.__file__).parent / "template.yaml"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "111122223333",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "mrk",
}
_NOTHING: Any = object()


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


def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=_Loader)  # noqa: S506 - a safe loader
    return found


def resources() -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"]
    return found


class Deployed:
    """The template's resources with parameters and conditions resolved; what is another resource's is its name."""

    def __init__(self, **parameters: str) -> None:
        self._template = template()
        declared = self._template["Parameters"]
        assert not set(parameters) - set(declared)
        given = {name: parameters.get(name, about.get("Default", "")) for name, about in declared.items()}
        lists = {name for name, about in declared.items() if about["Type"] == "CommaDelimitedList"}
        self._values: Mapping[str, Any] = {
            **{name: value.split(",") if name in lists else value for name, value in given.items()},
            **PSEUDO,
            "AWS::NoValue": _NOTHING,
        }
        found: dict[str, Any] = self.resolved(self._template["Resources"])
        self.resources = {name: one for name, one in found.items() if self._made(one)}

    def resolved(self, node: Any) -> Any:
        if isinstance(node, list):
            return [found for one in node if (found := self.resolved(one)) is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, about),) = node.items()
            if name == "Ref":
                return self._values.get(about, about)
            if name.startswith("Fn::"):
                return self._function(name.removeprefix("Fn::"), about)
        found = {name: self.resolved(one) for name, one in node.items()}
        return {name: one for name, one in found.items() if one is not _NOTHING}

    def _function(self, name: str, about: Any) -> Any:
        match name, about:
            case "GetAtt", text:
                return text
            case "If", [condition, yes, no]:
                return self.resolved(yes if self._holds(self._template["Conditions"][condition]) else no)
            case "Sub", [text, more]:
                return self._filled(text, {key: self.resolved(value) for key, value in more.items()})
            case "Sub", text:
                return self._filled(text, {})
            case "Join", [glue, parts]:
                return glue.join(self.resolved(parts))
            case "Split", [glue, text]:
                return self.resolved(text).split(glue)
            case "Select", [number, parts]:
                return self.resolved(parts)[int(number)]
        raise AssertionError(f"the template uses Fn::{name}, which is not known here")

    def _made(self, resource: Mapping[str, Any]) -> bool:
        condition = resource.get("Condition")
        return condition is None or self._holds(self._template["Conditions"][condition])

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        ((name, about),) = condition.items()
        if name == "Fn::Not":
            return not self._holds(about[0])
        assert name == "Fn::Equals"
        one, other = (str(self.resolved(part)) for part in about)
        return one == other

    def _filled(self, text: str, more: Mapping[str, Any]) -> str:
        return re.sub(r"\$\{([\w.:]+)\}", lambda found: str({**self._values, **more}.get(found[1], found[1])), text)
