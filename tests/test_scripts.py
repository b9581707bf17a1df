"""A plan as a script: every word of it is quoted, it tells of what it leaves undone, and it keeps the rules of mrk."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model import KeyArn, KeyState, MaterialId, Policy, Proof, Region, View
from orchestrator.plan import Plan, predict
from orchestrator.progress import Job, Report
from orchestrator.report import documents
from orchestrator.report.scripts import Means, Shelf, script
from orchestrator.settings import KeySettings
from orchestrator.stores.layout import path_of
from workflows import jobs
from worlds import REGIONS, World

EVIL = "a b; touch pwned; 'c' $(touch pwned) `touch pwned`\ntouch pwned\n\x1b[2J"
WRITTEN = 1_772_438_400
"""When the plans of these tests are made: the clock of a world."""


def planned(world: World, job: Job) -> tuple[Report, Plan | None]:
    """Look, pin, and predict, as `mrk plan` does."""
    (report,) = world.runner().run([replace(job, stages=())])
    if report.run is None or report.view is None:
        return report, None
    return report, predict(job.stages, report.view, report.run, report.view.at)


def rotation(
    world: World, arn: KeyArn, name: str = "payments", proof: Proof = Proof.IDS_ONLY
) -> tuple[Report, Plan | None]:
    return planned(world, jobs.rotate(name, KeySettings(arn=str(arn)), replace(world.policy, proof=proof)))


def means(world: World, **more: Any) -> Means:
    root = world.directory / "store"
    shelf = Shelf(root, {"partition": "aws"}, partial(path_of, root), tuple(world.recipients), world.identity)
    given = {"algorithm": "RSAES_OAEP_SHA_256", "endpoint": lambda region: f"https://kms.{region}.test", "shelf": shelf}
    return Means(**{**given, **more})


@dataclass
class Shell:
    """A shell whose aws command says yes to whatever is asked, and writes down what that was."""

    folder: Path

    def __post_init__(self) -> None:
        self.here, self.bin = self.folder / "here", self.folder / "bin"
        self.here.mkdir()
        self.bin.mkdir()
        self.tool("date", f"echo {WRITTEN + 1000}")
        self.tool("aws", f'for word; do printf "%s\\n" "$word"; done >> {self.folder}/asked', self.answers())

    def tool(self, name: str, *lines: str) -> None:
        path = self.bin / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)

    @staticmethod
    def answers() -> str:
        return 'case "$*" in *import-key-material*|*generate-data-key*) echo "$ID";; *) echo true;; esac'

    def run(self, text: str, **more: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "TMPDIR": str(self.folder), **more}
        return subprocess.run(
            ["sh", "-c", text], cwd=self.here, env=environment, capture_output=True, text=True, check=False
        )

    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def assert_not_pwned(self) -> None:
        assert list(self.here.iterdir()) == []
        assert not list(self.folder.rglob("pwned"))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "shell").mkdir()
    made = Shell(tmp_path / "shell")
    yield made
    made.assert_not_pwned()


def test_a_name_is_never_read_by_the_shell_or_the_terminal(world: World, shell: Shell) -> None:
    """The settings refuse such a name; the script does not rely on that."""
    arn = world.make_key()
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    blocked = planned(world, jobs.run(EVIL, KeySettings(arn=str(arn)), world.policy))
    world.client(REGIONS[1]).enable_key(KeyId=arn.key_id)
    text = script([blocked, rotation(world, arn, EVIL)], means(world))

    ran = shell.run(text)

    assert "not done: a b; touch pwned" in ran.stderr
    assert "\x1b" not in text + ran.stderr + ran.stdout


Spoil = Callable[[Report, View], Report]


def other_id(report: Report, view: View) -> Report:
    seen = view.regions[Region(REGIONS[1])]
    rows = (replace(seen.rows[0], material_id=MaterialId(EVIL)),)
    return with_regions(report, view, {seen.region: replace(seen, rows=rows)})


def other_option(report: Report, view: View) -> Report:
    seen = view.regions[Region(REGIONS[0])]
    rows = (replace(seen.rows[0], material_id=MaterialId("file:///etc/passwd")),)
    return with_regions(report, view, {seen.region: replace(seen, rows=rows)})


def other_member(report: Report, view: View) -> Report:
    seen = view.regions[Region(REGIONS[1])]
    return with_regions(report, view, {seen.region: replace(seen, members=seen.members | {Region(EVIL)})})


def with_regions(report: Report, view: View, changed: dict[Region, Any]) -> Report:
    return replace(report, view=replace(view, regions={**view.regions, **changed}))


@pytest.mark.parametrize("spoil", [other_id, other_option, other_member])
def test_what_kms_tells_and_is_no_id_or_region_gets_into_no_command(world: World, shell: Shell, spoil: Spoil) -> None:
    report, plan = rotation(world, world.make_key())
    assert report.view is not None

    ran = shell.run(script([(spoil(report, report.view), plan)], means(world)))

    assert ran.returncode == 4
    assert "which is no id of key material and no Region" in ran.stderr
    assert shell.asked() == []


@pytest.mark.parametrize("setting", ["endpoint", "store", "identity", "profile", "role_arn", "recipients"])
def test_no_setting_is_read_by_the_shell(world: World, shell: Shell, setting: str) -> None:
    """A path with spaces is one word, and whatever stands in it is no command."""
    given = means(world)
    assert given.shelf is not None
    root = world.directory / EVIL
    spoiled: dict[str, Means] = {
        "endpoint": replace(given, endpoint=lambda region: f"{region}{EVIL}"),
        "store": replace(given, shelf=replace(given.shelf, root=root, path=partial(path_of, root))),
        "identity": replace(given, shelf=replace(given.shelf, identity=root)),
        "profile": replace(given, profile=EVIL),
        "role_arn": replace(given, role_arn=EVIL),
        "recipients": replace(given, shelf=replace(given.shelf, recipients=(EVIL, EVIL))),
    }
    arn = world.make_key()

    ran = shell.run(script([rotation(world, arn)], spoiled[setting]), ID=str(world.true(arn).current))

    assert ran.returncode in {0, 4, 3}, ran.stderr
    assert (shell.asked() != []) or setting in {"store", "endpoint"}


def test_a_key_that_is_blocked_or_has_nothing_due_is_told_of_in_the_script(world: World, shell: Shell) -> None:
    """Whoever runs it may never read it: the exit code, and stderr, tell what is not done."""
    arn = world.make_key()
    idle = planned(world, jobs.run("orders", KeySettings(arn=str(arn)), world.policy))
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    blocked = planned(world, jobs.run("payments", KeySettings(arn=str(arn)), world.policy))

    text = script([idle, blocked], means(world))
    ran = shell.run(text)

    assert "------ orders\n# nothing to do: nothing is due" in text
    assert ran.returncode == 4
    assert f"not done: payments: the key in {REGIONS[1]} is Disabled" in ran.stderr
    assert "an import would enable it" in ran.stderr
    assert shell.run(script([idle], means(world))).returncode == 0
    assert shell.asked() == []


def test_a_plan_is_good_for_a_day_and_no_longer_than_what_it_judged(world: World) -> None:
    """I3: nothing may expire within the safety window when the rotation is sent, whenever that is."""
    soon = world.clock.now() + timedelta(days=7, hours=5)
    late = rotation(world, world.make_key(), "late")
    early = rotation(world, world.make_key(valid_to=soon), "early")

    times = [script([plan], means(world)).split("\nin_time ")[1].split()[1] for plan in (late, early)]

    assert late[0].view is not None
    assert int(times[0]) == int((late[0].view.at + timedelta(hours=24)).timestamp())
    assert int(times[1]) == int((soon - timedelta(days=7)).timestamp())


def test_right_before_the_rotation_every_region_and_every_copy_is_judged_again(world: World) -> None:
    """P7: the lines between the last change and the point of no return."""
    arn = world.make_key()
    _, _, tail = script([rotation(world, arn)], means(world)).partition("\n# rotated\n")
    before, _, after = tail.partition("# ===== point of no return")

    assert [f"look {region} " in before for region in REGIONS] == [True] * 3
    assert before.count("\nentry_is ") == 2
    assert '"PENDING_ROTATION"' in before
    assert 'await "$PATIENCE" 1 5 fresh' in before
    assert after.count("\nrotate ") == 1
    assert 'await "$ROTATING" 3 5 all' in after


def test_material_that_a_key_lacks_is_sought_by_its_id_in_the_region_that_lacks_it(world: World) -> None:
    arn = world.make_key()
    current = world.true(arn).current
    assert current is not None
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)

    text = script([planned(world, jobs.repair("payments", KeySettings(arn=str(arn)), world.policy))], means(world))

    (line,) = [line for line in text.splitlines() if line.startswith(("import_existing ", "import_new "))]
    assert line.startswith(f"import_existing {current} {REGIONS[1]} {arn.within(Region(REGIONS[1]))} ")
    assert f'"{KeyState.PENDING_IMPORT}"' in text
    assert "\nrotate " not in text


@pytest.mark.parametrize("operation", ["GenerateDataKeyWithoutPlaintext", "Encrypt", "Decrypt"])
def test_the_proof_is_planned_with_its_context(world: World, operation: str) -> None:
    """Whoever may do exactly what `mrk policy` says may do nothing without it."""
    report, plan = rotation(world, world.make_key(), "payments", Proof.FULL)
    sent = [call for step in documents.plan(report, plan, "RSAES_OAEP_SHA_256")["steps"] for call in step["calls"]]

    contexts = {call["parameters"].get("EncryptionContext") for call in sent if call["operation"] == operation}

    assert contexts == {'{"mrk": "proof"}'}


def test_the_script_sends_the_context_of_the_proof(world: World) -> None:
    text = script([rotation(world, world.make_key())], means(world))

    assert '--encryption-context "$CONTEXT"' in text
    assert "CONTEXT=mrk=proof\n" in text
    assert sum(line.startswith("uses ") for line in text.splitlines()) >= 2 * len(REGIONS)


def test_a_store_that_no_script_can_read_is_left_to_mrk(world: World, shell: Shell) -> None:
    arn = world.make_key()
    current = world.true(arn).current
    assert current is not None
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    job = jobs.repair("payments", KeySettings(arn=str(arn)), Policy())

    ran = shell.run(script([planned(world, job)], means(world, shelf=None)))

    assert ran.returncode == 4
    assert "a script reads the entries of stores file: only" in ran.stderr
    assert "hint: mrk run payments" in ran.stderr
    assert shell.asked() == []


def test_a_machine_that_only_writes_entries_is_asked_for_an_identity_first(world: World, shell: Shell) -> None:
    given = means(world)
    assert given.shelf is not None

    ran = shell.run(
        script([rotation(world, world.make_key())], replace(given, shelf=replace(given.shelf, identity=None)))
    )

    assert ran.returncode == 2
    assert "set IDENTITY in this script" in ran.stderr
    assert shell.asked() == []
