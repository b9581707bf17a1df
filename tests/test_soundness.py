"""What `mrk config check` says of a config: every mistake that shows without a call is told, with its setting (I12)."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml

from orchestrator.errors import Exit
from workflows.cli import invoke

KEY = "mrk-1234abcd12ab34cd56ef1234567890ab"
ARN = f"arn:aws:kms:us-east-1:111122223333:key/{KEY}"
SINGLE = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER = str(pyrage.x25519.Identity.generate().to_public())
Config = dict[str, Any]
Change = Callable[[Config, Path], Any]


class Checked:
    """What the command says of one config."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        ours, recovery = (pyrage.x25519.Identity.generate() for _ in range(2))
        (directory / "identity.txt").touch(mode=0o600)
        (directory / "identity.txt").write_text(f"{ours}\n")
        self.config: Config = {
            "store": {
                "uri": f"file:{directory / 'store'}",
                "recipients": [str(ours.to_public()), str(recovery.to_public())],
                "identity": str(directory / "identity.txt"),
                "volatile": "allow",
            },
            "keys": {"payments": {"arn": ARN, "regions": ["us-east-1", "eu-west-1"]}},
            "run": {"journal": str(directory / "runs")},
        }

    def __call__(self, *words: str, config: Config | None = None) -> tuple[int, str]:
        path = self.directory / "config.yaml"
        path.write_text(yaml.safe_dump(config or self.config))
        code = invoke([*words, "-c", str(path)])
        return code, "".join(self._capsys.readouterr())

    def check(self, config: Config | None = None) -> tuple[int, str]:
        return self("config", "check", config=config)


@pytest.fixture
def checked(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    made = Checked(tmp_path, capsys)
    assert made("store", "init")[0] == Exit.OK
    return made


def key(**settings: Any) -> Change:
    return lambda config, _: config["keys"]["payments"].update(settings)


def run(**settings: Any) -> Change:
    return lambda config, here: config["run"].update(
        {name: value.format(here=here) if isinstance(value, str) else value for name, value in settings.items()}
    )


def in_aws(**settings: Any) -> Change:
    """The store is in Secrets Manager."""

    def change(config: Config, _: Path) -> None:
        config["store"] = {"uri": "secretsmanager:us-east-1/mrk"} | settings

    return change


def other_recipients(config: Config, _: Path) -> None:
    config["store"]["recipients"][1] = OTHER


def one_more_recipient(config: Config, _: Path) -> None:
    config["store"]["recipients"].append(OTHER)


def damaged_stamp(_: Config, here: Path) -> None:
    (here / "store" / "store.json").write_text("{}")


def made_elsewhere(_: Config, here: Path) -> None:
    path = here / "store" / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"endpoint_class": "other"}))


def open_store(_: Config, here: Path) -> None:
    (here / "store" / "store.json").chmod(0o666)


def open_journal(config: Config, here: Path) -> None:
    (here / "open").mkdir()
    (here / "open").chmod(0o777)
    config["run"]["journal"] = str(here / "open")


def closed_journal(config: Config, here: Path) -> None:
    (here / "file").touch()
    config["run"]["journal"] = str(here / "file" / "runs")


def lock_is_a_directory(config: Config, here: Path) -> None:
    (here / "lock").mkdir()
    config["run"]["lock"] = str(here / "lock")


def metrics_are_a_directory(config: Config, here: Path) -> None:
    (here / "mrk.prom").mkdir()
    config["run"]["metrics"] = str(here / "mrk.prom")


def hook(first: str, mode: int = 0o755) -> Change:
    def change(config: Config, here: Path) -> None:
        (here / "notify").write_text(f"{first}\n")
        (here / "notify").chmod(mode)
        config["run"]["after"] = str(here / "notify")

    return change


def role(config: Config, _: Path) -> None:
    config["aws"] = {"role_arn": "arn:aws-cn:iam::111122223333:role/mrk"}


