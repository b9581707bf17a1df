"""Files that somebody spoiled: config, store entries, journals. One clear message, the right exit code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mutations import drawn, spoiled, torn

from e2e.machine import REGIONS
from orchestrator.errors import Exit, StoreError, UsageError
from orchestrator.journal import Header, Journal
from orchestrator.model import EntryName, ImportType, Region
from orchestrator.ports import WrappingAlgorithm
from orchestrator.report import changed
from sizes import EVERYTHING
from verdict import Count, before, broken, held, tell
from workflows.cli import invoke
from worlds import World

pytestmark = pytest.mark.timeout(1800)

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
ALGORITHM = WrappingAlgorithm.RSAES_OAEP_SHA_256


def judged(code: int, allowed: set[int], printed: pytest.CaptureFixture[str]) -> str:
    """Say what is wrong with how a command ended, if anything."""
    err = printed.readouterr().err
    if code not in allowed:
        return f"exit {code}: {err[:400]}"
    if "Traceback" in err or "a defect in mrk" in err:
        return err[:400]
    if code and not err.startswith("mrk: "):
        return f"exit {code} without a message: {err[:400]}"
    return "" if len(err) < 5000 else f"{len(err)} characters of message"


def test_no_config_makes_the_command_fail_in_a_way_that_is_not_said(
    tmp_path: Path, record_property: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example config with one thing spoiled, or with bytes torn out: exit 0 or 2."""
    inputs, wrong = (1000 if EVERYTHING else 80), []
    config, whole = tmp_path / "config.yaml", yaml.safe_load(EXAMPLE.read_text())
    text = EXAMPLE.read_bytes()
    for seed in range(inputs):
        dice = drawn("config", seed)
        if dice.random() < 0.7:
            config.write_text(json.dumps(spoiled(whole, dice)))  # which is YAML, too
        else:
            config.write_bytes(torn(text, dice))
        code = invoke(["config", "check", "-c", str(config)])
        if said := judged(code, {Exit.OK, Exit.USAGE}, capsys):
            wrong.append(f"config {seed}: {said}")
    record_property("inputs_fuzzed", inputs)
    assert not wrong, tell(wrong)


