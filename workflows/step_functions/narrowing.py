"""What an input may ask for: it may narrow what the stack was deployed for, and widen nothing. Pure.

Every field of an input, and every setting of a key that an input may bring, has a rule; what has none is refused.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.durations import render
from orchestrator.errors import UsageError
from orchestrator.model import MissingOld, Policy, Proof, Repair, Replicate
from orchestrator.settings import KeyPolicySettings, KeySettings

_HINT = "an input may narrow what the stack was deployed for; what widens that is a parameter of the stack"
_WORD = re.compile(r"[a-z_]{1,20}")
"""What is repeated of an input: anything else may be a secret in a wrong place (I14)."""

_ID = re.compile(r"[0-9a-f]{8,64}")
_LONGEST = 8_000
"""Characters of an input: it stands in every state of its execution."""


Workflow = Literal["run", "rotate", "repair", "renew"]


class Deployed(BaseModel):
    """What the stack was deployed for, as its template tells the function; what is not told is the least."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workflows: Annotated[tuple[Workflow, ...], Field(min_length=1)] = ("run",)
    approval: Literal["none", "required"] = "none"
    expires: Literal["never", "always", "both"] = "both"
    partition: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is taken from an input: a key's name, or its name and settings; the workflow; the material to replace."""

    key: str | Mapping[str, Any]
    workflow: str
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """What an input is held against. `machine` is the workflow that the calling machine was rendered from, if any."""

    deployed: Deployed
    defaults: KeyPolicySettings
    machine: str | None = None


Rule = Callable[[Any, Bound], str]
"""Say what is wrong with a value; nothing where it narrows, or leaves as it is, what was deployed."""

_NARROWER: Mapping[str, Sequence[str]] = {"run": ("renew",)}
"""What is a part of another workflow. Repair is none of `run`: that asks nobody only with `repair: auto`."""

_OF_ALL = (None, "run")
"""The machine that is rendered from `run` has states for every workflow; any other is for its own alone."""

_ROTATING = ("run", "rotate")


def _a_note(_value: Any, _bound: Bound) -> str:
    return ""


def _a_key(value: Any, _bound: Bound) -> str:
    if isinstance(value, str) or (isinstance(value, Mapping) and isinstance(value.get("name"), str)):
        return ""
    return 'it names no key: write {"key": "payments"}, or {"key": {"name": "payments", "arn": "arn:aws:kms:..."}}'


def _a_workflow(value: Any, bound: Bound) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        return "`workflow` is the name of a workflow"
    served = _served(bound.deployed)
    if value not in served:
        return f"the stack was not deployed for workflow {value}: its parameter Workflows allows {', '.join(served)}"
    if bound.machine not in (*_OF_ALL, value):
        return f"this machine is for {bound.machine} alone, not for {value}"
    return ""


def _served(deployed: Deployed) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(one for workflow in deployed.workflows for one in (workflow, *_NARROWER.get(workflow, ())))
    )


def _an_id(value: Any, _bound: Bound) -> str:
    if value is None or (isinstance(value, str) and _ID.fullmatch(value)):
        return ""
    return "`replaces` is the id of a key material: 8 to 64 hexadecimal digits"


FIELDS: Mapping[str, Rule] = {
    "key": _a_key,
    "workflow": _a_workflow,
    "replaces": _an_id,
    "Comment": _a_note,
    "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": _a_note,
}
"""The fields of an input. `replaces` is compare-and-swap alone here: no input makes a rotation sooner, or approves one.

The last two say something to people and to Step Functions, and nothing to mrk.
"""


def _of_this_account(value: str, bound: Bound) -> str:
    deployed = bound.deployed
    _, partition, _, _, account, _ = value.split(":", 5)
    if not deployed.account:
        return "the function does not know whose keys an input may bring: put the key into its settings"
    if (partition, account) == (deployed.partition, deployed.account):
        return ""
    return f"arn: only keys of account {deployed.account} in partition {deployed.partition}"


def _at_least(name: str) -> Rule:
    def rule(value: Any, bound: Bound) -> str:
        least = getattr(bound.defaults, name)
        return "" if value >= least else f"{name}: {_written(least)} at least, as the stack has it"

    return rule


def _no_laxer(name: str, *strictest_first: str) -> Rule:
    def rule(value: Any, bound: Bound) -> str:
        most = getattr(bound.defaults, name)
        laxer = strictest_first.index(value) > strictest_first.index(most)
        return f"{name}: no laxer than {most}, as the stack has it" if laxer else ""

    return rule


