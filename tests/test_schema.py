"""The JSON Schema of the config is what mrk takes: an editor that follows it leads nobody astray."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator.durations import PATTERN, parse
from orchestrator.schema import schema

EXAMPLE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "config.example.yaml").read_text())


def valid(config: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(config))


def test_the_schema_is_one_and_takes_the_example() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())

    jsonschema.validate(EXAMPLE, schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("section", "setting", "value", "expected"),
    [
        ("run", "deadline", "1h30m", True),
        ("run", "deadline", "PT30M", False),
        ("run", "deadline", "30 minutes", False),
        ("defaults", "expires", "never", True),
        ("defaults", "expires", "90d", True),
        ("defaults", "expires", "ever", False),
        ("defaults", "rotate_every", "P90D", False),
        ("defaults", "proof", "some", False),
        ("run", "deadlin", "30m", False),
        ("run", "journal", "~/runs", True),
        ("run", "journal", "r", True),
        ("run", "lock", "/run/a b/mrk.lock", True),
        ("run", "journal", "${HOME}/runs", False),
        ("run", "after", "", False),
        ("run", "metrics", "'/srv/mrk.prom'", False),
        ("store", "identity", " identity.txt", False),
        ("store", "uri", "file:store", True),
        ("store", "uri", "file:$HOME/store", False),
        ("keys", "a b", {"arn": "x"}, False),
        ("keys", "orders", {"arn": "x", "expires": "never"}, True),
        ("keys", "orders", {"arn": "x", "regions": ["Ireland"]}, False),
    ],
)
def test_it_speaks_the_language_of_mrk(section: str, setting: str, value: Any, expected: bool) -> None:
    assert valid(EXAMPLE | {section: EXAMPLE[section] | {setting: value}}) is expected


def test_every_setting_is_described_and_every_default_is_one_that_mrk_takes() -> None:
    found = schema()
    parts = [found, *(part for part in found["$defs"].values() if "properties" in part)]
    settings = [(name, setting) for part in parts for name, setting in part["properties"].items()]

    assert len(settings) > 35
    assert [name for name, setting in settings if len(setting.get("description", "")) < 8] == []
    assert found["$defs"]["RunSettings"]["properties"]["deadline"]["default"] == "30m"
    for _, setting in settings:
        if setting.get("pattern") == PATTERN and "default" in setting:
            parse(setting["default"])
    assert "PT" not in str([setting.get("default") for _, setting in settings])
