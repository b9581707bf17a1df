"""An input may narrow what the stack was deployed for, and widen nothing: every field has a rule, and each is tried."""

import json
from dataclasses import fields
from typing import Any

import pytest
from test_handler import ARN, Context

from orchestrator.errors import UsageError
from orchestrator.model import Replicate
from orchestrator.settings import KeyPolicySettings, KeySettings, Settings
from workflows.jobs import WORKFLOWS
from workflows.step_functions import asked_settings
from workflows.step_functions.asked_settings import deployed
from workflows.step_functions.handler import handle
from workflows.step_functions.narrowing import FIELDS, SETTINGS, Asked, Bound, Deployed, asked

ACCOUNT = {"partition": "aws", "account": "111122223333"}
NOTES = {"Comment", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"}

MIDDLE: dict[str, Any] = {
    "rotate_every": "90d",
    "min_interval": "7d",
    "reserve": 5,
    "expires": "60d",
    "renew_before": "20d",
    "safety_window": "10d",
    "proof": "ids-only",
    "missing_old": "block",
    "repair": "ask",
    "replicate": "ask",
}
"""Defaults that leave room on both sides."""

OTHER = ARN.replace("111122223333", "444455556666")
CASES: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {
    "arn": (
        {},
        [ARN, ARN.replace("us-east-1", "eu-west-1"), "arn:aws:kms:us-east-1:111122223333:alias/payments"],
        [OTHER, ARN.replace("arn:aws:", "arn:aws-cn:"), "arn:aws:kms:us-east-1:444455556666:alias/payments"],
    ),
    "regions": ({}, [["us-east-1", "eu-west-1"], []], [["mars-east-1"], ["cn-north-1"]]),
    "rotate_every": ({}, ["90d", "91d", "365d"], ["89d", "7d", "89d23h59m"]),
    "min_interval": ({}, ["7d", "8d", "90d"], ["1d", "6d23h"]),
    "reserve": ({}, [5, 6, 25], [0, 2, 4]),
    "expires": ({}, ["60d", None], ["never", "61d", "59d"]),
    "renew_before": ({}, ["20d", "30d"], ["19d", "11d"]),
    "safety_window": ({}, ["10d", "15d"], ["9d", "1d"]),
    "proof": ({}, ["ids-only", "full"], ["off"]),
    "missing_old": ({}, ["block"], ["allow"]),
    "repair": ({}, ["ask"], ["auto"]),
    "replicate": ({"replicate": "auto"}, ["ask"], ["auto"]),
}
"""For each setting of a key that an input brings: the deployed defaults, what narrows them, and what widens them."""


def judged(monkeypatch: pytest.MonkeyPatch, defaults: dict[str, Any], **brought: Any) -> Settings:
    """Read the settings as the function does, for a key that the input brings."""
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")
    monkeypatch.setenv("MRK_DEFAULTS", json.dumps({**MIDDLE, **defaults}))
    given = {"key": {"name": "payments", "arn": ARN, **brought}}
    settings, _ = asked_settings.read(given, "run", Deployed(**ACCOUNT))  # type: ignore[arg-type]
    return settings


def test_every_field_and_every_setting_has_a_rule_and_a_case() -> None:
    """Whoever adds one says here what an input may do with it."""
    assert set(SETTINGS) == set(KeySettings.model_fields) == set(CASES)
    assert set(KeyPolicySettings.model_fields) == set(MIDDLE)
    assert {one.name for one in fields(Asked)} == set(FIELDS) - NOTES


NARROWER = [(name, value) for name, (_, narrower, _) in CASES.items() for value in narrower]
WIDER = [(name, value) for name, (_, _, wider) in CASES.items() for value in wider]


@pytest.mark.parametrize(("name", "value"), NARROWER)
def test_what_narrows_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    settings = judged(monkeypatch, CASES[name][0], **{name: value})

    written = settings.keys["payments"].model_dump(mode="json", by_alias=True)[name]
    assert written == value


@pytest.mark.parametrize(("name", "value"), WIDER)
def test_what_widens_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """Whatever it would loosen, and however little."""
    with pytest.raises(UsageError) as raised:
        judged(monkeypatch, CASES[name][0], **{name: value})

    words = {"arn": "partition", "regions": "no Region"}
    assert words.get(name, name) in raised.value.message


LAX = {"proof": "off", "missing_old": "allow", "repair": "auto", "reserve": 0, "min_interval": "1d", "expires": "never"}


def test_a_lax_stack_lets_an_input_be_lax_and_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is what the stack has, and not a taste of ours."""
    strict = {"proof": "full", "missing_old": "block", "repair": "ask", "reserve": 9, "min_interval": "30d"}

    assert judged(monkeypatch, LAX, **LAX).keys["payments"].proof == "off"
    assert judged(monkeypatch, LAX, **strict).keys["payments"].reserve == 9


def test_the_regions_of_an_input_make_no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """P11: with replicate: auto whoever starts an execution would say where the key is to be."""
    settings = judged(monkeypatch, {"replicate": "auto"}, regions=["us-east-1", "sa-east-1"])

    assert settings.policy(settings.keys["payments"]).replicate is Replicate.ASK


@pytest.mark.parametrize(
    "brought",
    [
        {"renew_before": "60d"},
        {"renew_before": "300d"},
        {"safety_window": "20d"},
        {"min_interval": "91d"},
    ],
)
def test_settings_that_are_narrow_alone_are_judged_together_too(
    monkeypatch: pytest.MonkeyPatch, brought: dict[str, Any]
) -> None:
    """As a config's are: or material would be imported again at every run, or never in time."""
    with pytest.raises(UsageError) as raised:
        judged(monkeypatch, {}, **brought)

    assert "keys.payments" in raised.value.message


# ---- the fields of the input --------------------------------------------------------------------------------------

WORKFLOW = [
    # deployed for, the machine's, asked, what is done (None: refused)
    (("run",), "run", None, "run"),
    (("run",), "run", "run", "run"),
    (("run",), "run", "renew", "renew"),
    (("run",), "run", "rotate", None),
    (("run",), "run", "repair", None),
    (("run",), None, "rotate", None),
    (("run",), None, None, "run"),
    (("repair",), "run", None, None),
    (("repair",), "run", "repair", "repair"),
    (("repair",), "run", "rotate", None),
    (("repair",), "run", "run", None),
    (("renew",), "run", "run", None),
    (("renew",), "renew", "repair", None),
    (("rotate",), "run", "run", None),
    (("rotate",), "run", None, None),
    (("rotate",), None, None, None),
    (("rotate",), "rotate", None, "rotate"),
    (("run", "rotate"), "run", "rotate", "rotate"),
    (("run", "rotate"), "run", None, "run"),
    (("run", "rotate"), "renew", "rotate", None),
    (("run", "repair"), "repair", None, "repair"),
    (("run", "repair"), "repair", "run", None),
    (("run",), "repair", None, None),
    (("run", "rotate"), "run", "destroy", None),
    (("run", "rotate"), "run", "RUN", None),
    (("run", "rotate"), ["rotate"], None, None),
]


@pytest.mark.parametrize(("workflows", "machine", "wanted", "done"), WORKFLOW)
def test_a_workflow_is_one_that_the_stack_was_deployed_for(
    workflows: Any, machine: Any, wanted: str | None, done: str | None
) -> None:
    bound = Bound(Deployed(workflows=workflows), KeyPolicySettings(), machine)
    given = {"key": "payments"} | ({"workflow": wanted} if wanted else {})

    if done is None:
        with pytest.raises(UsageError):
            asked(given, bound)
    else:
        assert asked(given, bound).workflow == done


def test_the_table_knows_every_workflow() -> None:
    assert {one for row in WORKFLOW for one in row[0]} == set(WORKFLOWS)


ROTATING = Bound(Deployed(workflows=("run", "rotate")), KeyPolicySettings(), "run")
REFUSED: dict[str, dict[str, Any]] = {
    "a field that there is not": {"until": "ready"},
    "a misspelt field": {"replace": 64 * "a"},
    "an approval": {"approved": "all of them"},
    "another approval": {"approval": "none"},
    "settings beside the key": {"defaults": {"repair": "auto"}},
    "a store": {"store": {"uri": "secretsmanager:us-east-1/mine"}},
    "a deadline": {"run": {"deadline": "12h"}},
    "an endpoint": {"aws": {"endpoint_url": "https://example.org"}},
    "what says that a person is there": {"attended": True},
    "an id that is none": {"replaces": "CURRENT"},
    "an id with more in it": {"replaces": 64 * "a" + "\n"},
    "a long id": {"replaces": 65 * "a"},
    "what to replace, of a run": {"workflow": "run", "replaces": 64 * "a"},
    "a long comment": {"Comment": 10_000 * "x"},
    "many fields": {f"field{number}": 1 for number in range(2_000)},
    "a key that is a list": {"key": ["payments"]},
    "a key without a name": {"key": {"arn": ARN}},
}


@pytest.mark.parametrize("more", REFUSED.values(), ids=REFUSED)
def test_what_has_no_rule_or_no_shape_is_refused(more: dict[str, Any]) -> None:
    """A field that nobody reads would be taken for one that was obeyed."""
    with pytest.raises(UsageError) as raised:
        asked({"key": "payments", "workflow": "rotate", **more}, ROTATING)

    assert len(raised.value.message) < 200


@pytest.mark.parametrize("note", sorted(NOTES))
def test_notes_of_others_change_nothing(note: str) -> None:
    """The console's example input has a Comment, and Step Functions adds who started an execution."""
    assert asked({"key": "payments", note: "arn:aws:states:..."}, ROTATING) == Asked("payments", "run")


def test_what_nobody_deployed_is_the_least() -> None:
    """A function without the template's variable: `run` alone, of the keys in its own settings."""
    bound = Bound(deployed({}), KeyPolicySettings())

    assert asked({"key": "payments"}, bound).workflow == "run"
    with pytest.raises(UsageError, match="not deployed for workflow rotate"):
        asked({"key": "payments", "workflow": "rotate"}, bound)


@pytest.mark.parametrize(
    "text", ["{", '{"workflows": []}', '{"workflows": ["destroy"]}', '{"approvals": "none"}', "[]"]
)
def test_what_was_deployed_wrongly_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="MRK_DEPLOYED"):
        deployed({"MRK_DEPLOYED": text})


