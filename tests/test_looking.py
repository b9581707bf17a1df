"""Commands that only look: they do not wait for long, and no key is left out of what is told (I9, I10)."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from orchestrator.compose import Engine
from orchestrator.logs import event_logger
from orchestrator.model import KeyArn, Reason
from orchestrator.report import documents
from orchestrator.report.live import LiveLine
from orchestrator.report.story import Story
from orchestrator.settings import load
from workflows import jobs
from workflows.cli.common import Invocation, declined, each
from workflows.cli.plan import predicted
from workflows.cli.results import exit_code
from worlds import REGIONS, World

Made = Callable[..., Invocation]


@pytest.fixture
def called(world: World, tmp_path: Path) -> Made:
    """Put one command together around the simulated world, with our own clock."""

    def make(*arns: str, **more: Any) -> Invocation:
        config = tmp_path / "config.yaml"
        keys = {f"key{number}": {"arn": arn, "regions": list(REGIONS), **more} for number, arn in enumerate(arns)}
        config.write_text(yaml.safe_dump({"store": {"uri": world.store_uri}, "keys": keys}))
        kms, runner = world.kms(), world.runner()
        engine = Engine(load(config, {}), world.clock, kms, world.store, world.observe(), lambda _: None, runner)  # type: ignore[arg-type,return-value]
        return Invocation(engine.settings, engine, as_json=False, journal=world.events.append, live=world.events.append)  # type: ignore[arg-type]

    return make


def test_a_region_that_does_not_answer_is_not_waited_for_long(world: World, called: Made) -> None:
    """A person waits for the result: under a minute, not five."""
    command = called(str(world.make_key()))
    world.simulator.faults.add(region=REGIONS[1], drop="before")
    begun = world.clock.now()

    todo = each(command, None, lambda name, key: jobs.verify(name, key, command.settings.policy(key)))
    (report,) = command.look(todo)

    assert world.clock.now() - begun < timedelta(seconds=60)
    assert exit_code([report]) == 3
    assert [(block.reason, block.region) for block in report.blocks] == [(Reason.ACCESS, REGIONS[1])]
    assert f"{REGIONS[1]} cannot be looked at: DescribeKey on" in report.message
    assert report.job.policy.deadline == timedelta(minutes=30)


def test_an_alias_that_leads_nowhere_is_told_by_its_name_and_needs_a_person(world: World, called: Made) -> None:
    """As a key that is not there: in the result, and in the journal, with an end."""
    alias = f"arn:aws:kms:{REGIONS[0]}:111122223333:alias/nobody"
    command = called(alias)

    todo = each(command, None, lambda name, key: jobs.run(name, key, command.settings.policy(key)))
    (report,) = command.run(todo)

    assert exit_code([report]) == 4
    assert str(report.job.key) == alias
    document = documents.status(report)
    assert (document["name"], document["arn"], document["regions"]) == ("key0", alias, {})
    assert "NotFoundException" in document["blocks"][0]["message"]
    lines = [
        {"seq": number, "kind": event.kind, "key": event.key, "region": event.region, "data": event.data}
        for number, event in enumerate(world.events, 1)
    ]
    (story,) = Story().told(lines).keys.values()
    assert (story.name, story.arn, story.outcome) == ("key0", alias, "blocked")
    assert "NotFoundException" in story.message
    assert [(call.operation, call.error) for step in story.steps for call in step.calls] == [
        ("DescribeKey", "NotFoundException")
    ]


def test_two_names_whose_alias_leads_to_one_key_are_refused(world: World, called: Made) -> None:
    arn = world.make_key()
    world.client().create_alias(AliasName="alias/payments", TargetKeyId=arn.key_id)
    command = called(str(arn), f"arn:aws:kms:{REGIONS[0]}:111122223333:alias/payments")

    with pytest.raises(Exception, match="key1 is the same key as key0"):
        command.keys([])


def test_a_plan_as_a_document_says_when_and_why_and_how_it_ends(world: World, called: Made) -> None:
    arn = world.make_key()
    command = called(str(arn), rotate_every="90d")
    world.clock.advance(days=91)

    def plan() -> dict[str, Any]:
        todo = each(command, None, lambda name, key: jobs.run(name, key, command.settings.policy(key)))
        ((report, found),) = predicted(command, todo)
        return documents.plan(report, found, "RSAES_OAEP_SHA_256")

    due = plan()
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    blocked = plan()

    assert (due["status"], due["message"], due["rotations_left"]) == ("planned", "work to do", 25)
    assert due["due"] < world.clock.now().isoformat()
    assert due["why"].startswith("never rotated, due ")
    assert (blocked["status"], [step["stage"] for step in blocked["steps"]]) == ("blocked", ["kept_alive"])
    assert blocked["steps"][0]["calls"][0]["where"] == "store", "what the owner switched off is noted, and no more"
    assert "is Disabled" in blocked["message"]
    assert "--key-id mrk-" in blocked["blocks"][0]["way_out"]


def test_a_rotation_that_was_declined_is_no_success_in_the_journal(world: World, called: Made) -> None:
    command = called(str(world.make_key()))
    todo = each(command, None, lambda name, key: jobs.rotate(name, key, command.settings.policy(key)))
    predicted(command, todo)

    error = declined(command, todo)

    assert (error.exit_code, bool(error.hint)) == (5, False)
    ended = [event.data for event in world.events if event.kind == "run.ended"]
    assert (ended[-1]["status"], ended[-1]["message"]) == ("interrupted", "not confirmed; nothing was changed")


def test_a_terminal_sees_how_far_a_look_came_from_its_first_second(world: World, called: Made) -> None:
    command = called(str(world.make_key()))
    live, shown = LiveLine(Console(file=io.StringIO(), force_terminal=True)), []

    todo = each(command, None, lambda name, key: jobs.verify(name, key, command.settings.policy(key)))
    command.look(todo)
    for event in world.events:
        live(event)
        shown.append(live.shown)

    assert "key0: looking: 0 of 3 Regions seen" in shown
    assert "key0: looking: 3 of 3 Regions seen" in shown


@pytest.mark.parametrize(("status", "heard"), [("blocked", True), ("failed", True), ("error", True), ("idle", False)])
def test_what_did_not_end_well_is_logged_at_level_warning(world: World, status: str, heard: bool) -> None:
    from orchestrator.ports import Event  # noqa: PLC0415

    out = io.StringIO()

    event_logger(out, "warning")(Event(world.clock.now(), "run.ended", "payments", data={"status": status}))

    assert bool(out.getvalue()) is heard


def test_the_alias_of_an_unresolved_key_is_none_of_its_identity(world: World, called: Made) -> None:
    """One alias that fails stops no other key (I10)."""
    arn = world.make_key()
    command = called(f"arn:aws:kms:{REGIONS[0]}:111122223333:alias/nobody", str(arn))

    todo = each(command, None, lambda name, key: jobs.verify(name, key, command.settings.policy(key)))
    reports = command.look(todo)

    assert sorted((report.job.name, report.status) for report in reports) == [("key0", "blocked"), ("key1", "idle")]
    assert KeyArn.parse(str(reports[0].job.key)) == arn
