"""A plan as a script: every word of it is quoted, and it tells of what it leaves undone."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.model import KeyArn, Policy
from orchestrator.plan import Plan, predict
from orchestrator.progress import Job, Report
from orchestrator.report import documents
from orchestrator.report.scripts import Means, script
from orchestrator.settings import KeySettings
from workflows import jobs
from worlds import REGIONS, World

EVIL = "a b; touch pwned; 'c' $(touch pwned)"
TOOLS = r"""
import_material() { test "$(wc -c < "$3")" -eq 32; echo NEW; }
wait_for() { :; }
aws() { echo "${NEW_ID:-$CURRENT}"; }
openssl() { head -c 32 /dev/zero > "$3"; }
age() { test "$3" = "$IDENTITY"; test -n "$4"; echo "{\"key_material\": \"$MATERIAL\"}"; }
"""


def planned(world: World, job: Job) -> tuple[Report, Plan | None]:
    """Look, pin, and predict, as `mrk plan` does."""
    (report,) = world.runner().run([replace(job, stages=())])
    if report.run is None or report.view is None:
        return report, None
    return report, predict(job.stages, report.view, report.run, report.view.at)


def rotation(world: World, arn: KeyArn, name: str) -> tuple[Report, Plan | None]:
    return planned(world, jobs.rotate(name, KeySettings(arn=str(arn)), world.policy))


def carried_out(text: str, directory: Path, current: str, identity: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a script whose tools do nothing, and notice what the shell makes of its words."""
    head, rule, body = text.partition("# -----")
    environment = {
        "PATH": "/usr/bin:/bin",
        "CURRENT": current,
        "IDENTITY": identity,
        "MATERIAL": base64.b64encode(bytes(range(32))).decode(),
    }
    words = ["sh", "-c", head + TOOLS + rule + body]
    return subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_a_name_is_never_read_by_the_shell(world: World, tmp_path: Path) -> None:
    """The settings refuse such a name; the script does not rely on that."""
    here = tmp_path / "here"
    here.mkdir()
    arn = world.make_key()
    text = script([rotation(world, arn, EVIL)], Means("RSAES_OAEP_SHA_256", world.store_uri, None))

    ran = carried_out(text, here, str(world.true(arn).current))

    assert ran.returncode == 0, ran.stderr
    assert {path.name for path in here.iterdir()} == {f"{EVIL}-new-material.bin"}
    assert "bring the new material into the store: mrk adopt" in ran.stdout
    assert "shred -u" in ran.stdout


def test_what_is_restored_from_the_store_goes_into_one_file_and_its_removal_is_told(
    world: World, tmp_path: Path
) -> None:
    """A path with spaces is one word; what lies in clear at the end is named."""
    here, store = tmp_path / "here", "file:/var/lib/my store/$(touch pwned)"
    here.mkdir()
    arn = world.make_key()
    current = world.true(arn).current
    assert current is not None
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    job = jobs.repair(EVIL, KeySettings(arn=str(arn)), world.policy)
    identity = "/etc/my identity; touch pwned"
    text = script([planned(world, job)], Means("RSAES_OAEP_SHA_256", store, Path(identity)))

    ran = carried_out(text, here, current, identity)

    assert ran.returncode == 0, ran.stderr
    (file,) = here.iterdir()
    assert file.read_bytes() == bytes(range(32))
    assert file.name == f"{EVIL}-{current[:8]}.bin"
    assert "key material lies here in clear" in ran.stdout
    assert file.name.split(maxsplit=1)[0] in ran.stdout


def test_a_key_that_is_blocked_or_has_nothing_due_is_told_of_in_the_script(world: World) -> None:
    arn = world.make_key()
    idle = planned(world, jobs.run("orders", KeySettings(arn=str(arn)), world.policy))
    world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    blocked = planned(world, jobs.run("payments", KeySettings(arn=str(arn)), world.policy))

    text = script([idle, blocked], Means("RSAES_OAEP_SHA_256", world.store_uri, None))

    assert "------ orders\n# nothing to do: nothing is due" in text
    assert f"------ payments\n# not done: the key in {REGIONS[1]} is Disabled -> an import would enable it" in text


@pytest.mark.parametrize("operation", ["GenerateDataKeyWithoutPlaintext", "Encrypt", "Decrypt"])
def test_the_proof_is_planned_with_its_context(world: World, operation: str) -> None:
    """Whoever may do exactly what `mrk policy` says may do nothing without it."""
    report, plan = rotation(world, world.make_key(), "payments")
    sent = [call for step in documents.plan(report, plan, "RSAES_OAEP_SHA_256")["steps"] for call in step["calls"]]

    contexts = {call["parameters"].get("EncryptionContext") for call in sent if call["operation"] == operation}

    assert contexts == {'{"mrk": "proof"}'}


def test_the_script_sends_the_context_of_the_proof(world: World) -> None:
    text = script([rotation(world, world.make_key(), "payments")], Means("RSAES_OAEP_SHA_256", world.store_uri, None))

    asked = [line for line in text.splitlines() if "generate-data-key-without-plaintext" in line]
    assert len(asked) >= 2 * len(REGIONS)
    assert all("--encryption-context mrk=proof" in line for line in asked)


def test_a_store_in_the_cloud_is_not_taken_for_a_directory(world: World) -> None:
    arn = world.make_key()
    current = world.true(arn).current
    assert current is not None
    world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=current)
    job = jobs.repair("payments", KeySettings(arn=str(arn)), Policy())

    text = script([planned(world, job)], Means("RSAES_OAEP_SHA_256", "secretsmanager:us-east-1/mrk", None))

    assert "# bring the bytes of aws/" in text
    assert "age -d" not in text
