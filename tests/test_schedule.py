"""What cron and systemd are given: it parses, is hardened, and agrees with the exit codes and with its description."""

import os
import re
import shutil
import stat
import subprocess
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.errors import Exit
from orchestrator.metrics import METRICS
from orchestrator.settings import RunSettings
from orchestrator.stores.handed import handed_over
from workflows.cli.unattended import Delay
from worlds import ManualClock

ROOT = Path(__file__).parents[1]
SCHEDULE = ROOT / "workflows" / "schedule"
DOCUMENT = (ROOT / "docs" / "schedule.md").read_text()
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def unit(name: str) -> dict[str, list[str]]:
    """Read a unit file: every value of every setting."""
    found = defaultdict(list)
    for line in (SCHEDULE / name).read_text().splitlines():
        if line and line[0] not in "#[":
            setting, value = line.split("=", 1)
            found[setting].append(value)
    return dict(found)


def installed(directory: Path, *, credential: bool = False) -> list[str]:
    """Put the units where systemd-analyze may judge them; the program that they start has to be there."""
    text = (SCHEDULE / "mrk.service").read_text().replace("/opt/mrk/bin/mrk", "/bin/true")
    (directory / "mrk.service").write_text(re.sub("^#(?=[A-Z])", "", text, flags=re.MULTILINE) if credential else text)
    shutil.copy(SCHEDULE / "mrk.timer", directory)
    return [str(directory / "mrk.service"), str(directory / "mrk.timer")]


def analyze(*words: str) -> str:
    assert ANALYZE is not None
    ran = subprocess.run([ANALYZE, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@needs_systemd
@pytest.mark.parametrize("credential", [False, True])
def test_systemd_takes_the_units_without_a_word(tmp_path: Path, credential: bool) -> None:
    """Also with the lines that hand the identity over as a credential."""
    assert analyze("verify", *installed(tmp_path, credential=credential)) == ""


@needs_systemd
def test_systemd_finds_the_service_well_hardened(tmp_path: Path) -> None:
    """0 is perfect, 100 unsafe; a service that talks to AWS needs the network."""
    analyze("security", "--offline=true", "--threshold=15", installed(tmp_path)[0])


def test_the_service_agrees_with_the_exit_codes() -> None:
    """Interrupted is well; what a rerun mends is rerun; what needs a person is not."""
    service = unit("mrk.service")

    assert service["SuccessExitStatus"] == [str(int(Exit.INTERRUPTED))]
    assert service["Restart"] == ["on-failure"]
    person = {Exit.INTERNAL, Exit.USAGE, Exit.BLOCKED}
    assert {int(code) for code in service["RestartPreventExitStatus"][0].split()} == {int(code) for code in person}
    assert service["KillMode"] == ["mixed"]


def test_the_service_waits_until_the_clock_was_set() -> None:
    """A machine that boots with a wrong clock would do nothing that night (exit 3)."""
    service = unit("mrk.service")

    assert "time-sync.target" in service["After"][0].split()
    assert "time-sync.target" in service["Wants"][0].split()


def test_the_service_gives_no_right_that_it_does_not_need() -> None:
    service = unit("mrk.service")

    assert service["User"] == ["mrk"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["LimitCORE"] == ["0"]
    for setting in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert service[setting] == ["yes"]


def test_the_timer_spreads_the_machines_and_makes_up_for_a_missed_night() -> None:
    timer = unit("mrk.timer")

    assert timer["RandomizedDelaySec"] == ["2h"]
    assert timer["Persistent"] == ["true"]
    assert "MRK_RUN__START_DELAY=0s" in unit("mrk.service")["Environment"]
    assert "start_delay" in RunSettings.model_fields


def test_the_crontab_line_is_one(tmp_path: Path) -> None:
    """Five times, a user, a command that is the service's; % would end it. It says so when mrk fails."""
    *settings, line = (SCHEDULE / "mrk.cron").read_text().splitlines()
    *times, user, command = line.split(maxsplit=6)

    assert all(re.fullmatch(r"#.*|[A-Z]+=\S+", setting) for setting in settings)
    assert all(re.fullmatch(r"\*|\d+", time) for time in times)
    assert (len(times), user) == (5, "mrk")
    assert "%" not in command
    program, *words = unit("mrk.service")["ExecStart"][0].split()
    assert " ".join((program, "run --news --quiet", *words[2:])) in command
    assert words[:2] == ["run", "--news"]
    here = command.replace("/var/lib/mrk", str(tmp_path)).replace("/opt/mrk/bin/mrk", "false")
    ran = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=True)
    assert ran.stdout == "mrk ended with exit code 1\n"


def test_the_description_lists_every_metric_with_its_labels() -> None:
    listed = {
        name: tuple(label.strip() for label in labels.split(",") if label.strip())
        for name, labels in re.findall(r"^\| `(mrk_\w+)` \| ([^|]*)\|", DOCUMENT, re.MULTILINE)
    }

    assert listed == {name: labels for name, (labels, _) in METRICS.items()}
    used = set(re.findall(r"\bmrk_\w+", DOCUMENT.split("```yaml")[1].split("```")[0]))
    assert used <= set(METRICS)


def test_the_description_tells_every_exit_code_of_a_run() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", DOCUMENT, re.MULTILINE)

    assert {int(code) for row in rows for code in row.split(",")} == {int(code) for code in Exit} - {Exit.WORK_TO_DO}


def test_the_start_delay_is_what_chance_says_of_the_longest() -> None:
    clock = ManualClock()
    begun = clock.now()

    assert Delay(timedelta(minutes=10), clock, lambda: 0.25)()

    assert clock.now() - begun == timedelta(minutes=2, seconds=30)


def test_the_start_delay_ends_at_once_when_it_is_stopped() -> None:
    clock = ManualClock()
    begun, delay = clock.now(), Delay(timedelta(minutes=10), clock, lambda: 1.0)
    delay.stop()

    assert not delay()
    assert clock.now() == begun


@pytest.mark.parametrize(
    ("kind", "mode", "user", "group", "expected"),
    [
        (stat.S_IFREG, 0o440, 0, 0, True),
        (stat.S_IFREG, 0o440, 0, 7, False),
        (stat.S_IFREG, 0o440, 7, 0, False),
        (stat.S_IFREG, 0o444, 0, 0, False),
        (stat.S_IFREG, 0o460, 0, 0, False),
        (stat.S_IFIFO, 0o440, 0, 0, False),
    ],
)
def test_an_identity_that_systemd_hands_over_is_taken(
    kind: int, mode: int, user: int, group: int, expected: bool
) -> None:
    """LoadCredential lets the service read a file of root's through an access list, which shows as mode 0440."""
    found = os.stat_result((kind | mode, 1, 1, 1, user, group, 100, 0, 0, 0))

    assert handed_over(found) is expected