def test_without_an_account_an_input_brings_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")

    with pytest.raises(UsageError, match="whose keys"):
        asked_settings.read({"key": {"name": "payments", "arn": ARN}}, "run", Deployed())


# ---- what the function does with it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "key", "agrees"),
    [
        ("never", {}, True),
        ("never", {"expires": "90d"}, False),
        ("always", {}, False),
        ("always", {"expires": "90d"}, True),
        ("both", {"expires": "90d"}, True),
        ("both", {}, True),
    ],
)
def test_a_key_whose_material_the_role_may_not_import_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, expires: Any, key: dict[str, Any], agrees: bool
) -> None:
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")
    monkeypatch.setenv("MRK_KEYS", json.dumps({"payments": {"arn": ARN, **key}}))
    stack = Deployed(expires=expires)

    if agrees:
        assert "payments" in asked_settings.read({"key": "payments"}, "run", stack)[0].keys
    else:
        with pytest.raises(UsageError, match="Expires"):
            asked_settings.read({"key": "payments"}, "run", stack)


@pytest.mark.parametrize("workflow", ["run", "rotate"])
def test_a_whole_run_asks_nobody_so_a_stack_that_wants_approval_refuses_it(
    monkeypatch: pytest.MonkeyPatch, workflow: str
) -> None:
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")
    monkeypatch.setenv("MRK_KEYS", json.dumps({"payments": {"arn": ARN}}))
    stack = {"workflows": ["run", "rotate", "repair"], "approval": "required"}
    monkeypatch.setenv("MRK_DEPLOYED", json.dumps(stack))

    with pytest.raises(UsageError, match="approved"):
        handle({"op": "run", "key": "payments", "workflow": workflow}, Context())