STORE_KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890aa"
WRONG: dict[str, tuple[Change, str]] = {
    "another recipient than the store's": (other_recipients, "store.recipients are not the ones in"),
    "one more recipient than the store's": (one_more_recipient, f"{OTHER} is new"),
    "a stamp that is damaged": (damaged_stamp, "is damaged"),
    "a store that is for something else": (made_elsewhere, "is stamped for"),
    "a stamp that others may write": (open_store, "store.json"),
    "the ARN's Region is not listed": (key(regions=["eu-west-1"]), "keys.payments: the ARN names us-east-1, which"),
    "nor that of an alias": (
        key(arn="arn:aws:kms:eu-west-3:111122223333:alias/payments"),
        "keys.payments: the ARN names eu-west-3, which",
    ),
    "a Region twice": (key(regions=["us-east-1", "eu-west-1", "us-east-1"]), "`regions` lists us-east-1 twice"),
    "a single-Region key in two": (key(arn=SINGLE), "this is a single-Region key"),
    "a Region of the store that there is not": (in_aws(uri="secretsmanager:eu-west-9/mrk"), "eu-west-9 is no Region"),
    "a Region of the store elsewhere": (in_aws(uri="secretsmanager:cn-north-1/mrk"), "cn-north-1 is no Region of the"),
    "a Region of its replicas that there is not": (in_aws(replica_regions=["eu-north-7"]), "eu-north-7 is no Region"),
    "its own Region again": (in_aws(replica_regions=["us-east-1"]), "store.replica_regions names us-east-1"),
    "a Region of its replicas twice": (
        in_aws(replica_regions=["eu-west-1", "eu-west-1"]),
        "store.replica_regions lists eu-west-1 twice",
    ),
    "kms_key is none": (in_aws(kms_key="arn:aws:s3:::bucket"), "store.kms_key: a KMS key is named by"),
    "mac_key is none": (in_aws(mac_key="mrk-maker"), "store.mac_key: a KMS key is named by"),
    "both are one": (in_aws(kms_key=STORE_KEY, mac_key=STORE_KEY), "store.kms_key and store.mac_key are one key"),
    "kms_key is a key with imported material": (in_aws(kms_key=KEY), "store.kms_key is the key payments"),
    "mac_key is elsewhere": (
        in_aws(mac_key="arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/maker"),
        "store.mac_key is in the partition aws-us-gov",
    ),
    "the role is elsewhere": (role, "aws.role_arn is in the partition aws-cn"),
    "an alias in another partition": (
        lambda config, _: config["keys"].update(other={"arn": "arn:aws-cn:kms:cn-north-1:111122223333:alias/other"}),
        "the config mixes keys of the partitions aws, aws-cn",
    ),
    "no time to confirm": (run(deadline="15s"), "run.deadline (15s) is not longer than run.poll times run.looks (15s)"),
    "a hook that is not there": (run(after="{here}/none"), "it cannot be run: there is no such file"),
    "a hook that is not executable": (hook("#!/bin/sh", 0o644), "chmod +x"),
    "a hook whose interpreter is not there": (hook("#!/no/such"), "the interpreter /no/such, which is not there"),
    "a hook that is a directory": (run(after="{here}/store"), "it is a directory"),
    "metrics without a directory": (run(metrics="{here}/none/mrk.prom"), "run.metrics"),
    "metrics that are a directory": (metrics_are_a_directory, "it is a directory, not a file"),
    "a journal below a file": (closed_journal, "is not a directory"),
    "a journal that everybody may change": (open_journal, "run.journal"),
    "a lock below a file": (run(lock="{here}/identity.txt/mrk.lock"), "run.lock"),
    "a lock that is a directory": (lock_is_a_directory, "run.lock"),
    "a journal in the store": (run(journal="{here}/store"), "is in the store: only entries belong there"),
    "a lock that is the identity": (
        run(lock="{here}/identity.txt"),
        "is store.identity, too: a run would write over it",
    ),
    "a lock that is the config": (run(lock="{here}/config.yaml"), "is the config, too: a run would write over it"),
    "metrics that are the hook": (
        lambda config, here: config["run"].update(after=f"{here}/x.prom", metrics=f"{here}/x.prom"),
        "is run.after, too: a run would write over it",
    ),
    "a lock that is the metrics": (
        run(lock="{here}/x.prom", metrics="{here}/x.prom"),
        "run.lock and run.metrics are one file",
    ),
    "metrics in the store": (run(metrics="{here}/store/mrk.prom"), "is in the store: only entries belong there"),
}


