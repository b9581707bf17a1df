"""The JSON Schema of a config file, for editors: what mrk takes, written as mrk takes it."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from orchestrator.durations import render
from orchestrator.settings import Settings


class _Written(GenerateJsonSchema):
    """Writes durations as people do."""

    def encode_default(self, dft: Any) -> Any:
        return render(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a config file."""
    found = Settings.model_json_schema(schema_generator=_Written)
    parts = found["$defs"]
    for part in (found, *parts.values()):
        for setting in part.get("properties", {}).values():
            _without_nothing(setting)
    for name, setting in parts["KeySettings"]["properties"].items():
        default = parts["KeyPolicySettings"]["properties"].get(name, {})
        setting.setdefault("description", f"{default.get('description')}; unset: as under `defaults`")
    found["properties"]["keys"]["additionalProperties"] = False
    for section in ("defaults", "run", "aws"):
        found["properties"][section]["default"] = {}
    return found | {"title": "mrk config", "$schema": "https://json-schema.org/draft/2020-12/schema"}


def _without_nothing(setting: dict[str, Any]) -> None:
    """Leave out a default that says only that a setting is not set."""
    if setting.get("default", "") is None:
        del setting["default"]