SECRET = "AGE-SECRET-KEY-1" + 58 * "Q"
MISPLACED: list[Any] = [
    {"key": {"name": f"{SECRET}\n", "arn": ARN}},
    {"key": {"name": "payments", "arn": SECRET}},
    {"key": [SECRET]},
    {"key": {"name": "payments", "arn": ARN, SECRET: 1}},
    {"key": "payments", SECRET: 1},
    {"key": "payments", SECRET.replace("-", "_"): 1},
    {"key": {"name": "payments", "arn": ARN, "regions": [SECRET]}},
    {"key": {"name": "payments", "arn": ARN, "rotate_every": SECRET}},
    {"key": {"name": "payments", "arn": ARN, "proof": SECRET}},
    {"key": {"name": "payments", "arn": f"arn:aws:kms:us-east-1:{SECRET}:key/x"}},
    {"key": "payments", "workflow": SECRET},
    {"key": "payments", "workflow": "rotate", "replaces": SECRET},
]


@pytest.mark.parametrize("given", MISPLACED)
def test_what_stands_in_the_wrong_place_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: Any
) -> None:
    """I14: the input is in the history once, by whoever wrote it; not in the report, the cause and the log as well."""
    monkeypatch.setenv("MRK_STORE__URI", "secretsmanager:us-east-1/mrk")
    monkeypatch.setenv("MRK_DEPLOYED", json.dumps({**ACCOUNT, "workflows": ["run", "rotate"]}))

    ended = handle({"op": "look", "workflow": "run", "state": {"asked": given}}, Context())

    assert ended["turn"]["report"]["blocks"][0]["reason"] == "settings"
    assert SECRET not in json.dumps(ended) + capsys.readouterr().out