def test_a_config_that_is_well_is_sound(checked: Checked) -> None:
    assert checked.check() == (0, f"sound: 1 key, store file:{checked.directory / 'store'}\n")


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_setting(checked: Checked, change: Change, said: str) -> None:
    config = deepcopy(checked.config)
    change(config, checked.directory)
    before = sorted(checked.directory.rglob("*"))

    code, told = checked.check(config)

    assert (code, "sound" in told.split()) == (Exit.USAGE, False), told
    assert said in told
    assert sorted(checked.directory.rglob("*")) == before, "it makes nothing"


def test_everything_that_is_wrong_is_told_at_once(checked: Checked) -> None:
    changes = ("the ARN's Region is not listed", "another recipient than the store's", "a hook that is not there")
    config = deepcopy(checked.config)
    for one in changes:
        WRONG[one][0](config, checked.directory)

    _, told = checked.check(config)

    assert all(WRONG[one][1] in told for one in changes)
    assert told.count("hint: ") == 1


UNWISE: dict[str, tuple[Change, str]] = {
    "rotations that are soon spent": (key(rotate_every="10d"), "keys.payments: rotate_every: 10d: by 20"),
    "by the defaults, too": (lambda config, _: config.update(defaults={"rotate_every": "30d"}), "rotate_every: 30d"),
    "a reserve that leaves none": (key(reserve=25), "reserve: 25: no rotation is left that `mrk run` may spend"),
    "no time for a rotation": (run(deadline="5m"), "run.deadline (5m) is shorter than a rotation may take"),
    "no time for an abort": (run(deadline="15m"), "run.deadline (15m) is too short for mrk abort, which waits 15m"),
    "a start in the next night": (run(start_delay="23h"), "run.start_delay (23h)"),
}


@pytest.mark.parametrize(("change", "said"), UNWISE.values(), ids=UNWISE)
def test_what_is_unwise_is_a_warning_and_sound(checked: Checked, change: Change, said: str) -> None:
    config = deepcopy(checked.config)
    change(config, checked.directory)

    code, told = checked.check(config)
    document = json.loads(checked("config", "check", "--json", config=config)[1])

    first, *_, last = told.splitlines()
    assert (code, last.split(":")[0], document["exit_code"]) == (0, "sound", 0)
    assert first.startswith("warning: ")
    assert said in first
    assert any(said in one for one in document["warnings"])


def test_an_interval_that_lasts_for_years_is_no_warning(checked: Checked) -> None:
    config = deepcopy(checked.config)
    key(rotate_every="90d")(config, checked.directory)

    assert "warning" not in checked.check(config)[1]


def test_many_keys_with_one_interval_are_one_warning(checked: Checked) -> None:
    config = deepcopy(checked.config)
    config["defaults"] = {"rotate_every": "10d"}
    config["keys"] = {f"k{number}": {"arn": ARN[:-2] + f"{number:02}"} for number in range(40)}

    _, told = checked.check(config)

    assert told.count("warning: ") == 1
    assert "warning: 40 keys: rotate_every: 10d" in told


def test_a_store_that_is_not_made_yet_and_an_identity_that_lies_in_it_are_told(checked: Checked) -> None:
    config = deepcopy(checked.config)
    folder = checked.directory / "other"
    folder.mkdir()
    Path(config["store"]["identity"]).rename(folder / "identity.txt")
    config["store"] |= {"uri": f"file:{folder}", "identity": str(folder / "identity.txt")}

    code, told = checked.check(config)

    assert code == 0
    assert f"there is no store in {folder} yet; make it with: mrk store init" in told
    assert "whoever gets a copy of the store opens it" in told
