"""The hook: a program that is told how a run ended; whatever it does is said, and changes nothing."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.hook import Hook, without_credentials

REPORT = {"exit_code": 4, "runs": [{"name": "payments", "status": "blocked"}]}
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}


def program(directory: Path, *lines: str, mode: int = 0o755) -> Path:
    path = directory / "notify"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(mode)
    return path


def hook(path: Path, limit: float = 20, environment: dict[str, str] | None = None) -> Hook:
    return Hook(path, timedelta(seconds=limit), environment or ENVIRONMENT)


def test_the_program_gets_the_report_as_json_on_its_standard_input(tmp_path: Path) -> None:
    path = program(tmp_path, f"cat > {tmp_path}/got")

    assert hook(path)(REPORT) == ""
    assert json.loads((tmp_path / "got").read_text()) == REPORT


def test_what_it_prints_goes_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Our stdout carries the result only."""
    assert hook(program(tmp_path, "echo told; echo complained >&2"))(REPORT) == ""

    assert capfd.readouterr() == ("", "told\ncomplained\n")


def test_a_program_that_reads_nothing_is_content(tmp_path: Path) -> None:
    """Nor is a report that is longer than a pipe holds."""
    assert hook(program(tmp_path, "exit 0"))({"runs": ["x" * 1_000_000]}) == ""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["exit 3"], "it ended with exit code 3"),
        (["kill -TERM $$"], "it was ended by signal 15"),
    ],
)
def test_a_failure_is_told_in_a_sentence(tmp_path: Path, lines: list[str], said: str) -> None:
    assert hook(program(tmp_path, *lines))(REPORT) == said


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert hook(tmp_path / "none")(REPORT) == "it cannot be run: there is no such file"


def test_a_file_that_the_system_alone_knows_to_be_no_program_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    path.write_bytes(b"\0neither a script nor a binary")
    path.chmod(0o755)

    assert hook(path)(REPORT) == "it cannot be run: Exec format error"


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """Neither the program nor its child holds the run up, or holds the pipe."""
    path = program(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/child", "wait")

    said = hook(path, limit=0.5)({"runs": ["x" * 1_000_000]})

    assert said == "it took longer than 500 ms (run.after_timeout) and was killed"
    assert not runs(int((tmp_path / "child").read_text()))


def runs(pid: int) -> bool:
    """Whether a process still runs; one that died and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_stopped_before_it_is_not_begun(tmp_path: Path) -> None:
    stopped = hook(program(tmp_path, f"touch {tmp_path}/begun"))
    stopped.stop()

    assert stopped(REPORT) == "it was not begun: the run was interrupted"
    assert not (tmp_path / "begun").exists()


def test_it_gets_no_credentials_and_no_settings(tmp_path: Path) -> None:
    """A hook that calls AWS has a role of its own; where the identity lies is none of its business."""
    path = program(tmp_path, f"env > {tmp_path}/got")
    secret = {
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_PROFILE": "p",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "u",
        "MRK_STORE__IDENTITY": "/etc/mrk/identity.txt",
        "CREDENTIALS_DIRECTORY": "/run/credentials/mrk.service",
    }

    assert hook(path, environment=ENVIRONMENT | {"WEBHOOK": "w"} | secret)(REPORT) == ""

    got = dict(line.split("=", 1) for line in (tmp_path / "got").read_text().splitlines())
    assert not set(secret) & set(got)
    assert got["WEBHOOK"] == "w"
    assert without_credentials(secret) == {}
