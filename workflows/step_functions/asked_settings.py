"""The settings of one invocation: the function's own, with the one key that is asked for."""

import os
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.durations import render
from orchestrator.errors import UsageError
from orchestrator.kms import check_regions
from orchestrator.model import region_of
from orchestrator.settings import KeyName, KeySettings, RunSettings, Settings, load
from workflows import jobs
from workflows.step_functions import history, narrowing
from workflows.step_functions.machine import LONGEST_DEADLINE
from workflows.step_functions.narrowing import Asked, Bound, Deployed

DEPLOYED = "MRK_DEPLOYED"
"""The variable in which the template tells what the stack was deployed for, as JSON."""

_MOST_WRONG = 10
_DISKS = ("file:",)
_NAME: TypeAdapter[str] = TypeAdapter(KeyName)


def deployed(environment: Mapping[str, str]) -> Deployed:
    """Read what the stack was deployed for; raises UsageError."""
    try:
        return Deployed.model_validate_json(environment.get(DEPLOYED) or "{}")
    except ValidationError as error:
        raise UsageError(f"{DEPLOYED}: {_told(error)}", "deploy the stack's own template") from None


def read(given: Mapping[str, Any], machine: str | None, stack: Deployed) -> tuple[Settings, Asked]:
    """Read the settings, from the file that MRK_CONFIG names or from the environment, for the one key that is asked."""
    file = os.environ.get("MRK_CONFIG")
    settings = load(Path(file) if file else None, {})
    if settings.store.uri.startswith(_DISKS):
        raise UsageError(f"store.uri {settings.store.uri} is on a disk, and Lambda keeps none", "use secretsmanager:")
    bound = Bound(stack, settings.defaults, machine)
    asked = narrowing.asked(given, bound)
    settings = settings.of(_key(asked.key, settings, bound))
    for name, key in settings.keys.items():
        narrowing.importable(name, settings.policy(key), stack)
    return settings, asked


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


def _key(asked: str | Mapping[str, Any], settings: Settings, bound: Bound) -> dict[str, KeySettings]:
    """Find a key by its name or ARN in the config; or, where that names none, take its settings from the input.

    Whoever may start an execution cannot put aside what the owner of a configured key has set (P10).
    """
    if isinstance(asked, str):
        return jobs.named(settings, [asked])
    if settings.keys:
        raise UsageError(
            "the input brings settings of a key, and the function's own settings name its keys",
            f'write {{"key": "{next(iter(settings.keys))}"}}; settings are taken only where Keys is empty',
        )
    name, key = _written(asked)
    key = narrowing.brought(name, key, bound)
    check_regions(bound.deployed.partition, [region_of(key.arn), *key.regions])
    return {name: key}


def _written(asked: Mapping[str, Any]) -> tuple[str, KeySettings]:
    try:
        name = _NAME.validate_python(asked["name"])
    except ValidationError as error:
        raise UsageError(f"the name of the key in the input: {_told(error)}", "see docs/step-functions.md") from None
    try:
        return name, KeySettings.model_validate({one: value for one, value in asked.items() if one != "name"})
    except ValidationError as error:
        raise UsageError(f"the key {name} in the input: {_told(error)}", "see mrk config schema") from None


def _told(error: ValidationError) -> str:
    found = error.errors()[:_MOST_WRONG]
    return "; ".join(f"{'.'.join(map(narrowing.word, one['loc']))}: {_unquoted(one)}" for one in found)


def _unquoted(one: ErrorDetails) -> str:
    """Say what is wrong without the value: what stands in a wrong place may be a secret (I14)."""
    value, message = one["input"], str(one["msg"])
    return message.replace(repr(value), "it").replace(value, "it") if isinstance(value, str) and value else message
