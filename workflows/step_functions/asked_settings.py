"""The settings of one invocation: the function's own, with the one key that is asked for."""

import os
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.durations import render
from orchestrator.errors import UsageError
from orchestrator.settings import KeySettings, RunSettings, Settings, load
from workflows import jobs
from workflows.step_functions import history
from workflows.step_functions.machine import LONGEST_DEADLINE

_DISKS = ("file:",)


def read(asked: Mapping[str, Any]) -> Settings:
    """Read the settings, from the file that MRK_CONFIG names or from the environment, for the one key that is asked."""
    file = os.environ.get("MRK_CONFIG")
    settings = load(Path(file) if file else None, {})
    if settings.store.uri.startswith(_DISKS):
        raise UsageError(f"store.uri {settings.store.uri} is on a disk, and Lambda keeps none", "use secretsmanager:")
    return settings.model_copy(update={"keys": _key(asked.get("key"), settings)})


def within_a_history(run: RunSettings) -> None:
    """Refuse a patience that would outlast what an execution may be."""
    if run.deadline > LONGEST_DEADLINE:
        longest = render(LONGEST_DEADLINE)
        raise UsageError(f"run.deadline {render(run.deadline)} is too long for an execution", f"{longest} at most")
    if history.polls(run.deadline, run.poll) > history.ENOUGH:
        least = ceil(history.slowest(run.deadline).total_seconds())
        raise UsageError(
            f"run.deadline {render(run.deadline)} with run.poll {render(run.poll)} outgrows an execution's history",
            f"set run.poll to {least}s or more",
        )


def _key(asked: Any, settings: Settings) -> dict[str, KeySettings]:
    """Find a key by its name or ARN in the config; or, where that names none, take its settings from the input.

    Whoever may start an execution cannot put aside what the owner of a configured key has set (P10).
    """
    if isinstance(asked, str):
        return jobs.named(settings, [asked])
    if isinstance(asked, Mapping) and settings.keys:
        raise UsageError(
            "the input brings settings of a key, and the function's own settings name its keys",
            f'write {{"key": "{next(iter(settings.keys))}"}}; settings are taken only where Keys is empty',
        )
    if not isinstance(asked, Mapping) or not isinstance(asked.get("name"), str):
        hint = 'write {"key": "payments"}, or {"key": {"name": "payments", "arn": "arn:aws:kms:..."}}'
        raise UsageError("the input names no key", hint)
    given = {name: value for name, value in asked.items() if name != "name"}
    try:
        return {asked["name"]: KeySettings.model_validate(given)}
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UsageError(f"the key {asked['name']} in the input: {wrong}", "see mrk config schema") from None
