"""The machines are rendered from the stages: what is committed is what is rendered, and every stage has its state."""

import json
from pathlib import Path
from typing import Any

import pytest

import workflows.step_functions
from orchestrator.decide import name_of_stage
from orchestrator.errors import Exit
from orchestrator.retry import RetryPolicy
from workflows.cli import invoke
from workflows.jobs import WORKFLOWS
from workflows.step_functions.fleet import fleet
from workflows.step_functions.machine import APPROVAL, FUNCTION_SECONDS, LONGEST_DEADLINE, machine, state_name
from workflows.step_functions.retriers import MAY_PASS, NOT_BEGUN, THROTTLED

HERE = Path(workflows.step_functions.__file__).parent


def rendered(capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert invoke(["workflow", "render", name]) == Exit.OK
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["run", "fleet"])
def test_the_committed_machine_is_the_rendered_one(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Who changes a stage renders anew: mrk workflow render NAME > workflows/step_functions/NAME.asl.json."""
    assert (HERE / f"{name}.asl.json").read_text() == rendered(capsys, name)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_stage_has_its_state_and_comes_back_to_look(workflow: str) -> None:
    """Hub and spoke: position is derived at Look, and nowhere else."""
    states = machine(workflow, WORKFLOWS[workflow])["States"]

    for stage in WORKFLOWS[workflow]:
        state = states[state_name(name_of_stage(stage))]
        assert state["Next"] == "Look", stage
    assert [name for name, state in states.items() if state.get("Next") == "Turn"] == ["Look"]


def test_a_machine_for_run_serves_rotate_and_repair_too() -> None:
    """One machine is deployed; the input names the workflow."""
    served = {name_of_stage(stage) for stage in WORKFLOWS["run"]}

    assert {name_of_stage(stage) for stage in WORKFLOWS["rotate"]} <= served


def test_the_rotation_is_never_sent_again_by_the_engine_itself() -> None:
    """I4: only errors that say that nothing was begun are retried; after any other the machine looks."""
    rotated = machine("run", WORKFLOWS["run"])["States"]["Rotated"]

    assert [error for retry in rotated["Retry"] for error in retry["ErrorEquals"]] == [*NOT_BEGUN, *THROTTLED]
    assert rotated["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.acted", "Next": "RotationInDoubt"}]
    assert "Runtime.ExitError" in MAY_PASS


def test_the_patience_with_one_call_is_that_of_the_command_line() -> None:
    """One policy for both engines."""
    retry = machine("run", WORKFLOWS["run"])["States"]["Look"]["Retry"][0]
    pauses = [min(retry["IntervalSeconds"] * 2**n, retry["MaxDelaySeconds"]) for n in range(retry["MaxAttempts"])]

    assert retry["MaxAttempts"] + 1 == RetryPolicy().attempts
    assert retry["MaxDelaySeconds"] == RetryPolicy().longest_pause
    assert sum(pauses) <= RetryPolicy().total


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_call_that_lambda_has_no_room_for_waits_its_turn(workflow: str) -> None:
    """A fleet of ten keys in ten Regions wants a hundred calls at once, and a new account may have ten."""
    for task in function_tasks(machine(workflow, WORKFLOWS[workflow])):
        (retry,) = [one for one in task["Retry"] if list(THROTTLED) == one["ErrorEquals"]]
        assert retry["MaxAttempts"] >= 8
        assert retry["MaxDelaySeconds"] >= 60


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_call_of_the_function_ends_an_execution_with_its_stack_trace(workflow: str) -> None:
    """I9: what an act could not do is seen at the next look; a look that cannot be had ends with words of ours."""
    definition = machine(workflow, WORKFLOWS[workflow])
    caught = {task["Catch"][0]["Next"] for task in function_tasks(definition)}

    assert all([*one["ErrorEquals"]] == ["States.ALL"] for task in function_tasks(definition) for one in task["Catch"])
    passing = {name for name in caught if name != "NoAnswer"}
    states = {**definition["States"], **inner_states(definition)}
    assert all(states[name]["Parameters"] == {"Error.$": states[name]["Parameters"]["Error.$"]} for name in passing)
    assert "Cause" not in states["NoAnswer"]["CausePath"]


def test_an_execution_outlives_its_deadlines_and_ends_by_itself() -> None:
    """TimeoutSeconds: one deadline before an approval, one after it."""
    assert machine("run", WORKFLOWS["run"])["TimeoutSeconds"] > (2 * LONGEST_DEADLINE + APPROVAL).total_seconds()


def test_an_approval_is_not_waited_for_until_the_next_daily_run() -> None:
    """No two executions of a daily schedule wait for an approval of the same rotation."""
    assert machine("run", WORKFLOWS["run"])["States"]["Approve"]["TimeoutSeconds"] < 24 * 3600


def test_counting_what_came_of_a_fleet_waits_out_being_throttled() -> None:
    """Every key may be well by then: no failure of a mere question fails the parent."""
    asks = [task for task in tasks(fleet()) if ":aws-sdk:sfn:" in task["Resource"]]

    assert len(asks) == 2
    for ask in asks:
        (retry,) = ask["Retry"]
        assert (retry["ErrorEquals"], retry["MaxAttempts"]) == (["States.TaskFailed"], 8)


def test_no_state_has_a_place_for_an_approval_that_the_input_claims() -> None:
    """Two-person control: whoever starts an execution cannot approve it by its input."""
    begin = machine("run", WORKFLOWS["run"])["States"]["Begin"]

    assert begin["Parameters"] == {"asked.$": "$", "approval": "${Approval}", "events": 3}


def test_a_workflow_that_there_is_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """I9: what is wrong, and what there is."""
    assert invoke(["workflow", "render", "nope"]) == Exit.USAGE

    assert "rotate, repair, renew, run, fleet" in capsys.readouterr().err


def test_the_manual_tells_what_every_state_means() -> None:
    """A name in the console's graph is found in docs/step-functions.md."""
    manual = (HERE.parents[1] / "docs" / "step-functions.md").read_text()

    missing = [name for name in machine("run", WORKFLOWS["run"])["States"] if f"`{name}`" not in manual]

    assert missing == []


def tasks(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """Every task of a definition, those within maps included."""
    found = []
    for state in definition["States"].values():
        found += [state] if state["Type"] == "Task" else []
        found += tasks(state["ItemProcessor"]) if "ItemProcessor" in state else []
    return found


def function_tasks(definition: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for task in tasks(definition) if task["Resource"].endswith("lambda:invoke")]


def inner_states(definition: dict[str, Any]) -> dict[str, Any]:
    """The states within maps."""
    maps = [state["ItemProcessor"]["States"] for state in definition["States"].values() if "ItemProcessor" in state]
    return {name: state for states in maps for name, state in states.items()}


def test_every_call_of_the_function_outlives_its_timeout() -> None:
    """A state that ended before its function would begin a second one beside it."""
    for task in tasks(json.loads((HERE / "run.asl.json").read_text())):
        assert task["TimeoutSeconds"] > FUNCTION_SECONDS, task