def _as_deployed(name: str) -> Rule:
    def rule(value: Any, bound: Bound) -> str:
        same = getattr(bound.defaults, name)
        return "" if value == same else f"{name}: {_written(same)} only, as the stack has it"

    return rule


def _never_auto(value: Any, _bound: Bound) -> str:
    return "replicate: only for keys in the stack's own Keys" if value is Replicate.AUTO else ""


SETTINGS: Mapping[str, Rule] = {
    "arn": _of_this_account,
    "regions": _a_note,
    "rotate_every": _at_least("rotate_every"),
    "min_interval": _at_least("min_interval"),
    "reserve": _at_least("reserve"),
    "expires": _as_deployed("expires"),
    "renew_before": _at_least("renew_before"),
    "safety_window": _at_least("safety_window"),
    "proof": _no_laxer("proof", Proof.FULL, Proof.IDS_ONLY, Proof.OFF),
    "missing_old": _no_laxer("missing_old", MissingOld.BLOCK, MissingOld.ALLOW),
    "repair": _no_laxer("repair", Repair.ASK, Repair.AUTO),
    "replicate": _never_auto,
}
"""The settings of a key that an input brings where the stack names none, against the stack's Defaults.

`regions` is free because it makes no replica: `replicate` is never `auto` for such a key.
"""


def asked(given: Mapping[str, Any], bound: Bound) -> Asked:
    """Read an input; raises UsageError that says all that it asks beyond what the stack was deployed for."""
    if len(json.dumps(given, default=str)) > _LONGEST:
        raise UsageError(f"the input has more than {_LONGEST} characters", "write what docs/step-functions.md shows")
    wanted = {"key": None, "workflow": None, **given}
    if wanted["workflow"] is None:
        # The machine's own, and never another that is allowed: a schedule names none, and is to rotate nothing by that.
        wanted["workflow"] = bound.machine or "run"
    if wrong := list(_beyond(wanted, FIELDS, bound)):
        raise UsageError(f"the input: {'; '.join(wrong)}", _HINT)
    replaces = wanted.get("replaces")
    if replaces and wanted["workflow"] != "rotate":
        raise UsageError(f"`replaces` goes with rotate, not with {wanted['workflow']}", "leave it out, or rotate")
    return Asked(wanted["key"], wanted["workflow"], replaces)


def brought(name: str, key: KeySettings, bound: Bound) -> KeySettings:
    """Return a key that an input brings, as it may be treated; raises UsageError where it asks for more than that."""
    given = {one: getattr(key, one) for one in key.model_fields_set}
    own = {one: value for one, value in given.items() if value is not None}
    if wrong := list(_beyond(own, SETTINGS, bound)):
        raise UsageError(f"the key {name} in the input: {'; '.join(wrong)}", _HINT)
    return key.model_copy(update={"replicate": Replicate.ASK})


def _beyond(given: Mapping[str, Any], rules: Mapping[str, Rule], bound: Bound) -> Iterable[str]:
    for name, value in given.items():
        rule = rules.get(name)
        if rule is None:
            yield f"there is no field {word(name)}"
        elif wrong := rule(value, bound):
            yield wrong


def word(text: Any) -> str:
    """Return a word of an input as it may be repeated."""
    return str(text) if isinstance(text, int) or _WORD.fullmatch(str(text)) else "..."


def importable(name: str, policy: Policy, deployed: Deployed) -> None:
    """Refuse a key whose material the function's role may not import; raises UsageError."""
    wanted = "always" if isinstance(policy.expires, timedelta) else "never"
    if deployed.expires not in {wanted, "both"}:
        said = _written(policy.expires)
        message = f"the key {name} has expires: {said}, and the stack was deployed with Expires: {deployed.expires}"
        raise UsageError(message, "deploy the stack with Expires: both, or let the two agree")


def approvable(workflow: str, deployed: Deployed, approval: str) -> None:
    """Refuse what could rotate and asks nobody, where the stack wants each rotation approved; raises UsageError."""
    if deployed.approval == "required" and approval != "required" and workflow in _ROTATING:
        message = f"the stack wants each rotation approved, and here nobody is asked: {workflow} may rotate"
        raise UsageError(message, "start the stack's key machine, which asks")


def _written(value: Any) -> str:
    if value is None:
        return "unset"
    return render(value) if isinstance(value, timedelta) else str(value)
