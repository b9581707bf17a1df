"""Metrics: how each key stands after a run, for Prometheus; what was not seen stands as it was."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.goals import whatever_is_due
from orchestrator.metrics import METRICS, write
from orchestrator.model import KeyArn
from orchestrator.progress import Job, Report
from workflows.rotate import ROTATE
from worlds import REGIONS, World


def read(path: Path) -> dict[str, float]:
    """Read a file as Prometheus does; a sample by its name and the values of its labels."""
    families = text_string_to_metric_families(path.read_text())
    return {
        ".".join([sample.name, *sample.labels.values()]): sample.value for one in families for sample in one.samples
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "textfile").mkdir()
    return tmp_path / "textfile" / "mrk.prom"


def run(world: World, arn: KeyArn, name: str = "payments") -> Report:
    policy = replace(world.policy, rotate_every=timedelta(days=90))
    job = Job(name, arn, policy, ROTATE, lambda view: whatever_is_due(view, policy))
    return world.runner().run([job])[0]


def test_a_key_in_order_is_told_by_key_and_region(world: World, path: Path) -> None:
    """Last success, next due, rotations left, first expiry, health: as KMS has them."""
    expiry = world.clock.now() + timedelta(days=200)
    arn = world.make_key(valid_to=expiry)
    created = min(seen.created_at for seen in world.view(arn).regions.values())
    now = world.clock.now()

    assert write(path, ["payments"], [run(world, arn)], 0, now) == ""

    assert read(path) == {
        "mrk_last_run_timestamp_seconds": now.timestamp(),
        "mrk_last_exit_code": 0,
        "mrk_last_success_timestamp_seconds.payments": now.timestamp(),
        "mrk_next_due_timestamp_seconds.payments": (created + timedelta(days=90)).timestamp(),
        "mrk_rotations_left.payments": 25,
        "mrk_rotations_few.payments": 0,
        "mrk_key_healthy.payments": 1,
        **{f"mrk_region_healthy.payments.{region}": 1 for region in REGIONS},
        **{f"mrk_first_expiry_timestamp_seconds.payments.{region}": expiry.timestamp() for region in REGIONS},
    }
    assert [one.name for one in path.parent.iterdir()] == ["mrk.prom"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_every_metric_is_named_as_prometheus_asks_and_explained() -> None:
    for name, (labels, text) in METRICS.items():
        assert name.startswith("mrk_")
        assert name.endswith("_timestamp_seconds") == text.startswith("When")
        assert text.endswith(".")
        assert labels in {(), ("key",), ("key", "region")}


def test_after_a_rotation_one_is_gone_and_the_next_is_due_later(world: World, path: Path) -> None:
    arn = world.make_key()
    world.clock.advance(days=91)

    write(path, ["payments"], [run(world, arn)], 0, world.clock.now())

    told = read(path)
    assert told["mrk_rotations_left.payments"] == 24
    assert told["mrk_next_due_timestamp_seconds.payments"] > (world.clock.now() + timedelta(days=89)).timestamp()
    assert not any(name.startswith("mrk_first_expiry") for name in told)


@pytest.mark.parametrize("trouble", ["disabled", "material gone", "not seen"])
def test_a_bad_region_is_told_and_the_last_success_stays(world: World, path: Path, trouble: str) -> None:
    """0 for the Region and the key; when it last went well is taken over from the file before."""
    arn = world.make_key()
    well = world.clock.now()
    write(path, ["payments"], [run(world, arn)], 0, well)
    if trouble == "disabled":
        world.client(REGIONS[1]).disable_key(KeyId=arn.key_id)
    elif trouble == "material gone":
        gone = world.true(arn).current
        world.client(REGIONS[1]).delete_imported_key_material(KeyId=arn.key_id, KeyMaterialId=gone)
    else:
        world.simulator.faults.add(operation="DescribeKey", region=REGIONS[1], error="AccessDeniedException")
    world.clock.advance(days=1)

    write(path, ["payments"], [run(world, arn)], 4, world.clock.now())

    told = read(path)
    assert told["mrk_key_healthy.payments"] == 0
    assert {region: told[f"mrk_region_healthy.payments.{region}"] for region in REGIONS} == {
        REGIONS[0]: 1,
        REGIONS[1]: 0,
        REGIONS[2]: 1,
    }
    assert told["mrk_last_success_timestamp_seconds.payments"] == well.timestamp()
    assert told["mrk_last_exit_code"] == 4
    assert told["mrk_last_run_timestamp_seconds"] == world.clock.now().timestamp()


def test_an_expiry_stays_while_its_region_cannot_be_seen(world: World, path: Path) -> None:
    """Material does not stop expiring because nobody can look."""
    expiry = world.clock.now() + timedelta(days=200)
    arn = world.make_key(valid_to=expiry)
    write(path, ["payments"], [run(world, arn)], 0, world.clock.now())
    world.simulator.faults.add(operation="DescribeKey", region=REGIONS[1], error="AccessDeniedException")

    write(path, ["payments"], [run(world, arn)], 3, world.clock.now())

    assert read(path)[f"mrk_first_expiry_timestamp_seconds.payments.{REGIONS[1]}"] == expiry.timestamp()


def test_keys_that_a_run_was_not_about_stand_as_they_were_and_those_not_in_the_config_go(
    world: World, path: Path
) -> None:
    one, other = run(world, world.make_key(), "one"), run(world, world.make_key(REGIONS[:2]), "other")
    first = world.clock.now()
    write(path, ["one", "other"], [one, other], 0, first)
    world.clock.advance(hours=1)

    write(path, ["one", "other"], [one], 0, world.clock.now())
    assert read(path)["mrk_last_success_timestamp_seconds.other"] == first.timestamp()
    assert read(path)["mrk_last_success_timestamp_seconds.one"] == world.clock.now().timestamp()

    write(path, ["one"], [one], 0, world.clock.now())
    assert not any("other" in name for name in read(path))


def test_an_interrupted_run_judges_nothing(world: World, path: Path) -> None:
    report = run(world, world.make_key())
    write(path, ["payments"], [report], 0, world.clock.now())
    before = read(path)

    write(path, ["payments"], [replace(report, status="interrupted", view=None)], 5, world.clock.now())

    assert read(path) == before | {"mrk_last_exit_code": 5}


@pytest.mark.parametrize("rubbish", [b"\xff\xfe", b"{not prometheus", b'mrk_key_healthy{region="x"} 1\nother 2\n', b""])
def test_a_file_that_is_no_such_file_tells_nothing(world: World, path: Path, rubbish: bytes) -> None:
    path.write_bytes(rubbish)

    assert write(path, ["payments"], [run(world, world.make_key())], 0, world.clock.now()) == ""
    assert read(path)["mrk_key_healthy.payments"] == 1


def test_where_it_cannot_be_written_that_is_said_and_nothing_is_left_behind(world: World, tmp_path: Path) -> None:
    path = tmp_path / "none" / "mrk.prom"

    assert write(path, [], [], 0, world.clock.now()) == "No such file or directory"
    (tmp_path / "mrk.prom").mkdir()
    assert write(tmp_path / "mrk.prom", [], [], 0, world.clock.now()) == "Is a directory"
    assert not (tmp_path / "mrk.prom.new").exists()


def test_names_of_keys_are_kept_whatever_they_hold(world: World, path: Path) -> None:
    """A name is the owner's choice: quotes, line ends and backslashes survive the file."""
    name = 'pay"ments\\\n{}'
    report = run(world, world.make_key(), name)

    write(path, [name], [report], 0, world.clock.now())
    write(path, [name], [], 0, world.clock.now())

    assert read(path)[f"mrk_key_healthy.{name}"] == 1