def test_no_journal_makes_a_report_fail_in_a_way_that_is_not_said(
    world: World, tmp_path: Path, record_property: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    """A genuine journal with bytes torn out, or a line spoiled: intact (0), none (2), cut short (3), or changed (4)."""
    inputs, wrong = (500 if EVERYTHING else 40), []
    journal = Journal(tmp_path / "runs", Header("20260302T080000Z-abcdef", world.clock.now()))
    world.rotate(world.make_key())
    for event in world.events:
        journal(event)
    journal.seal(world.clock.now())
    whole, spoilt = journal.path.read_bytes(), tmp_path / "20260302T080000Z-abcdef.jsonl"
    for seed in range(inputs):
        dice = drawn("journal", seed)
        lines = whole.splitlines(keepends=True)
        at = dice.randrange(len(lines))
        if dice.random() < 0.5:
            lines[at] = json.dumps(spoiled(json.loads(lines[at]), dice)).encode() + b"\n"
        else:
            lines[at] = torn(lines[at], dice)
        spoilt.write_bytes(b"".join(lines))
        code = invoke(["report", str(spoilt), *(["--json"] if dice.random() < 0.5 else [])])
        if said := judged(code, {Exit.OK, Exit.USAGE, Exit.FAILED, Exit.BLOCKED}, capsys):
            wrong.append(f"journal {seed}: {said}")
    record_property("inputs_fuzzed", inputs)
    assert not wrong, tell(wrong)


def test_no_store_entry_makes_a_store_fail_in_a_way_that_is_not_said(world: World, record_property: Count) -> None:
    """Bytes torn out of any file of the store: StoreError with a hint, or an entry that says what is wrong with it."""
    inputs, wrong = (1000 if EVERYTHING else 80), []
    arn = world.make_key()
    assert world.rotate(arn).status == "finished"
    root, kept = world.directory / "store", world.directory / "kept"
    shutil.copytree(root, kept)
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    names = [EntryName(arn.identity, None), EntryName(arn.identity, world.true(arn).rows[0].material_id)]
    public_key = world.kms()(arn.region).get_parameters_for_import(arn, ALGORITHM).public_key
    for seed in range(inputs):
        dice = drawn("store", seed)
        file = dice.choice(files)
        content = (kept / file).read_bytes()
        (root / file).unlink()
        (root / file).write_bytes(torn(content, dice))
        (root / file).chmod((kept / file).stat().st_mode & 0o777)
        for asked in asking(world, names[dice.randrange(2)], public_key):
            try:
                asked()
            except (StoreError, UsageError) as error:
                if not error.message or not error.hint:
                    wrong.append(f"{file} {seed}: {error.message!r} without a hint")
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                wrong.append(f"{file} {seed}: {error!r:.300}")
        (root / file).unlink()
        shutil.copy2(kept / file, root / file)
    record_property("inputs_fuzzed", inputs)
    assert not wrong, tell(wrong)
    assert {entry.problem for entry in world.store.entries()} == {""}
    assert not [entry.damage for entry in world.store.entries() if entry.damage]


def asking(world: World, name: EntryName, public_key: bytes) -> list[Callable[[], Any]]:
    """Everything that is asked of a store on the way through a run."""
    store, file = world.store, world.directory / "some.bin"
    file.write_bytes(bytes(32))
    return [
        lambda: store.find(name),
        store.entries,
        lambda: store.wrap(name, public_key, ALGORITHM),
        lambda: store.probe(name),
        lambda: store.deposit(name),
        lambda: store.mark_proven(name, {"regions": ["eu-west-1"]}),
        lambda: store.look([name]),
        lambda: store.note_switch(name.key, Region("eu-west-1"), world.clock.now(), off=True),
        lambda: store.switched_off(name.key),
        lambda: store.withdrawn(name),
        lambda: store.identify(name.key, file),
    ]


def test_a_key_whose_store_is_spoilt_is_blocked_or_failed_and_keeps_its_promises(
    world: World, record_property: Count
) -> None:
    """In mid-rotation: whatever file of the store is spoilt, nothing is rotated that cannot be read back."""
    inputs, wrong = (60 if EVERYTHING else 4), []
    for seed in range(inputs):
        dice = drawn("rotation", seed)
        arn = world.make_key()
        earlier = before(world.simulator, arn)
        name = EntryName(arn.identity, world.true(arn).current)
        world.store.deposit(name)
        if dice.random() < 0.5:
            world.store.link(name, world.send(world.store, arn, name, ImportType.NEW))
        files = sorted(p for p in (world.directory / "store").rglob("*") if p.is_file() and arn.key_id in str(p))
        file = dice.choice(files)
        whole = file.read_bytes()
        file.unlink()
        file.write_bytes(torn(whole, dice))
        file.chmod(0o600)
        report = world.rotate(arn)
        spoilt = file.read_bytes()
        file.write_bytes(whole)  # what the test itself has spoilt is not lost by us
        known = held(world.store, key=arn.identity)
        file.write_bytes(spoilt)
        success = report.status == "finished"
        # What makes CURRENT seem unfinished is finished first, and then it is said that nothing more was rotated.
        moved = (
            any(change.what == "rotated" for change in changed.of(report))
            or "rotated nothing more" not in report.message
        )
        found = broken(world.simulator, arn, earlier, [world.store], success=success, known=known, moved=moved)
        wrong += [f"{file.name} {seed}: {one}" for one in found]
        if report.status not in {"blocked", "failed", "finished"}:
            wrong.append(f"{file.name} {seed}: {report.status} {report.message}")
        if world.true(arn).rotations and report.status != "finished":
            wrong.append(f"{file.name} {seed}: rotated, and {report.status}: {report.message}")
        if {key.key_state for key in world.everywhere(arn).values()} != {"Enabled"}:
            wrong.append(f"{file.name} {seed}: not Enabled")
        assert len(REGIONS) == len(world.everywhere(arn))
    record_property("inputs_fuzzed", inputs)
    assert not wrong, tell(wrong)
